"""What the latency detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import pytest
from detected import known, seen, steps

from watchpost.detect.detector import Surroundings
from watchpost.detect.latency import LatencyDetector, LatencySettings
from watchpost.model.flag import Finding
from watchpost.model.knowledge import Norm

NORMS = Surroundings(
    knowledge=known(tool_seconds__get=Norm(200, 1.0, 2.0, 4.0), model_seconds__m1=Norm(200, 1.0, 2.0, 3.0))
)


def found_in(text: str, settings: LatencySettings | None = None) -> list[Finding]:
    return seen(LatencyDetector(settings or LatencySettings(), NORMS), *steps(text))


def test_a_slow_call_is_found_beyond_the_multiple_and_shows_what_is_usual() -> None:
    assert found_in("step 1 tool get {} took 12s") == []
    (found,) = found_in('step 1 tool get {"n": 1} took 12.1s')
    assert (found.kind, found.subject, found.severity) == ("LATENCY_OUTLIER", "tool_seconds get", "warning")
    assert (found.evidence["value"], found.evidence["threshold"]) == (12.1, 12.0)
    assert found.evidence["usual_seconds"] == {"p50": 1.0, "p95": 2.0, "p99": 4.0, "calls": 200}


def test_a_slow_model_is_found_by_its_own_norm() -> None:
    (found,) = found_in('step 1 llm says "x" model m1 took 9.1s')
    assert (found.subject, found.evidence["reason"]) == ("model_seconds m1", "slow_model")


def test_what_nobody_minds_is_no_outlier_and_neither_is_what_still_runs() -> None:
    assert found_in("step 1 tool get {} took 4s", LatencySettings(times=1)) == []
    assert len(found_in("step 1 tool get {} took 4.1s", LatencySettings(times=1, least_seconds=1))) == 1
    assert found_in("step 1 tool get {} running") == []


def test_a_norm_of_few_observations_is_none() -> None:
    assert found_in("step 1 tool get {} took 99s", LatencySettings(observations=201)) == []


@pytest.mark.parametrize(("field", "value"), [("times", 0.5), ("least_seconds", -1.0), ("observations", 0)])
def test_settings_that_mean_nothing_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        LatencySettings(**{field: value})  # type: ignore[arg-type] # numbers, as the fields are

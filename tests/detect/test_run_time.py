"""How long a run may take, and what is said of one that took longer; that it is seen in time is in tests/flow."""

from __future__ import annotations

import pytest
from detected import known

from watchpost.detect.catalogue import DetectorSettingsError, run_time
from watchpost.detect.run_time import Run, RunLimit, RunTimeSettings, due_ns, limit_of, silent, stuck
from watchpost.model.knowledge import NOTHING_KNOWN, Norm

SECOND = 10**9
QUICK = known(workflow_seconds__chat=Norm(100, 5.0, 20.0, 30.0))


@pytest.mark.parametrize(
    ("settings", "seconds", "basis"),
    [
        (RunTimeSettings(), 90, "norm"),
        (RunTimeSettings(times=30), 600, "default"),
        (RunTimeSettings(least_seconds=120), 120, "norm"),
        (RunTimeSettings(observations=101), 600, "default"),
        (RunTimeSettings(seconds=0), 90, "norm"),
        (RunTimeSettings(seconds=0, times=0), 0, "default"),
        (RunTimeSettings(limits={"ch*": 7200, "*": 1}), 7200, "declared"),
        (RunTimeSettings(limits={"other": 1}), 90, "norm"),
    ],
)
def test_what_is_declared_holds_else_the_sooner_of_the_default_and_what_is_usual(
    settings: RunTimeSettings, seconds: float, basis: str
) -> None:
    limit = limit_of(settings, "chat", QUICK)
    assert (limit.ns, limit.basis) == (seconds * SECOND, basis)


def test_a_run_is_stuck_beyond_its_limit_and_says_the_same_until_it_ends() -> None:
    limit = limit_of(RunTimeSettings(), "chat", NOTHING_KNOWN)
    run = Run(1000 * SECOND, 1001 * SECOND, is_open=True)
    assert stuck(RunTimeSettings(), "chat", limit, run, 1600 * SECOND) is None
    found = stuck(RunTimeSettings(), "chat", limit, run, 1600 * SECOND + 1)
    assert found == stuck(RunTimeSettings(), "chat", limit, run, 9999 * SECOND)
    assert found is not None
    assert (found.kind, found.severity, found.refutable) == ("STUCK_RUN", "critical", False)
    assert due_ns(limit, run) == 1600 * SECOND + 1
    ended = Run(1000 * SECOND, 1700 * SECOND, is_open=False)
    took = stuck(RunTimeSettings(), "chat", limit, ended, 0)
    assert took is not None
    assert took.evidence["value"] == 700
    assert due_ns(limit, ended) == 0


def test_without_a_limit_nothing_is_ever_stuck() -> None:
    never = RunLimit(0, "default")
    run = Run(1, 0, is_open=True)
    assert stuck(RunTimeSettings(), "", never, run, 10**30) is None
    assert due_ns(never, run) == 0


def test_silence_says_after_what_it_fell() -> None:
    found = silent(RunTimeSettings(), "chat", waited_s=600, is_open=True, last="get_order")
    assert found is not None
    assert found.evidence["reason"] == "root_still_open"
    assert "nothing of chat for 600 s after get_order" in found.summary
    assert silent(RunTimeSettings(silent=False), "chat", waited_s=600, is_open=True, last="") is None


@pytest.mark.parametrize(
    "given",
    [{"seconds": -1}, {"times": 0.5}, {"least_seconds": -1}, {"observations": 0}, {"limits": {"a": -1}}, {"second": 1}],
)
def test_settings_that_mean_nothing_are_refused_by_name(given: dict[str, object]) -> None:
    with pytest.raises(DetectorSettingsError, match=f"run_time: .*{next(iter(given))}"):
        run_time(given)

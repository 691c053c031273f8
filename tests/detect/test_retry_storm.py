"""What the retry storm detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import msgspec
import pytest
from detected import calls_of, detected, seen, steps

from watchpost.detect.retry_storm import KIND, RetryStormDetector, RetryStormSettings

FAILS = 'tool get {"n": $step} -> error "HTTPError: 503 for request $step" type tool_server_down'


def test_a_storm_shows_each_call_with_its_error() -> None:
    (found,) = detected(f"step 1-4 {FAILS}", KIND)
    assert (found.subject, found.severity, found.refutable) == ("get", "error", False)
    assert found.evidence["error_type"] == "tool_server_down"
    assert (found.evidence["value"], found.evidence["threshold"]) == (4, 4)
    assert [call["arguments"] for call in calls_of(found)] == [f'{{"n": {n}}}' for n in range(1, 5)]
    assert found.evidence["seconds"] == pytest.approx(3.004)
    assert "failed 4 times in a row" in found.summary


@pytest.mark.parametrize(
    "between",
    [
        'tool get {"n": 9} -> "fine"',
        'human "Leave it."',
        'tool get {"n": 9} -> error "KeyError: n"',
    ],
)
def test_a_success_a_person_and_another_error_end_a_row(between: str) -> None:
    assert detected(f"step 1-3 {FAILS}\nstep 4 {between}\nstep 5-7 {FAILS}", KIND) == []
    assert len(detected(f"step 1-3 {FAILS}\nstep 4 {between}\nstep 5-8 {FAILS}", KIND)) == 1


@pytest.mark.parametrize("between", ['tool other {} -> "fine"', 'llm says "Again."', "tool get {} running"])
def test_what_others_do_between_does_not_end_a_row(between: str) -> None:
    assert len(detected(f"step 1-2 {FAILS}\nstep 3 {between}\nstep 4-5 {FAILS}", KIND)) == 1


def test_calls_that_ran_beside_each_other_are_no_retries() -> None:
    told = steps(f"step 1-6 {FAILS}")
    beside = [msgspec.structs.replace(step, start_ns=told[0].start_ns + n) for n, step in enumerate(told)]
    assert seen(RetryStormDetector(RetryStormSettings()), *beside) == []


def test_a_tool_that_may_fail_for_as_long_as_it_likes_is_no_storm() -> None:
    text = 'set retry_storm.patient ["wait_*"]\nstep 1-9 tool wait_for {"n": $step} -> error "not yet"'
    assert detected(text, KIND) == []


def test_one_failure_in_a_row_is_no_setting() -> None:
    with pytest.raises(ValueError, match="failures"):
        RetryStormSettings(failures=1)

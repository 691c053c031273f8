"""How a session ended."""

from __future__ import annotations

import pytest
from folding import Fold, span

from watchpost.model.telemetry import Span


def outcome(*spans: Span) -> str | None:
    fold = Fold()
    fold.receive(*spans)
    fold.wait(3600)
    return fold.only.outcome


def test_a_run_whose_root_ended_well_is_completed() -> None:
    assert outcome(span(1, end_s=9), span(2, "llm", 1), span(3, "tool", 1), span(4, "llm", 1)) == "completed"


def test_a_failed_tool_call_that_the_model_got_over_is_completed() -> None:
    assert (
        outcome(span(1, end_s=9), span(2, "llm", 1), span(3, "tool", 1, failed=True), span(4, "llm", 1)) == "completed"
    )


def test_a_run_that_failed_by_its_last_tool_call_is_a_tool_error() -> None:
    assert outcome(span(1, failed=True), span(2, "llm", 1), span(3, "tool", 1, failed=True)) == "tool_error"


def test_a_failed_tool_call_before_the_last_good_answer_is_not_why_a_run_failed() -> None:
    spans = (span(1, failed=True, end_s=9), span(2, "tool", 1, failed=True), span(3, "llm", 1))
    assert outcome(*spans) == "bad_output"


def test_a_run_whose_root_failed_without_more_is_bad_output() -> None:
    assert outcome(span(1, failed=True), span(2, "llm", 1)) == "bad_output"


def test_a_run_whose_last_model_call_failed_is_bad_output_though_its_root_says_nothing() -> None:
    assert outcome(span(1, end_s=9), span(2, "llm", 1), span(3, "llm", 1, failed=True)) == "bad_output"


def test_a_model_call_that_failed_and_was_made_again_is_completed() -> None:
    assert outcome(span(1, end_s=9), span(2, "llm", 1, failed=True), span(3, "llm", 1)) == "completed"


@pytest.mark.parametrize("error", ["TimeoutError", "httpx.ReadTimeout", "DeadlineExceeded"])
def test_an_error_named_for_a_time_limit_is_a_timeout(error: str) -> None:
    assert outcome(span(1, failed=True), span(2, "tool", 1, failed=True, error__type=error)) == "timeout"


def test_a_run_whose_root_never_came_is_a_timeout() -> None:
    assert outcome(span(2, "llm", 1), span(3, "tool", 1)) == "timeout"


def test_a_run_whose_root_never_ended_is_a_timeout() -> None:
    assert outcome(span(1, ended=False), span(2, "llm", 1)) == "timeout"


@pytest.mark.parametrize("kind", ["agent", "chain", "turn"])
def test_a_span_around_the_last_steps_that_failed_fails_the_run_though_the_root_says_ok(kind: str) -> None:
    assert outcome(span(1, end_s=9), span(2, kind, 1, failed=True, end_s=8), span(3, "llm", 2)) == "bad_output"


def test_a_span_that_failed_before_the_run_went_on_does_not_fail_it() -> None:
    spans = (span(1, end_s=9), span(2, "turn", 1, failed=True, end_s=4), span(3, "tool", 2), span(5, "llm", 1))
    assert outcome(*spans) == "completed"


def test_a_failed_request_within_the_last_model_call_does_not_fail_the_run() -> None:
    spans = (span(1, end_s=9), span(2, "llm", 1, end_s=8), span(3, "chain", 2, failed=True, name="POST"))
    assert outcome(*spans) == "completed"


def test_a_failed_evaluator_does_not_fail_the_run() -> None:
    assert outcome(span(1, end_s=9), span(2, "llm", 1), span(6, "chain", 1, failed=True, name="judge")) == "completed"


@pytest.mark.parametrize("evaluation", [span(50, "evaluation", 1), span(50, "evaluation", trace=2, session__id="s")])
def test_an_evaluation_of_a_failed_run_does_not_complete_it(evaluation: Span) -> None:
    run = (span(1, end_s=9, session__id="s"), span(2, "agent", 1, failed=True, end_s=8), span(3, "llm", 2))
    assert outcome(*run, evaluation) == "bad_output"


def test_the_last_run_of_a_session_decides() -> None:
    first = (span(1, failed=True, session__id="s"), span(2, "tool", 1, failed=True))
    assert outcome(*first, span(20, trace=2, session__id="s"), span(21, "llm", 20, trace=2)) == "completed"
    last = (span(40, trace=3, failed=True, session__id="s"), span(41, "tool", 40, trace=3, failed=True))
    assert outcome(*first, *last) == "tool_error"


def test_an_agent_that_failed_before_any_step_fails_the_run_though_the_root_says_ok() -> None:
    assert outcome(span(1, end_s=9), span(2, "agent", 1, failed=True)) == "bad_output"


def test_a_span_that_is_its_own_parent_is_a_root() -> None:
    assert outcome(span(1, "agent", 1), span(2, "llm", 1)) == "completed"

"""What a session says of calls it saw, saw twice, or only heard of."""

from __future__ import annotations

import pytest
from folding import DAY_NS, PROJECT, SECOND, Fold, span, span_id, trace_id

from watchpost.model.telemetry import Attributes, Link, LogLine, Parcel, Span

ASKED = '[{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"refund","arguments":{}}]}]'


def fold_of(*spans: Span) -> Fold:
    fold = Fold()
    fold.receive(*spans)
    return fold


def test_a_failed_call_made_again_at_once_is_one_call() -> None:
    totals = fold_of(
        span(1, "agent", end_s=9),
        span(2, "llm", 1, failed=True),
        span(3, "llm", 1, failed=True),
        span(4, "llm", 1, watchpost__output="done"),
    ).only.totals()
    assert (totals.llm_calls, totals.retries, totals.steps) == (1, 2, 3)


def test_a_failed_call_is_not_made_again_after_a_tool_call_or_elsewhere() -> None:
    between = [span(1, "agent", end_s=9), span(2, "llm", 1, failed=True), span(3, "tool", 1), span(4, "llm", 1)]
    elsewhere = [span(1, "agent", end_s=9), span(2, "llm", 1, failed=True), span(4, "llm", 9)]
    assert [fold_of(*spans).only.totals().retries for spans in (between, elsewhere)] == [0, 0]


@pytest.mark.parametrize("also", [{"watchpost.output": ASKED}, {"gen_ai.response.finish_reasons": ["tool_calls"]}])
def test_where_a_tool_was_asked_for_and_none_was_seen_tool_calls_are_not_reported(also: Attributes) -> None:
    totals = fold_of(span(1, "llm", also=also)).only.totals()
    assert (totals.llm_calls, totals.tool_calls, totals.tool_errors, totals.unseen_tool_calls) == (1, None, None, 1)


def test_a_call_that_was_asked_for_and_not_seen_is_told_beside_those_that_were() -> None:
    totals = fold_of(
        span(1, "agent", end_s=9),
        span(2, "llm", 1, watchpost__output=ASKED),
        span(3, "tool", 1),
        span(4, "llm", 1, watchpost__output=ASKED),
    ).only.totals()
    assert (totals.tool_calls, totals.unseen_tool_calls) == (1, 1)


def test_a_tool_that_was_not_offered_or_hands_over_or_returns_is_not_waited_for() -> None:
    answers: tuple[Attributes, ...] = (
        {"watchpost.output": ASKED, "gen_ai.tool.definitions": '[{"name":"lookup"}]'},
        {"watchpost.output": ASKED.replace("refund", "transfer_to_billing")},
        {"watchpost.output": ASKED.replace("refund", "final_answer")},
    )
    for also in answers:
        totals = fold_of(span(1, "llm", also=also)).only.totals()
        assert (totals.tool_calls, totals.unseen_tool_calls) == (0, 0)


def test_model_calls_are_not_reported_where_only_their_agent_was_seen_and_its_total_is_an_estimate() -> None:
    usage: Attributes = {"gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 50}
    totals = fold_of(
        span(1, "workflow", end_s=9),
        span(2, "agent", 1, end_s=8, also=usage),
        span(3, "agent", 2, end_s=7, also={"gen_ai.usage.input_tokens": 100}),
        span(4, "tool", 2),
    ).only.totals()
    assert (totals.llm_calls, totals.input_tokens, totals.output_tokens, totals.estimated) == (None, 300, 50, True)
    assert totals.tool_calls == 1


def test_the_total_of_an_agent_is_not_added_to_its_calls() -> None:
    totals = fold_of(
        span(1, "agent", end_s=9, gen_ai__usage__input_tokens=30),
        span(2, "llm", 1, gen_ai__usage__input_tokens=12),
        span(3, "llm", 1, gen_ai__usage__input_tokens=18),
    ).only.totals()
    assert (totals.input_tokens, totals.estimated) == (30, False)


SILENT: Attributes = {"gen_ai.request.model": "m"}


def counted(*spans: Span) -> tuple[int | None, int | None, bool]:
    totals = fold_of(*spans).only.totals()
    return totals.input_tokens, totals.output_tokens, totals.estimated


def total(number: int, input_: int, output: int, parent: int | None = None) -> Span:
    usage: Attributes = {"gen_ai.usage.input_tokens": input_, "gen_ai.usage.output_tokens": output}
    return span(number, "agent", parent, end_s=90, also=usage)


def call(number: int, input_: int, output: int, parent: int) -> Span:
    usage: Attributes = {"gen_ai.usage.input_tokens": input_, "gen_ai.usage.output_tokens": output}
    return span(number, "llm", parent, also=usage)


def test_what_a_call_does_not_tell_is_made_up_from_the_total_of_the_agent_above_it() -> None:
    assert counted(total(1, 300, 50), call(2, 120, 20, 1), span(3, "llm", 1)) == (300, 50, True)
    assert counted(total(1, 300, 50), span(2, "llm", 1), span(3, "llm", 1)) == (300, 50, True)


def test_a_total_above_what_every_call_told_is_of_other_runs_too_and_adds_nothing() -> None:
    assert counted(total(1, 900, 150), call(2, 120, 20, 1), call(3, 180, 30, 1)) == (300, 50, False)


def test_a_total_no_greater_than_what_calls_told_adds_nothing() -> None:
    assert counted(total(1, 120, 20), call(2, 120, 20, 1), span(3, "llm", 1)) == (120, 20, False)
    assert counted(total(1, 0, 0), span(2, "llm", 1)) == (None, None, False)


def test_the_total_of_an_agent_with_no_silent_call_beneath_it_adds_nothing() -> None:
    quiet = (span(4, "agent"), span(5, "llm", 4))
    assert counted(total(1, 900, 150), call(2, 120, 20, 1), *quiet) == (120, 20, False)


def test_a_call_that_failed_or_still_runs_is_not_taken_to_have_kept_its_tokens_back() -> None:
    failed, running = span(3, "llm", 1, failed=True), span(4, "llm", 1, ended=False)
    assert counted(total(1, 900, 150), call(2, 120, 20, 1), failed, running) == (120, 20, False)


def test_of_agents_beneath_agents_the_least_that_was_used_is_shown() -> None:
    inner = (total(3, 200, 30, 1), span(4, "llm", 3))
    assert counted(total(1, 300, 50), span(2, "llm", 1), *inner) == (300, 50, True)
    assert counted(total(1, 100, 10), span(2, "llm", 1), *inner) == (200, 30, True)
    assert counted(total(1, 100, 10), call(2, 90, 9, 1), *inner) == (290, 39, True)


def test_a_call_told_by_its_twin_needs_no_estimate() -> None:
    elsewhere = (span(6, "agent"), span(7, "llm", 6))
    fold = fold_of(total(1, 900, 150), span(2, "llm", 1, end_s=4, gen_ai__response__id="resp-1"), *elsewhere)
    usage: Attributes = {"gen_ai.usage.input_tokens": 120, "gen_ai.response.id": "resp-1"}
    fold.receive_parcel(Parcel(PROJECT, {}, "client", (span(3, "llm", 1, start_s=2, also=usage),)))
    totals = fold.only.totals()
    assert (totals.llm_calls, totals.input_tokens, totals.estimated) == (2, 120, False)


def test_a_run_that_a_guardrail_stopped_called_no_model() -> None:
    tripped = span(2, "guardrail", 1, failed=True, error__type="InputGuardrailTripwireTriggered")
    assert fold_of(span(1, "agent", end_s=9), tripped).only.totals().llm_calls == 0


def test_a_call_refused_before_its_tool_ran_is_a_failed_step_and_no_tool_call() -> None:
    refused = span(2, "tool", 1, failed=True, pydantic_ai__tool__failure_stage="validation")
    session = fold_of(span(1, "agent", end_s=9), refused, span(3, "tool", 1)).only
    assert (session.totals().tool_calls, session.totals().tool_errors) == (1, 0)
    assert (session.steps[0].status, session.steps[0].error_type) == ("error", "llm_invalid_tool_call")


def test_a_span_that_is_only_named_after_a_tool_tells_no_error() -> None:
    by_hand = Span(trace_id(1), span_id(2), b"", "tool refund", DAY_NS, DAY_NS + 1, 1, 0, "", {})
    totals = fold_of(span(1, "llm", watchpost__output=ASKED), by_hand).only.totals()
    assert (totals.tool_calls, totals.tool_errors) == (1, None)


def test_what_no_agent_does_is_no_session() -> None:
    request = Span(trace_id(1), span_id(1), b"", "GET /", DAY_NS, DAY_NS + 1, 2, 0, "", {"http.method": "GET"})
    assert not fold_of(request).only.is_agentic


def verdict(**attributes: object) -> LogLine:
    at = DAY_NS + 90 * SECOND
    return LogLine(at, 9, trace_id(1), span_id(1), "gen_ai.evaluation.result", None, dict(attributes))


def test_a_verdict_in_a_log_line_is_a_step_and_wakes_nothing() -> None:
    fold = fold_of(span(1, "agent", watchpost__session__id="s"), span(2, "llm", 1))
    fold.wait(60)
    assert fold.state() == "ended"
    line = verdict(**{"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": 0.9})
    for _ in range(2):
        fold.receive_parcel(Parcel(PROJECT, {}, "judge", logs=(line,)), at_s=90)
    assert [step.kind for step in fold.only.steps] == ["llm", "evaluation"]
    assert (fold.state(), fold.only.outcome) == ("ended", "completed")


def test_feedback_sent_as_a_trace_of_its_own_stands_in_the_session_it_links_to() -> None:
    link = Link(trace_id(1), span_id(2), {})
    said = Span(
        trace_id(7),
        span_id(1),
        b"",
        "feedback",
        DAY_NS,
        DAY_NS + 1,
        1,
        0,
        "",
        {"watchpost.step.kind": "evaluation"},
        (),
        (link,),
    )
    run = (span(1, "agent", session__id="s"), span(2, "llm", 1))
    first, last = Fold(), Fold()
    first.receive(said)
    first.receive(*run)
    last.receive(*run)
    last.wait(60)
    last.receive(said, at_s=90)
    for fold in (first, last):
        assert [session.session_id for session in fold.sessions] == ["s"]
        assert sorted(step.kind for step in fold.only.steps) == ["evaluation", "llm"]
    assert last.state() == "ended"

"""Which traces are one session, when it ends, and what does not wake it again."""

from __future__ import annotations

from folding import Fold, numbers, span, trace_id

from watchpost.model.session import session_key
from watchpost.session.session import Quiet


def test_a_trace_without_a_session_id_is_a_session_of_its_own() -> None:
    fold = Fold()
    fold.receive(span(1, trace=1), span(2, "llm", 1, trace=1), span(3, trace=2))
    assert [session.session_id for session in fold.sessions] == [trace_id(1).hex(), trace_id(2).hex()]


def test_several_traces_with_one_id_are_one_session_in_order_of_time() -> None:
    fold = Fold()
    fold.receive(span(4, "tool", trace=2, session__id="chat"))
    fold.receive(span(1, "llm", trace=1, session__id="chat"), span(9, "llm", trace=1, session__id="chat"))
    assert fold.only.session_id == "chat"
    assert numbers(fold.only) == [1, 4, 9]


def test_a_session_id_that_comes_late_moves_the_steps_and_leaves_a_redirect() -> None:
    fold = Fold()
    fold.receive(span(2, "llm", 1), span(3, "tool", 1))
    settled = fold.receive(span(1, session__id="chat"))
    assert numbers(fold.only) == [2, 3]
    assert settled.moved_to == {session_key("default", trace_id(1).hex()): session_key("default", "chat")}
    assert {(move.session_id, move.live) for move in settled.moves} == {("chat", True), (trace_id(1).hex(), False)}


def test_a_session_that_keeps_another_trace_leaves_no_redirect() -> None:
    fold = Fold()
    fold.receive(span(2, "llm", 1, trace=1, session__id="old"), span(3, "llm", trace=2, session__id="old"))
    settled = fold.receive(span(1, trace=1, session__id="new"))
    assert settled.moved_to == {}
    assert {session.session_id: numbers(session) for session in fold.sessions} == {"new": [2], "old": [3]}


def test_the_id_nearest_the_root_holds_for_the_whole_trace() -> None:
    fold = Fold()
    fold.receive(span(3, "llm", 2, session__id="inner"), span(2, "agent", 1, session__id="outer"), span(1))
    assert fold.only.session_id == "outer"


def test_a_response_id_is_no_session() -> None:
    fold = Fold()
    fold.receive(span(1, "llm", gen_ai__conversation__id="resp_123"))
    assert fold.only.session_id == trace_id(1).hex()


def test_a_session_ends_thirty_seconds_after_the_last_span_when_its_roots_have_ended() -> None:
    fold = Fold()
    fold.receive(span(1), span(2, "llm", 1), at_s=0)
    fold.wait(29.9)
    assert fold.state() == "running"
    fold.wait(30)
    assert fold.state() == "ended"


def test_a_session_whose_root_never_ended_ends_after_ten_idle_minutes() -> None:
    fold = Fold()
    fold.receive(span(2, "llm", 1), at_s=0)
    fold.wait(599)
    assert fold.state() == "running"
    fold.wait(600)
    assert (fold.only.state, fold.only.outcome) == ("ended", "timeout")


def test_one_open_root_among_several_traces_keeps_a_session_open() -> None:
    fold = Fold()
    fold.receive(span(1, session__id="s"), at_s=0)
    fold.receive(span(2, trace=2, ended=False, session__id="s"), at_s=0)
    fold.wait(30)
    assert fold.state() == "running"


def test_how_long_quiet_lasts_is_told() -> None:
    fold = Fold(Quiet(rooted_ns=2 * 10**9, idle_ns=5 * 10**9))
    fold.receive(span(1), at_s=0)
    fold.receive(span(3, "llm", 2, trace=2), at_s=0)
    fold.wait(2)
    assert [session.state for session in fold.sessions] == ["ended", "running"]
    fold.wait(5)
    assert [session.state for session in fold.sessions] == ["ended", "ended"]


def test_a_start_event_and_its_end_are_one_step() -> None:
    fold = Fold()
    fold.receive(span(1, "tool", ended=False))
    assert [step.status for step in fold.only.steps] == ["running"]
    fold.receive(span(1, "tool"))
    assert [step.status for step in fold.only.steps] == ["ok"]


def test_a_start_event_that_comes_after_the_end_changes_nothing() -> None:
    fold = Fold()
    fold.receive(span(1, "tool"))
    fold.receive(span(1, "tool", ended=False))
    assert [step.status for step in fold.only.steps] == ["ok"]
    assert fold.only.due_ns(Quiet()) == fold.only.received_ns() + Quiet().rooted_ns


def test_a_heartbeat_puts_off_the_end() -> None:
    fold = Fold()
    fold.receive(span(1, ended=False), at_s=0)
    fold.receive(span(1, ended=False), at_s=500)
    fold.wait(1099)
    assert fold.state() == "running"
    fold.wait(1100)
    assert fold.state() == "ended"


def test_the_same_span_again_does_not_put_off_the_end() -> None:
    fold = Fold()
    fold.receive(span(1), at_s=0)
    fold.receive(span(1), at_s=29)
    fold.wait(30)
    assert fold.state() == "ended"


def test_a_new_span_reopens_a_session_and_its_outcome() -> None:
    fold = Fold()
    fold.receive(span(1), span(2, "llm", 1))
    fold.wait(30)
    assert (fold.only.state, fold.only.outcome) == ("ended", "completed")
    fold.receive(span(3, "llm", 1), at_s=60)
    assert (fold.only.state, fold.only.outcome) == ("reopened", None)
    fold.wait(90)
    assert (fold.only.state, fold.only.outcome) == ("ended", "completed")


def test_an_evaluation_does_not_reopen_an_ended_session() -> None:
    fold = Fold()
    fold.receive(span(1), span(2, "llm", 1))
    fold.wait(30)
    fold.receive(span(90, "evaluation", 1), at_s=100)
    assert fold.state() == "ended"
    assert numbers(fold.only) == [2, 90]


def test_an_evaluation_neither_extends_a_session_nor_puts_off_its_end() -> None:
    fold = Fold()
    fold.receive(span(1), span(2, "llm", 1), at_s=0)
    before = fold.only.summary(0)
    fold.receive(span(20, "evaluation", 1), at_s=29)
    assert fold.only.summary(0).ended_ns == before.ended_ns
    fold.wait(30)
    assert fold.state() == "ended"


def test_an_evaluation_in_a_trace_of_its_own_neither_reopens_nor_extends() -> None:
    fold = Fold()
    fold.receive(span(1, session__id="s"), span(2, "llm", 1))
    fold.wait(30)
    before = fold.only.summary(0)
    fold.receive(span(90, "evaluation", trace=2, session__id="s"), at_s=100)
    assert fold.state() == "ended"
    assert fold.only.summary(0).ended_ns == before.ended_ns


def test_the_workflow_is_named_by_a_span_else_by_the_first_root_else_by_the_service() -> None:
    fold = Fold()
    fold.receive(span(3, "llm", 2))
    assert fold.only.workflow() == "shop"
    fold.receive(span(2, parent=1, name="inner"), span(1, name="answer a customer"))
    assert fold.only.workflow() == "answer a customer"
    fold.receive(span(4, "llm", 2, gen_ai__workflow__name="refunds"))
    assert fold.only.workflow() == "refunds"


def test_totals_know_what_nobody_reported() -> None:
    fold = Fold()
    fold.receive(span(1, "llm"), span(2, "tool", failed=True), span(3, "tool"))
    totals = fold.only.totals()
    assert (totals.steps, totals.llm_calls, totals.tool_calls, totals.tool_errors) == (3, 1, 2, 1)
    assert (totals.input_tokens, totals.output_tokens, totals.cached_tokens, totals.reasoning_tokens) == (None,) * 4
    fold.receive(span(4, "llm", gen_ai__usage__input_tokens=0))
    assert (fold.only.totals().input_tokens, fold.only.totals().output_tokens) == (0, None)

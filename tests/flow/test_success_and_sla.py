"""Whether a session was a success and kept its SLA: said when it ends, said again when late feedback changes it, exact at each limit."""

from __future__ import annotations

import msgspec
import pytest
from feedback_machine import BASE, SECOND, Machine, a_run, a_span, feedback, parcel, trace_id
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.detect.sla import Sla
from watchpost.model.session import Summary
from watchpost.model.telemetry import Span
from watchpost.runtime.success import Success

TRACE = trace_id(1).hex()
TOKENS: dict[str, object] = {"gen_ai__usage__input_tokens": 900, "gen_ai__usage__output_tokens": 100}


def ended(machine: Machine, *runs: list[Span]) -> Summary:
    machine.at(1, *(parcel(*run) for run in runs))
    machine.at(1000)
    return machine.session("chat")


def success(rule: Success, run: list[Span] | None = None, *said: dict[str, object]) -> bool | None:
    """Whether a run is a success, after these pieces of feedback, which come one after the other."""
    machine = Machine([rule])
    found = ended(machine, run or a_run(1, "chat")).success
    for number, each in enumerate(said):
        machine.at(2000 + number, feedback(2000 + number, trace_id=TRACE, **each))
        found = machine.session("chat").success
    return found


def test_nothing_is_said_before_the_end() -> None:
    machine = Machine([Success()], (Sla("*", latency_us=1),))
    machine.at(1, parcel(*a_run(1, "chat")))
    found = machine.session("chat")
    assert (found.state, found.success, found.breaches, found.within, found.unchecked) == ("running", None, (), (), ())


def test_completed_is_a_success_unless_the_workflow_says_otherwise() -> None:
    failed = [*a_run(1, "chat")[:-1], a_span(1, 4, "llm", 4, 9, 1, error__type="server_error")]
    failed[-1] = msgspec.structs.replace(failed[-1], status=2)
    assert ended(Machine(), a_run(1, "chat")).success is True
    assert ended(Machine(), failed).success is False
    assert success(Success(outcomes=("bad_output",)), failed) is True
    assert success(Success("other*", outcomes=("bad_output",))) is True
    assert success(Success("sho?", outcomes=("bad_output",))) is False


def test_the_first_rule_that_fits_holds() -> None:
    rules = [Success("shop", tools=("nothing",)), Success("*")]
    assert ended(Machine(rules), a_run(1, "chat")).success is False
    assert ended(Machine(rules[::-1]), a_run(1, "chat")).success is True


def test_a_flag_may_rule_success_out() -> None:
    run = a_run(1, "chat", said="I'm sorry, but I can't assist with that request.")
    assert success(Success(without=("REFUSAL",)), run) is False
    assert success(Success(without=("LOOP_DETECTED",)), run) is True


def test_a_tool_must_have_answered_where_one_is_named() -> None:
    assert success(Success(tools=("refund",))) is True
    assert success(Success(tools=("ref*", "mail"))) is False
    failed = [span for span in a_run(1, "chat") if span.name != "tool 3"]
    failed.append(a_span(1, 3, "tool", 2, 3, 1, gen_ai__tool__name="refund", error__type="timeout"))
    failed[-1] = msgspec.structs.replace(failed[-1], status=2)
    assert success(Success(tools=("refund",)), failed) is False


def test_the_last_word_of_people_decides_also_long_after_the_end() -> None:
    up, down, other = {"kind": "thumbs_up", "id": "u"}, {"kind": "thumbs_down"}, {"kind": "comment", "comment": "hm"}
    liked, not_disliked = Success(feedback="positive"), Success(feedback="not_negative")
    assert [success(liked, None, *said) for said in ((), (up,), (down, up), (up, down), (up, other))] == [
        False,
        True,
        True,
        False,
        True,
    ]
    assert [success(not_disliked, None, *said) for said in ((), (other,), (down,), (down, up))] == [
        True,
        True,
        False,
        True,
    ]


def test_a_score_must_be_high_enough_where_one_is_asked_for() -> None:
    half, low = {"kind": "score", "score": 0.5, "evaluator": "ann"}, {"kind": "score", "score": 0.4, "evaluator": "ann"}
    rule = Success(score=0.5, evaluator="ann")
    assert [success(rule, None, *said) for said in ((), (half,), (half, low), (low, half))] == [
        False,
        True,
        False,
        True,
    ]
    assert success(rule, None, {"kind": "score", "score": 9, "evaluator": "bob"}) is False
    assert success(Success(score=0.5), None, {"kind": "score", "score": 9, "evaluator": "bob"}) is True


def kept(sla: Sla, *runs: list[Span]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    found = ended(Machine(slas=(sla,)), *(runs or (a_run(1, "chat", **TOKENS),)))
    return found.breaches, found.within, found.unchecked


def test_exactly_the_limit_is_kept_and_one_more_is_not() -> None:
    cost_nano = 900 * 2_500 + 100 * 10_000
    exact = Sla("shop", 10_000_000, 1000, cost_nano)
    assert kept(exact) == ((), ("latency", "tokens", "cost"), ())
    assert kept(Sla("shop", 9_999_999, 999, cost_nano - 1)) == (("latency", "tokens", "cost"), (), ())
    assert kept(Sla("shop", 9_999_999, 1000, None)) == (("latency",), ("tokens",), ())
    assert kept(Sla("other", 1, 1, 1)) == ((), (), ())
    assert kept(Sla("*", 0, 0, 0)) == (("latency", "tokens", "cost"), (), ())


def test_what_nobody_reported_breaks_nothing_and_is_told_as_such() -> None:
    assert kept(Sla("*", 10_000_000, 1000, 1), a_run(1, "chat")) == ((), ("latency",), ("tokens", "cost"))
    part = [*a_run(1, "chat", **TOKENS), a_span(1, 5, "llm", 5, 6, 1)]
    assert kept(Sla("*", None, 1000, None), part) == ((), (), ("tokens",))
    assert kept(Sla("*", None, 999, None), part) == (("tokens",), (), ())
    alone = [span for span in a_run(1, "chat") if span.name != "llm 4"]
    assert kept(Sla("*", None, 1000, 1), alone) == ((), (), ("tokens", "cost"))


def test_each_run_of_a_session_is_checked_by_itself() -> None:
    runs = (a_run(1, "chat", **TOKENS), a_run(2, "chat", **TOKENS))
    assert kept(Sla("*", 10_000_000, 1000, None), *runs) == ((), ("latency", "tokens"), ())
    assert kept(
        Sla("*", None, 1500, None), runs[0], a_run(2, "chat", **TOKENS | {"gen_ai__usage__input_tokens": 1900})
    ) == (
        ("tokens",),
        (),
        (),
    )
    assert kept(Sla("*", None, 1000, None), runs[0], a_run(2, "chat")) == ((), (), ("tokens",))


def test_a_run_that_never_ended_is_over_its_time_or_not_known_to_be() -> None:
    silent = [a_span(1, 1, "workflow", 0, None, workflow__name="shop", session__id="chat"), *a_run(1, "chat")[1:]]
    assert kept(Sla("*", 8_999_999, None, None), silent) == (("latency",), (), ())
    assert kept(Sla("*", 9_000_000, None, None), silent) == ((), (), ("latency",))


@given(
    counts=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=6),
    limit=st.integers(0, 2000),
)
@settings(max_examples=25, deadline=None)
def test_tokens_are_breached_where_their_sum_is_greater_and_flagged_at_the_call_that_made_it_so(
    counts: list[tuple[int, int]], limit: int
) -> None:
    calls = [
        a_span(1, 5 + n, "llm", 4 + n, 5 + n, 1, gen_ai__usage__input_tokens=sent, gen_ai__usage__output_tokens=told)
        for n, (sent, told) in enumerate(counts)
    ]
    machine = Machine(slas=(Sla("*", None, limit, None),))
    found = ended(machine, [*a_run(1, "chat")[:3], *calls])
    sums = [sum(sent + told for sent, told in counts[: n + 1]) for n in range(len(counts))]
    assert found.breaches == (("tokens",) if sums[-1] > limit else ())
    passed = [calls[n].span_id for n, total in enumerate(sums) if total > limit][:1]
    assert [flag.span_id for flag in machine.store.flags.values() if flag.kind == "SLA_BREACHED"] == passed


@pytest.mark.parametrize("lost", ["nothing", "memory", "process"])
def test_a_run_that_goes_on_is_flagged_as_soon_as_its_time_has_passed(lost: str) -> None:
    machine = Machine(slas=(Sla("*", 15_000_000, None, None),))
    machine.at(1, parcel(a_span(1, 1, "workflow", 0, None, session__id="chat"), *a_run(1, "chat")[1:3]))
    machine.lose(lost)
    assert not machine.reactor.is_ripe(BASE + 15 * SECOND)
    assert machine.reactor.is_ripe(BASE + 15 * SECOND + 1000)
    (flag,) = machine.at(15.000001)
    assert (flag.kind, flag.severity, flag.subject, flag.evidence["value"], flag.evidence["threshold"]) == (
        "SLA_BREACHED",
        "warning",
        "latency",
        15.0,
        15.0,
    )
    assert machine.at(20) == []


def test_signals_and_breaches_leave_a_session_an_example() -> None:
    run = [
        *a_run(1, "chat", **TOKENS),
        a_span(1, 5, "human", 9.5, 9.6, 1, watchpost__output="No, I meant order A2. I want to talk to a human."),
    ]
    machine = Machine(slas=(Sla("*", 1, 1, 1),))
    ended(machine, run)
    assert {flag.kind for flag in machine.store.flags.values()} == {"USER_CORRECTED", "ESCALATED", "SLA_BREACHED"}
    assert machine.store.pinned["default", "chat"].sound


def test_a_session_that_its_user_left_at_a_question_is_abandoned_until_they_come_back() -> None:
    machine = Machine()
    machine.at(1, parcel(*a_run(1, "chat", said="I can do that. Which order do you mean?")))
    assert machine.store.flags == {}
    (flag,) = machine.at(100)
    assert (flag.kind, flag.severity, flag.state, flag.evidence["words"]) == (
        "ABANDONED",
        "info",
        "confirmed",
        "Which order do you mean?",
    )
    (flag,) = machine.at(101, parcel(a_span(1, 6, "human", 100, 100, 1, watchpost__output="A2")))
    assert flag.state == "withdrawn"


def test_an_offer_an_escalation_and_a_run_without_people_abandon_nobody() -> None:
    runs = (
        a_run(1, "chat", said="Done. Is there anything else I can help with?"),
        [*a_run(1, "chat", said="Shall I?"), a_span(1, 5, "tool", 3, 3.5, 1, gen_ai__tool__name="transfer_to_human")],
        [span for span in a_run(1, "chat", said="Which order?") if span.name != "human 2"],
    )
    for run in runs:
        machine = Machine()
        ended(machine, run)
        assert "ABANDONED" not in {flag.kind for flag in machine.store.flags.values()}

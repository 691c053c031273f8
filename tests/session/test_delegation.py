"""Which agents at work beneath another one were handed a task, where no span of its own says so."""

from __future__ import annotations

import itertools

import pytest
from folding import Fold, numbers, span
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.model.step import Step
from watchpost.model.telemetry import Attributes, Span


def agent(number: int, name: str, parent: int | None = None, *, end_s: float = 99, failed: bool = False) -> Span:
    return span(number, "agent", parent, end_s=end_s, failed=failed, watchpost__agent=name)


def handoffs(*spans: Span) -> list[int]:
    fold = Fold()
    fold.receive(*spans)
    session = fold.only
    return [number for number, step in zip(numbers(session), session.steps, strict=True) if step.kind == "handoff"]


ASKING = (agent(1, "triage"), span(2, "turn", 1, end_s=50), span(3, "llm", 2))


def test_an_agent_beneath_one_that_called_a_model_before_is_handed_a_task() -> None:
    fold = Fold()
    fold.receive(*ASKING, agent(4, "refunds", 2, end_s=8), span(5, "llm", 4))
    _, handoff, _ = fold.only.steps
    assert (handoff.kind, handoff.agent, handoff.tool, handoff.status) == ("handoff", "triage", "refunds", "ok")
    assert (numbers(fold.only), handoff.end_ns - handoff.start_ns) == ([3, 4, 5], 4 * 10**9)
    assert fold.only.totals().tool_calls == 0


def test_a_handover_is_as_good_as_the_agent_that_took_over() -> None:
    def taken(over: Span) -> tuple[str, str]:
        fold = Fold()
        fold.receive(*ASKING, over)
        return fold.only.steps[1].status, fold.only.steps[1].error_type

    assert taken(agent(4, "refunds", 2, failed=True)) == ("error", "handoff_failed")
    assert taken(span(4, "agent", 2, ended=False, watchpost__agent="refunds")) == ("running", "")


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_handover_is_found_in_whatever_order_its_spans_come(order: tuple[int, ...]) -> None:
    spans = (*ASKING, agent(4, "refunds", 2))
    fold = Fold()
    for place in order:
        fold.receive(spans[place])
    assert [step.kind for step in fold.only.steps] == ["llm", "handoff"]


def test_each_agent_that_was_handed_a_task_is_a_step() -> None:
    chain = (*ASKING, agent(4, "refunds", 2), span(5, "llm", 4), agent(6, "bank", 4), agent(7, "mail", 2))
    assert handoffs(*chain) == [4, 6, 7]


@pytest.mark.parametrize(
    "spans",
    [
        (agent(1, "crew"), agent(2, "writer", 1), span(3, "llm", 2), agent(4, "critic", 1), span(5, "llm", 4)),
        (
            span(1, "workflow"),
            agent(2, "writer", 1, end_s=4),
            span(3, "llm", 2),
            agent(5, "critic", 1),
            span(6, "llm", 5),
        ),
        (agent(1, "chat"), agent(2, "user", 1, end_s=3), agent(4, "support", 1), span(5, "llm", 4)),
        (*ASKING, agent(4, "triage", 2)),
        (*ASKING[:2], agent(4, "refunds", 2), span(5, "llm", 2)),
        (*ASKING[:2], span(3, "llm", 2, end_s=6), agent(4, "refunds", 2)),
        (*ASKING, span(4, "guardrail", 2), agent(5, "judge", 4)),
        (*ASKING[:2], span(3, "llm", 2, watchpost__agent="other"), agent(4, "refunds", 2)),
        (agent(4, "refunds"), span(5, "llm", 4)),
    ],
    ids=[
        "one agent after another beneath one that only leads",
        "one agent after another in a workflow",
        "the turns of a conversation",
        "the same agent told of twice",
        "before any call of a model",
        "while a model is still at work",
        "a guardrail that asks an agent",
        "after a call that is another agent's",
        "an agent with none above",
    ],
)
def test_an_agent_that_nothing_shows_to_be_handed_a_task_is_no_step(spans: tuple[Span, ...]) -> None:
    assert handoffs(*spans) == []


def test_a_handover_with_a_span_of_its_own_is_told_once() -> None:
    explicit = span(4, "handoff", 2)
    assert handoffs(*ASKING, explicit, agent(5, "refunds", 2)) == [4]
    again = (span(6, "llm", 2), agent(7, "bank", 2))
    assert handoffs(*ASKING, explicit, agent(5, "refunds", 2), *again) == [4, 7]
    assert handoffs(*ASKING, span(4, "tool", 2, end_s=9), agent(5, "refunds", 4)) == [4]


def test_a_span_that_turns_out_to_be_no_agent_takes_its_handover_back() -> None:
    fold = Fold()
    fold.receive(*ASKING, span(4, "agent", 2, ended=False, watchpost__agent="refunds"))
    assert [step.kind for step in fold.only.steps] == ["llm", "handoff"]
    fold.receive(span(4, "chain", 2, watchpost__agent="refunds"))
    assert [step.kind for step in fold.only.steps] == ["llm"]


def test_a_handover_is_found_where_the_clock_of_the_agent_above_is_ahead() -> None:
    fold = Fold()
    above = span(1, "agent", start_s=50, end_s=60, watchpost__agent="triage")
    for each in (span(3, "llm", 1), agent(4, "refunds", 1), above):
        fold.receive(each)
    assert [step.kind for step in fold.only.steps] == ["llm", "handoff"]


NAMES: list[Attributes] = [{}, {"watchpost.agent": "a"}, {"watchpost.agent": "b"}]
KINDS = st.sampled_from(["llm", "agent", "agent", "chain", "tool", "handoff"])


@st.composite
def families(draw: st.DrawFn) -> tuple[list[Span], list[int]]:
    """Spans of a few agents whose times need not fit their nesting, and an order in which they come."""
    size = draw(st.integers(3, 9))
    spans = [
        span(
            number,
            draw(KINDS),
            draw(st.none() | st.integers(1, size)),
            start_s=(start := draw(st.integers(0, 8))),
            end_s=start + draw(st.integers(-1, 4)),
            ended=draw(st.booleans()) or draw(st.booleans()),
            also=draw(st.sampled_from(NAMES)),
        )
        for number in range(1, size + 1)
    ]
    return spans, draw(st.permutations(range(size)))


def told(fold: Fold) -> list[Step]:
    return [step for session in fold.sessions for step in session.steps]


@given(families())
@settings(max_examples=400, deadline=None)
def test_handovers_do_not_depend_on_the_order_of_spans(family: tuple[list[Span], list[int]]) -> None:
    spans, order = family
    together, singly = Fold(), Fold()
    together.receive(*spans)
    for place in order:
        singly.receive(spans[place])
    assert told(singly) == told(together)

"""Which spans are steps: a call is counted once, however many spans tell of it."""

from __future__ import annotations

import pytest
from folding import Fold, numbers, span
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.model.telemetry import Attributes, Span


def steps(*spans: Span) -> list[tuple[int, str]]:
    fold = Fold()
    fold.receive(*spans)
    session = fold.only
    return [(number, step.kind) for number, step in zip(numbers(session), session.steps, strict=True)]


def test_structural_spans_are_no_steps() -> None:
    assert steps(*(span(n, kind) for n, kind in enumerate(("agent", "workflow", "chain", "turn"), 1))) == []


def test_every_kind_of_step_is_one() -> None:
    kinds = ("llm", "tool", "handoff", "guardrail", "retrieval", "evaluation", "state", "human")
    assert steps(*(span(n, kind) for n, kind in enumerate(kinds, 1))) == list(enumerate(kinds, 1))


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 1, 3), (2, 3, 1)])
def test_of_nested_model_calls_the_innermost_counts(order: tuple[int, ...]) -> None:
    spans = {1: span(1, "llm"), 2: span(2, "chain", 1), 3: span(3, "llm", 2)}
    fold = Fold()
    for number in order:
        fold.receive(spans[number])
    assert numbers(fold.only) == [3]


def test_tokens_of_a_model_call_around_another_are_not_added() -> None:
    fold = Fold()
    fold.receive(span(1, "llm", gen_ai__usage__input_tokens=120), span(2, "llm", 1, llm__token_count__prompt=120))
    assert fold.only.totals().input_tokens == 120


def test_model_calls_side_by_side_both_count() -> None:
    assert steps(span(1, "agent"), span(2, "llm", 1), span(3, "llm", 1)) == [(2, "llm"), (3, "llm")]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 1, 3), (2, 3, 1)])
def test_a_call_of_the_same_tool_on_its_way_through_layers_counts_once(order: tuple[int, ...]) -> None:
    tool: Attributes = {"gen_ai.tool.name": "search"}
    spans = {1: span(1, "tool", also=tool), 2: span(2, "chain", 1), 3: span(3, "tool", 2, also=tool)}
    fold = Fold()
    for number in order:
        fold.receive(spans[number])
    assert numbers(fold.only) == [1]


def test_another_tool_beneath_a_tool_counts_too() -> None:
    outer, inner = span(1, "tool", gen_ai__tool__name="plan"), span(2, "tool", 1, gen_ai__tool__name="search")
    assert steps(outer, inner) == [(1, "tool"), (2, "tool")]


def test_the_same_tool_called_by_a_model_beneath_counts_too() -> None:
    tool: Attributes = {"gen_ai.tool.name": "ask"}
    assert steps(span(1, "tool", also=tool), span(2, "llm", 1), span(3, "tool", 2, also=tool)) == [
        (1, "tool"),
        (2, "llm"),
        (3, "tool"),
    ]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 1, 3), (2, 3, 1)])
def test_a_tool_call_with_an_agent_beneath_is_a_handoff(order: tuple[int, ...]) -> None:
    spans = {1: span(1, "tool"), 2: span(2, "chain", 1), 3: span(3, "agent", 2)}
    fold = Fold()
    for number in order:
        fold.receive(spans[number])
    assert [step.kind for step in fold.only.steps] == ["handoff"]
    assert fold.only.totals().tool_calls == 0


def test_an_agent_beneath_an_agent_beneath_a_tool_makes_no_handoff_of_calls_further_up() -> None:
    tree = (span(1, "tool"), span(2, "agent", 1), span(3, "tool", 2), span(4, "agent", 3))
    assert steps(*tree) == [(1, "handoff"), (3, "handoff")]


SESSIONS: list[Attributes] = [{}, {}, {"session.id": "a"}, {"session.id": "b"}]
USAGE: list[Attributes] = [{}, {"gen_ai.usage.input_tokens": 5}, {"gen_ai.usage.input_tokens": 30}]
KINDS = st.sampled_from(["llm", "tool", "agent", "chain", "evaluation"])


@st.composite
def knots(draw: st.DrawFn) -> tuple[list[Span], list[int]]:
    """Spans whose parents are any span: themselves, each other in a circle, one that never comes; and an order."""
    size = draw(st.integers(1, 7))
    spans = [
        span(
            number,
            draw(KINDS),
            draw(st.none() | st.integers(1, size + 1)),
            ended=draw(st.booleans()),
            failed=draw(st.booleans()),
            also=draw(st.sampled_from(SESSIONS))
            | draw(st.sampled_from(USAGE))
            | {"gen_ai.tool.name": draw(st.sampled_from(["get", "put"]))},
        )
        for number in range(1, size + 1)
    ]
    return spans, draw(st.permutations(range(size)))


@given(knots())
@settings(max_examples=300, deadline=None)
def test_parents_in_a_circle_neither_hang_nor_depend_on_order(knot: tuple[list[Span], list[int]]) -> None:
    spans, order = knot
    together, singly = Fold(), Fold()
    together.receive(*spans)
    for place in order:
        singly.receive(spans[place])
    for fold in (together, singly):
        fold.wait(3600)
    assert singly.only.session_id == together.only.session_id
    assert singly.only.steps == together.only.steps
    assert singly.only.totals() == together.only.totals()
    assert singly.only.outcome == together.only.outcome
    for each in spans:
        (trace,) = together.only.traces.values()
        trace.agent(each.span_id)
        assert len(list(trace.beneath(each.span_id))) <= len(spans)

"""A call that two instrumentations report is one call, in one trace or in two, whatever comes first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from folding import PROJECT, Fold, span

from watchpost.model.telemetry import Attributes, Parcel, Span

AGENT, CLIENT = "framework", "client"

Sent = tuple[str, Span]
"""A scope and a span of it."""


def chat(number: int, parent: int | None, *, trace: int = 1, answer: str = "", **more: object) -> Span:
    also: Attributes = {"gen_ai.response.id": answer} if answer else {}
    attributes: dict[str, object] = {"gen_ai__request__model": "gpt-4o", **more}
    return span(number, "llm", parent, trace=trace, also=also, **attributes)  # type: ignore[arg-type] # the rest are attributes


def in_every_order(sent: list[Sent]) -> Iterator[Fold]:
    for order in itertools.permutations(sent):
        fold = Fold()
        for scope, each in order:
            fold.receive_parcel(Parcel(PROJECT, {"service.name": "shop"}, scope, (each,)))
        yield fold


def test_two_spans_side_by_side_of_one_answer_are_one_call_told_by_the_one_that_tells_more() -> None:
    sent = [
        (AGENT, span(1, "agent", session__id="s", end_s=9)),
        (AGENT, chat(2, 1, answer="chatcmpl-7", end_s=4)),
        (CLIENT, chat(3, 1, answer="chatcmpl-7", start_s=2.1, end_s=3.9, gen_ai__usage__input_tokens=12)),
    ]
    for fold in in_every_order(sent):
        totals = fold.only.totals()
        assert (totals.llm_calls, totals.input_tokens, totals.steps) == (1, 12, 1)


def test_one_answer_at_two_times_is_two_calls() -> None:
    sent = [
        (AGENT, span(1, "agent", session__id="s", end_s=99)),
        (AGENT, chat(2, 1, answer="chatcmpl-same", end_s=4)),
        (CLIENT, chat(30, 1, answer="chatcmpl-same", end_s=31)),
    ]
    for fold in in_every_order(sent):
        assert fold.only.totals().llm_calls == 2


def test_a_call_reported_by_itself_in_another_trace_joins_the_session_of_its_twin() -> None:
    sent = [
        (AGENT, span(1, "agent", session__id="s", end_s=9)),
        (AGENT, chat(2, 1, answer="chatcmpl-7", end_s=4)),
        (CLIENT, chat(5, None, trace=2, answer="chatcmpl-7", start_s=2.1, end_s=3.9, gen_ai__usage__input_tokens=12)),
    ]
    for fold in in_every_order(sent):
        assert [session.session_id for session in fold.sessions] == ["s"]
        assert (fold.only.totals().llm_calls, fold.only.totals().input_tokens) == (1, 12)


def test_a_twin_without_an_answers_id_is_known_by_time_and_model() -> None:
    sent = [
        (AGENT, span(1, "agent", session__id="s", end_s=9)),
        (AGENT, chat(2, 1, end_s=4)),
        (CLIENT, chat(5, None, trace=2, start_s=2.1, end_s=3.9, answer="chatcmpl-7")),
    ]
    for fold in in_every_order(sent):
        assert [session.session_id for session in fold.sessions] == ["s"]
        assert fold.only.totals().llm_calls == 1


@pytest.mark.parametrize(
    "other",
    [
        {"gen_ai__request__model": "claude-sonnet-4-5"},
        {"gen_ai__usage__input_tokens": 13},
        {"end_s": 4.5},
        {"start_s": 1.5},
    ],
    ids=str,
)
def test_a_call_of_its_own_stays_a_session_of_its_own(other: dict[str, object]) -> None:
    alone: dict[str, object] = {"start_s": 2.1, "end_s": 3.9, "gen_ai__usage__input_tokens": 12, **other}
    sent = [
        (AGENT, span(1, "agent", session__id="s", end_s=9)),
        (AGENT, chat(2, 1, end_s=4, gen_ai__usage__input_tokens=12)),
        (CLIENT, chat(5, None, trace=2, **alone)),  # type: ignore[arg-type] # the rest are attributes
    ]
    for fold in in_every_order(sent):
        assert len(fold.sessions) == 2


def test_a_stray_follows_its_twin_into_another_session() -> None:
    fold = Fold()
    fold.receive(span(1, "agent"), chat(2, 1, answer="chatcmpl-7", end_s=4))
    fold.receive_parcel(
        Parcel(PROJECT, {}, CLIENT, (chat(5, None, trace=2, answer="chatcmpl-7", start_s=2.1, end_s=3.9),))
    )
    fold.receive(span(3, "tool", 1, session__id="late"))
    assert [(s.session_id, len(s.traces)) for s in fold.sessions] == [("late", 2)]


def test_a_tool_call_seen_on_its_way_fails_with_the_span_that_failed_and_has_what_any_of_them_tells() -> None:
    sent = [
        (AGENT, span(1, "tool", gen_ai__tool__name="refund", end_s=9)),
        ("client", span(2, "chain", 1, end_s=8)),
        ("server", span(3, "tool", 2, gen_ai__tool__name="refund", failed=True, watchpost__input='{"id":1}', end_s=7)),
        ("server", span(4, "tool", 3, gen_ai__tool__name="refund", watchpost__output="no", end_s=6)),
    ]
    for fold in in_every_order(sent):
        (step,) = fold.only.steps
        assert (step.status, step.arguments, step.result) == ("error", '{"id":1}', "no")
        assert (fold.only.totals().tool_calls, fold.only.totals().tool_errors) == (1, 1)


def test_spans_of_one_call_id_are_one_call_whatever_they_call_the_tool() -> None:
    sent = [
        (AGENT, span(1, "agent", end_s=9)),
        (AGENT, span(2, "tool", 1, gen_ai__tool__name="shop_refund", gen_ai__tool__call__id="call_7", end_s=5)),
        ("mcp", span(3, "tool", 2, gen_ai__tool__name="refund", gen_ai__tool__call__id="call_7", start_s=2.5, end_s=4)),
        (
            "logs",
            span(4, "tool", 1, gen_ai__tool__name="refund", gen_ai__tool__call__id="call_7", start_s=2.2, end_s=5),
        ),
    ]
    for fold in in_every_order(sent):
        assert fold.only.totals().tool_calls == 1


@pytest.mark.parametrize("answer", ["", "chatcmpl-7"])
def test_a_stray_whose_twin_is_no_longer_held_stands_alone(answer: str) -> None:
    fold = Fold()
    host = (span(1, "agent", session__id="s", end_s=9), chat(2, 1, answer=answer, end_s=4))
    fold.receive_parcel(Parcel(PROJECT, {"service.name": "shop"}, AGENT, host))
    fold.forget()
    stray = chat(5, None, trace=2, answer="chatcmpl-7", start_s=2.1, end_s=3.9)
    fold.receive_parcel(Parcel(PROJECT, {"service.name": "shop"}, CLIENT, (stray,)))
    assert [session.totals().llm_calls for session in fold.sessions] == [1]

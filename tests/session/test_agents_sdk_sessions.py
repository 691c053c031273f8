"""Runs of the OpenAI Agents SDK become sessions whatever the order in which its exporter sends traces and spans."""

from __future__ import annotations

import random
import sys
from itertools import permutations
from pathlib import Path

import pytest
from folding import Fold

from watchpost.ingest.items import Limits
from watchpost.ingest.otlp import decode
from watchpost.model.session import Totals

sys.path.append(str(Path(__file__).parents[1] / "ingest"))
from agents_sdk_objects import function, request, run, sdk_span, span, trace

NOON_NS = 1_795_262_400 * 10**9
OTHER = "trace_" + "cd" * 16


def receive(fold: Fold, *objects: object, at_s: float = 0) -> None:
    """Take one request of the exporter."""
    for parcel in decode(request(*objects), Limits()).parcels:
        fold.receive_parcel(parcel, at_s)


def shown(*requests: tuple[object, ...]) -> object:
    """What the one session of these requests is in the end."""
    fold = Fold()
    for objects in requests:
        receive(fold, *objects)
    fold.wait(3600)
    session = fold.only
    summary = session.summary(0)
    return session.session_id, session.steps, session.totals(), summary.started_ns, summary.ended_ns, session.outcome


def test_a_run_is_one_session_by_its_group_with_every_token_once() -> None:
    fold = Fold()
    receive(fold, *run())
    assert fold.only.session_id == "chat-1"
    assert (fold.only.workflow(), fold.only.user_id()) == ("order-support", "u-7")
    assert fold.only.totals() == Totals(3, 1, 1, 0, 120, 24, 64, 8, None)
    assert {fold.only.traces[step.trace_id].agent(step.span_id) for step in fold.only.steps} == {"support"}


def test_order_division_and_repetition_of_requests_change_nothing() -> None:
    objects = run()
    whole = shown(tuple(objects))
    assert [shown(*((each,) for each in order)) for order in permutations(objects[:4])] == [
        shown(tuple(objects[:4]))
    ] * 24
    for seed in range(20):
        mixed = objects * 2
        random.Random(seed).shuffle(mixed)
        assert shown(*((each,) for each in mixed)) == whole


def test_a_trace_object_alone_shows_its_session_as_running_and_not_as_begun_in_1970() -> None:
    fold = Fold()
    receive(fold, trace())
    assert (fold.only.session_id, fold.state(), fold.only.summary(0).started_ns) == ("chat-1", "running", 0)
    receive(fold, span(5, function(), 4), at_s=6)
    assert fold.only.summary(0).started_ns == NOON_NS + 5 * 10**9


def test_a_trace_object_does_not_end_a_run_that_goes_on() -> None:
    fold = Fold()
    receive(fold, trace(), span(5, function(), 4))
    fold.wait(300)
    assert fold.state() == "running"
    receive(fold, span(1, sdk_span("task", name="order-support")), at_s=310)
    fold.wait(339)
    assert fold.state() == "running"
    fold.wait(341)
    assert (fold.state(), fold.only.outcome) == ("ended", "completed")


def test_a_run_whose_end_never_came_fell_silent() -> None:
    fold = Fold()
    receive(fold, trace(), span(5, function(), 4))
    fold.wait(601)
    assert (fold.state(), fold.only.outcome) == ("ended", "timeout")


@pytest.mark.parametrize("group_first", [True, False])
def test_spans_that_come_before_their_trace_object_move_to_its_session(group_first: bool) -> None:
    fold = Fold()
    objects = run()
    receive(fold, *(objects[:1] if group_first else objects[1:]))
    receive(fold, *(objects[1:] if group_first else objects[:1]))
    assert [(session.session_id, len(session.steps)) for session in fold.sessions] == [("chat-1", 3)]


def test_two_runs_of_one_group_are_one_session_that_ends_as_the_later_one_did() -> None:
    failed = span(
        9, {"type": "response", "response_id": None, "usage": None}, 8, trace_id=OTHER, error={"message": "500"}
    )
    root = span(8, sdk_span("task", name="order-support"), trace_id=OTHER)
    fold = Fold()
    receive(fold, trace(id=OTHER), failed, root)
    receive(fold, *run())
    fold.wait(3600)
    assert (fold.only.session_id, fold.only.totals().llm_calls, fold.only.outcome) == ("chat-1", 2, "bad_output")
    assert fold.only.summary(0).started_ns == NOON_NS + 10**9


def test_the_next_run_of_a_group_does_not_move_the_start_of_its_session() -> None:
    fold = Fold()
    receive(fold, *run())
    receive(fold, trace(id=OTHER))
    assert fold.only.summary(0).started_ns == NOON_NS + 10**9


def test_a_tripped_guardrail_fails_the_run() -> None:
    fold = Fold()
    tripped = {"message": "Guardrail tripwire triggered", "data": {"guardrail": "no_pii"}}
    receive(
        fold,
        trace(),
        span(3, {"type": "guardrail", "name": "no_pii", "triggered": True}, 2),
        span(2, sdk_span("turn", turn=1, agent_name="support"), 1, ended_at="2026-11-21T12:00:04+00:00", error=tripped),
        span(1, sdk_span("task", name="order-support"), ended_at="2026-11-21T12:00:05+00:00"),
    )
    fold.wait(3600)
    assert [(step.kind, step.status, step.error_type) for step in fold.only.steps] == [
        ("guardrail", "error", "guardrail_triggered")
    ]
    assert fold.only.outcome == "bad_output"

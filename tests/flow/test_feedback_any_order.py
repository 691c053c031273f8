"""Feedback stands in its run whenever it comes, is no session before that, and wakes nothing after it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import msgspec
import pytest
from feedback_machine import BASE, SECOND, Machine, a_run, a_span, feedback, parcel, trace_id

ABOUT: Mapping[str, dict[str, object]] = {
    "trace": {"trace_id": trace_id(1).hex()},
    "step": {"trace_id": trace_id(1).hex(), "span_id": (4).to_bytes(8, "big").hex()},
    "session": {"session_id": "chat"},
}
LOST = ("nothing", "memory", "process")


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("about", ABOUT)
def test_feedback_that_comes_first_is_no_session_and_joins_the_run_that_comes(about: str, lost: str) -> None:
    machine = Machine()
    machine.at(1, feedback(-5, **ABOUT[about]))
    machine.lose(lost)
    machine.at(700)
    assert (machine.sessions, machine.counted(), machine.store.flags, machine.store.pinned) == ([], {}, {}, {})
    machine.lose(lost)
    machine.at(701, parcel(*a_run(1, "chat")))
    assert machine.session("chat").state == "running"
    machine.at(800)
    summary = machine.session("chat")
    assert (summary.state, summary.outcome, summary.started_ns, summary.workflow) == (
        "ended",
        "completed",
        BASE,
        "shop",
    )
    assert (summary.received_ns, summary.due_ns, summary.totals.steps) == (BASE + 701 * SECOND, 0, 4)
    assert {name: [step.kind for step in steps] for name, steps in machine.counted().items()} == {
        "chat": ["evaluation", "human", "tool", "llm"]
    }
    assert [each.key for each in machine.sessions] == [summary.key]
    assert machine.store.pinned["default", "chat"].taught


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("about", ABOUT)
def test_feedback_about_a_session_that_ended_is_counted_and_wakes_nothing(about: str, lost: str) -> None:
    machine = Machine()
    machine.at(1, parcel(*a_run(1, "chat")))
    machine.at(100)
    before = machine.session("chat")
    machine.lose(lost)
    machine.at(5000, feedback(5000, **ABOUT[about]))
    after = machine.session("chat")
    expected = msgspec.structs.replace(
        before, revision=machine.number, totals=msgspec.structs.replace(before.totals, steps=4)
    )
    assert after == expected
    (told,) = (step for step in machine.counted()["chat"] if step.kind == "evaluation")
    assert (told.label, told.evaluator, told.start_ns) == ("thumbs_down", "user", BASE + 5000 * SECOND)
    assert set(machine.counted()) == {"chat"}


@pytest.mark.parametrize("lost", ["memory"])
def test_what_is_counted_in_the_end_is_the_same_in_any_order(lost: str) -> None:
    came = [
        parcel(*a_run(1, "chat")),
        parcel(*a_run(2)),
        feedback(30, **ABOUT["trace"], id="a"),
        feedback(31, **ABOUT["session"], id="b", kind="ticket"),
        feedback(32, trace_id=trace_id(2).hex(), id="c", kind="score", score=0.5),
    ]
    endings = []
    for order in itertools.permutations(came):
        machine = Machine()
        for second, one in enumerate(order, 1):
            machine.at(second, one)
            machine.lose(lost)
        machine.at(1000)
        endings.append((machine.counted(), {(s.session_id, s.state, s.outcome) for s in machine.sessions}))
    counted, standing = endings[0]
    assert standing == {("chat", "ended", "completed"), (trace_id(2).hex(), "ended", "completed")}
    assert sorted(len(steps) for steps in counted.values()) == [4, 5]
    assert all(ending == endings[0] for ending in endings)


def test_the_same_id_again_replaces_what_was_said() -> None:
    machine = Machine()
    machine.at(1, parcel(*a_run(1, "chat")))
    for second, kind in ((50, "thumbs_up"), (60, "thumbs_down"), (70, "thumbs_down")):
        machine.at(second, feedback(second, **ABOUT["trace"], id="7", kind=kind))
    assert [step.label for step in machine.counted()["chat"] if step.kind == "evaluation"] == ["thumbs_down"]


def test_a_session_does_not_wait_longer_for_its_end_because_of_feedback() -> None:
    machine = Machine()
    machine.at(1, feedback(0, **ABOUT["session"]), parcel(*a_run(1, "chat")))
    machine.at(31)
    assert machine.session("chat").state == "ended"


def test_a_session_whose_runs_all_went_elsewhere_leaves_no_page_behind_for_its_feedback() -> None:
    machine = Machine()
    machine.at(1, parcel(*a_run(1, "chat")[1:]), parcel(a_span(1, 2, "human", 1, 1, 1, session__id="old")))
    machine.at(2, feedback(2, session_id="old"))
    assert machine.session("old").moved_to == ""
    machine.at(3, parcel(*a_run(1, "chat")))
    assert machine.session("old").moved_to == machine.session("chat").key
    assert set(machine.counted()) == {"chat"}

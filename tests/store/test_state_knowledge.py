"""What a state store promises of what was learnt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from watchpost.model.knowledge import Contract, Draft, Field, IdFormat, Lesson, Norm
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, SessionPin, StateBatch

CONTRACT = Contract({"": Field(("object",), required=True, seen=7), "a.b[]": Field(("null", "string"), required=False)})


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqlState]:
    store = SqlState.open(f"sqlite:///{tmp_path / 'state.db'}", "0.1.0")
    yield store
    store.close()


def lesson(version: int, project: str = "p") -> Lesson:
    return Lesson(project, "contract", "get_order", version, "learnt", CONTRACT, 5)


def test_lessons_come_back_by_version_whatever_they_teach(state: SqlState) -> None:
    taught = [
        lesson(2),
        lesson(1),
        Lesson("p", "id_format", "order", 3, "pinned", IdFormat("ORD-[0-9]{6}", ("order_id",), 4), 6),
        Lesson("p", "norm", "tool_seconds get_order", 4, "learnt", Norm(9, 0.1, 2.5, 1e-9), 7),
        Lesson("p", "contract", "get_order", 5, "pinned", None, 8),
    ]
    state.commit(StateBatch(Cursor(1, 1), lessons=[*taught, lesson(1, "other")]))
    assert state.lessons("p") == sorted(taught, key=lambda each: each.version)
    assert len(state.lessons("")) == 6


def test_a_lesson_of_a_known_version_stays_as_it_is(state: SqlState) -> None:
    state.commit(StateBatch(Cursor(1, 1), lessons=[lesson(1)]))
    state.commit(StateBatch(Cursor(2, 2), lessons=[Lesson("p", "contract", "other", 1, "learnt", None, 9)]))
    assert state.lessons("p") == [lesson(1)]


def test_the_latest_draft_replaces_the_one_before(state: SqlState) -> None:
    first, other = Draft("p", "contract", "a", b"\x00\xff"), Draft("q", "contract", "a", b"{}")
    state.commit(StateBatch(Cursor(1, 1), drafts=[first, other]))
    latest = Draft("p", "contract", "a", b"[1]")
    state.commit(StateBatch(Cursor(2, 2), drafts=[latest]))
    assert state.drafts("p") == [latest]
    assert sorted(state.drafts(""), key=lambda each: each.project) == [latest, other]


def test_pins_are_found_by_project_and_session(state: SqlState) -> None:
    mine, foreign = SessionPin("p", "s/1", 2**40, taught=False), SessionPin("q", "s/1", 3, taught=True)
    state.commit(StateBatch(Cursor(1, 1), pins=[mine, foreign]))
    assert state.pins([("p", "s/1"), ("p", "unknown")]) == [mine]
    taught = SessionPin("p", "s/1", 2**40, taught=True)
    state.commit(StateBatch(Cursor(2, 2), pins=[taught]))
    assert state.pins([("p", "s/1")]) == [taught]
    assert state.pins([]) == []


def test_two_thousand_pins_can_be_asked_for_at_once(state: SqlState) -> None:
    pins = [SessionPin("p", f"session {number}", number, taught=False) for number in range(2000)]
    state.commit(StateBatch(Cursor(1, 1), pins=pins))
    found = state.pins([(pin.project, pin.session_id) for pin in pins])
    assert sorted(found, key=lambda pin: pin.knowledge) == pins

"""Which sessions people hold."""

from __future__ import annotations

from pathlib import Path

from watchpost.model.fact import Hold
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, StateBatch


def test_a_session_is_held_until_it_is_released(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    state = SqlState.open(url, "0.1.0")
    one, two = Hold("p", "s-1", "ana", "incident", 1), Hold("p", "s-2", "", "", 2)
    state.commit(StateBatch(Cursor(1, 1), holds=[one, two]))
    assert state.holds() == [two, one]
    state.commit(StateBatch(Cursor(2, 2), holds=[Hold("p", "s-2", "bo", "over", 3, released=True)]))
    state.close()
    state = SqlState.open(url, "0.1.0")
    assert state.holds() == [one]
    again = Hold("p", "s-2", "\0", "", 4)
    state.commit(StateBatch(Cursor(3, 3), holds=[again]))
    assert [(hold.session_id, hold.by) for hold in state.holds()] == [("s-2", " "), ("s-1", "ana")]
    state.close()

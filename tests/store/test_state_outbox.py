"""What every outbox promises about the notices of one conversation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from watchpost.model.notice import AlertEvent, Due, ErrorContext, Notice, NoticeAction, Receipt, Told
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, StateBatch

EVENT = AlertEvent(
    "2026-11-21T05:00:00Z", "shop", "loops", "search", 3.0, 2.5, "10m", "high", "team", "", ["key"], "a loop", "loops"
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def state(url: str) -> Iterator[SqlState]:
    store = SqlState.open(url, "0.1.0")
    yield store
    store.close()


def notice(name: str, action: NoticeAction = "trigger", key: str = "k", channel: str = "hook") -> Notice:
    return Notice(name, channel, EVENT, action, key)


def put(state: SqlState, *notices: Notice) -> None:
    state.commit(StateBatch(Cursor(), notices=notices))


def deliver(state: SqlState, name: str, handle: str = "") -> None:
    state.settle(Receipt(name, "delivered", "200", tried_ns=1, handle=handle))


def due(state: SqlState, now_ns: int = 0, channel: str = "hook") -> list[tuple[str, str]]:
    return [(one.notice.id, one.handle) for one in state.due(channel, now_ns, 9)]


def test_a_notice_comes_out_as_it_went_in(state: SqlState) -> None:
    told = Told(
        "a1",
        "resolved",
        {"alertname": "loops", "tool": 'se"arch'},
        EVENT,
        "2026-11-21T04:00:00Z",
        "2026-11-21T05:00:00Z",
    )
    error = ErrorContext("tool_timeout", "no answer", "refunds", step=3, stack_trace='File "a.py", line 1, in f')
    event = AlertEvent("t", "s", "m", "", 1.0, 0.0, "", "info", "o", "r", [], "", "", error)
    full = Notice("n", "hook", event, "acknowledge", "k", [told, told], "ana", 7)
    bare = Notice("m", "hook", EVENT)
    put(state, full, bare)
    assert state.due("hook", 0, 9) == [Due(full, 0), Due(bare, 0)]


def test_a_resolve_does_not_overtake_its_trigger_however_long_that_waits(state: SqlState) -> None:
    put(state, notice("t"), notice("r", "resolve"), notice("other", key="l"), notice("alone", key=""))
    assert due(state) == [("t", ""), ("other", ""), ("alone", "")]
    state.settle(Receipt("t", "waiting", "503", tried_ns=1, retry_at_ns=50))
    assert due(state, 49) == [("other", ""), ("alone", "")]
    assert due(state, 50) == [("t", ""), ("other", ""), ("alone", "")]
    deliver(state, "t")
    assert due(state) == [("r", ""), ("other", ""), ("alone", "")]


def test_a_trigger_that_was_given_up_lets_the_next_pass(state: SqlState) -> None:
    put(state, notice("t"), notice("r", "resolve"))
    state.settle(Receipt("t", "failed", "400", tried_ns=1))
    assert due(state) == [("r", "")]


def test_the_same_key_on_another_channel_is_another_conversation(state: SqlState) -> None:
    put(state, notice("t"), notice("r", "resolve", channel="mail"))
    deliver(state, "t", "C1:1")
    assert due(state, channel="mail") == [("r", "")]


def test_later_notices_are_told_what_the_channel_called_the_first_it_took(state: SqlState) -> None:
    put(state, notice("t0"), notice("t1"), notice("t2"), notice("r", "resolve"))
    state.settle(Receipt("t0", "failed", "400", tried_ns=1))
    assert due(state) == [("t1", "")]
    deliver(state, "t1", "C1:1")
    assert due(state) == [("t2", "C1:1")]
    deliver(state, "t2", "C1:2")
    assert due(state) == [("r", "C1:1")]


def test_what_is_triggered_again_after_its_resolve_begins_a_new_conversation(state: SqlState) -> None:
    put(state, notice("t"), notice("r", "resolve"), notice("again"), notice("over", "resolve"))
    deliver(state, "t", "C1:1")
    deliver(state, "r", "C1:2")
    assert due(state) == [("again", "")]
    deliver(state, "again", "C1:3")
    assert due(state) == [("over", "C1:3")]


def test_handles_outlive_the_process(state: SqlState, url: str) -> None:
    put(state, notice("t"), notice("r", "resolve"))
    deliver(state, "t", "C1:1")
    state.close()
    again = SqlState.open(url, "0.1.0")
    assert due(again) == [("r", "C1:1")]
    again.close()


def test_notices_of_a_database_from_before_conversations_are_still_delivered(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = sa.create_engine(url)
    config = Config()
    scripts = Path(__file__).parents[2] / "src/watchpost/store/engines/migrations"
    config.set_main_option("script_location", str(scripts))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        row = "INSERT INTO outbox VALUES (:n, :id, 'hook', :event, 'waiting', 2, 5, 4, '503')"
        event = (
            '{"timestamp":"t","service":"s","metric":"m","tool":"","value":1.0,"threshold":0.0,"window":"w","severity":"high",'
            '"owner":"o","runbook":"r","sessions":[],"summary":"x","rule":"loops"}'
        )
        connection.execute(sa.text(row), [{"n": n, "id": f"n{n}", "event": event} for n in (1, 2)])
    engine.dispose()
    state = SqlState.open(url, "0.1.0")
    assert [
        (one.notice.id, one.notice.action, one.notice.conversation, one.attempts) for one in state.due("hook", 5, 9)
    ] == [
        ("n1", "trigger", "n1", 2),
        ("n2", "trigger", "n2", 2),
    ]
    state.close()

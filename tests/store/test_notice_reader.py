"""What the outbox tells of notices: who was told of an alert, and how the last tries of each channel went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from test_state_store import a_notice

from watchpost.model.notice import Notice, Receipt, Told
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, StateBatch

ALERT, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqlState]:
    store = SqlState.open(f"sqlite:///{tmp_path / 'state.db'}", "0.1.0")
    yield store
    store.close()


def about(name: str, alert_id: str, channel: str = "hook") -> Notice:
    notice = a_notice(name, channel)
    told = Told(alert_id, "firing", {}, notice.event, notice.event.timestamp)
    return msgspec.structs.replace(notice, alerts=[told])


def test_notices_about_an_alert_come_latest_first_and_say_how_they_went(state: SqlState) -> None:
    state.commit(StateBatch(Cursor(), notices=[about("n1", ALERT), about("n2", OTHER), about("n3", ALERT, "mail")]))
    state.settle(Receipt("n1", "delivered", "202", 5))
    state.settle(Receipt("n3", "waiting", "503", 7, retry_at_ns=90))
    found = state.notices_about(ALERT, 9)
    assert [(each.notice.id, each.state, each.attempts, each.tried_ns, each.detail) for each in found] == [
        ("n3", "waiting", 1, 7, "503"),
        ("n1", "delivered", 1, 5, "202"),
    ]
    assert [each.notice.id for each in state.notices_about(ALERT, 1)] == ["n3"]


def test_a_notice_that_only_mentions_an_alert_is_not_about_it(state: SqlState) -> None:
    quoting = about("n", OTHER)
    event = msgspec.structs.replace(quoting.event, summary=f"see {ALERT}")
    state.commit(StateBatch(Cursor(), notices=[msgspec.structs.replace(quoting, event=event)]))
    assert state.notices_about(ALERT, 9) == []


def test_of_each_channel_the_last_try_is_told_and_the_last_that_it_did_not_take(state: SqlState) -> None:
    names = [("n1", "hook"), ("n2", "hook"), ("n3", "hook"), ("m1", "mail"), ("u1", "untried")]
    state.commit(StateBatch(Cursor(), notices=[about(name, ALERT, channel) for name, channel in names]))
    state.settle(Receipt("n1", "failed", "410", 3))
    state.settle(Receipt("n2", "failed", "404", 4))
    state.settle(Receipt("n3", "delivered", "200", 6))
    state.settle(Receipt("m1", "waiting", "busy", 5, retry_at_ns=50))
    found = [(each.notice.channel, each.state, each.detail) for each in state.last_tries()]
    assert found == [("hook", "failed", "404"), ("hook", "delivered", "200"), ("mail", "waiting", "busy")]

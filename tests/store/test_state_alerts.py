"""Alerts, groups and silences are what they were after a restart; history keeps each change; what lapsed stands again as it stood before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from watchpost.model.alert import Alert, AlertState, Firing, Pending, Resolved, alert_id
from watchpost.model.notice import AlertEvent
from watchpost.model.silence import Silence
from watchpost.query.alerts import AlertFilter
from watchpost.store.alerts import AcknowledgedAlert, AlertGroup, AlertNews
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, StateBatch


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqlState]:
    store = SqlState.open(f"sqlite:///{tmp_path / 'state.db'}", "0.1.0")
    yield store
    store.close()


def alert(state: AlertState, rule: str = "slow", project: str = "p") -> Alert:
    event = AlertEvent("2026-01-01T00:00:00.000Z", "s", "m", "", 2.0, 1.0, "5m", "high", "o", "r", [], "slow\0ly", rule)
    labels = {"alertname": rule}
    return Alert(alert_id(project, rule, labels), project, rule, labels, state, event)


def write(store: SqlState, number: int, news: AlertNews) -> None:
    store.commit(StateBatch(Cursor(number, number), raised=news))
    store.commit(StateBatch(Cursor(number, number), raised=news))


def test_what_stands_is_what_was_written_last_and_history_keeps_each_change_once(state: SqlState) -> None:
    firing, resolved = alert(Firing(1, 2, 3)), alert(Resolved(1, 2, 9))
    write(state, 1, AlertNews(10, [alert(Pending(1))]))
    assert state.standing() == [alert(Pending(1))]
    write(state, 2, AlertNews(20, [firing]))
    write(state, 3, AlertNews(30, [resolved]))
    assert state.standing() == []
    assert [(each.alert, each.changed_ns) for each in state.alerts(AlertFilter())] == [(resolved, 30)]
    history = state.alert_history(firing.id, 10)
    assert [(each.alert.state, each.changed_ns) for each in history] == [(resolved.state, 30), (firing.state, 20)]
    found = state.alert(firing.id)
    assert found is not None
    assert found.alert.event.summary == "slow\0ly"


def test_an_alert_that_was_pending_and_lapsed_stands_as_before_it_was_or_not_at_all(state: SqlState) -> None:
    other = alert(Pending(5), rule="new")
    write(state, 1, AlertNews(10, [alert(Resolved(1, 2, 9))]))
    write(state, 2, AlertNews(20, [alert(Pending(19)), other]))
    assert len(state.standing()) == 2
    write(state, 3, AlertNews(30, lapsed=[alert(Pending(19)).id, other.id]))
    assert state.standing() == []
    assert [(each.alert.state, each.changed_ns) for each in state.alerts(AlertFilter())] == [(Resolved(1, 2, 9), 10)]


def test_alerts_are_listed_by_what_they_are_the_latest_change_first(state: SqlState) -> None:
    rules = ("a", "b", "c")
    for number, rule in enumerate(rules, 1):
        write(state, number, AlertNews(number, [alert(Firing(1, 1, 1), rule, f"project {rule}")]))
    write(state, 4, AlertNews(4, [alert(Resolved(1, 1, 4), "a", "project a")]))

    def listed(**conditions: str) -> list[str]:
        return [each.alert.rule for each in state.alerts(AlertFilter(**conditions))]  # type: ignore[arg-type]  # all of these are text

    assert listed() == ["a", "c", "b"]
    assert listed(state="firing") == ["c", "b"]
    assert listed(project="project b") == ["b"]
    assert listed(rule="c", severity="high") == ["c"]
    assert listed(severity="info") == []
    first = state.alerts(AlertFilter(limit=1))[0]
    after = state.alerts(AlertFilter(before=(first.changed_ns, first.alert.id)))
    assert [each.alert.rule for each in after] == ["c", "b"]


def test_groups_and_what_is_dispatched_are_replaced_and_taken_out(state: SqlState) -> None:
    group = AlertGroup("g", "p", "key", b"\0body")
    firing = alert(Firing(1, 2, 3))
    write(state, 1, AlertNews(1, dispatched=[firing], groups=[group, AlertGroup("h", "p", "", b"")]))
    write(state, 2, AlertNews(2, groups=[AlertGroup("h", "p", "k", b"x")]))
    assert state.alert_groups() == [group, AlertGroup("h", "p", "k", b"x")]
    assert state.dispatched() == [firing]
    write(state, 3, AlertNews(3, undispatched=[firing.id], disbanded=["g", "h", "never"]))
    assert (state.alert_groups(), state.dispatched()) == ([], [])


def test_of_silences_with_one_id_the_latest_holds_and_those_that_ended_can_be_left_out(state: SqlState) -> None:
    silence = Silence("s", "p", ('a="b"',), 1, 100, "ana", "", 1)
    shorter = Silence("s", "p", ('a="b"',), 1, 50, "ana", "", 2)
    write(state, 1, AlertNews(1, silences=[silence]))
    assert state.silences(99) == [silence]
    write(state, 2, AlertNews(2, silences=[shorter]))
    assert state.silences(50) == []
    assert state.silences(0) == [shorter]


def test_who_was_on_an_alert_is_kept_when_it_is_over(state: SqlState) -> None:
    firing = alert(Firing(1, 2, 3))
    first, later = AcknowledgedAlert(firing.id, 20, "ann\0e"), AcknowledgedAlert(firing.id, 40, "bob")
    write(state, 1, AlertNews(30, acknowledged=[later]))
    write(state, 2, AlertNews(40, acknowledged=[first], undispatched=[firing.id], disbanded=["g"]))
    assert state.acknowledged(firing.id) == [AcknowledgedAlert(firing.id, 20, "ann e"), later]
    assert state.acknowledged("another") == []

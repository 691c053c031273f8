"""Rules and routing at work in the flow: told once, across restarts and replays, and quiet where people asked for quiet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from loop_rules import ROUTES, RULES, loop

from watchpost.alerting.dispatch import Dispatcher
from watchpost.alerting.route_file import read_routing
from watchpost.model.flag import Flag
from watchpost.model.notice import AlertStatus, Notice
from watchpost.model.outside_alert import OutsideAlert
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.query.alerts import AlertFilter
from watchpost.rules.engine import RuleEngine
from watchpost.rules.rule_file import read_rules
from watchpost.runtime.alarms import Alarms, Raised, Said
from watchpost.store.alerts import AcknowledgedAlert
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, StateBatch

SECOND = 10**9
START = 1_790_000_400 * SECOND


class House:
    """Alarms on a store, batch by batch."""

    def __init__(self, state: SqlState, rules: str = RULES, known: Sequence[Flag] = (), routes: str = ROUTES) -> None:
        self._state = state
        engine = RuleEngine(read_rules(rules).rules)
        engine.fill((), (), known, START)
        routing = read_routing(routes, ["ops"])
        self._alarms = Alarms(engine, Dispatcher(routing.root), state, START, no_word_ns=3600 * SECOND)
        self._number = state.cursor().batch

    def at(self, seconds: int, flags: Sequence[Flag] = (), said: Sequence[Said] = (), *, die: bool = False) -> Raised:
        """One batch; where the process dies nothing of it is written."""
        raised = self._alarms.react((), (), flags, said, START + seconds * SECOND)
        if not die:
            self._number += 1
            cursor = Cursor(self._number, self._number)
            self._state.commit(StateBatch(cursor, notices=raised.notices, raised=raised.news))
        return raised

    def is_ripe(self, seconds: int) -> bool:
        return self._alarms.is_ripe(START + seconds * SECOND)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def opened(folder: Path) -> SqlState:
    return SqlState.open(f"sqlite:///{folder / 'state.db'}", "0.1.0")


def told(raised: Raised) -> list[tuple[str, list[str]]]:
    return [(notice.action, [each.status for each in notice.alerts]) for notice in raised.notices]


def test_a_rule_that_fires_tells_its_group_once_and_says_when_it_is_over(folder: Path) -> None:
    state = opened(folder)
    house = House(state)
    assert told(house.at(0, [loop(1, START)])) == []
    assert told(house.at(1, [loop(2, START)])) == []
    assert house.is_ripe(11)
    assert told(house.at(11)) == [("trigger", ["firing"])]
    assert [each.alert.rule for each in state.alerts(AlertFilter(state="firing"))] == ["Loops"]
    notices: list[Notice] = []
    for seconds in range(15, 1200, 15):
        notices += house.at(seconds).notices
    assert [notice.action for notice in notices] == ["resolve"]
    assert [each.alert.rule for each in state.alerts(AlertFilter(state="resolved"))] == ["Loops"]
    state.close()


EACH_FLAG = """
rules:
  - name: Anomaly
    flag: any
    by: [session, flag, tool, severity]
    window: 10m
    above: 0
    severity: info
    owner: team-agents
    runbook: https://runbooks.example/anomalies
    summary: "{latest}"
"""
AT_ONCE = """
route:
  channels: [ops]
  group_by: ['...']
  group_wait: 0s
"""


def test_each_flag_is_told_in_the_batch_that_it_comes_in_and_never_again(folder: Path) -> None:
    state = opened(folder)
    house = House(state, EACH_FLAG, routes=AT_ONCE)
    first = house.at(0, [loop(1, START)])
    assert [(notice.event.metric, notice.event.severity) for notice in first.notices] == [("LOOP_DETECTED", "high")]
    assert first.notices[0].event.summary == "get was called again and again"
    house = House(state, EACH_FLAG, [loop(1, START)], AT_ONCE)
    (second,) = house.at(1, [loop(2, START)]).notices
    assert second.event.sessions != first.notices[0].event.sessions
    later = [notice for seconds in range(2, 500, 7) for notice in house.at(seconds, [loop(1, START)]).notices]
    assert later == []
    state.close()


def test_what_was_told_before_a_restart_is_not_told_again_and_ends_after_it(folder: Path) -> None:
    first = opened(folder)
    house = House(first)
    house.at(0, [loop(1, START), loop(2, START)])
    assert told(house.at(10)) == [("trigger", ["firing"])]
    first.close()
    second = opened(folder)
    house = House(second, known=[loop(1, START), loop(2, START)])
    assert not house.at(15).notices
    notices = [notice for seconds in range(30, 1200, 15) for notice in house.at(seconds).notices]
    assert [notice.action for notice in notices] == ["resolve"]
    second.close()


def test_a_batch_that_died_gives_the_same_notices_again(folder: Path) -> None:
    state = opened(folder)
    house = House(state)
    house.at(0, [loop(1, START), loop(2, START)])
    lost = house.at(10, die=True)
    assert lost.notices
    again = House(state).at(10)
    assert [notice.id for notice in again.notices] == [notice.id for notice in lost.notices]
    state.close()


def test_alerts_of_a_rule_that_is_gone_end_with_the_first_batch(folder: Path) -> None:
    state = opened(folder)
    house = House(state)
    house.at(0, [loop(1, START), loop(2, START)])
    house.at(10)
    renamed = House(state, RULES.replace("Loops", "Others"))
    notices = [notice for seconds in range(15, 120, 15) for notice in renamed.at(seconds).notices]
    assert [notice.action for notice in notices] == ["resolve"]
    assert state.standing() == []
    state.close()


def test_silences_and_acknowledgements_hold_across_a_restart(folder: Path) -> None:
    state = opened(folder)
    house = House(state)
    quiet = Silence("s", "p", ('alertname="Loops"',), START, START + 300 * SECOND, "ana", "known", START)
    house.at(0, [loop(1, START), loop(2, START)], [quiet])
    house = House(state, known=[loop(1, START), loop(2, START)])
    assert told(house.at(10)) == []
    notices = [notice for seconds in range(15, 420, 15) for notice in house.at(seconds).notices]
    assert [notice.action for notice in notices] == ["trigger"]
    house.at(421, (), [Acknowledgement("p", notices[0].key, "ben", START + 421 * SECOND)])
    groups = state.alert_groups()
    assert len(groups) == 1
    assert b"ben" in groups[0].body
    (standing,) = state.alerts(AlertFilter())
    acknowledged = [AcknowledgedAlert(standing.alert.id, START + 421 * SECOND, "ben")]
    assert state.acknowledged(standing.alert.id) == acknowledged
    house.at(2000)
    house.at(9000)
    assert state.alert_groups() == []
    assert state.acknowledged(standing.alert.id) == acknowledged
    state.close()


def test_an_alert_of_another_alertmanager_is_told_like_our_own_and_ends_when_that_one_says_so(folder: Path) -> None:
    def outside(status: AlertStatus, seconds: int) -> OutsideAlert:
        at_ns = START + seconds * SECOND
        return OutsideAlert("p", "f", status, {"alertname": "DiskFull", "severity": "page"}, {}, START, 0, at_ns)

    state = opened(folder)
    house = House(state)
    house.at(0, (), [outside("firing", 0)])
    notices = house.at(10).notices
    assert [(notice.action, notice.event.severity) for notice in notices] == [("trigger", "critical")]
    house = House(state)
    assert not house.at(30).notices
    assert [each.alert.rule for each in state.alerts(AlertFilter(state="firing"))] == ["DiskFull"]
    house.at(40, (), [outside("resolved", 40)])
    assert told(house.at(70)) == [("resolve", ["resolved"])]
    assert state.standing() == []
    state.close()


def test_an_alert_of_an_alertmanager_that_died_ends_without_being_told_as_over(folder: Path) -> None:
    state = opened(folder)
    house = House(state)
    disk = OutsideAlert("p", "f", "firing", {"alertname": "DiskFull", "severity": "page"}, {}, START, 0, START)
    house.at(0, (), [disk])
    house.at(10)
    house = House(state)
    house.at(60)
    house.at(3599)
    assert house.is_ripe(3600)
    house.at(3600, die=True)
    assert [each.alert.rule for each in state.alerts(AlertFilter(state="firing"))] == ["DiskFull"]
    house = House(state)
    house.at(3600)
    assert told(house.at(3700)) == [("no_word", ["no_word"])]
    assert state.standing() == []
    assert state.alerts(AlertFilter(state="resolved")) == []
    (shown,) = state.alerts(AlertFilter(state="no_word"))
    assert shown.alert.event.summary.startswith("No word since ")
    back = OutsideAlert("p", "f", "firing", disk.labels, {}, START, 0, START + 4000 * SECOND)
    assert told(house.at(4000, (), [back])) == [("trigger", ["firing"])]
    state.close()

"""Alerts of real rules on a real state store, and a notebook by which what people say of them holds at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from server_fakes import START_NS

from watchpost.alerting.dispatch import Dispatcher
from watchpost.alerting.route_file import read_routing
from watchpost.model.alert import Alert, AlertState, Firing, alert_id
from watchpost.model.fact import Fact
from watchpost.model.flag import Flag
from watchpost.model.notice import AlertEvent, Notice
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.rules.engine import RuleEngine
from watchpost.rules.rule_file import read_rules
from watchpost.runtime.alarms import Alarms, Raised
from watchpost.server.alerts import Alerts
from watchpost.store.alerts import AlertNews
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, StateBatch

sys.path.append(str(Path(__file__).parents[1] / "runtime"))
from loop_rules import ROUTES, RULES, loop

SECOND = 10**9


def alert(state: AlertState, rule: str = "Slow", **event: object) -> Alert:
    """An alert of a rule, with labels of the event that may be given in part."""
    given = AlertEvent(
        "2026-05-28T20:26:40.123Z", "shop", "latency", "", 2.5, 1.0, "5m", "high", "team-shop",
        "https://runbooks.example/slow", ["k1", "k2"], "half of all calls took 2.5 s", rule,
    )  # fmt: skip
    given = msgspec.structs.replace(given, **event)
    labels = {"alertname": rule, "severity": given.severity, "service": given.service}
    return Alert(alert_id("p", rule, labels), "p", rule, labels, state, given)


HELD_BACK = """
route:
  channels: [ops]
  routes:
    - {match: tool="", page: [boss], channels: [ops], continue: true, mute_time_intervals: [evenings]}
    - {match: service="shop", channels: [ops], active_time_intervals: [mornings]}
inhibit_rules:
  - {source_matchers: severity="critical", target_matchers: severity!="critical", equal: [service]}
time_intervals:
  - {name: evenings, time_intervals: [{times: [{start_time: "20:00", end_time: "23:30"}]}]}
  - {name: mornings, time_intervals: [{times: [{start_time: "06:00", end_time: "12:00"}], weekdays: [saturday]}]}
"""
"""Routes that hold back at the desk's first hour, which is 20:26 UTC of a Thursday."""


class AlertDesk:
    """Rules, routing and the state store at a time that the test sets; fulfils `Notebook`.

    It is `slow` where what is said is on disk and does not hold yet, and raises `fault` where there is one.
    """

    def __init__(self, folder: Path, routes: str = ROUTES) -> None:
        self.state = SqlState.open(f"sqlite:///{folder / 'state.db'}", "0.1.0")
        self.now_ns = START_NS
        self.noted: list[Fact] = []
        self.notices: list[Notice] = []
        self.slow = False
        self.fault: Exception | None = None
        self._taken = 0
        self._number = 0
        engine = RuleEngine(read_rules(RULES).rules)
        engine.fill((), (), (), START_NS)
        routing = read_routing(routes, ["ops", "boss"])
        dispatcher = Dispatcher(routing.root, routing.inhibitions, routing.intervals)
        self._alarms = Alarms(engine, dispatcher, self.state, START_NS)
        self.alerts = Alerts(self.state, self.state, self, lambda: self.now_ns, routing=routing)

    def fire(self) -> str:
        """The id of an alert that fires, and that somebody was told of."""
        self.wait(0, [loop(1, START_NS), loop(2, START_NS)])
        self.wait(11)
        (firing,) = self.state.standing()
        return firing.id

    def wait(self, seconds: float, flags: Sequence[Flag] = ()) -> Raised:
        """Let so much time pass, and then one batch be decided and written."""
        self.now_ns += round(seconds * SECOND)
        said = [fact for fact in self.noted[self._taken :] if isinstance(fact, Silence | Acknowledgement)]
        self._taken = len(self.noted)
        raised = self._alarms.react((), (), flags, said, self.now_ns)
        self.notices += raised.notices
        self.write(raised.news)
        return raised

    def write(self, news: AlertNews) -> None:
        """Write what a batch changed, as the flow does."""
        self._number += 1
        self.state.commit(StateBatch(Cursor(self._number, self._number), raised=news))

    def add(self, one: Alert, at_s: float = 0) -> Alert:
        """Write an alert whose state changed so many seconds after the start."""
        self.write(AlertNews(START_NS + round(at_s * SECOND), [one]))
        return one

    async def note(self, facts: Sequence[Fact]) -> int:
        """Keep them."""
        if self.fault is not None:
            raise self.fault
        self.noted += facts
        return len(self.noted)

    async def settled(self, seq: int, timeout_s: float) -> bool:
        """Let all that was said hold, unless it is `slow`."""
        assert seq == len(self.noted)
        assert timeout_s > 0
        if not self.slow:
            self.wait(0)
        return not self.slow


def firing(since_s: int = 0) -> Firing:
    """Fires since so many seconds after the start."""
    return Firing(START_NS + since_s * SECOND, START_NS + since_s * SECOND, START_NS + since_s * SECOND)

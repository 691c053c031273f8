"""What keeps people from being told of an alert now, besides silences: other alerts that inhibit it, and the hours of its routes."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from watchpost.alerting.inhibition import Inhibitor
from watchpost.alerting.labels import labels_of
from watchpost.alerting.muting import mute, mute_end_ns
from watchpost.alerting.route import Route
from watchpost.alerting.route_file import Routing
from watchpost.model.alert import Alert, Firing, Resolved
from watchpost.server.answers import moment

NO_ROUTING = Routing(Route(key="{}"))
"""Nobody is told of anything."""

INHIBITORS = 5
"""How many of the alerts that inhibit one are named."""


class InhibitedBy(msgspec.Struct, frozen=True):
    """An alert that fires and makes another one pointless."""

    id: str
    rule: str


class MutedBy(msgspec.Struct, frozen=True):
    """Because of the hour these channels are not told: one of the time intervals holds or, where `outside`, none of them does.

    `until` is null where that goes on for more than a month.
    """

    intervals: list[str]
    outside: bool
    until: str | None
    channels: list[str]

    def __str__(self) -> str:
        """As people say it, after `muted`."""
        named = " and ".join(self.intervals)
        window = f"{'outside of ' if self.outside else 'by '}time window {named}"
        until = f"until {self.until[:16].replace('T', ' ')} UTC" if self.until else "for more than a month"
        return f"{window} {until} for {', '.join(self.channels)}"


class Hold(msgspec.Struct, frozen=True):
    """What holds an alert back; nothing does where both are empty."""

    inhibited_by: list[InhibitedBy] = []
    muted_by: list[MutedBy] = []


class Holds:
    """What holds alerts back at a time, by the routing and the alerts that fire then."""

    def __init__(self, routing: Routing, firing: Iterable[Alert], now_ns: int) -> None:
        self._routing = routing
        self._now_ns = now_ns
        self._inhibitor = Inhibitor(routing.inhibitions)
        self._rules: dict[str, str] = {}
        for alert in firing:
            if isinstance(alert.state, Firing):
                self._inhibitor.fires(alert.id, labels_of(alert))
                self._rules[alert.id] = alert.rule

    def on(self, alert: Alert) -> Hold:
        """What holds this one back. Nothing holds back what is over."""
        if isinstance(alert.state, Resolved):
            return Hold()
        labels = labels_of(alert)
        sources = self._inhibitor.inhibiting(labels)[:INHIBITORS]
        return Hold([InhibitedBy(each, self._rules[each]) for each in sources], self._muted_by(labels))

    def _muted_by(self, labels: dict[str, str]) -> list[MutedBy]:
        intervals = self._routing.intervals
        found: dict[tuple[tuple[str, ...], bool, str | None], list[str]] = {}
        for route in self._routing.root.find(labels):
            told = [name for name in (*route.channels, *route.page) if route.takes(name, labels)]
            why = mute(route, intervals, self._now_ns) if told else None
            if why is not None:
                until = moment(mute_end_ns(route, intervals, self._now_ns) or 0)
                channels = found.setdefault((why.names, why.outside, until), [])
                channels += [name for name in told if name not in channels]
        return [MutedBy(list(names), outside, until, told) for (names, outside, until), told in found.items()]

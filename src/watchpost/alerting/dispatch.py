"""Turns how alerts stand into notices: routed, grouped, held back where silenced, inhibited or muted, and repeated.

Alertmanager's behaviour, with the differences that docs/adr gives reasons for. Pure: the time is an argument, and the same calls
in the same order give the same notices, also when the state was saved and taken up again anywhere between them.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from watchpost.alerting.group import (
    Acknowledged,
    GroupState,
    Look,
    Sight,
    due_ns,
    group_id,
    is_forgotten,
    joins_at_once,
    knowing_only,
    no_later,
)
from watchpost.alerting.inhibition import Inhibition, Inhibitor
from watchpost.alerting.labels import labels_of
from watchpost.alerting.route import Route
from watchpost.alerting.silence import Silences
from watchpost.alerting.time_window import Window
from watchpost.model.alert import Alert, Firing, Pending, Resolved
from watchpost.model.flag import SEVERITIES
from watchpost.model.notice import Notice
from watchpost.model.silence import Acknowledgement, Silence

STEP_BACK_NS = 60 * 1_000_000_000
"""A clock that is set back by more than this has been corrected: what was due by it is due at most one wait from now."""


class DispatchState(msgspec.Struct, frozen=True):
    """All that a dispatcher must remember. `alerts` are those that fire, and those whose end somebody has yet to be told."""

    now_ns: int = 0
    alerts: tuple[Alert, ...] = ()
    groups: tuple[GroupState, ...] = ()
    silences: tuple[Silence, ...] = ()


class Changes(msgspec.Struct, frozen=True):
    """What is other than it was when changes were last asked for: rows to write, and ids of rows to remove."""

    alerts: tuple[Alert, ...] = ()
    alerts_gone: tuple[str, ...] = ()
    groups: tuple[GroupState, ...] = ()
    groups_gone: tuple[str, ...] = ()


class _Home(msgspec.Struct, frozen=True):
    """A group that an alert belongs to, by the route that took it."""

    id: str
    route: Route
    labels: dict[str, str]

    @classmethod
    def of(cls, route: Route, project: str, labels: Mapping[str, str]) -> _Home:
        by = route.group_labels(labels)
        return cls(group_id(route, project, by), route, by)


class _Group:
    """A group's state, and its members by alert id."""

    def __init__(self, route: Route, state: GroupState) -> None:
        self.route = route
        self.state = state
        self.members: dict[str, Alert] = {}
        self.planned_ns = -1
        """Its entry in the calendar; entries of other times are out of date."""


class Dispatcher:
    """Heeds alerts, silences and acknowledgements, and tells at `flush` what is due by then.

    `intervals` are the named time intervals that routes mention. `acknowledging` are the channels that are told when somebody
    acknowledges. A flush that comes late tells how things stand then, once.
    """

    def __init__(
        self,
        routes: Route,
        inhibitions: Iterable[Inhibition] = (),
        intervals: Mapping[str, Sequence[Window]] | None = None,
        acknowledging: Collection[str] = (),
    ) -> None:
        self._root = routes
        self._inhibitor = Inhibitor(inhibitions)
        self._intervals = dict(intervals or {})
        self._acknowledging = frozenset(acknowledging)
        self._silences = Silences()
        self._alerts: dict[str, Alert] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._homes: dict[str, tuple[_Home, ...]] = {}
        self._groups: dict[str, _Group] = {}
        self._keys: dict[str, str] = {}
        self._calendar: list[tuple[int, str]] = []
        self._now_ns = 0
        self._changed_alerts: set[str] = set()
        self._changed_groups: set[str] = set()

    def heed(self, alerts: Iterable[Alert], now_ns: int) -> None:
        """Take in how alerts stand now; saying the same twice makes no difference. Pending alerts concern nobody yet."""
        self._come_to(now_ns)
        for alert in alerts:
            match alert.state:
                case Firing():
                    self._fires(alert)
                case Resolved():
                    self._ends(alert)
                case Pending():
                    pass

    def silence(self, silence: Silence) -> None:
        """Hold to a silence, or to what has become of one with the same id. Raises `MatcherError`, which `silence_faults` tells before."""
        self._silences.take(silence)

    def acknowledge(self, acknowledgement: Acknowledgement) -> bool:
        """Repeat nothing of a group, nor escalate it, until it gets graver. False where the key names no group of that project that anybody was told of."""
        group = self._groups.get(self._keys.get(acknowledgement.key, ""))
        if group is None or group.state.project != acknowledgement.project:
            return False
        if group.state.acknowledged is None:
            known = group.state.known
            ranks = [SEVERITIES.index(group.members[each].event.severity) for each in known]
            held = Acknowledged(acknowledgement.by, SEVERITIES[min(ranks)], known)
            self._keep(group, msgspec.structs.replace(group.state, acknowledged=held))
        return True

    def flush(self, now_ns: int) -> list[Notice]:
        """What must be told by now, in the order in which it fell due."""
        self._come_to(now_ns)
        self._silences.drop_ended(now_ns)
        notices: list[Notice] = []
        while self._calendar and self._calendar[0][0] <= now_ns:
            at_ns, each = heapq.heappop(self._calendar)
            group = self._groups.get(each)
            if group is not None and group.planned_ns == at_ns:
                notices += self._look(group, now_ns)
        return notices

    def due_ns(self) -> int | None:
        """When `flush` will next have something to do, which may be to tell nobody; None while there are no alerts."""
        while self._calendar:
            at_ns, each = self._calendar[0]
            group = self._groups.get(each)
            if group is not None and group.planned_ns == at_ns:
                return at_ns
            heapq.heappop(self._calendar)
        return None

    def state(self) -> DispatchState:
        """All that `resume` needs."""
        return DispatchState(
            self._now_ns,
            tuple(self._alerts.values()),
            tuple(self._state(group) for group in self._groups.values()),
            tuple(self._silences),
        )

    def changes(self) -> Changes:
        """What of `state` is other than when this was last asked; silences are facts of their own, and not among it."""
        alerts, groups = sorted(self._changed_alerts), sorted(self._changed_groups)
        self._changed_alerts, self._changed_groups = set(), set()
        return Changes(
            tuple(self._alerts[each] for each in alerts if each in self._alerts),
            tuple(each for each in alerts if each not in self._alerts),
            tuple(self._state(self._groups[each]) for each in groups if each in self._groups),
            tuple(each for each in groups if each not in self._groups),
        )

    def resume(self, state: DispatchState) -> None:
        """Go on from a saved state; to be called once, before anything else.

        Groups of routes that are gone are dropped, and their alerts go where the tree sends them now. A channel that a route no longer
        names is told nothing more.
        """
        self._now_ns = state.now_ns
        routes = {route.key: route for route in self._root.walk()}
        for silence in state.silences:
            self._silences.take(silence)
        for saved in state.groups:
            route = routes.get(saved.route)
            if route is not None and group_id(route, saved.project, saved.labels) == saved.id:
                named = {*route.channels, *route.page, *route.escalate_to}
                kept = {name: channel for name, channel in saved.channels.items() if name in named}
                self._groups[saved.id] = _Group(route, msgspec.structs.replace(saved, channels=kept))
            else:
                self._changed_groups.add(saved.id)
        restored = frozenset(self._groups)
        for alert in state.alerts:
            self._take_up(alert, restored)
        for group in self._groups.values():
            self._keep(group, knowing_only(group.state, frozenset(group.members)))

    def _take_up(self, alert: Alert, restored: frozenset[str]) -> None:
        """Put a saved alert back into the groups it was in, and into those that the tree has got for it since."""
        self._alerts[alert.id] = alert
        fires = isinstance(alert.state, Firing)
        for home in self._find_homes(alert):
            if home.id not in restored:
                if fires:
                    self._join(home, alert)
            elif fires or alert.id in self._groups[home.id].state.ended:
                self._groups[home.id].members[alert.id] = alert
        if fires:
            self._inhibitor.fires(alert.id, self._labels[alert.id])
        else:
            self._drop_if_nowhere(alert.id)

    def _come_to(self, now_ns: int) -> None:
        """Note the time; where the clock was set back, nothing waits for the time that it showed before."""
        if now_ns + STEP_BACK_NS < self._now_ns:
            for group in self._groups.values():
                self._keep(group, no_later(group.state, group.route, now_ns))
        self._now_ns = now_ns

    def _fires(self, alert: Alert) -> None:
        for home in self._find_homes(alert):
            self._join(home, alert)
        if self._alerts.get(alert.id) != alert:
            self._alerts[alert.id] = alert
            self._changed_alerts.add(alert.id)
        self._inhibitor.fires(alert.id, self._labels[alert.id])

    def _ends(self, alert: Alert) -> None:
        if alert.id not in self._alerts:
            return
        self._inhibitor.ends(alert.id, self._labels[alert.id])
        self._alerts[alert.id] = alert
        self._changed_alerts.add(alert.id)
        for home in self._homes[alert.id]:
            group = self._groups.get(home.id)
            if group is not None and alert.id in group.members:
                group.members[alert.id] = alert
                self._changed_groups.add(home.id)
        self._drop_if_nowhere(alert.id)

    def _find_homes(self, alert: Alert) -> tuple[_Home, ...]:
        """Where an alert is told; nowhere if the routes that take it name no channel."""
        if alert.id not in self._homes:
            labels = labels_of(alert)
            routes = [route for route in self._root.find(labels) if route.channels or route.page]
            self._labels[alert.id] = labels
            self._homes[alert.id] = tuple(_Home.of(route, alert.project, labels) for route in routes)
        return self._homes[alert.id]

    def _join(self, home: _Home, alert: Alert) -> None:
        """Put a firing alert into its group, and bring the group's time forward where it need not wait."""
        group, route = self._groups.get(home.id), home.route
        if group is None or is_forgotten(group.state, self._now_ns):
            tick_ns = self._now_ns + route.group_wait_ns
            group = _Group(route, GroupState(home.id, route.key, alert.project, home.labels, tick_ns))
            self._groups[home.id] = group
            self._keep(group, group.state)
        before, group.members[alert.id] = group.members.get(alert.id), alert
        if before is None:
            state = group.state
            is_at_once = joins_at_once(state, route, alert, self._now_ns)
            tick_ns = min(state.tick_ns, self._now_ns) if is_at_once else state.tick_ns
            if state.emptied_ns or tick_ns < state.tick_ns:
                self._keep(group, msgspec.structs.replace(state, emptied_ns=0, tick_ns=tick_ns))
        elif isinstance(before.state, Resolved):
            self._changed_groups.add(home.id)

    def _look(self, group: _Group, now_ns: int) -> list[Notice]:
        state, route = group.state, group.route
        group.planned_ns = -1
        if is_forgotten(state, now_ns):
            del self._groups[state.id]
            self._changed_groups.add(state.id)
            return []
        is_tick = state.tick_ns <= now_ns
        # Ticks keep to their raster however late each flush comes; a flush that missed a whole interval begins a new one.
        at_ns = state.tick_ns if is_tick and now_ns < state.tick_ns + route.group_interval_ns else now_ns
        labels = {each: self._labels[each] for each in group.members}
        muted = frozenset(each for each in labels if self._is_muted(labels[each], now_ns))
        look = Look(state, route, Sight(group.members, labels, muted, self._is_quiet(route, now_ns), is_tick, at_ns))
        after = look.take(self._acknowledging)
        if is_tick:
            after = self._go_on(group, after, at_ns)
        self._keep(group, after)
        return look.notices

    def _go_on(self, group: _Group, state: GroupState, at_ns: int) -> GroupState:
        """After a tick: let go of members whose end nobody has to be told any more, and set the next one."""
        known = state.known
        over = [
            each for each, alert in group.members.items() if isinstance(alert.state, Resolved) and each not in known
        ]
        for each in over:
            del group.members[each]
            self._drop_if_nowhere(each)
        emptied_ns = 0 if group.members else state.emptied_ns or at_ns
        return msgspec.structs.replace(
            state, tick_ns=at_ns + group.route.group_interval_ns, flushed=True, emptied_ns=emptied_ns
        )

    def _is_muted(self, labels: Mapping[str, str], now_ns: int) -> bool:
        return bool(self._inhibitor.inhibits(labels) or self._silences.silencing(labels, now_ns))

    def _is_quiet(self, route: Route, now_ns: int) -> bool:
        """Whether the route is muted at this time."""

        def within(names: Iterable[str]) -> bool:
            return any(window.holds(now_ns) for name in names for window in self._intervals[name])

        active = route.active_time_intervals
        return within(route.mute_time_intervals) or (bool(active) and not within(active))

    def _keep(self, group: _Group, state: GroupState) -> None:
        """Take over a group's new state: its place in the calendar, its key, and that it has changed."""
        before, group.state = group.state, state
        if before.key != state.key:
            self._keys.pop(before.key, None)
        if state.key:
            self._keys[state.key] = state.id
        self._changed_groups.add(state.id)
        at_ns = due_ns(state, group.route)
        if at_ns != group.planned_ns:
            group.planned_ns = at_ns
            heapq.heappush(self._calendar, (at_ns, state.id))

    def _state(self, group: _Group) -> GroupState:
        ended = frozenset(each for each, alert in group.members.items() if isinstance(alert.state, Resolved))
        return msgspec.structs.replace(group.state, ended=ended)

    def _drop_if_nowhere(self, alert_id: str) -> None:
        """Forget an alert that does not fire and is in no group."""
        if isinstance(self._alerts[alert_id].state, Resolved) and not any(
            alert_id in self._groups[home.id].members for home in self._homes[alert_id] if home.id in self._groups
        ):
            del self._alerts[alert_id], self._labels[alert_id], self._homes[alert_id]
            self._changed_alerts.add(alert_id)

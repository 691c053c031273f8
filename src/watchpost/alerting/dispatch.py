"""Turns how alerts stand into notices: routed, grouped, held back where silenced, inhibited or muted, and repeated.

Alertmanager's behaviour, with the differences that docs/adr gives reasons for. Pure: the time is an argument, and the same calls
in the same order give the same notices, also when the state was saved and taken up again anywhere between them.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from watchpost.alerting.erased import Erased, told_apart, without
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
from watchpost.alerting.muting import mute
from watchpost.alerting.roster import Home, Roster
from watchpost.alerting.route import Route
from watchpost.alerting.silence import Silences
from watchpost.alerting.time_window import Window
from watchpost.model.alert import Alert, Firing, Pending, Resolved
from watchpost.model.flag import SEVERITIES
from watchpost.model.notice import Notice
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.model.unnaming import Unnaming

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


class Dispatcher:
    """Heeds alerts, silences and acknowledgements, and tells at `flush` what is due by then.

    `intervals` are the named time intervals that routes mention. `acknowledging` are the channels that are told when somebody
    acknowledges, `channels` those there are besides the ones that routes name. A flush that comes late tells how things stand then, once.
    """

    def __init__(
        self,
        routes: Route,
        inhibitions: Iterable[Inhibition] = (),
        intervals: Mapping[str, Sequence[Window]] | None = None,
        acknowledging: Collection[str] = (),
        channels: Collection[str] = (),
    ) -> None:
        self._root = routes
        self._inhibitor = Inhibitor(inhibitions)
        self._intervals = dict(intervals or {})
        self._acknowledging = frozenset(acknowledging)
        self._channels = {*channels, *(name for route in routes.walk() for name in route.named)}
        self._silences = Silences()
        self._alerts: dict[str, Alert] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._homes: dict[str, tuple[Home, ...]] = {}
        self._left: dict[str, set[str]] = {}
        self._groups: dict[str, Roster] = {}
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
        """Hold to a silence, or to what has become of one with the same id."""
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

    def erase(self, names: Unnaming, now_ns: int) -> Erased:
        """Let nothing here name what was erased: an alert that was about it is over, and so is a group that was put together by it."""
        gone, kept = told_apart(self._alerts.values(), names, now_ns)
        fired = [alert for each, alert in gone.items() if alert.state != self._alerts[each].state]
        for alert in kept:
            self._know(alert)
        notices = [notice for group in list(self._groups.values()) for notice in self._lose(group, gone, names, now_ns)]
        for each in gone:
            self._inhibitor.ends(each, self._labels[each])
            self._drop(each)
        return Erased(fired, notices)

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
            tuple(group.stored() for group in self._groups.values()),
            tuple(self._silences),
        )

    def changes(self) -> Changes:
        """What of `state` is other than when this was last asked; silences are facts of their own, and not among it."""
        alerts, groups = sorted(self._changed_alerts), sorted(self._changed_groups)
        self._changed_alerts, self._changed_groups = set(), set()
        return Changes(
            tuple(self._alerts[each] for each in alerts if each in self._alerts),
            tuple(each for each in alerts if each not in self._alerts),
            tuple(self._groups[each].stored() for each in groups if each in self._groups),
            tuple(each for each in groups if each not in self._groups),
        )

    def resume(self, state: DispatchState) -> None:
        """Go on from a saved state; to be called once, before anything else.

        Alerts go where the tree sends them now. Who was told of one by a route that is gone, or that does not name them any more, is told
        of its end and of nothing else, if there still is such a channel.
        """
        self._now_ns = state.now_ns
        routes = {route.key: route for route in self._root.walk()}
        for silence in state.silences:
            self._silences.take(silence)
        knowing: dict[str, list[str]] = {}
        for saved in state.groups:
            group = self._restored(saved, routes.get(saved.route))
            if group is None:
                self._changed_groups.add(saved.id)
                continue
            self._groups[saved.id] = group
            for each in group.state.known:
                knowing.setdefault(each, []).append(saved.id)
        restored = frozenset(self._groups)
        for alert in state.alerts:
            self._take_up(alert, restored, knowing.get(alert.id, ()))
        for group in self._groups.values():
            self._keep(group, knowing_only(group.state, frozenset(group.members)))

    def _restored(self, saved: GroupState, route: Route | None) -> Roster | None:
        """A saved group; None where its route is gone and nobody waits for an end."""
        kept = {name: channel for name, channel in saved.channels.items() if name in self._channels}
        state = msgspec.structs.replace(saved, channels=kept)
        if route is not None and group_id(route, saved.project, saved.labels) == saved.id:
            return Roster(route, state)
        nowhere = Route(key=saved.route, group_interval_ns=self._root.group_interval_ns)
        return Roster(nowhere, state) if state.known else None

    def _take_up(self, alert: Alert, restored: frozenset[str], knowing: Collection[str]) -> None:
        """Put a saved alert back into the groups it was in, and into those that the tree has got for it since."""
        self._alerts[alert.id] = alert
        fires = isinstance(alert.state, Firing)
        homes = self._find_homes(alert)
        for home in homes:
            if home.id not in restored or self._groups[home.id].state.emptied_ns:
                if fires:
                    self._join(home, alert)
            elif fires or alert.id in self._groups[home.id].state.ended:
                self._groups[home.id].members[alert.id] = alert
        for each in {*knowing} - {home.id for home in homes}:
            self._groups[each].members[alert.id] = alert
            self._groups[each].leaving.add(alert.id)
            self._left.setdefault(alert.id, set()).add(each)
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
        for each in self._left.get(alert.id, ()):
            if (group := self._groups.get(each)) is not None:
                group.members[alert.id] = alert
        if self._alerts.get(alert.id) != alert:
            self._alerts[alert.id] = alert
            self._changed_alerts.add(alert.id)
        self._inhibitor.fires(alert.id, self._labels[alert.id])

    def _ends(self, alert: Alert) -> None:
        if alert.id not in self._alerts:
            return
        self._inhibitor.ends(alert.id, self._labels[alert.id])
        self._know(alert)
        self._drop_if_nowhere(alert.id)

    def _know(self, alert: Alert) -> None:
        """Take over what an alert says now."""
        self._alerts[alert.id] = alert
        self._changed_alerts.add(alert.id)
        for each in self._places(alert.id):
            group = self._groups.get(each)
            if group is not None and alert.id in group.members:
                group.members[alert.id] = alert
                self._changed_groups.add(each)

    def _lose(self, group: Roster, gone: Mapping[str, Alert], names: Unnaming, now_ns: int) -> list[Notice]:
        """Take erased alerts out of a group, and the group away where a label of it names what was erased."""
        notices: list[Notice] = []
        if group.lose(gone):
            state, notices = without(group.state, gone, group.members, now_ns)
            emptied_ns = 0 if group.members else state.emptied_ns or now_ns
            self._keep(group, msgspec.structs.replace(state, emptied_ns=emptied_ns))
        if names.labels(group.state.labels) != group.state.labels:
            self._keys.pop(group.state.key, None)
            for each in group.leaving:
                self._left.get(each, set()).discard(group.state.id)
            del self._groups[group.state.id]
            self._changed_groups.add(group.state.id)
        return notices

    def _find_homes(self, alert: Alert) -> tuple[Home, ...]:
        """Where an alert is told; nowhere if the routes that take it name no channel."""
        if alert.id not in self._homes:
            labels = labels_of(alert)
            routes = [route for route in self._root.find(labels) if route.channels or route.page]
            self._labels[alert.id] = labels
            self._homes[alert.id] = tuple(Home.of(route, alert.project, labels) for route in routes)
        return self._homes[alert.id]

    def _join(self, home: Home, alert: Alert) -> None:
        """Put a firing alert into its group, and bring the group's time forward where it need not wait."""
        group, route = self._groups.get(home.id), home.route
        if group is None or is_forgotten(group.state, self._now_ns):
            tick_ns = self._now_ns + route.group_wait_ns
            group = Roster(route, GroupState(home.id, route.key, alert.project, home.labels, tick_ns))
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

    def _look(self, group: Roster, now_ns: int) -> list[Notice]:
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
        muted = frozenset(each for each in labels if self._is_muted(labels[each], now_ns) or group.only_leaves(each))
        look = Look(state, route, Sight(group.members, labels, muted, self._is_quiet(route, now_ns), is_tick, at_ns))
        after = look.take(self._acknowledging)
        if is_tick:
            after = self._go_on(group, after, at_ns)
        self._keep(group, after)
        return look.notices

    def _go_on(self, group: Roster, state: GroupState, at_ns: int) -> GroupState:
        """After a tick: let go of members whose end nobody has to be told any more, and set the next one."""
        for each in group.let_go(state):
            self._left.get(each, set()).discard(state.id)
            self._drop_if_nowhere(each)
        emptied_ns = 0 if group.members else state.emptied_ns or at_ns
        return msgspec.structs.replace(
            state, tick_ns=at_ns + group.route.group_interval_ns, flushed=True, emptied_ns=emptied_ns
        )

    def _places(self, alert_id: str) -> list[str]:
        """The ids of all groups that an alert is in, or was."""
        return [*(home.id for home in self._homes[alert_id]), *sorted(self._left.get(alert_id, ()))]

    def _is_muted(self, labels: Mapping[str, str], now_ns: int) -> bool:
        return bool(self._inhibitor.inhibits(labels) or self._silences.silencing(labels, now_ns))

    def _is_quiet(self, route: Route, now_ns: int) -> bool:
        """Whether the route is muted at this time."""
        return mute(route, self._intervals, now_ns) is not None

    def _keep(self, group: Roster, state: GroupState) -> None:
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

    def _drop_if_nowhere(self, alert_id: str) -> None:
        """Forget an alert that does not fire and is in no group."""
        if isinstance(self._alerts[alert_id].state, Resolved) and not any(
            alert_id in self._groups[each].members for each in self._places(alert_id) if each in self._groups
        ):
            self._drop(alert_id)

    def _drop(self, alert_id: str) -> None:
        del self._alerts[alert_id], self._labels[alert_id], self._homes[alert_id]
        self._left.pop(alert_id, None)
        self._changed_alerts.add(alert_id)

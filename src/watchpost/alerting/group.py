"""A group of alerts that are told together: who was told what, and what each channel must be told now.

The state of a group is a frozen value that is stored with the notices it gave; the alerts themselves are held beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from watchpost.alerting.announcement import announce, conversation_key, digest, rank
from watchpost.alerting.route import Route
from watchpost.model.alert import Alert, Firing, Resolved
from watchpost.model.flag import SEVERITIES, Severity
from watchpost.model.notice import Notice, NoticeAction

IDS = frozenset[str]
NONE: IDS = frozenset()

FORGET_NS = 30 * 1_000_000_000
"""A group without alerts is forgotten after this time: the next alert waits for `group_wait` again. Source: Alertmanager, which looks every 30 s."""


class ChannelState(msgspec.Struct, frozen=True):
    """What one channel knows of a group: the alerts that fired in its last notice, and `owed`, told of earlier and not yet told to have ended.

    `version` counts its notices in this life of the group, and `at_ns` is when it was told last.
    """

    version: int = 0
    at_ns: int = 0
    firing: IDS = NONE
    owed: IDS = NONE

    @property
    def known(self) -> IDS:
        """The alerts that, for all this channel knows, still fire."""
        return self.firing | self.owed


class Acknowledged(msgspec.Struct, frozen=True):
    """Somebody is on these alerts, the gravest of which was of this severity."""

    by: str
    severity: Severity
    alerts: IDS
    announced: bool = False


class GroupState(msgspec.Struct, frozen=True):
    """All that is kept of a group but its alerts. `tick_ns` is when it is looked at next; a time that is 0 has not come yet.

    `opened_ns` is its first notice's time while some channel has been told of something that fires. `ended` are the members that do not fire any more.
    """

    id: str
    route: str
    project: str
    labels: dict[str, str]
    tick_ns: int
    flushed: bool = False
    seen_ns: int = 0
    emptied_ns: int = 0
    opened_ns: int = 0
    unacknowledged_ns: int = 0
    escalated: bool = False
    acknowledged: Acknowledged | None = None
    channels: dict[str, ChannelState] = {}
    ended: IDS = NONE

    @property
    def key(self) -> str:
        """What the notices of this life of the group are called; empty while nobody was told."""
        return conversation_key(self.id, self.opened_ns) if self.opened_ns else ""

    @property
    def known(self) -> IDS:
        """The alerts that some channel takes to be firing."""
        return NONE.union(*(channel.known for channel in self.channels.values()))


def group_id(route: Route, project: str, labels: Mapping[str, str]) -> str:
    """32 hexadecimal digits that are the same for the same node of the tree, project and labels."""
    return digest(route.key, project, *(part for label in sorted(labels.items()) for part in label))


def due_ns(state: GroupState, route: Route) -> int:
    """When the group must be looked at next."""
    times = [state.tick_ns]
    if state.emptied_ns:
        times.append(state.emptied_ns + FORGET_NS)
    if state.acknowledged and not state.acknowledged.announced:
        times.append(0)
    escalation_ns = _escalation_ns(state, route)
    if escalation_ns > state.seen_ns:
        times.append(escalation_ns)
    return min(times)


def is_forgotten(state: GroupState, now_ns: int) -> bool:
    """Whether the group has been without alerts for so long that the next one begins it anew."""
    return bool(state.emptied_ns) and now_ns >= state.emptied_ns + FORGET_NS


def joins_at_once(state: GroupState, route: Route, alert: Alert, now_ns: int) -> bool:
    """Whether an alert that is new to the group need not wait for the group's time.

    A group that was never looked at does not wait for an alert that has fired for longer than `group_wait`. Where `group_wait` is 0,
    neither does a critical alert wait for the interval of a group that is under way.
    """
    if not state.flushed:
        return isinstance(alert.state, Firing) and alert.state.fired_ns + route.group_wait_ns < now_ns
    return route.group_wait_ns == 0 and alert.event.severity == "critical"


def knowing_only(state: GroupState, members: IDS) -> GroupState:
    """The group where alerts that are told elsewhere now are none of its channels' business any more."""
    channels = {
        name: msgspec.structs.replace(channel, firing=channel.firing & members, owed=channel.owed & members)
        for name, channel in state.channels.items()
    }
    kept = msgspec.structs.replace(state, channels=channels)
    return kept if kept.known else _closed(kept)


def no_later(state: GroupState, route: Route, now_ns: int) -> GroupState:
    """The group where the clock has been set back: nothing in it lies in the future but its next tick, one wait away at most."""
    channels = {
        name: msgspec.structs.replace(channel, at_ns=min(channel.at_ns, now_ns))
        for name, channel in state.channels.items()
    }
    wait_ns = route.group_interval_ns if state.flushed else route.group_wait_ns
    return msgspec.structs.replace(
        state,
        tick_ns=min(state.tick_ns, now_ns + wait_ns),
        seen_ns=min(state.seen_ns, now_ns),
        emptied_ns=min(state.emptied_ns, now_ns),
        unacknowledged_ns=min(state.unacknowledged_ns, now_ns),
        channels=channels,
    )


def _escalation_ns(state: GroupState, route: Route) -> int:
    """When the group is escalated unless somebody acknowledges; 0 where that does not come."""
    waits = route.escalate_after_ns and state.opened_ns and not state.escalated and not state.acknowledged
    return state.unacknowledged_ns + route.escalate_after_ns if waits else 0


class Sight(msgspec.Struct, frozen=True):
    """A group at the moment it is looked at: its members, those that nobody is to be told of now, and whether its time has come.

    `labels` are those that a member is matched by. `quiet` says that the route is muted at this time altogether.
    """

    members: Mapping[str, Alert]
    labels: Mapping[str, Mapping[str, str]]
    muted: IDS
    quiet: bool
    is_tick: bool
    at_ns: int


class Look:
    """One look at a group, which gives notices and the state after them. Decides only; the same sight always gives the same."""

    def __init__(self, state: GroupState, route: Route, sight: Sight) -> None:
        self._route = route
        self._sight = sight
        self._before = state
        self._channels = dict(state.channels)
        self._opened_ns = state.opened_ns
        self._acknowledged = state.acknowledged
        told = [alert_id for alert_id in sight.members if alert_id not in sight.muted]
        self._firing = frozenset(each for each in told if not isinstance(sight.members[each].state, Resolved))
        self._ended = frozenset(told) - self._firing
        self.notices: list[Notice] = []

    def take(self, acknowledging: IDS) -> GroupState:
        """Fill `notices` and answer with the state after them. `acknowledging` are the channels that are told who acknowledged."""
        state, sight = self._before, self._sight
        is_broken = False
        if not sight.quiet and sight.is_tick:
            is_broken = self._breaks_acknowledgement()
            if is_broken:
                self._acknowledged = None
            for channel in self._told_channels():
                self._tell(channel)
            for channel in self._former_channels():
                self._part(channel)
        escalated = state.escalated or self._escalate()
        self._announce_acknowledgement(acknowledging)
        unacknowledged_ns = sight.at_ns if is_broken or not state.opened_ns else state.unacknowledged_ns
        after = msgspec.structs.replace(
            state,
            seen_ns=sight.at_ns,
            opened_ns=self._opened_ns,
            unacknowledged_ns=unacknowledged_ns,
            escalated=escalated,
            acknowledged=self._acknowledged,
            channels=self._channels,
        )
        return after if after.known else _closed(after)

    def _told_channels(self) -> Iterator[str]:
        yield from self._route.channels
        yield from self._route.page
        if self._before.escalated:
            yield from self._later_channels()

    def _former_channels(self) -> list[str]:
        """Those that were told of something and are not told of anything new, in the order in which they first were."""
        told = frozenset(self._told_channels())
        return [channel for channel, state in self._channels.items() if channel not in told and state.known]

    def _later_channels(self) -> list[str]:
        at_once = {*self._route.channels, *self._route.page}
        return [channel for channel in self._route.escalate_to if channel not in at_once]

    def _fire_for(self, channel: str) -> IDS:
        if channel not in self._route.page:
            return self._firing
        return frozenset(each for each in self._firing if self._route.takes(channel, self._sight.labels[each]))

    def _tell(self, channel: str) -> None:
        state = self._channels.get(channel, ChannelState())
        firing = self._fire_for(channel)
        ended = self._ended & state.known
        action = self._action(state, firing, ended)
        if action in {"resolve", "no_word"}:
            self._close(channel, ended)
        elif action == "trigger":
            self._send(channel, action, firing | ended)
            owed = state.known - firing - ended
            self._channels[channel] = msgspec.structs.replace(self._channels[channel], firing=firing, owed=owed)

    def _part(self, channel: str) -> None:
        """Tell a channel the end once all that it was told of is over, and nothing else."""
        known = self._channels[channel].known
        if known <= self._ended:
            self._close(channel, known)

    def _close(self, channel: str, ended: IDS) -> None:
        """End the conversation: what is silenced and goes on firing opens another when its silence ends."""
        self._send(channel, self._end(ended), ended)
        self._channels[channel] = ChannelState(version=self._channels[channel].version, at_ns=self._sight.at_ns)

    def _action(self, state: ChannelState, firing: IDS, ended: IDS) -> NoticeAction | None:
        if not firing:
            return self._end(ended) if ended else None
        if ended or not firing <= state.firing or self._is_graver(firing):
            return "trigger"
        is_repeat = state.at_ns + self._route.repeat_interval_ns <= self._sight.at_ns
        return "trigger" if is_repeat and self._acknowledged is None else None

    def _end(self, ended: IDS) -> NoticeAction:
        """How a conversation ends: as over only where everything in it is known to be."""
        states = (self._sight.members[each].state for each in ended)
        return "no_word" if any(isinstance(state, Resolved) and state.no_word for state in states) else "resolve"

    def _breaks_acknowledgement(self) -> bool:
        """Whether what fires is graver than what was acknowledged: an alert has joined, or a severity has risen."""
        held = self._acknowledged
        if held is None:
            return False
        firing = NONE.union(*(self._fire_for(channel) for channel in self._told_channels()))
        return not firing <= held.alerts or self._is_graver(firing)

    def _is_graver(self, firing: IDS) -> bool:
        """Whether one of these is more severe than what somebody had acknowledged."""
        held = self._before.acknowledged
        return held is not None and any(
            rank(self._sight.members[each]) < SEVERITIES.index(held.severity) for each in firing
        )

    def _escalate(self) -> bool:
        """Tell the later channels, once, if it is time and something fires that may be told."""
        sight = self._sight
        escalation_ns = _escalation_ns(self._before, self._route)
        if not escalation_ns or escalation_ns > sight.at_ns or sight.quiet or not self._firing:
            return False
        for channel in self._later_channels():
            self._tell(channel)
        return True

    def _announce_acknowledgement(self, acknowledging: IDS) -> None:
        held = self._acknowledged
        if held is None or held.announced:
            return
        for channel, state in list(self._channels.items()):
            if channel in acknowledging and state.known:
                self._send(channel, "acknowledge", state.known, held.by)
        self._acknowledged = msgspec.structs.replace(held, announced=True)

    def _send(self, channel: str, action: NoticeAction, alerts: IDS, by: str = "") -> None:
        self._opened_ns = self._opened_ns or self._sight.at_ns
        key = conversation_key(self._before.id, self._opened_ns)
        state = self._channels.get(channel, ChannelState())
        members = [self._sight.members[each] for each in alerts]
        self.notices.append(announce(key, channel, state.version + 1, action, members, by))
        self._channels[channel] = msgspec.structs.replace(state, version=state.version + 1, at_ns=self._sight.at_ns)


def _closed(state: GroupState) -> GroupState:
    """The group once nobody takes anything in it to be firing: its next notice begins another life."""
    return msgspec.structs.replace(
        state, opened_ns=0, unacknowledged_ns=0, escalated=False, acknowledged=None, channels={}
    )

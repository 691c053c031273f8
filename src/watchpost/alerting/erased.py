"""A group of alerts once some of them were erased."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from watchpost.alerting.announcement import announce
from watchpost.alerting.group import ChannelState, GroupState, knowing_only
from watchpost.model.alert import Alert, AlertState, Firing, Pending, Resolved
from watchpost.model.notice import Notice
from watchpost.model.unnaming import Unnaming


class Erased(msgspec.Struct, frozen=True):
    """The alerts that were about what is erased and that fired, as they ended, and what is to be told at once."""

    alerts: list[Alert]
    notices: list[Notice]


def unnamed(alert: Alert, names: Unnaming) -> Alert:
    """An alert without what is erased."""
    return msgspec.structs.replace(alert, labels=names.labels(alert.labels), event=names.event(alert.event))


def told_apart(alerts: Iterable[Alert], names: Unnaming, now_ns: int) -> tuple[dict[str, Alert], list[Alert]]:
    """The alerts that are about what is erased, as they end, by id, and of the others those in which it stood. All without names."""
    gone: dict[str, Alert] = {}
    kept: list[Alert] = []
    for alert in alerts:
        clean = unnamed(alert, names)
        if clean.labels != alert.labels:
            gone[alert.id] = msgspec.structs.replace(clean, state=_over(alert.state, now_ns))
        elif clean != alert:
            kept.append(clean)
    return gone, kept


def _over(state: AlertState, now_ns: int) -> AlertState:
    match state:
        case Firing(since_ns, fired_ns):
            return Resolved(since_ns, fired_ns, now_ns)
        case Pending() | Resolved():
            return state


def without(
    state: GroupState, gone: Mapping[str, Alert], left: Collection[str], now_ns: int
) -> tuple[GroupState, list[Notice]]:
    """A group without alerts that were erased, and what that makes it tell.

    `gone` are these, without names, and `left` the ids of its other members. A channel that takes nothing else in it to be firing hears that it is over, whether or not
    anybody is to be told of anything now: later there is nothing left to say it of. The others hear of those that went no more.
    """
    notices: list[Notice] = []
    channels: dict[str, ChannelState] = {}
    for name, channel in state.channels.items():
        ended = [gone[each] for each in channel.known if each in gone]
        channels[name] = channel
        if ended and not channel.known.intersection(left):
            notices.append(announce(state.key, name, channel.version + 1, "resolve", ended))
            channels[name] = ChannelState(version=channel.version + 1, at_ns=now_ns)
    return knowing_only(msgspec.structs.replace(state, channels=channels), frozenset(left)), notices

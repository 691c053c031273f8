"""What a channel is told about a group of alerts, as a notice of bounded size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from watchpost.model.alert import Alert, Firing, Pending, Resolved
from watchpost.model.flag import SEVERITIES
from watchpost.model.notice import Notice, NoticeAction, Told, ToldStatus, timestamp

LISTED = 100
"""At most this many alerts stand in one notice."""

_STATUSES: tuple[ToldStatus, ...] = ("firing", "no_word", "resolved")


def conversation_key(group_id: str, opened_ns: int) -> str:
    """32 hexadecimal digits for one life of a group, from its first notice to its last."""
    return digest(group_id, str(opened_ns))


def rank(alert: Alert) -> int:
    """How grave an alert is; 0 is the gravest."""
    return SEVERITIES.index(alert.event.severity)


def announce(  # noqa: PLR0917  each is a part of the notice
    key: str, channel: str, version: int, action: NoticeAction, alerts: Sequence[Alert], by: str = ""
) -> Notice:
    """The notice that says how these alerts, at least one, stand. The same key, channel and version always give the same id."""
    order = sorted(alerts, key=_order)
    return Notice(
        id=digest(key, channel, str(version)),
        channel=channel,
        event=order[0].event,
        action=action,
        key=key,
        alerts=[_told(alert) for alert in order[:LISTED]],
        by=by,
        omitted=max(0, len(order) - LISTED),
    )


def _order(alert: Alert) -> tuple[int, int, int, str]:
    """Those that fire first, and those of which there is no word before those that are over; then the gravest, then those that have fired longest."""
    return _STATUSES.index(_status(alert)), rank(alert), _started_ns(alert), alert.id


def _status(alert: Alert) -> ToldStatus:
    match alert.state:
        case Resolved(no_word=True):
            return "no_word"
        case Resolved():
            return "resolved"
        case Pending() | Firing():
            return "firing"


def _told(alert: Alert) -> Told:
    ended_ns = alert.state.resolved_ns if isinstance(alert.state, Resolved) else None
    return Told(
        alert_id=alert.id,
        status=_status(alert),
        labels=alert.labels,
        event=alert.event,
        started_at=timestamp(_started_ns(alert)),
        ended_at="" if ended_ns is None else timestamp(ended_ns),
    )


def _started_ns(alert: Alert) -> int:
    match alert.state:
        case Pending(since_ns):
            return since_ns
        case Firing(fired_ns=fired_ns) | Resolved(fired_ns=fired_ns):
            return fired_ns


def digest(*parts: str) -> str:
    """32 hexadecimal digits that are the same for the same parts."""
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()

"""How much of a notice any channel is sent: text from traces has no end of its own."""

from __future__ import annotations

import msgspec

from watchpost.alerting.plain_text import cut
from watchpost.model.notice import AlertEvent, ErrorContext, Notice, Told

TEXT = 1000
STACK_TRACE = 20_000
SESSIONS = 20
LABELS = 64
ALERTS = 100


class Bounded(msgspec.Struct, frozen=True):
    """A notice of bounded size that can be encoded, and how many of its alerts were left out."""

    notice: Notice
    more: int


def bounded(notice: Notice, alerts: int = ALERTS) -> Bounded:
    """The notice with every text cut to `TEXT` characters, at most `SESSIONS` sessions and the first `alerts` alerts. Id and key stay whole."""
    kept = msgspec.structs.replace(
        notice,
        event=_event(notice.event),
        alerts=[_told(told) for told in notice.alerts[:alerts]],
        by=cut(notice.by, TEXT),
    )
    return Bounded(kept, notice.omitted + len(notice.alerts) - len(kept.alerts))


def _told(told: Told) -> Told:
    labels = {cut(name, TEXT): cut(value, TEXT) for name, value in list(told.labels.items())[:LABELS]}
    return msgspec.structs.replace(told, labels=labels, event=_event(told.event))


def _event(event: AlertEvent) -> AlertEvent:
    error = event.error and _error(event.error)
    sessions = [cut(key, TEXT) for key in event.sessions[:SESSIONS]]
    return msgspec.structs.replace(event, **_texts(event), sessions=sessions, error=error)


def _error(error: ErrorContext) -> ErrorContext:
    return msgspec.structs.replace(error, **{**_texts(error), "stack_trace": cut(error.stack_trace, STACK_TRACE)})


def _texts(of: msgspec.Struct) -> dict[str, object]:
    """The fields that are text, cut."""
    return {name: cut(value, TEXT) for name, value in msgspec.structs.asdict(of).items() if isinstance(value, str)}

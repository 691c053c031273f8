"""How alerts stand, what was told of them, and what people said: written with the flow's cursor, read by pages and after a restart.

Every engine passes the same battery, `tests/store/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from watchpost.model.alert import Alert
from watchpost.model.silence import Silence
from watchpost.query.alerts import AlertFilter


class AlertGroup(msgspec.Struct, frozen=True):
    """What is remembered of a group of alerts that somebody is told about together; `body` is the dispatcher's own."""

    id: str
    project: str
    key: str
    body: bytes


class AcknowledgedAlert(msgspec.Struct, frozen=True):
    """Somebody said at a time that they are on an alert."""

    id: str
    at_ns: int
    by: str


class AlertNews(msgspec.Struct, frozen=True):
    """What one batch changed.

    `alerts` are those whose state changed, as of `changed_ns`; `lapsed` the ids of those that were pending and are not any more. `dispatched` are
    those that somebody was told of, or is to be, `undispatched` those of which nobody need be told anything more; `groups` and `disbanded` likewise.
    `acknowledged` are kept for good: they say of an alert that is over whether it was worth telling.
    """

    changed_ns: int = 0
    alerts: Sequence[Alert] = ()
    lapsed: Sequence[str] = ()
    dispatched: Sequence[Alert] = ()
    undispatched: Sequence[str] = ()
    groups: Sequence[AlertGroup] = ()
    disbanded: Sequence[str] = ()
    silences: Sequence[Silence] = ()
    acknowledged: Sequence[AcknowledgedAlert] = ()


class StandingAlert(msgspec.Struct, frozen=True):
    """An alert as it stands, and when it last changed."""

    alert: Alert
    changed_ns: int


class AlertMemory(Protocol):
    """What alerting goes on from after a restart."""

    def standing(self) -> list[Alert]:
        """Every alert that is pending or fires."""
        ...

    def dispatched(self) -> list[Alert]:
        """Every alert that somebody was told of, or is to be."""
        ...

    def alert_groups(self) -> list[AlertGroup]:
        """Every group that is remembered."""
        ...

    def silences(self, ended_after_ns: int) -> list[Silence]:
        """Every silence that ends later than this, by their ids; 0 for all there ever were."""
        ...


class AlertReader(Protocol):
    """Alerts, as pages and the API show them."""

    def alerts(self, wanted: AlertFilter) -> list[StandingAlert]:
        """At most `wanted.limit` alerts that fire, are pending or have fired, the latest change first (`changed_ns`, then id, descending)."""
        ...

    def alert(self, alert_id: str) -> StandingAlert | None:
        """One of them."""
        ...

    def alert_history(self, alert_id: str, limit: int) -> list[StandingAlert]:
        """How it stood after each of its last changes, at most so many, the latest first."""
        ...

    def acknowledged(self, alert_id: str) -> list[AcknowledgedAlert]:
        """When somebody said that they are on it, the earliest first."""
        ...

"""What somebody must be told, and how its delivery stands."""

from __future__ import annotations

from typing import Literal

import msgspec

from watchpost.model.flag import Severity

DeliveryState = Literal["waiting", "delivered", "failed"]


class AlertEvent(msgspec.Struct, frozen=True):
    """Where to look. `timestamp` is ISO 8601 in UTC with a Z; `sessions` are keys of example sessions."""

    timestamp: str
    service: str
    metric: str
    tool: str
    value: float
    threshold: float
    window: str
    severity: Severity
    owner: str
    runbook: str
    sessions: list[str]
    summary: str
    rule: str


class Notice(msgspec.Struct, frozen=True):
    """One message to one channel. `id` derives from rule, subject and channel, and stays the same over retries."""

    id: str
    channel: str
    event: AlertEvent


class Due(msgspec.Struct, frozen=True):
    """A notice to deliver now; `attempts` counts the tries already made."""

    notice: Notice
    attempts: int


class Receipt(msgspec.Struct, frozen=True):
    """How one try went. `retry_at_ns` is set only while `state` is waiting."""

    notice_id: str
    state: DeliveryState
    detail: str
    tried_ns: int
    retry_at_ns: int = 0

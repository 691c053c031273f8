"""What somebody must be told, and how its delivery stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from watchpost.model.flag import Severity

DeliveryState = Literal["waiting", "delivered", "failed"]

AlertStatus = Literal["firing", "resolved"]

ToldStatus = Literal["firing", "resolved", "no_word"]

NoticeAction = Literal["trigger", "acknowledge", "resolve", "no_word"]
"""The last says that the conversation is over though nobody knows whether what it was about is."""


class ErrorContext(msgspec.Struct, frozen=True):
    """The failed step behind an event; text is empty and `step` 0 where it does not say.

    `error_type` is of the taxonomy, `stack_trace` is as the agent's runtime wrote it, `step` is the number shown when this was written.
    """

    error_type: str
    message: str
    agent_name: str = ""
    conversation_id: str = ""
    user_id: str = ""
    model: str = ""
    tool_name: str = ""
    step: int = 0
    environment: str = ""
    release: str = ""
    stack_trace: str = ""


class AlertEvent(msgspec.Struct, frozen=True):
    """Where to look. `timestamp` is ISO 8601 in UTC with a Z; `sessions` are keys of example sessions.

    `error` is the failed step where the event is about one.
    """

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
    error: ErrorContext | None = None


class Told(msgspec.Struct, frozen=True):
    """How one alert of a group stands, in a notice. `ended_at` is empty while it fires; both times are ISO 8601 in UTC with a Z."""

    alert_id: str
    status: ToldStatus
    labels: dict[str, str]
    event: AlertEvent
    started_at: str
    ended_at: str = ""


class Notice(msgspec.Struct, frozen=True):
    """One message to one channel about a group of alerts. `id` derives from what is told and to whom, and stays the same over retries.

    `event` is that of the gravest alert. `key` names the group over its whole life: all notices of one key are one conversation, one
    PagerDuty alert, one Slack thread. `alerts` are all of the group, those that ended since the last notice among them, the gravest first;
    of a great many only the first ones, and `omitted` says how many more there are. `by` is who acknowledged. One with a `change`, by name
    what is known of a release, is about that and no alert; only channels that ask for changes get it.
    """

    id: str
    channel: str
    event: AlertEvent
    action: NoticeAction = "trigger"
    key: str = ""
    alerts: list[Told] = []
    by: str = ""
    omitted: int = 0
    change: dict[str, str] = {}

    @property
    def conversation(self) -> str:
        """What all notices about the same thing share: the key, or where there is none the id of this one, which then stands alone."""
        return self.key or self.id


class Due(msgspec.Struct, frozen=True):
    """A notice to deliver now; `attempts` counts the tries already made.

    `handle` is what the channel called the first notice of the same conversation that it took, empty where it took none. A conversation
    ends with its resolve: what is triggered again afterwards begins a new one.
    """

    notice: Notice
    attempts: int
    handle: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """How one try went. `retry_at_ns` is set only while `state` is waiting; `handle` is what the channel calls what was delivered."""

    notice_id: str
    state: DeliveryState
    detail: str
    tried_ns: int
    retry_at_ns: int = 0
    handle: str = ""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(at_ns: int) -> str:
    """Unix nanoseconds as events write them, ISO 8601 in UTC with milliseconds, cut and not rounded: `2026-11-05T08:00:00.123Z`."""
    moment = _EPOCH + timedelta(milliseconds=at_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

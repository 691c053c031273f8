"""PagerDuty's Events API v2, as its documentation says it answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from receiver import Request, Service, answer

ROUTING_KEY = "0123456789abcdef0123456789ABCDEF"
LARGEST = 512 * 1024

Text = Annotated[str, Meta(min_length=1)]


class Link(msgspec.Struct, forbid_unknown_fields=True):
    href: Annotated[str, Meta(pattern="^https?://")]
    text: str = ""


class Payload(msgspec.Struct, forbid_unknown_fields=True):
    summary: Annotated[str, Meta(min_length=1, max_length=1024)]
    source: Text
    severity: Literal["critical", "error", "warning", "info"]
    timestamp: datetime | None = None
    component: Text = "-"
    group: Text = "-"
    class_: Text = msgspec.field(default="-", name="class")
    custom_details: dict[str, object] = {}


class Enqueued(msgspec.Struct, forbid_unknown_fields=True):
    routing_key: Annotated[str, Meta(min_length=32, max_length=32)]
    event_action: Literal["trigger", "acknowledge", "resolve"]
    dedup_key: Annotated[str, Meta(min_length=1, max_length=255)]
    payload: Payload | None = None
    client: str = ""
    client_url: Annotated[str, Meta(pattern="^https?://")] = "https://x"
    links: list[Link] = []


class Change(msgspec.Struct, forbid_unknown_fields=True):
    summary: Annotated[str, Meta(min_length=1, max_length=1024)]
    source: Text = "-"
    timestamp: datetime | None = None
    custom_details: dict[str, object] = {}


class ChangeEnqueued(msgspec.Struct, forbid_unknown_fields=True):
    """Only services take these: the key of a ruleset begins with R."""

    routing_key: Annotated[str, Meta(min_length=32, max_length=32, pattern="^[^R]")]
    payload: Change
    links: list[Link] = []


class PagerDutyService(Service):
    """`alerts` says how each stands, by its deduplication key; a trigger after a resolve opens a new one. `changes` are as they came."""

    def __init__(self, *faults: bytes) -> None:
        super().__init__(*faults)
        self.alerts: dict[str, list[str]] = {}
        self.events: list[Enqueued] = []
        self.changes: list[ChangeEnqueued] = []

    def judge(self, request: Request) -> bytes:
        line, headers, body = request
        if line == "POST /v2/change/enqueue HTTP/1.1" and headers["content-type"] == "application/json":
            return self._change(body)
        if line != "POST /v2/enqueue HTTP/1.1" or headers["content-type"] != "application/json":
            return self.refuse(line, "404 Not Found")
        if len(body) > LARGEST:
            return self.refuse("too large", "413 Payload Too Large")
        try:
            event = msgspec.json.decode(body, type=Enqueued)
        except msgspec.DecodeError as error:
            return self.refuse(f"invalid event: {error}")
        if event.routing_key != ROUTING_KEY or (event.event_action == "trigger") != (event.payload is not None):
            return self.refuse("invalid event: routing key or payload")
        self.events.append(event)
        self.told.append((event.dedup_key, event.event_action))
        alerts = self.alerts.setdefault(event.dedup_key, [])
        is_open = bool(alerts) and alerts[-1] != "resolve"
        if is_open:
            alerts[-1] = event.event_action
        elif event.event_action == "trigger":
            alerts.append("trigger")
        said = {"status": "success", "message": "Event processed", "dedup_key": event.dedup_key}
        return answer("202 Accepted", body=msgspec.json.encode(said))

    def _change(self, body: bytes) -> bytes:
        if len(body) > LARGEST:
            return self.refuse("too large", "413 Payload Too Large")
        try:
            change = msgspec.json.decode(body, type=ChangeEnqueued)
        except msgspec.DecodeError as error:
            return self.refuse(f"invalid change: {error}")
        if change.routing_key != ROUTING_KEY:
            return self.refuse("invalid change: routing key")
        self.changes.append(change)
        said = {"status": "success", "message": "Change event processed"}
        return answer("202 Accepted", body=msgspec.json.encode(said))

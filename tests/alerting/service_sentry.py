"""Sentry's envelope endpoint: one event in an envelope, each event once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from receiver import Request, Service, answer

Tag = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\n]*$")]


class Frame(msgspec.Struct):
    filename: str
    lineno: int
    function: str


class Stack(msgspec.Struct):
    frames: Annotated[list[Frame], Meta(min_length=1)]


class Thrown(msgspec.Struct):
    type: str
    value: str
    stacktrace: Stack | None = None


class Exceptions(msgspec.Struct):
    values: Annotated[list[Thrown], Meta(min_length=1)]


class Event(msgspec.Struct, forbid_unknown_fields=True):
    event_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    timestamp: datetime
    level: Literal["fatal", "error", "warning", "info", "debug"]
    platform: Literal["other"]
    environment: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\n/]*$")]
    tags: dict[Annotated[str, Meta(max_length=32)], Tag]
    contexts: dict[str, dict[str, object]]
    extra: dict[str, object]
    fingerprint: list[str]
    sdk: dict[str, object]
    logger: str = ""
    release: Annotated[str, Meta(max_length=200, pattern=r"^[^\n/]*$")] = ""
    server_name: Literal[""] = ""
    exception: Exceptions | None = None
    logentry: dict[str, object] | None = None
    meta: dict[str, object] | None = msgspec.field(default=None, name="_meta")


class SentryService(Service):
    """`events` by id, as the project has them; `told` names each time that one came."""

    def __init__(self, *faults: bytes) -> None:
        super().__init__(*faults)
        self.events: dict[str, Event] = {}

    def judge(self, request: Request) -> bytes:
        line, headers, body = request
        if line != "POST /api/7/envelope/ HTTP/1.1" or "sentry_key=pub1ic" not in headers.get("x-sentry-auth", ""):
            return self.refuse(line, "403 Forbidden")
        head, item, rest = body.split(b"\n", 2)
        described = msgspec.json.decode(item, type=dict[str, object])
        if described.get("type") != "event" or rest.count(b"\n") > 1:
            return self.refuse(f"items: {item!r}")
        try:
            event = msgspec.json.decode(rest.rstrip(b"\n"), type=Event)
        except msgspec.DecodeError as error:
            return self.refuse(str(error))
        if msgspec.json.decode(head, type=dict[str, object])["event_id"] != event.event_id:
            return self.refuse("event_id")
        self.events[event.event_id] = event
        self.told.append((event.event_id, event.level))
        return answer("200 OK", body=msgspec.json.encode({"id": event.event_id}))

"""Alertmanager's `POST /api/v2/alerts`, with what it refuses."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from receiver import Request, Service, answer

Name = Annotated[str, Meta(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")]


class Posted(msgspec.Struct, forbid_unknown_fields=True):
    labels: Annotated[dict[Name, str], Meta(min_length=1)]
    annotations: dict[Name, str] = {}
    startsAt: datetime | None = None  # noqa: N815  the name that the API gives it
    endsAt: datetime | None = None  # noqa: N815  the name that the API gives it
    generatorURL: Annotated[str, Meta(pattern="^https?://")] = "http://x"  # noqa: N815  the name that the API gives it


class AlertmanagerService(Service):
    """`alerts` are the latest of each set of labels."""

    def __init__(self, *faults: bytes) -> None:
        super().__init__(*faults)
        self.alerts: dict[tuple[tuple[str, str], ...], Posted] = {}

    def judge(self, request: Request) -> bytes:
        line, headers, body = request
        if line != "POST /am/api/v2/alerts HTTP/1.1" or headers.get("authorization") != "Bearer t0ken":
            return self.refuse(line, "401 Unauthorized")
        try:
            posted = msgspec.json.decode(body, type=list[Posted])
        except msgspec.DecodeError as error:
            return self.refuse(str(error))
        for one in posted:
            if not any(one.labels.values()):
                return self.refuse("at least one label pair required")
            if one.startsAt and one.endsAt and one.startsAt > one.endsAt:
                return self.refuse("start time must be before end time")
        for one in posted:
            identity = tuple(sorted((name, value) for name, value in one.labels.items() if value))
            self.alerts[identity] = one
            self.told.append((str(identity), str(one.endsAt)))
        return answer("200 OK")

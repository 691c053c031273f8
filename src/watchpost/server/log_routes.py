"""The routes of log lines: all of them, and those of one session."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from watchpost.query.logs import LogFilter
from watchpost.server.api import Ago, JsonResponse, Limit, Now, Since, Text, described
from watchpost.server.log_answers import LinesAnswer, read_log_cursor
from watchpost.server.problem import ParameterError
from watchpost.server.search import LONGEST, Search, hexadecimal, window
from watchpost.server.unpriced import since_ns

SEVERITIES: Mapping[str, int] = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
"""The least SeverityNumber of each of OTLP's names."""

_STEP = re.compile(r"[0-9a-f]{16}")
_MOST_ATTRIBUTES = 10

Attribute = Annotated[list[str] | None, Query(description="NAME=VALUE; may be repeated")]


def log_filter(asked: Mapping[str, str], now_ns: int, attributes: Sequence[str] = (), limit: int = 100) -> LogFilter:
    """The filter that parameters by their names ask for at a moment; an empty value is no condition. Raises `ParameterError`."""
    for name, value in asked.items():
        if len(value) > LONGEST:
            raise ParameterError(name, f"longer than {LONGEST} characters")
    since, until = window(asked.get("since", ""), asked.get("until", ""), now_ns)
    received = asked.get("received_since", "")
    return LogFilter(
        project=asked.get("project", ""),
        trace_id=hexadecimal("trace", asked.get("trace", "")),
        span_id=hexadecimal("step", asked.get("step", ""), _STEP),
        event_name=asked.get("event", ""),
        severity=_severity(asked.get("severity", "")),
        attributes=tuple(map(_attribute, filter(None, _few(attributes)))),
        text=asked.get("text", ""),
        since_ns=since,
        until_ns=until,
        received_since_ns=max(since_ns(received, "received_since"), 1) if received else 0,
        before=read_log_cursor(asked.get("cursor", "")),
        limit=limit,
    )


def _severity(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= 24:
        return int(text)
    if text and text.lower() not in SEVERITIES:
        raise ParameterError("severity", f"it is one of {', '.join(SEVERITIES)}, or OTLP's number, 1 to 24")
    return SEVERITIES.get(text.lower(), 0)


def _few(attributes: Sequence[str]) -> Sequence[str]:
    if len(attributes) > _MOST_ATTRIBUTES:
        raise ParameterError("attribute", f"more than {_MOST_ATTRIBUTES}")
    return attributes


def _attribute(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ParameterError("attribute", "it is NAME=VALUE")
    if len(text) > LONGEST:
        raise ParameterError("attribute", f"longer than {LONGEST} characters")
    return name, value


def wanted_lines(
    *,
    now_ns: Now,
    project: Text = "",
    trace: Text = "",
    step: Text = "",
    event: Text = "",
    severity: Text = "",
    attribute: Attribute = None,
    text: Text = "",
    since: Ago = "",
    until: Since = "",
    received_since: Since = "",
    cursor: Text = "",
    limit: Limit = 100,
) -> LogFilter:
    """The filter that a query string asks for."""
    asked = {
        "project": project,
        "trace": trace,
        "step": step,
        "event": event,
        "severity": severity,
        "text": text,
        "since": since,
        "until": until,
        "received_since": received_since,
        "cursor": cursor,
    }
    return log_filter(asked, now_ns, attribute or (), limit)


WantedLines = Annotated[LogFilter, Depends(wanted_lines)]


def router(search: Search) -> APIRouter:
    """The routes under `/api`. They read the stores, so they are plain functions, which run in worker threads."""
    routes = APIRouter(prefix="/api", default_response_class=JsonResponse)

    @routes.get("/logs", responses=described(LinesAnswer))
    def logs(wanted: WantedLines) -> Response:
        """Log lines, the latest first."""
        return JsonResponse(search.lines(wanted))

    @routes.get("/sessions/{key}/logs", responses=described(LinesAnswer, 308, 404))
    def logs_of_session(key: str, wanted: WantedLines) -> Response:
        """The log lines of a session, the latest first."""
        return JsonResponse(search.lines_of(key, wanted))

    return routes

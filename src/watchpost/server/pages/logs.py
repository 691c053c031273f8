"""The pages of log lines: all, and those of one session."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from watchpost.query.logs import LogFilter
from watchpost.server.answers import moment
from watchpost.server.log_answers import LinesAnswer
from watchpost.server.log_routes import SEVERITIES, WantedLines
from watchpost.server.pages.asked import EVER, Asked, Condition
from watchpost.server.pages.rendering import rendered
from watchpost.server.search import Search

CALLED = {
    "text": "text",
    "severity": "at least",
    "event": "event",
    "trace": "trace",
    "step": "step",
    "project": "project",
    "since": "since",
    "until": "until",
}
"""What parameters are called on the page, in the order in which they are shown."""

SHORTCUTS = (
    ("Warnings and above", "severity", "warn"),
    ("Errors", "severity", "error"),
    ("Last hour", "since", "1h"),
    ("24 hours", "since", "24h"),
)

_SHAPES = {"fatal": "critical", "error": "error", "warn": "warning", "info": "info", "debug": "info", "trace": "info"}
"""Which severity of flags looks like one of OTLP's."""


def router(search: Search, now_ns: Callable[[], int]) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/logs")
    def logs(request: Request, wanted: WantedLines) -> Response:
        return _shown(request, search.lines(wanted), wanted, moment(now_ns()))

    @routes.get("/sessions/{key}/logs")
    def logs_of_session(request: Request, key: str, wanted: WantedLines) -> Response:
        return _shown(request, search.lines_of(key, wanted), wanted, moment(now_ns()), key)

    return routes


def severity_of(number: int) -> tuple[str, str]:
    """What OTLP calls a SeverityNumber, with the number where it is not the first of its four, and the shape it has; empty for none."""
    name = next((name for name, least in reversed([*SEVERITIES.items()]) if number >= least), "")
    beyond = number - SEVERITIES[name] if name else 0
    return (f"{name}{beyond + 1}" if beyond else name), _SHAPES.get(name, "")


def _shown(request: Request, page: LinesAnswer, wanted: LogFilter, now: str | None, key: str = "") -> Response:
    """Log lines, of one session where there is a key."""
    given = {name: value for name in CALLED if (value := request.query_params.get(name))}
    path = f"/sessions/{key}/logs" if key else "/logs"
    attributes = [f"{name}={value}" for name, value in wanted.attributes]
    asked = Asked(path, given, tuple(("attribute", each) for each in attributes))
    shortcuts = asked.shortcuts(SHORTCUTS)
    received = request.query_params.get("received_since", "")
    return rendered(
        "logs.html",
        page=page,
        key=key,
        path=path,
        asked={name: given.get(name, "") for name in CALLED},
        attributes=attributes,
        conditions=[
            *asked.conditions(CALLED, besides=shortcuts),
            *(Condition("attribute", each[1], _without(asked, each).address()) for each in asked.also),
        ],
        shortcuts=shortcuts,
        severities=[(name, f"{name} and above") for name in SEVERITIES],
        severity_of=severity_of,
        filtered=bool(given or attributes or received),
        later=wanted.before is not None,
        first_page=asked.address(received_since=received),
        next_page=asked.address(received_since=received, limit=str(wanted.limit), cursor=page.next)
        if page.next
        else None,
        further=asked.address(received_since=EVER),
        now=now,
    )


def _without(asked: Asked, attribute: tuple[str, str]) -> Asked:
    return msgspec.structs.replace(asked, also=tuple(each for each in asked.also if each != attribute))

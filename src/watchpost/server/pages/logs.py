"""The pages of log lines: all, and those of one session."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from watchpost.query.logs import LogFilter
from watchpost.server.log_answers import LinesAnswer
from watchpost.server.log_routes import SEVERITIES, WantedLines
from watchpost.server.pages.rendering import rendered
from watchpost.server.search import Search

_FILTERS = ("project", "trace", "step", "event", "severity", "text", "since", "until", "received_since")
_EVER = "1970-01-01T00:00:00Z"


def router(search: Search) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/logs")
    def logs(request: Request, wanted: WantedLines) -> Response:
        return _shown(request, search.lines(wanted), wanted)

    @routes.get("/sessions/{key}/logs")
    def logs_of_session(request: Request, key: str, wanted: WantedLines) -> Response:
        return _shown(request, search.lines_of(key, wanted), wanted, key)

    return routes


def _shown(request: Request, page: LinesAnswer, wanted: LogFilter, key: str = "") -> Response:
    """Log lines, of one session where there is a key."""
    asked = {name: request.query_params.get(name, "") for name in _FILTERS}
    given: dict[str, str | list[str]] = {name: value for name, value in asked.items() if value}
    given |= {"attribute": found} if (found := request.query_params.getlist("attribute")) else {}
    more = {**given, "limit": str(wanted.limit), "cursor": page.next or ""}
    return rendered(
        "logs.html",
        page=page,
        key=key,
        asked=asked,
        severities=SEVERITIES,
        filtered=bool(given),
        later=wanted.before is not None,
        first_page="?" + urlencode(given, doseq=True),
        next_page="?" + urlencode(more, doseq=True) if page.next else None,
        further="?" + urlencode({**given, "received_since": _EVER}, doseq=True),
    )

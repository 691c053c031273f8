"""The list of sessions."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from watchpost.server.api import Anything, Wanted
from watchpost.server.pages.rendering import rendered
from watchpost.server.search import Search

_FILTERS = ("project", "session_id", "state", "outcome", "workflow", "user_id", "service", "org_id", "feature", "release", "trace", "entity", "text", "text_since", "flag", "error", "since", "until")  # fmt: skip
_MATCHES = {
    "key": "the key of a session",
    "session_id": "a session id",
    "trace": "a trace id",
    "user_id": "a user",
    "entity": "what texts name",
    "text": "a text",
}
"""What was searched for, by what it was found as."""

_EVER = "1970-01-01T00:00:00Z"


def router(search: Search) -> APIRouter:
    """The route."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/sessions")
    def sessions(request: Request, wanted: Wanted, q: Anything = "") -> Response:
        page = search.sessions(wanted, q)
        asked = {name: request.query_params.get(name, "") for name in ("q", *_FILTERS)}
        given = {name: value for name, value in asked.items() if value}
        return rendered(
            "sessions.html",
            page=page,
            asked=asked,
            matches=_MATCHES,
            filtered=bool(given),
            later=wanted.before is not None,
            first_page="?" + urlencode(given),
            next_page="?" + urlencode({**given, "limit": wanted.limit, "cursor": page.next}) if page.next else None,
            further="?" + urlencode({**given, "text_since": _EVER}),
            address=f"{request.url.scheme}://{request.url.netloc}",
        )

    return routes

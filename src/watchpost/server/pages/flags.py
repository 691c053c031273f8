"""The list of flags, and how often each detector is right."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from watchpost.server.pages.rendering import rendered
from watchpost.server.review import Review
from watchpost.server.verdicts import WantedFlags

_FILTERS = ("project", "session_id", "kind", "tool", "state", "verdict", "since", "until")


def router(review: Review) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/flags")
    def flags(request: Request, wanted: WantedFlags) -> Response:
        page = review.page(wanted)
        asked = {name: request.query_params.get(name, "") for name in _FILTERS}
        given = {name: value for name, value in asked.items() if value}
        return rendered(
            "flags.html",
            page=page,
            asked=asked,
            filtered=bool(given),
            later=wanted.before is not None,
            first_page="?" + urlencode(given),
            next_page="?" + urlencode({**given, "limit": wanted.limit, "cursor": page.next}) if page.next else None,
        )

    @routes.get("/precision")
    def precision(project: Annotated[str, Query(max_length=1024)] = "") -> Response:
        return rendered("precision.html", found=review.precision(project))

    return routes

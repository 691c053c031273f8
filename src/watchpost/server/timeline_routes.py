"""The route of a session's steps as columns."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from watchpost.server.api import After, JsonResponse, described
from watchpost.server.archive import Archive
from watchpost.server.timeline import MOST_STEPS, TimelineAnswer


def router(archive: Archive) -> APIRouter:
    """The route under `/api`."""
    routes = APIRouter(prefix="/api", default_response_class=JsonResponse)

    @routes.get("/sessions/{key}/timeline", responses=described(TimelineAnswer, 308, 404))
    def timeline(
        key: str, after: After = 0, limit: Annotated[int, Query(ge=1, le=MOST_STEPS)] = MOST_STEPS
    ) -> Response:
        """The steps of a session as columns, to be drawn along a time axis."""
        return JsonResponse(archive.timeline(key, after, limit))

    return routes

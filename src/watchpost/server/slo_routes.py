"""The route by which service level objectives are looked at."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from watchpost.server.api import JsonResponse, described
from watchpost.server.slos import Slos, SlosAnswer


def router(slos: Slos) -> APIRouter:
    """The route."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/slos", responses=described(SlosAnswer))
    def every() -> Response:
        """How every service level objective stands."""
        return JsonResponse(slos.every())

    return routes

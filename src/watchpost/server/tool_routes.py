"""The route by which the tools of agents are looked at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from watchpost.server.api import JsonResponse, Text, described
from watchpost.server.tools import Tools, ToolsAnswer

Moment = Annotated[str, Query(max_length=64, description="As for measures: the last 24 hours where nothing is said")]


def router(tools: Tools) -> APIRouter:
    """The route. It reads the stores, so it is a plain function, which runs in a worker thread."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/tools", responses=described(ToolsAnswer))
    def every(project: Text = "", since: Moment = "", until: Moment = "") -> Response:
        """The tools of which a contract is known or that were called, the worst first."""
        return JsonResponse(tools.every(project, since, until))

    return routes

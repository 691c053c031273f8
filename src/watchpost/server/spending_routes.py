"""The route of spending."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from watchpost.server.api import JsonResponse, Text, described
from watchpost.server.spending import By, Spending, SpendingAnswer


def router(spending: Spending) -> APIRouter:
    """The route. It reads the store, so it is a plain function, which runs in worker threads."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/spending", responses=described(SpendingAnswer))
    def spent(
        project: Text = "",
        workflow: Text = "",
        by: By = "",
        day: Annotated[str, Query(max_length=64, description="Such as 2026-11-20, today or yesterday")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 20,
    ) -> Response:
        """What a day cost so far, against days before it, and what it will have cost by its end."""
        return JsonResponse(spending.answer(project, by, day, limit, workflow))

    return routes

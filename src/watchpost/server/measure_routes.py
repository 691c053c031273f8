"""The routes of measures."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from watchpost.query.measures import FLAG_DIMENSIONS
from watchpost.server.api import JsonResponse, described
from watchpost.server.measure_parameters import OF_POINTS, OF_SESSIONS
from watchpost.server.measures import ContributorsAnswer, MeasuredAnswer, Measures, MeasuresAnswer

_MEANS = {
    "since": "ISO 8601, UTC unless it says otherwise, or `today` or `yesterday`; empty for 24 hours before `until`",
    "until": "As `since`; empty for now",
    "step": "A duration such as 10m, or `auto` for one that suits the window; empty for one point",
    "by": "Up to three dimensions, joined by commas",
    "quantile": "Such as 0.95 or p95",
    "compare": "`previous`, by how much earlier the window is that it is compared with, such as 7d, or `release:` and an id",
    "top": "How many groups are told apart",
    "part": "`all`, or `over` for what stands above a ratio's line",
    "cursor": "`next` of the page before",
    "limit": "1 to 1000, 50 unless given",
}


def router(measures: Measures) -> APIRouter:
    """The routes under `/api/measures`. They read the stores, so they are plain functions, which run in worker threads."""
    routes = APIRouter(prefix="/api/measures", default_response_class=JsonResponse)

    @routes.get("", responses=described(MeasuresAnswer))
    def catalogue() -> Response:
        """Every measure, with its unit, tier, dimensions, meaning and formula."""
        return JsonResponse(measures.catalogue())

    @routes.get("/{name}", responses=described(MeasuredAnswer), openapi_extra=_parameters(OF_POINTS))
    def measured(name: str, request: Request) -> Response:
        """What a measure comes to, by group and step of time."""
        return JsonResponse(measures.answer(name, request.query_params.multi_items()))

    @routes.get("/{name}/sessions", responses=described(ContributorsAnswer), openapi_extra=_parameters(OF_SESSIONS))
    def sessions(name: str, request: Request) -> Response:
        """The sessions behind one point."""
        return JsonResponse(measures.sessions(name, request.query_params.multi_items()))

    return routes


def _parameters(names: tuple[str, ...]) -> dict[str, object]:
    """How the parameters are described; which dimensions a measure has is in the catalogue."""
    text = {"type": "string"}
    known = [{"name": name, "in": "query", "description": _MEANS[name], "schema": text} for name in names]
    named = [
        {
            "name": name,
            "in": "query",
            "description": "Exact; several are any of them",
            "schema": {"type": "array", "items": text},
        }
        for name in FLAG_DIMENSIONS
    ]
    return {"parameters": [*known, *named]}

"""The routes by which filters of sessions are kept under a name, called otherwise and forgotten: for programs, and for the forms of pages."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from watchpost.server.api import JsonResponse, described
from watchpost.server.cohorts import CohortAnswer, CohortGiven, Cohorts, CohortsAnswer, filter_of
from watchpost.server.json_body import body_of, read_form, read_json


class _NamedFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the form sends by which a filter is kept; the filter as it stands in an address."""

    name: str
    filter: str


class _Name(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the form sends by which a cohort is called otherwise."""

    name: str


def router(cohorts: Cohorts) -> APIRouter:
    """The routes. What a form did is shown by the page of sessions, with the cohort's filter in force."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/cohorts", responses=described(CohortsAnswer))
    def every() -> Response:
        """Every cohort, by name."""
        return JsonResponse(cohorts.all())

    @routes.post("/api/cohorts", responses=described(CohortAnswer), openapi_extra=body_of(CohortGiven))
    async def save(request: Request) -> Response:
        """Keep a filter of sessions under a name."""
        given = await read_json(request, CohortGiven)
        return JsonResponse(await run_in_threadpool(cohorts.save, given))

    @routes.delete("/api/cohorts/{cohort_id}", responses=described(CohortsAnswer, 404))
    def drop(cohort_id: str) -> Response:
        """Forget a cohort; the others are the answer."""
        cohorts.drop(cohort_id)
        return JsonResponse(cohorts.all())

    @routes.post("/cohorts", include_in_schema=False)
    async def save_from_page(request: Request) -> Response:
        given = await read_form(request, _NamedFilter)
        kept = await run_in_threadpool(cohorts.save, CohortGiven(given.name, filter_of(given.filter)))
        return RedirectResponse(f"/sessions?{kept.query}", 303)

    @routes.post("/cohorts/{cohort_id}", include_in_schema=False)
    async def rename_from_page(request: Request, cohort_id: str) -> Response:
        given = await read_form(request, _Name)
        kept = await run_in_threadpool(cohorts.rename, cohort_id, given.name)
        return RedirectResponse(f"/sessions?{kept.query}", 303)

    @routes.post("/cohorts/{cohort_id}/delete", include_in_schema=False)
    def drop_from_page(cohort_id: str) -> Response:
        cohorts.drop(cohort_id)
        return RedirectResponse("/sessions", 303)

    return routes

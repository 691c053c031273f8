"""The routes by which releases are listed, told of and taken back, and versions are compared."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.ingest.request import OverloadedError
from watchpost.model.fact import ReleaseTold, Retraction
from watchpost.model.release import ReleaseKind
from watchpost.query.releases import ReleaseFilter
from watchpost.server.api import Cursor, JsonResponse, Limit, Text, described
from watchpost.server.archive import read_cursor
from watchpost.server.json_body import body_of, read_json
from watchpost.server.release_versions import By, Versions, VersionsAnswer
from watchpost.server.releases import ReleaseAnswer, ReleaseBook, ReleaseGiven, ReleasesAnswer, RetractionGiven

Moment = Annotated[
    str, Query(max_length=64, description="ISO 8601, UTC unless it says otherwise; or `today` or `yesterday`")
]


def router(book: ReleaseBook, versions: Versions) -> APIRouter:
    """The routes. Those that only read the stores are plain functions, which run in worker threads."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/releases", responses=described(ReleasesAnswer))
    def releases(
        *,
        project: Text = "",
        workflow: Text = "",
        kind: ReleaseKind | Literal[""] = "",
        since: Moment = "",
        until: Moment = "",
        retracted: bool = False,
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> Response:
        """Releases, the latest first."""
        wanted = ReleaseFilter(
            (project,) if project else (),
            (workflow,) if workflow else (),
            kind,
            book.moment_ns(since, "since"),
            book.moment_ns(until, "until"),
            retracted,
            read_cursor(cursor),
            limit,
        )
        return JsonResponse(book.page(wanted))

    @routes.get("/api/releases/{release_id}", responses=described(ReleaseAnswer, 404))
    def release(release_id: str) -> Response:
        """One release, taken back or not."""
        return JsonResponse(book.one(release_id))

    @routes.post("/api/releases", responses=described(ReleaseAnswer), openapi_extra=body_of(ReleaseGiven))
    async def tell(request: Request) -> Response:
        """Tell of a release. 200 once it holds; 202 where it is on disk and will."""
        return await _give(book, book.told(await read_json(request, ReleaseGiven)))

    @routes.post(
        "/api/releases/{release_id}/retract",
        responses=described(ReleaseAnswer, 404),
        openapi_extra=body_of(RetractionGiven),
    )
    async def retract(request: Request, release_id: str) -> Response:
        """Say that a release was none. 200 once that holds; 202 where it is on disk and will."""
        given = await read_json(request, RetractionGiven)
        return await _give(book, await run_in_threadpool(book.retraction, release_id, given))

    @routes.get("/api/versions", responses=described(VersionsAnswer))
    def compared(
        *,
        project: Text = "",
        workflow: Text = "",
        by: By = "release",
        since: Moment = "",
        until: Moment = "",
        limit: Annotated[int, Query(ge=1, le=50)] = 20,
    ) -> Response:
        """What each version costs and how well it does."""
        return JsonResponse(versions.answer(project, workflow, by, since, until, limit))

    return routes


async def _give(book: ReleaseBook, said: ReleaseTold | Retraction) -> Response:
    try:
        answer, holds = await book.give(said)
    except OverloadedError as error:
        raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error
    return JsonResponse(answer, 200 if holds else 202)

"""The routes by which sessions and users are erased, and erasures are told of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.ingest.request import OverloadedError
from watchpost.server.api import JsonResponse, described
from watchpost.server.erasure import (
    ErasureAnswer,
    ErasureAsked,
    ErasureDesk,
    ErasureGiven,
    ErasuresAnswer,
)
from watchpost.server.json_body import body_of, read_json

WAIT_S = 2.0
"""How long an answer waits until what is erased is hidden."""


def router(desk: ErasureDesk) -> APIRouter:
    """The routes. Those that only read the stores are plain functions, which run in worker threads."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/erasures", responses=described(ErasuresAnswer))
    def erasures() -> Response:
        """The latest erasures."""
        return JsonResponse(desk.every())

    @routes.get("/api/erasures/{erasure_id}", responses=described(ErasureAnswer, 404))
    def erasure(erasure_id: str) -> Response:
        """How far one is, and how many rows went."""
        return JsonResponse(desk.one(erasure_id))

    @routes.post("/api/erasures", responses=described(ErasureAsked, 404), openapi_extra=body_of(ErasureGiven))
    async def erase(request: Request) -> Response:
        """Erase a session or everything of a user. 202: it is on disk and will be done; 200 with what is meant for a `dry_run`."""
        given = await read_json(request, ErasureGiven)
        if given.dry_run:
            return JsonResponse(await run_in_threadpool(desk.meant, given))
        return await _give(desk, given)

    @routes.delete("/api/sessions/{key}", responses=described(ErasureAsked, 404))
    async def erase_session(
        key: str,
        by: Annotated[str, Query(max_length=1024, description="Who asks for it")] = "",
        reason: Annotated[str, Query(max_length=4096, description="Why")] = "",
    ) -> Response:
        """Erase one session. 202: it is on disk and will be done."""
        return await _give(desk, await run_in_threadpool(desk.of_session, key, by, reason))

    return routes


async def _give(desk: ErasureDesk, given: ErasureGiven) -> Response:
    try:
        return JsonResponse(await desk.give(given, WAIT_S), 202)
    except OverloadedError as error:
        raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error

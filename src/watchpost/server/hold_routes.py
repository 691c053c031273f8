"""The routes by which the trace of a session is held as evidence, and released."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.ingest.request import OverloadedError
from watchpost.model.fact import Hold
from watchpost.server.api import JsonResponse, described
from watchpost.server.archive import Archive
from watchpost.server.json_body import body_of, read_json
from watchpost.server.kept_traces import HoldAnswer, HoldGiven, KeptTraces
from watchpost.server.review import Notebook

WAIT_S = 5.0
"""How long an answer waits for what was said to hold."""


def router(archive: Archive, traces: KeptTraces, notes: Notebook, now_ns: Callable[[], int]) -> APIRouter:
    """The routes."""
    routes = APIRouter(default_response_class=JsonResponse)

    async def say(request: Request, key: str, *, released: bool) -> Response:
        given = await read_json(request, HoldGiven)
        project, session_id = await run_in_threadpool(archive.session_ref, key)
        hold = Hold(project, session_id, given.by, given.note, now_ns(), released)
        try:
            holds = await notes.settled(await notes.note((hold,)), WAIT_S)
        except OverloadedError as error:
            raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error
        return JsonResponse(await run_in_threadpool(traces.answer, hold), 200 if holds else 202)

    @routes.post("/api/sessions/{key}/hold", responses=described(HoldAnswer, 404), openapi_extra=body_of(HoldGiven))
    async def hold(request: Request, key: str) -> Response:
        """Hold a session's trace as evidence. 200 once it is held; 202 where that is on disk and will be so."""
        return await say(request, key, released=False)

    @routes.post("/api/sessions/{key}/release", responses=described(HoldAnswer, 404), openapi_extra=body_of(HoldGiven))
    async def release(request: Request, key: str) -> Response:
        """Let the ordinary terms hold again for a session's trace; answers as `hold` does."""
        return await say(request, key, released=True)

    return routes

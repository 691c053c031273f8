"""The routes by which flags are listed, confirmed and dismissed, and the precision that follows from it is asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from watchpost.ingest.request import OverloadedError
from watchpost.query.flags import FlagFilter
from watchpost.server.answers import FlagDetail, FlagsAnswer
from watchpost.server.api import Ago, Cursor, JsonResponse, Limit, Now, Text, described
from watchpost.server.archive import read_cursor
from watchpost.server.json_body import body_of, read_form, read_json
from watchpost.server.review import KindsAnswer, PrecisionsAnswer, Review, VerdictGiven
from watchpost.server.search import window


def flag_filter(
    *,
    now_ns: Now,
    project: Text = "",
    session_id: Text = "",
    kind: Text = "",
    tool: Text = "",
    state: Literal["", "provisional", "confirmed", "withdrawn"] = "",
    verdict: Literal["", "confirm", "dismiss", "none"] = "",
    since: Ago = "",
    until: Annotated[str, Query(max_length=64, description="ISO 8601, as `since`; itself not included")] = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> FlagFilter:
    """The filter that a query string asks for; an empty value is no condition."""
    bounds = window(since, until, now_ns)
    return FlagFilter(
        project=project,
        session_id=session_id,
        kind=kind,
        tool=tool,
        state=state,
        verdict=verdict,
        since_ns=bounds[0],
        until_ns=bounds[1],
        before=read_cursor(cursor),
        limit=limit,
    )


WantedFlags = Annotated[FlagFilter, Depends(flag_filter)]
SessionKey = Annotated[str, Query(max_length=1024, description="The key of a session")]


class _VerdictSaid(VerdictGiven, frozen=True, forbid_unknown_fields=True):
    """What a page's form sends. `listed` is what the list of flags was asked for, where it was said there."""

    listed: str | None = None


def router(review: Review) -> APIRouter:
    """The routes. Those that only read the stores are plain functions, which run in worker threads."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/flags", responses=described(FlagsAnswer, 404))
    def flags(wanted: WantedFlags, session: SessionKey = "") -> Response:
        """Flags of all sessions, the latest first."""
        return JsonResponse(review.page(wanted, session))

    @routes.get("/api/flag-kinds", responses=described(KindsAnswer))
    def kinds(wanted: WantedFlags) -> Response:
        """How many of the latest flags are of which kind."""
        return JsonResponse(review.kinds(wanted))

    @routes.get("/api/flags/{flag_id}", responses=described(FlagDetail, 404))
    def flag(flag_id: str) -> Response:
        """One flag with every verdict about it."""
        return JsonResponse(review.flag(flag_id))

    @routes.post(
        "/api/flags/{flag_id}/verdict", responses=described(FlagDetail, 404), openapi_extra=body_of(VerdictGiven)
    )
    async def verdict(request: Request, flag_id: str) -> Response:
        """Confirm or dismiss a flag. 200 once the verdict holds; 202 where it is on disk and will."""
        given = await read_json(request, VerdictGiven)
        answer, holds = await _give(review, flag_id, given)
        return JsonResponse(answer, 200 if holds else 202)

    @routes.get("/api/precision", responses=described(PrecisionsAnswer))
    def precision(project: Text = "") -> Response:
        """How often each kind of flag is right, by what people said."""
        return JsonResponse(review.precision(project))

    @routes.post("/flags/{flag_id}/verdict", include_in_schema=False)
    async def say(request: Request, flag_id: str) -> Response:
        said = await read_form(request, _VerdictSaid)
        answer, _ = await _give(review, flag_id, VerdictGiven(said.verdict, said.by, said.note))
        shown = f"/sessions/{answer.session}" if said.listed is None else f"/flags?{said.listed}"
        return RedirectResponse(f"{shown}#flag-{answer.id}", 303)

    return routes


async def _give(review: Review, flag_id: str, given: VerdictGiven) -> tuple[FlagDetail, bool]:
    try:
        return await review.give(flag_id, given)
    except OverloadedError as error:
        raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error

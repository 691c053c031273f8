"""The routes by which alerts, rules and silences are looked at, and by which people say that they are on it, or ask for quiet."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.ingest.request import OverloadedError
from watchpost.model.flag import Severity
from watchpost.query.alerts import AlertFilter
from watchpost.server.alerts import (
    AcknowledgementGiven,
    AlertDetail,
    Alerts,
    AlertsAnswer,
    SilenceAnswer,
    SilenceGiven,
    SilencesAnswer,
    StateName,
)
from watchpost.server.api import Cursor, JsonResponse, Limit, Text, described
from watchpost.server.archive import read_cursor
from watchpost.server.json_body import body_of, read_json
from watchpost.server.rule_answers import RulesAnswer

Answer = TypeVar("Answer", bound=msgspec.Struct)


def router(alerts: Alerts) -> APIRouter:
    """The routes. Those that only read the stores are plain functions, which run in worker threads."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/alerts", responses=described(AlertsAnswer))
    def page(
        *,
        project: Text = "",
        rule: Text = "",
        state: StateName | Literal[""] = "",
        severity: Severity | Literal[""] = "",
        cursor: Cursor = "",
        limit: Limit = 50,
    ) -> Response:
        """Alerts that are pending, fire or have fired, the latest change first."""
        return JsonResponse(alerts.page(AlertFilter(project, rule, state, severity, read_cursor(cursor), limit)))

    @routes.get("/api/alerts/{alert_id}", responses=described(AlertDetail, 404))
    def one(alert_id: str) -> Response:
        """One alert with its history."""
        return JsonResponse(alerts.one(alert_id))

    @routes.post(
        "/api/alerts/{alert_id}/acknowledge",
        responses=described(AlertDetail, 404),
        openapi_extra=body_of(AcknowledgementGiven),
    )
    async def acknowledge(request: Request, alert_id: str) -> Response:
        """Say that somebody is on it: nobody is told again until it gets graver. 200 once that holds; 202 where it is on disk and will."""
        return await _said(alerts.acknowledge(alert_id, await read_json(request, AcknowledgementGiven)))

    @routes.get("/api/rules", responses=described(RulesAnswer))
    def rules() -> Response:
        """Every rule at work, in words, and how many of its alerts are pending and fire."""
        return JsonResponse(alerts.rules())

    @routes.get("/api/silences", responses=described(SilencesAnswer))
    def silences(*, expired: bool = False) -> Response:
        """Silences that hold or are to come, and where asked for those that are over."""
        return JsonResponse(alerts.silences(expired=expired))

    @routes.post("/api/silences", responses=described(SilenceAnswer), openapi_extra=body_of(SilenceGiven))
    async def silence(request: Request) -> Response:
        """Ask for quiet about some alerts for a while. 200 once that holds; 202 where it is on disk and will."""
        return await _said(alerts.silence(await read_json(request, SilenceGiven)))

    @routes.delete("/api/silences/{silence_id}", responses=described(SilenceAnswer, 404))
    async def expire(silence_id: str, by: Annotated[str, Query(max_length=200)] = "") -> Response:
        """End a silence now. 200 once that holds; 202 where it is on disk and will."""
        return await _said(alerts.expire(silence_id, by))

    return routes


async def _said(saying: Awaitable[tuple[Answer, bool]]) -> Response:
    with let_in():
        answer, holds = await saying
    return JsonResponse(answer, 200 if holds else 202)


@contextmanager
def let_in() -> Iterator[None]:
    """Answer 503 with Retry-After for what is to be said again later."""
    try:
        yield
    except OverloadedError as error:
        raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error

"""The routes by which Slack, PagerDuty and other Alertmanagers say something. Nobody is listened to without a secret."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.server.alert_routes import let_in
from watchpost.server.api import JsonResponse, described
from watchpost.server.inbound import Inbound, TakenAnswer
from watchpost.server.json_body import FORM, read_body

SMALL, LARGE = 1 << 20, 4 << 20
"""Bytes that are read of one incident or button, and of a webhook of an Alertmanager."""


def router(inbound: Inbound) -> APIRouter:
    """The routes. All answer as soon as what was said is on disk, and do not wait until it holds: senders have little patience."""
    routes = APIRouter(prefix="/api/inbound", default_response_class=JsonResponse)

    @routes.post("/slack")
    async def slack(request: Request) -> Response:
        """A button that was pressed in Slack."""
        _check_set(inbound.secrets.slack, "inbound.slack_signing_secret")
        body = await read_body(request, SMALL, FORM)
        _check_sender(inbound.is_slack(request.headers, body), "this was not signed by Slack, or not just now")
        with let_in():
            await inbound.slack(body)
        return Response()

    @routes.post("/pagerduty")
    async def pagerduty(request: Request) -> Response:
        """An event of a PagerDuty webhook subscription (v3)."""
        _check_set(inbound.secrets.pagerduty, "inbound.pagerduty_secrets")
        body = await read_body(request, SMALL)
        signatures = request.headers.get("x-pagerduty-signature", "")
        _check_sender(inbound.is_pagerduty(signatures, body), "no signature in X-PagerDuty-Signature is ours")
        with let_in():
            await inbound.pagerduty(body)
        return Response()

    @routes.post("/alertmanager", responses=described(TakenAnswer, 401, 403))
    async def alertmanager(
        request: Request, project: Annotated[str, Query(min_length=1, max_length=128)] = "default"
    ) -> Response:
        """Alerts of another Alertmanager, by its webhook (version 4)."""
        _check_set(inbound.secrets.alertmanager, "inbound.alertmanager_token")
        _check_sender(
            inbound.is_alertmanager(request.headers.get("authorization", "")), "the bearer token is not ours", "Bearer"
        )
        with let_in():
            taken = await inbound.alertmanager(await read_body(request, LARGE), project)
        return JsonResponse(TakenAnswer(taken))

    return routes


def _check_set(secret: object, setting: str) -> None:
    if not secret:
        raise HTTPException(403, f"nothing is taken from here until `{setting}` is set")


def _check_sender(is_known: bool, reason: str, scheme: str = "Signature") -> None:
    if not is_known:
        raise HTTPException(401, reason, {"www-authenticate": scheme})

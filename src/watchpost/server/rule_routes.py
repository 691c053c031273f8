"""The routes by which a single rule is looked at, and who was told of an alert."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from watchpost.server.alerts import Alerts
from watchpost.server.api import JsonResponse, described
from watchpost.server.notices import NoticeLog, NoticesAnswer
from watchpost.server.rule_book import RuleBook, RuleDetail


def router(book: RuleBook, alerts: Alerts, notices: NoticeLog) -> APIRouter:
    """The routes. They read the stores, so they run in worker threads. They stand after those of `/api/rules/` that have names of their own."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/rules/{name}", responses=described(RuleDetail, 404))
    def one(name: str) -> Response:
        """One rule at work, in words and as its file says it."""
        return JsonResponse(book.one(name))

    @routes.get("/api/alerts/{alert_id}/notices", responses=described(NoticesAnswer, 404))
    def told(alert_id: str) -> Response:
        """Who was told of an alert, when and by which channel."""
        alerts.one(alert_id)
        return JsonResponse(notices.about(alert_id))

    return routes

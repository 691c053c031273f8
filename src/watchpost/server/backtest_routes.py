"""The routes that try rules over what is stored, and that say which rules tell too much."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.ingest.request import OverloadedError
from watchpost.server.api import JsonResponse, Text, described
from watchpost.server.backtest import Backtests
from watchpost.server.backtest_answers import BacktestAnswer, BacktestGiven, ReviewAnswer
from watchpost.server.json_body import body_of, read_json
from watchpost.server.rule_review import RuleReviews

_BODY_LIMIT = 4 * 1024 * 1024

Since = Annotated[str, Query(max_length=64, description="ISO 8601, UTC unless it says otherwise, or how long: 7d")]
Until = Annotated[str, Query(max_length=64, description="ISO 8601, UTC unless it says otherwise; now if empty")]


def router(backtests: Backtests, reviews: RuleReviews) -> APIRouter:
    """The routes. They read the stores and compute, so they run in worker threads."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/rules/backtest", responses=described(BacktestAnswer))
    def backtest(*, since: Since = "7d", until: Until = "", rule: Text = "", propose: bool = False) -> Response:
        """What the rules at work would have told of a stretch of history."""
        return _answered(backtests, BacktestGiven(since=since, until=until, rule=rule, propose=propose))

    @routes.post("/api/rules/backtest", responses=described(BacktestAnswer), openapi_extra=body_of(BacktestGiven))
    async def try_out(request: Request) -> Response:
        """What other rules would have told, and how right any were by labelled incidents."""
        given = await read_json(request, BacktestGiven, _BODY_LIMIT)
        return await run_in_threadpool(_answered, backtests, given)

    @routes.get("/api/rules/review", responses=described(ReviewAnswer))
    def review(since: Since = "7d", until: Until = "") -> Response:
        """What became of the alerts of each rule, and what would make it quieter."""
        return JsonResponse(reviews.answer(since, until))

    return routes


def _answered(backtests: Backtests, given: BacktestGiven) -> Response:
    try:
        return JsonResponse(backtests.answer(given))
    except OverloadedError as error:
        raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error

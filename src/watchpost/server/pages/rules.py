"""The pages of rules: which fire, which are noisy, which never spoke; and one rule with what it would have said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from watchpost.alerting.message import is_web
from watchpost.ingest.request import OverloadedError
from watchpost.model.flag import SEVERITIES
from watchpost.query.alerts import AlertFilter
from watchpost.server.alerts import Alerts
from watchpost.server.answers import moment
from watchpost.server.backtest import Backtests
from watchpost.server.backtest_answers import BacktestGiven, RuleBacktest, RuleReview
from watchpost.server.glance import Glance
from watchpost.server.measures import Measures
from watchpost.server.pages.alerts import many_sessions
from watchpost.server.pages.rendering import rendered
from watchpost.server.pages.rule_chart import DAY_NS, NS, Drawn, lately
from watchpost.server.pages.runbook import blocks
from watchpost.server.problem import ParameterError
from watchpost.server.rule_answers import RuleAnswer
from watchpost.server.rule_book import RuleBook
from watchpost.server.rule_review import RuleReviews

NOISY = 0.5
"""A rule of whose alerts nobody acknowledged so many, or more, is noisy where something is suggested."""

ALERTS = 30
"""Alerts of one rule that are listed."""

WAIT_S = 0.5

BACK = ("1d", "3d", "7d", "14d", "30d")
"""How far back a rule can be tried from its page."""

Show = Literal["", "firing", "noisy", "silent", "objectives"]


class Shelf(msgspec.Struct, frozen=True):
    """What the pages are made from."""

    alerts: Alerts
    rules: RuleBook
    reviews: RuleReviews
    backtests: Backtests
    measures: Measures
    glance: Glance
    now_ns: Callable[[], int]


class Row(msgspec.Struct, frozen=True):
    """One rule: how it stands, how often it fired in 7 and in 30 days, and what became of that in the latter; None where it never spoke."""

    rule: RuleAnswer
    week: int
    month: int
    review: RuleReview | None

    @property
    def is_noisy(self) -> bool:
        """Whether it tells what nobody acts on, and something can be done about it."""
        return self.review is not None and bool(self.review.suggestions) and self.review.ignored_share >= NOISY


class Tried(msgspec.Struct, frozen=True):
    """What a back-test came to: its `result`, or why there is none."""

    days: str
    result: RuleBacktest | None
    seconds: float
    fault: str


def router(shelf: Shelf) -> APIRouter:
    """The routes. They read the stores, so they are plain functions, which run in worker threads."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/rules")
    def page(show: Show = "") -> Response:
        rows = _rows(shelf)
        shown = {
            "": rows,
            "firing": [row for row in rows if row.rule.firing or row.rule.pending],
            "noisy": [row for row in rows if row.is_noisy],
            "silent": [row for row in rows if row.review is None],
        }
        slos = shelf.glance.slos.answer("", WAIT_S) if show == "objectives" else None
        return rendered(
            "rules.html",
            show=show,
            rows=shown.get(show, []),
            counts={name: len(found) for name, found in shown.items()},
            slos=slos.value.slos if slos else None,
            is_web=is_web,
        )

    @routes.get("/rules/{name}")
    def one(name: str, backtest: Annotated[str, Query(max_length=8)] = "") -> Response:
        found = shelf.rules.one(name)
        tried = _tried(shelf, name, backtest) if backtest else None
        every = shelf.alerts.page(AlertFilter(rule=name, limit=ALERTS))
        review = next((each for each in shelf.reviews.answer("30d", "").rules if each.rule == name), None)
        return rendered(
            "rule.html",
            found=found,
            review=review,
            standing=[alert for alert in every.alerts if not alert.resolved_at],
            over=[alert for alert in every.alerts if alert.resolved_at],
            more=bool(every.next),
            tried=tried,
            back=BACK,
            drawn=_drawn(shelf, name, tried),
            runbook=blocks(found.runbook_text),
            is_web=is_web,
            many_sessions=many_sessions,
            now=moment(shelf.now_ns()),
        )

    return routes


def _rows(shelf: Shelf) -> list[Row]:
    """Every rule: those that fire first, then those that are pending, then by how often they fired; the gravest first among equals."""
    month = {each.rule: each for each in shelf.reviews.answer("30d", "").rules}
    week = {each.rule: each.fired for each in shelf.reviews.answer("7d", "").rules}
    rows = [
        Row(rule, week.get(rule.name, 0), month[rule.name].fired if rule.name in month else 0, month.get(rule.name))
        for rule in shelf.alerts.rules().rules
    ]
    rows.sort(
        key=lambda row: (
            -row.rule.firing,
            -row.rule.pending,
            -row.month,
            SEVERITIES.index(row.rule.severity),
            row.rule.name,
        )
    )
    return rows


def _tried(shelf: Shelf, name: str, days: str) -> Tried:
    if days not in BACK:
        raise ParameterError("backtest", f"one of {', '.join(BACK)}")
    try:
        answer = shelf.backtests.answer(BacktestGiven(since=days, rule=name, propose=True))
    except OverloadedError as error:
        return Tried(days, None, 0.0, f"{error.detail}; try again in {error.retry_after_s} s")
    except ParameterError as error:
        return Tried(days, None, 0.0, str(error))
    return Tried(days, answer.rules[0], answer.seconds, "")


def _drawn(shelf: Shelf, name: str, tried: Tried | None) -> Drawn | None:
    """The last day, or all that the rule was tried on with the moments at which it would have fired."""
    figure = shelf.rules.figure(name)
    if figure is None:
        return None
    now_ns = shelf.now_ns()
    until_ns = now_ns - now_ns % (15 * NS)
    fewest_ns = 14 * figure.step_ns
    back_ns = max(DAY_NS, fewest_ns)
    fired: list[tuple[int, str]] = []
    if tried is not None and tried.result is not None:
        back_ns = max(int(tried.days.removesuffix("d")) * DAY_NS, fewest_ns)
        fired = [(_ns(episode.fired_at), "would fire") for episode in tried.result.episodes]
    try:
        return lately(shelf.measures, figure, (max(until_ns - back_ns, 0), until_ns), fired)
    except ParameterError:
        return None


def _ns(value: str | None) -> int:
    return round(datetime.fromisoformat(value).timestamp()) * NS if value else 0

"""The page of costs: today against yesterday and where it will end, day by day, by what it is told apart, against quality, and what has no price."""

from __future__ import annotations

from typing import Literal, get_args
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from watchpost.model.cost import UnpricedReason
from watchpost.query.catalogue import MEASURES
from watchpost.server.answers import moment
from watchpost.server.api import Text
from watchpost.server.glance import GROUPS, OFTEN_S, SELDOM_S, Course, Glance, Scope, Spent, VersionsAsked
from watchpost.server.kept import Patience
from watchpost.server.measures import MeasuredAnswer
from watchpost.server.pages.chart import change, chart_of
from watchpost.server.pages.figure import in_unit
from watchpost.server.pages.rendering import rendered
from watchpost.server.pages.scatter import scatter_of
from watchpost.server.release_versions import SHOWN, VersionsAnswer
from watchpost.server.release_versions import By as VersionBy
from watchpost.server.spending import By, SpendingAnswer

Apart = Literal["workflow", "model", "tool", "user_id", "feature_name", "org_id", "agent"]
Window = Literal["7", "14", "30", "90"]

WAIT_S = 0.5
"""How long a page waits for figures in all."""

MORE_GROUPS = 4
"""Groups that cost nothing today, beside those that did, however many those are."""

ANY: tuple[By, ...] = get_args(By)
"""By what costs may have been told apart before.

What today came to is the same by any.
"""

NAMES: dict[Apart, str] = {
    "workflow": "Workflow",
    "model": "Model",
    "tool": "Tool",
    "user_id": "User",
    "feature_name": "Feature",
    "org_id": "Organization",
    "agent": "Agent",
}
"""By what costs are told apart, and how that is called."""

VERSIONS: dict[VersionBy, tuple[str, str]] = {
    "release": ("Release", "release"),
    "model": ("Model", "session_model"),
    "prompt": ("Prompt", "session_prompt"),
}
"""Versions, how they are called, and by which dimension their sessions are asked for."""

_OF_SESSIONS: dict[Apart, str] = {
    "workflow": "workflow",
    "user_id": "user_id",
    "feature_name": "feature",
    "org_id": "org_id",
}
"""What the list of sessions can be filtered by, and how that is called there."""

_HEADS = {
    "cost_per_completed_session_usd": "Per completed",
    "completion_rate": "Completed",
    "feedback_positive_share": "Thumbs up",
    "tool_error_rate": "Tool calls failed",
    "workflow_duration_seconds": "Length, p95",
}

WHAT_TO_DO: dict[UnpricedReason, str] = {
    "no_model": "The call names no model. See what the framework's instrumentation can report.",
    "no_tokens": "Input or output tokens were not reported. Switch on usage reporting, which many providers leave out when they stream.",
    "contradiction": "The counts cannot be true, such as more cached tokens than input. Look at the raw attributes of a step.",
    "no_price": "No table has a price for it. Give it one of your own: prices in watchpost.toml.",
}
"""What can be done about calls without a price, by the reason."""


class Group(msgspec.Struct, frozen=True):
    """One row of the table of groups: what it cost today, its part of the dearest one, of 100; before; in the window; and where its sessions are."""

    name: str
    today: str | None
    width: float
    yesterday: str | None
    change: Markup
    per_session: str | None
    calls: int
    unpriced: int
    window: Markup
    href: str


class Version(msgspec.Struct, frozen=True):
    """One version and its measures, in the order of the heads; where each number is looked at closely."""

    name: str
    sessions: int
    values: list[tuple[str, Markup, str]]


def router(glance: Glance) -> APIRouter:
    """The route."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/costs")
    def page(
        *,
        project: Text = "",
        workflow: Text = "",
        days: Window = "14",
        by: Apart = "workflow",
        versions: VersionBy = "release",
    ) -> Response:
        scope, since = Scope(project, workflow), glance.since(int(days))
        spent_by, course, compared = (
            Spent(scope, by),
            Course(scope, "cost_usd", since),
            VersionsAsked(scope, versions, since),
        )
        # over many days the share of tools is worked out from all steps of their sessions: too dear for a page
        apart = Course(scope, "cost_usd", since, by) if by != "tool" else None
        glance.spent.begin(spent_by)
        glance.course.begin(course)
        glance.unpriced.begin((project, since))
        if apart:
            glance.course.begin(apart)
        glance.versions.begin(compared)
        patience = Patience(glance.now_ns, WAIT_S)
        spent = glance.spent.answer(spent_by, patience.left_s)
        # what today came to is the same by whatever it was told apart
        told = spent or next(filter(None, (glance.spent.last(Spent(scope, each)) for each in ANY)), None)
        daily = glance.course.answer(course, patience.left_s)
        unpriced = glance.unpriced.answer((project, since), patience.left_s)
        grouped = glance.course.answer(apart, patience.left_s) if apart else None
        found = glance.versions.answer(compared, patience.left_s)
        asked = {"project": project, "workflow": workflow, "days": days, "by": by, "versions": versions}
        is_coming = (
            glance.spent.is_coming(spent_by)
            or glance.course.is_coming(course)
            or glance.unpriced.is_coming((project, since))
            or (apart is not None and glance.course.is_coming(apart))
            or glance.versions.is_coming(compared)
        )
        return rendered(
            "costs.html",
            every=OFTEN_S if is_coming else SELDOM_S,
            asked=asked,
            windows=("7", "14", "30", "90"),
            names=NAMES,
            version_names={name: label for name, (label, _) in VERSIONS.items()},
            heads=[_HEADS[name] for name in SHOWN],
            address=lambda **changed: "/costs?" + _query({**asked, **changed}),
            spent=told.value if told else None,
            age=moment(told.ended_ns) if told else None,
            against=_against(told.value) if told else None,
            more=spent.value.more if spent else 0,
            chart=chart_of(daily.value, _points(scope), bars=True) if daily else None,
            daily=[(point, in_unit(point.value, "usd")) for point in daily.value.series[0].points] if daily else None,
            window=in_unit(daily.value.series[0].total.value, "usd") if daily else None,
            window_unpriced=daily.value.series[0].total.untold if daily else 0,
            groups=_groups(spent.value, grouped.value if grouped else None, by, since, scope) if spent else None,
            versions=_versions(found.value, versions, scope) if found else None,
            scatter=scatter_of(found.value) if found else None,
            unpriced=unpriced.value if unpriced else None,
            what_to_do=WHAT_TO_DO,
        )

    return routes


def _query(given: dict[str, str]) -> str:
    return urlencode({name: value for name, value in given.items() if value})


def _points(scope: Scope) -> str:
    """Where a day of the chart leads to."""
    return "/measures/cost_usd?since={since}&until={until}&step=1h&by=workflow" + ("&" + _query(scope.given())).rstrip(
        "&"
    )


def _against(spent: SpendingAnswer) -> dict[str, Markup]:
    """How today compares, by what it is compared with."""
    today = _dollars(spent.today.spent_usd)
    return {
        "yesterday": change(today, _dollars(spent.yesterday.spent_usd)),
        "last_week": change(today, _dollars(spent.last_week.spent_usd)),
        "per_session": change(
            _dollars(spent.today.per_completed_session_usd), _dollars(spent.yesterday.per_completed_session_usd), "less"
        ),
    }


def _dollars(amount: str | None) -> float | None:
    return float(amount) if amount is not None else None


def _groups(spent: SpendingAnswer, window: MeasuredAnswer | None, by: Apart, since: str, scope: Scope) -> list[Group]:
    """Those that cost anything today, the dearest first, then those that did in the window alone."""
    whole = {each.group[by]: each.total.value for each in window.series} if window else {}
    dearest = max((_dollars(one.today.spent_usd) or 0.0 for one in spent.groups), default=0.0)
    groups = [
        Group(
            one.value,
            one.today.spent_usd,
            round(100 * (_dollars(one.today.spent_usd) or 0.0) / dearest, 2) if dearest else 0.0,
            one.yesterday_usd,
            change(_dollars(one.today.spent_usd), _dollars(one.yesterday_usd)),
            one.today.per_completed_session_usd,
            one.today.calls,
            one.today.unpriced_calls,
            in_unit(whole.get(one.value), "usd"),
            _sessions(by, one.value, since, scope),
        )
        for one in spent.groups
    ]
    seen = {group.name for group in groups}
    return (
        groups
        + [
            Group(
                name, None, 0.0, None, Markup(""), None, 0, 0, in_unit(value, "usd"), _sessions(by, name, since, scope)
            )
            for name, value in whole.items()
            if name not in seen
        ][: max(GROUPS - len(groups), 0) + MORE_GROUPS]
    )


def _sessions(by: Apart, value: str, since: str, scope: Scope) -> str:
    """Where the sessions of a group are: in the list of sessions where that can be filtered so, else behind the measure."""
    if value and (name := _OF_SESSIONS.get(by)):
        return "/sessions?" + _query({**scope.given(), name: value, "since": since})
    measure = "tool_cost_usd" if by == "tool" else "cost_usd"
    # an empty value is a value: what nobody told
    return f"/measures/{measure}?" + urlencode({**scope.given(), "since": since, "step": "1d", by: value})


def _versions(answer: VersionsAnswer, by: VersionBy, scope: Scope) -> list[Version]:
    dimension = VERSIONS[by][1]
    found: list[Version] = []
    for each in answer.versions:
        asked = {"since": answer.since or "", "until": answer.until or "", "step": "1d", **scope.given()}
        query = urlencode({**asked, dimension: each.version})
        values = [
            (_HEADS[name], in_unit(each.measures[name].value, MEASURES[name].unit), f"/measures/{name}?{query}")
            for name in SHOWN
        ]
        found.append(Version(each.version, each.sessions, values))
    return found

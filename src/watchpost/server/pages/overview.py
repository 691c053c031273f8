"""The overview: what is wrong now, then the three tiers side by side, outcomes, money, error budgets, releases, and what was flagged last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from watchpost.model.flag import SEVERITIES
from watchpost.query.alerts import AlertFilter
from watchpost.query.measures import Tier
from watchpost.query.releases import ReleaseFilter
from watchpost.query.sessions import SessionFilter
from watchpost.server.alerts import AlertAnswer, Alerts
from watchpost.server.answers import moment
from watchpost.server.api import Text
from watchpost.server.archive import Archive
from watchpost.server.glance import OFTEN_S, SELDOM_S, TIERS, Glance, Scope, Spent
from watchpost.server.kept import Patience
from watchpost.server.measures import MeasuredAnswer, SeriesAnswer
from watchpost.server.pages.alerts import row_values
from watchpost.server.pages.chart import Better, change, number
from watchpost.server.pages.figure import Tile, tile
from watchpost.server.pages.rendering import rendered
from watchpost.server.releases import ReleaseAnswer, ReleaseBook
from watchpost.server.review import FlagGlimpse, Review
from watchpost.server.slos import BudgetAnswer, SloAnswer, SlosAnswer
from watchpost.server.spending import SpendingAnswer

WAIT_S = 0.5
"""How long a page waits for figures in all; those that take longer come by themselves, or with the next look."""

ALERTS, FLAGGED, RELEASES, BUDGETS = 12, 8, 8, 8
"""How many of each are shown."""

MOST_FIRING = 100
"""From how many on alerts are asked for by their severity."""

RELEASED_WITHIN_NS = 7 * 86_400 * 10**9

LABELS: dict[str, tuple[str, Better]] = {
    "sessions": ("Sessions ended", ""),
    "workflow_duration_seconds": ("Session length, p95", "less"),
    "llm_error_rate": ("Model calls failed", "less"),
    "tool_error_rate": ("Tool calls failed", "less"),
    "llm_call_duration_seconds": ("Model call, p95", "less"),
    "rate_limited_share": ("Hit a rate limit", "less"),
    "llm_calls": ("Model calls", ""),
    "tokens": ("Tokens", ""),
    "cost_usd": ("Cost", ""),
    "cost_per_session_usd": ("Cost per session", "less"),
    "first_token_seconds": ("First token, p95", "less"),
    "cache_hit_rate": ("Input from cache", "more"),
    "completion_rate": ("Completed", "more"),
    "flagged_session_share": ("Sessions flagged", "less"),
    "success_rate": ("Succeeded", "more"),
    "feedback_positive_share": ("Thumbs up", "more"),
    "refusal_rate": ("Answers refused", "less"),
    "escalation_rate": ("Handed to a person", "less"),
}
"""How a measure is called where there is little room, and which way it is better."""

HEADINGS: dict[Tier, str] = {"infrastructure": "Infrastructure", "llm": "Models", "quality": "Quality"}


class Panel(msgspec.Struct, frozen=True):
    """One tier with its tiles."""

    heading: str
    tiles: list[Tile]


class Share(msgspec.Struct, frozen=True):
    """One outcome of the sessions that ended: how many, from where to where it lies on the bar, of 100, and where its sessions are."""

    outcome: str
    sessions: int
    start: float
    width: float
    change: Markup
    href: str


class Budget(msgspec.Struct, frozen=True):
    """An objective in one group; `left` is the share of its error budget, None of nothing."""

    slo: SloAnswer
    budget: BudgetAnswer
    group: str
    href: str


class Flagged(msgspec.Struct, frozen=True):
    """A session and its flags, the latest first."""

    session: str
    session_id: str
    flags: list[FlagGlimpse]


class Firing(msgspec.Struct, frozen=True):
    """What fires, the gravest first, `more` of which are left out; what is pending, and what was over last."""

    alerts: list[AlertAnswer]
    more: bool
    pending: int
    last: AlertAnswer | None


class Overview(msgspec.Struct, frozen=True):
    """What the page is made from."""

    glance: Glance
    alerts: Alerts
    archive: Archive
    review: Review
    releases: ReleaseBook
    now_ns: Callable[[], int]


def router(overview: Overview) -> APIRouter:
    """The route."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/")
    def page(request: Request, project: Text = "") -> Response:
        scope, glance = Scope(project), overview.glance
        glance.tiers.begin(scope)
        glance.outcomes.begin(scope)
        glance.spent.begin(Spent(scope))
        glance.slos.begin("")
        firing = _firing(overview.alerts, project)
        patience = Patience(overview.now_ns, WAIT_S)
        tiers = glance.tiers.answer(scope, patience.left_s)
        if tiers and not firing.last and _is_empty(tiers.value, overview.archive, project):
            address = f"{request.url.scheme}://{request.url.netloc}"
            return rendered("overview.html", empty=True, address=address, project=project, every=5)
        outcomes = glance.outcomes.answer(scope, patience.left_s)
        spent = glance.spent.answer(Spent(scope), patience.left_s)
        slos = glance.slos.answer("", patience.left_s)
        is_coming = (
            glance.tiers.is_coming(scope)
            or glance.outcomes.is_coming(scope)
            or glance.spent.is_coming(Spent(scope))
            or glance.slos.is_coming("")
        )
        now_ns = overview.now_ns()
        return rendered(
            "overview.html",
            200,
            empty=False,
            project=project,
            every=OFTEN_S if is_coming else SELDOM_S,
            firing=firing,
            panels=_panels(tiers.value, scope) if tiers else None,
            age=moment(tiers.ended_ns) if tiers else None,
            shares=_shares(outcomes.value, scope) if outcomes else None,
            spent=spent.value if spent else None,
            spent_change=_against_yesterday(spent.value) if spent else None,
            budgets=_budgets(slos.value) if slos else None,
            releases=_released(overview.releases, project, now_ns),
            flagged=_flagged(overview.review, project),
            **row_values(now_ns, "/?" + urlencode({"project": project}) if project else "/"),
        )

    return routes


def _is_empty(tiers: Sequence[MeasuredAnswer], archive: Archive, project: str) -> bool:
    """Whether nothing was ever received; asked of the index of sessions only where two days are empty."""
    counted = [point for each in tiers for point in (each.series[0].total, each.series[0].total.before) if point]
    if any(point.counted or point.untold for point in counted):
        return False
    return not archive.page(SessionFilter(project=project, limit=1)).sessions


def _firing(alerts: Alerts, project: str) -> Firing:
    page = alerts.page(AlertFilter(project, state="firing", limit=MOST_FIRING))
    found = sorted(page.alerts, key=_gravity)
    if page.next:
        graver = (alerts.page(AlertFilter(project, state="firing", severity=one, limit=ALERTS)) for one in SEVERITIES)
        found = sorted((alert for page in graver for alert in page.alerts), key=_gravity)
    pending = len(alerts.page(AlertFilter(project, state="pending", limit=ALERTS)).alerts)
    over = [] if found else alerts.page(AlertFilter(project, state="resolved", limit=1)).alerts
    return Firing(found[:ALERTS], bool(page.next) or len(found) > ALERTS, pending, next(iter(over), None))


def _gravity(alert: AlertAnswer) -> tuple[int, bool]:
    """The gravest first, and of the same severity what nobody is on."""
    return SEVERITIES.index(alert.severity), bool(alert.acknowledged_by or alert.silenced_by or alert.inhibited_by)


def _panels(tiers: Sequence[MeasuredAnswer], scope: Scope) -> list[Panel]:
    answers = {answer.measure.name: answer for answer in tiers}
    return [
        Panel(HEADINGS[tier], [tile(answers[name], *LABELS[name], scope.given()) for name in names])
        for tier, names in TIERS.items()
    ]


def _shares(answer: MeasuredAnswer, scope: Scope) -> list[Share]:
    """The outcomes, the most frequent first, the completed ones before all."""
    told = [each for each in answer.series if each.total.counted]
    told.sort(key=lambda each: each.group["outcome"] != "completed")
    whole = sum(each.total.counted for each in told)
    shares: list[Share] = []
    start = 0.0
    for each in told:
        width = 100 * each.total.counted / whole
        shares.append(_share(answer, each, scope, start, width))
        start += width
    return shares


def _share(answer: MeasuredAnswer, each: SeriesAnswer, scope: Scope, start: float, width: float) -> Share:
    outcome = each.group["outcome"]
    better: Better = "more" if outcome == "completed" else "less"
    asked = {"state": "ended", "outcome": outcome, "since": answer.since, "until": answer.until, **scope.given()}
    href = "/sessions?" + urlencode({name: value for name, value in asked.items() if value})
    changed = change(number(each.total), number(each.total.before), better)
    return Share(outcome, each.total.counted, round(start, 3), round(width, 3), changed, href)


def _against_yesterday(spent: SpendingAnswer) -> Markup:
    today, yesterday = (float(one) if one else None for one in (spent.today.spent_usd, spent.yesterday.spent_usd))
    return change(today, yesterday)


def _budgets(slos: SlosAnswer) -> list[Budget]:
    """Those with the least left first; those of nothing are left out."""
    every = [(slo, budget) for slo in slos.slos for budget in slo.budgets if budget.left is not None]
    every.sort(key=lambda one: one[1].left or 0.0)
    return [Budget(slo, budget, _group(budget), _of_budget(slo, budget)) for slo, budget in every[:BUDGETS]]


def _group(budget: BudgetAnswer) -> str:
    """In words whose budget it is, as far as that is told."""
    return ", ".join(value for value in (budget.project, *budget.group.values()) if value not in {"", "default"})


def _of_budget(slo: SloAnswer, budget: BudgetAnswer) -> str:
    asked = {
        "since": slo.since or "",
        "until": slo.until or "",
        "step": "1d",
        "project": budget.project,
        **budget.group,
    }
    return f"/measures/{slo.measure}?{urlencode(asked)}"


def _released(book: ReleaseBook, project: str, now_ns: int) -> list[ReleaseAnswer]:
    projects = (project,) if project else ()
    found = book.page(ReleaseFilter(projects, since_ns=now_ns - RELEASED_WITHIN_NS, limit=4 * RELEASES))
    return [each for each in found.releases if not each.began][:RELEASES]


def _flagged(review: Review, project: str) -> list[Flagged]:
    """The sessions that were flagged last."""
    found: dict[str, list[FlagGlimpse]] = {}
    for flag in review.latest(project, 3 * FLAGGED):
        found.setdefault(flag.session, []).append(flag)
    return [Flagged(key, flags[0].session_id, flags) for key, flags in list(found.items())[:FLAGGED]]

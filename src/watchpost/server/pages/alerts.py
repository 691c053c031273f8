"""The pages of alerts and silences, and the forms by which people say that they are on it or ask for quiet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from watchpost.alerting.labels import COMES_AND_GOES
from watchpost.alerting.matcher import Matcher
from watchpost.alerting.message import is_web
from watchpost.model.flag import SEVERITIES, Severity
from watchpost.query.alerts import AlertFilter
from watchpost.rules.tally import EXAMPLES
from watchpost.server.alert_routes import let_in
from watchpost.server.alerts import (
    MATCHER_LENGTH,
    AcknowledgementGiven,
    AlertAnswer,
    AlertDetail,
    Alerts,
    SilenceGiven,
    StateName,
)
from watchpost.server.answers import SessionAnswer, moment
from watchpost.server.api import Cursor, Text
from watchpost.server.archive import Archive, read_cursor
from watchpost.server.json_body import read_form
from watchpost.server.measures import Measures
from watchpost.server.notices import NoticeLog
from watchpost.server.pages.rendering import rendered
from watchpost.server.pages.rule_chart import NS, Drawn, around
from watchpost.server.pages.runbook import blocks
from watchpost.server.problem import ParameterError
from watchpost.server.review import BY_LENGTH, NOTE_LENGTH
from watchpost.server.rule_book import RuleBook

SHOWN = 200
"""Alerts of one state on one page."""

LENGTHS = (
    (1800, "30 minutes"),
    (3600, "1 hour"),
    (7200, "2 hours"),
    (4 * 3600, "4 hours"),
    (8 * 3600, "8 hours"),
    (86_400, "1 day"),
    (7 * 86_400, "7 days"),
)
"""Seconds that a silence may last, and how that is called."""

LISTS = ("/", "/alerts")
"""Where rows of alerts stand: the overview, and their own list."""

TABS = (("Firing", ""), ("Pending", "pending"), ("Resolved", "resolved"), ("All", "any"))
"""What lists there are, and their states; what fires stands before what is pending in the first."""


class Desk(msgspec.Struct, frozen=True):
    """What the pages are made from."""

    alerts: Alerts
    notices: NoticeLog
    rules: RuleBook
    measures: Measures
    archive: Archive
    now_ns: Callable[[], int]


class AcknowledgementAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the form of an alert sends that somebody takes on: who, and the list that it stands in."""

    by: str
    back: str = ""


class SilenceAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the form for a silence sends. Matchers stand in one text, with commas between them."""

    matchers: str
    by: str
    comment: str
    seconds: float
    project: str = ""
    everything: bool = False
    back: str = ""


class _Section(msgspec.Struct, frozen=True):
    """Alerts under a heading; `next` is the address of those that follow, None where these are all."""

    state: str
    alerts: list[AlertAnswer]
    next: str | None


def router(desk: Desk) -> APIRouter:
    """The routes. Those that only read the stores are plain functions, which run in worker threads."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    alerts = desk.alerts

    @routes.get("/alerts")
    def page(
        *,
        project: Text = "",
        rule: Text = "",
        severity: Severity | Literal[""] = "",
        state: StateName | Literal["", "any"] = "",
        cursor: Cursor = "",
    ) -> Response:
        asked = {"project": project, "rule": rule, "severity": severity, "state": state}
        wanted = AlertFilter(project, rule, "" if state == "any" else state, severity, read_cursor(cursor), SHOWN)
        return _shown(
            desk,
            "alerts.html",
            f"/alerts?{urlencode(_held(asked))}".rstrip("?"),
            sections=[_listed(alerts, wanted, asked)] if state else _standing(alerts, wanted, asked),
            asked=asked,
            filtered=any((project, rule, severity)),
            tabs=[(name, f"/alerts?{urlencode(_held({**asked, 'state': of}))}".rstrip("?"), of) for name, of in TABS],
            later=bool(cursor),
            first_page="?" + urlencode(_held(asked)),
            severities=SEVERITIES,
            quiet=len([each for each in alerts.silences(expired=False).silences if each.state == "active"]),
        )

    @routes.get("/alerts/{alert_id}")
    def one(alert_id: str) -> Response:
        found = alerts.one(alert_id)
        return _shown(
            desk,
            "alert.html",
            found=found,
            words=desk.rules.words(found.alert.rule),
            drawn=_drawn(desk, found),
            sessions=_sessions(desk, found.alert),
            elsewhere=_elsewhere(found.alert),
            runbook=blocks(desk.rules.runbook(found.alert.runbook)),
            notices=desk.notices.about(alert_id).notices,
        )

    @routes.post("/alerts/{alert_id}/acknowledge")
    async def acknowledge(request: Request, alert_id: str) -> Response:
        asked = await read_form(request, AcknowledgementAsked)
        with let_in():
            await alerts.acknowledge(alert_id, AcknowledgementGiven(asked.by))
        return _back(asked.back, alert_id)

    @routes.post("/alerts/{alert_id}/silence")
    async def silence_one(request: Request, alert_id: str) -> Response:
        await run_in_threadpool(alerts.one, alert_id)
        return _back(await _silence(alerts, request), alert_id)

    @routes.get("/silences")
    def silences(expired: Annotated[bool, Query()] = False) -> Response:
        return _shown(desk, "silences.html", found=alerts.silences(expired=expired), expired=expired)

    @routes.post("/silences")
    async def silence(request: Request) -> Response:
        await _silence(alerts, request)
        return RedirectResponse("/silences", 303)

    @routes.post("/silences/{silence_id}/end")
    async def expire(request: Request, silence_id: str) -> Response:
        with let_in():
            await alerts.expire(silence_id, (await read_form(request, AcknowledgementGiven)).by)
        return RedirectResponse("/silences", 303)

    return routes


def row_values(now_ns: int, returns_to: str = "") -> dict[str, object]:
    """What rows of alerts and their forms are made with; a form leads back to `returns_to`, or to its alert where that is empty."""
    return {
        "lengths": LENGTHS,
        "by_length": BY_LENGTH,
        "comment_length": NOTE_LENGTH,
        "matcher_length": MATCHER_LENGTH,
        "matchers_of": matchers_of,
        "many_sessions": many_sessions,
        "now": moment(now_ns),
        "returns_to": returns_to,
    }


def matchers_of(labels: dict[str, str]) -> str:
    """Matchers that match alerts with these labels, as text that a person can change."""
    kept = sorted((name, value) for name, value in labels.items() if name not in COMES_AND_GOES)
    return ", ".join(str(Matcher(name, "=", value)) for name, value in kept)


def many_sessions(alert: AlertAnswer) -> str:
    """How many sessions an alert names; it keeps no more than a few as examples."""
    many = len(alert.sessions)
    return f"{many}{'+' if many >= EXAMPLES else ''} session{'' if many == 1 else 's'}" if many else ""


def _shown(desk: Desk, template: str, returns_to: str = "", **values: object) -> Response:
    """A page with all that the forms on it need."""
    return rendered(template, 200, is_web=is_web, **row_values(desk.now_ns(), returns_to), **values)


def _back(asked: str, alert_id: str) -> Response:
    """To the list that a form was sent from, where its alert stands; to the alert itself from anywhere else."""
    came = urlsplit(asked)
    if came.scheme or came.netloc or came.path not in LISTS:
        return RedirectResponse(f"/alerts/{quote(alert_id)}", 303)
    query = f"?{urlencode(parse_qsl(came.query))}" if came.query else ""
    return RedirectResponse(f"{came.path}{query}#alert-{quote(alert_id)}", 303)


async def _silence(alerts: Alerts, request: Request) -> str:
    """Note what the form asks for; the list that it was sent from."""
    asked = await read_form(request, SilenceAsked)
    given = SilenceGiven(
        [asked.matchers], asked.by, asked.comment, asked.seconds, project=asked.project, everything=asked.everything
    )
    with let_in():
        await alerts.silence(given)
    return asked.back


def _held(asked: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value}


def _listed(alerts: Alerts, wanted: AlertFilter, asked: dict[str, str]) -> _Section:
    """Alerts of one state, or of all, the latest change first."""
    page = alerts.page(wanted)
    following = "?" + urlencode({**_held(asked), "cursor": page.next}) if page.next else None
    return _Section(wanted.state, page.alerts, following)


def _standing(alerts: Alerts, wanted: AlertFilter, asked: dict[str, str]) -> list[_Section]:
    """What fires and what is pending: the gravest first, and of the same severity what nobody is on first."""
    return [_gravest(alerts, msgspec.structs.replace(wanted, state=state), asked) for state in ("firing", "pending")]


def _gravest(alerts: Alerts, wanted: AlertFilter, asked: dict[str, str]) -> _Section:
    found: list[AlertAnswer] = []
    following = "?" + urlencode({**_held(asked), "state": wanted.state})
    for severity in [wanted.severity] if wanted.severity else SEVERITIES:
        if len(found) == wanted.limit:
            return _Section(wanted.state, found, following)
        limit = wanted.limit - len(found)
        page = alerts.page(msgspec.structs.replace(wanted, severity=severity, before=None, limit=limit))
        found += sorted(
            page.alerts, key=lambda each: bool(each.acknowledged_by or each.silenced_by or each.inhibited_by)
        )
        if page.next:
            return _Section(wanted.state, found, following)
    return _Section(wanted.state, found, None)


def _drawn(desk: Desk, found: AlertDetail) -> Drawn | None:
    """The rule's measure around the alert; None where it has none, or where it cannot be asked as the rule asked it then."""
    alert = found.alert
    figure = desk.rules.figure(alert.rule, {**alert.labels, "project": alert.project})
    if figure is None:
        return None
    began_ns, over_ns = _ns(alert.fired_at or alert.since), _ns(alert.resolved_at) or None
    try:
        return around(
            desk.measures, figure, fired_ns=began_ns, over_ns=over_ns, now_ns=desk.now_ns(), threshold=alert.threshold
        )
    except ParameterError:
        return None


def _sessions(desk: Desk, alert: AlertAnswer) -> list[tuple[str, SessionAnswer | None]]:
    """The sessions that an alert names, by their keys; None for one that is not kept under it any more."""
    found = {session.key: session for session in desk.archive.listed(alert.sessions)}
    return [(key, found.get(key)) for key in alert.sessions]


def _elsewhere(alert: AlertAnswer) -> str:
    """Where the sessions of the alert's time and labels stand."""
    asked = {
        "project": alert.project,
        **{name: alert.labels.get(name, "") for name in ("workflow", "service", "user_id", "release", "flag")},
        "since": alert.since or "",
        "until": alert.resolved_at or "",
    }
    return f"/sessions?{urlencode(_held(asked))}"


def _ns(value: str | None) -> int:
    """A moment of an answer in Unix nanoseconds, 0 for none."""
    return round(datetime.fromisoformat(value).timestamp()) * NS if value else 0

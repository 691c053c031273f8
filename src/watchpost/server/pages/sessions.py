"""The list of sessions: what is searched for, the conditions in force, cohorts, and the sessions themselves."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from watchpost.query.cohorts import NAME_LENGTH
from watchpost.server.answers import SessionsAnswer, moment
from watchpost.server.api import Anything, Wanted
from watchpost.server.cohorts import PARAMETERS, CohortAnswer, Cohorts
from watchpost.server.pages.asked import EVER, Asked
from watchpost.server.pages.rendering import rendered
from watchpost.server.search import Search

CALLED = {
    "q": "search",
    "project": "project",
    "session_id": "session id",
    "state": "state",
    "outcome": "outcome",
    "workflow": "workflow",
    "user_id": "user",
    "service": "service",
    "org_id": "organization",
    "feature": "feature",
    "release": "release",
    "trace": "trace",
    "entity": "names",
    "text": "text",
    "flag": "flag",
    "flagged": "flagged",
    "error": "failed step",
    "since": "since",
    "until": "until",
}
"""What parameters are called on the page."""

MATCHES = {
    "key": "the key of a session",
    "session_id": "a session id",
    "trace": "a trace id",
    "user_id": "a user",
    "entity": "what texts name",
    "text": "a text",
}
"""What was searched for, by what it was found as."""

SHORTCUTS = (
    ("Flagged", "flagged", "true"),
    ("Failed step", "error", "true"),
    ("Running", "state", "running"),
    ("Last hour", "since", "1h"),
    ("24 hours", "since", "24h"),
    ("7 days", "since", "7d"),
)


def router(search: Search, cohorts: Cohorts, now_ns: Callable[[], int]) -> APIRouter:
    """The route."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/sessions")
    def sessions(request: Request, wanted: Wanted, q: Anything = "") -> Response:
        page = search.sessions(wanted, q)
        given = {name: value for name in PARAMETERS if (value := request.query_params.get(name))}
        asked, later = Asked("/sessions", given), wanted.before is not None
        kept = cohorts.all().cohorts
        shortcuts = asked.shortcuts(SHORTCUTS)
        return rendered(
            "sessions.html",
            page=page,
            asked={name: given.get(name, "") for name in PARAMETERS},
            conditions=asked.conditions(CALLED, besides=shortcuts),
            shortcuts=shortcuts,
            cohorts=kept,
            cohort=_in_force(kept, given),
            query=asked.address().partition("?")[2],
            matched=MATCHES.get(page.matched, ""),
            later=later,
            live=not later and not _reads_texts(page, given),
            first_page=asked.address(),
            next_page=asked.address(limit=str(wanted.limit), cursor=page.next) if page.next else None,
            further=asked.address(text_since=EVER),
            name_length=NAME_LENGTH,
            is_other=_is_other,
            now=moment(now_ns()),
            address=f"{request.url.scheme}://{request.url.netloc}",
        )

    return routes


def _in_force(kept: list[CohortAnswer], given: dict[str, str]) -> CohortAnswer | None:
    return next((each for each in kept if each.filter == given), None)


def _is_other(service: str, workflow: str) -> bool:
    """Whether the name of the service says more than that of the workflow."""
    return bool(service) and service.casefold().replace("_", "-") != workflow.casefold().replace("_", "-")


def _reads_texts(page: SessionsAnswer, given: dict[str, str]) -> bool:
    """Whether texts were read: that takes long enough not to be done again whenever a session changes."""
    return page.searched_since is not None or bool({"q", "text"} & given.keys())

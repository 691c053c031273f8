"""The pages: sessions, one session, one step, the raw texts of a step, flags, and precision. Rendered here, without a script."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from watchpost.model.flag import FlagState
from watchpost.model.session import Outcome, State
from watchpost.query.logs import LogFilter
from watchpost.server import display
from watchpost.server.answers import FlagAnswer
from watchpost.server.api import Anything, Wanted
from watchpost.server.archive import Archive
from watchpost.server.log_answers import LinesAnswer
from watchpost.server.log_routes import SEVERITIES, WantedLines
from watchpost.server.problem import Problem
from watchpost.server.review import NOTE_LENGTH, Review, way_on
from watchpost.server.search import Search
from watchpost.server.verdicts import WantedFlags

PAGE = 200
"""Steps on one page."""

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"
_FILTERS = ("project", "session_id", "state", "outcome", "workflow", "user_id", "service", "org_id", "feature", "release", "trace", "entity", "text", "text_since", "flag", "error", "since", "until")  # fmt: skip
_LOG_FILTERS = ("project", "trace", "step", "event", "severity", "text", "since", "until", "received_since")
_FLAG_FILTERS = ("project", "session_id", "kind", "tool", "state", "verdict", "since", "until")
_PROGRAM_PATHS = ("/api/", "/v1/", "/static/", "/openapi.json", "/healthz", "/readyz", "/metrics")
_MATCHES = {
    "key": "the key of a session",
    "session_id": "a session id",
    "trace": "a trace id",
    "user_id": "a user",
    "entity": "what texts name",
    "text": "a text",
}
"""What was searched for, by what it was found as."""

_EVER = "1970-01-01T00:00:00Z"
_NO_STORE = {"cache-control": "no-store"}


def router(archive: Archive, search: Search, review: Review) -> APIRouter:
    """The page routes. They read the stores, so they are plain functions, which run in worker threads."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/")
    def sessions(request: Request, wanted: Wanted, q: Anything = "") -> Response:
        page = search.sessions(wanted, q)
        asked = {name: request.query_params.get(name, "") for name in ("q", *_FILTERS)}
        given = {name: value for name, value in asked.items() if value}
        return rendered(
            "sessions.html",
            page=page,
            asked=asked,
            filtered=bool(given),
            later=wanted.before is not None,
            first_page="?" + urlencode(given),
            next_page="?" + urlencode({**given, "limit": wanted.limit, "cursor": page.next}) if page.next else None,
            further="?" + urlencode({**given, "text_since": _EVER}),
            address=f"{request.url.scheme}://{request.url.netloc}",
        )

    @routes.get("/sessions/{key}")
    def session(key: str, after: Annotated[int, Query(ge=0, le=2**31)] = 0) -> Response:
        view = archive.overview(key, after, PAGE)
        return rendered(
            "session.html",
            session=view.session,
            steps=view.steps,
            numbers=view.numbers,
            after=after,
            previous=max(after - PAGE, 0) if after else None,
        )

    @routes.get("/logs")
    def logs(request: Request, wanted: WantedLines) -> Response:
        return _lines_page(request, search.lines(wanted), wanted)

    @routes.get("/sessions/{key}/logs")
    def logs_of_session(request: Request, key: str, wanted: WantedLines) -> Response:
        return _lines_page(request, search.lines_of(key, wanted), wanted, key)

    @routes.get("/sessions/{key}/steps/{step_id}")
    def step(key: str, step_id: str, trace_id: Annotated[str, Query(max_length=64)] = "") -> Response:
        place = archive.step(key, step_id, trace_id)
        project, _ = archive.session_ref(key)
        return rendered(
            "step.html", key=key, project=project, step=place.detail, before=place.before, following=place.after
        )

    @routes.get("/sessions/{key}/steps/{step_id}/raw/{part}")
    def raw(
        key: str,
        step_id: str,
        part: Literal["input", "output", "attributes", "span"],
        trace_id: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        value: object = getattr(archive.step(key, step_id, trace_id).detail, part)
        text = value.encode("utf-8", "replace") if isinstance(value, str) else msgspec.json.encode(value)
        return PlainTextResponse(text, headers=_NO_STORE)

    @routes.get("/flags")
    def flags(request: Request, wanted: WantedFlags) -> Response:
        page = review.page(wanted)
        asked = {name: request.query_params.get(name, "") for name in _FLAG_FILTERS}
        given = {name: value for name, value in asked.items() if value}
        return rendered(
            "flags.html",
            page=page,
            asked=asked,
            filtered=bool(given),
            later=wanted.before is not None,
            first_page="?" + urlencode(given),
            next_page="?" + urlencode({**given, "limit": wanted.limit, "cursor": page.next}) if page.next else None,
        )

    @routes.get("/precision")
    def precision(project: Annotated[str, Query(max_length=1024)] = "") -> Response:
        return rendered("precision.html", found=review.precision(project))

    return routes


def static_files() -> StaticFiles:
    """Our own style sheet and icon."""
    return StaticFiles(directory=_STATIC)


def is_page(request: Request) -> bool:
    """Whether a person asked, and is to be answered with a page also where something is wrong."""
    return not request.url.path.startswith(_PROGRAM_PATHS)


def error_page(request: Request, answer: Problem) -> Response:
    """What went wrong, and the way back."""
    return rendered("error.html", status=answer.status, problem=answer, path=request.url.path)


def _lines_page(request: Request, page: LinesAnswer, wanted: LogFilter, key: str = "") -> Response:
    """Log lines, of one session where there is a key."""
    asked = {name: request.query_params.get(name, "") for name in _LOG_FILTERS}
    given: dict[str, str | list[str]] = {name: value for name, value in asked.items() if value}
    given |= {"attribute": found} if (found := request.query_params.getlist("attribute")) else {}
    more = {**given, "limit": str(wanted.limit), "cursor": page.next or ""}
    return rendered(
        "logs.html",
        page=page,
        key=key,
        asked=asked,
        severities=SEVERITIES,
        filtered=bool(given),
        later=wanted.before is not None,
        first_page="?" + urlencode(given, doseq=True),
        next_page="?" + urlencode(more, doseq=True) if page.next else None,
        further="?" + urlencode({**given, "received_since": _EVER}, doseq=True),
    )


def rendered(template: str, status: int = 200, **values: object) -> Response:
    """A page of one of the templates, which nobody keeps."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**values), status, headers=_NO_STORE)


def _environment() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for look in (
        display.shown,
        display.block,
        display.json_block,
        display.is_blank,
        display.is_short,
        display.count,
        display.told,
        display.money,
        display.clock,
    ):
        templates.filters[look.__name__] = look
    templates.filters["duration"] = display.duration
    templates.globals.update(
        between=display.between,
        offset=display.offset,
        tally=_tally,
        states=get_args(State),
        matches=_MATCHES,
        outcomes=get_args(Outcome),
        flag_states=get_args(FlagState),
        note_length=NOTE_LENGTH,
        way_on=way_on,
        style=f"/static/watchpost.css?v={_digest('watchpost.css')}",
    )
    return templates


def _digest(name: str) -> str:
    return hashlib.blake2b((_STATIC / name).read_bytes(), digest_size=6).hexdigest()


def _tally(flags: list[FlagAnswer]) -> list[tuple[str, str, int]]:
    """(kind, severity, how many) of the flags that hold and were not dismissed, in their order."""
    counted: dict[tuple[str, str], int] = {}
    for flag in flags:
        if flag.state != "withdrawn" and (flag.verdict is None or flag.verdict.verdict != "dismiss"):
            counted[flag.kind, flag.severity] = counted.get((flag.kind, flag.severity), 0) + 1
    return [(kind, severity, many) for (kind, severity), many in counted.items()]


_TEMPLATES = _environment()

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
from watchpost.server import display
from watchpost.server.answers import FlagAnswer
from watchpost.server.api import Wanted
from watchpost.server.archive import Archive
from watchpost.server.problem import Problem
from watchpost.server.review import NOTE_LENGTH, Review, way_on
from watchpost.server.verdicts import WantedFlags

PAGE = 200
"""Steps on one page."""

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"
_FILTERS = ("project", "session_id", "state", "outcome", "workflow", "user_id")
_FLAG_FILTERS = ("project", "session_id", "kind", "tool", "state", "verdict", "since", "until")
_PROGRAM_PATHS = ("/api/", "/v1/", "/static/", "/openapi.json", "/healthz", "/readyz", "/metrics")
_NO_STORE = {"cache-control": "no-store"}


def router(archive: Archive, review: Review) -> APIRouter:
    """The page routes. They read the stores, so they are plain functions, which run in worker threads."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/")
    def sessions(request: Request, wanted: Wanted) -> Response:
        page = archive.page(wanted)
        asked = {name: getattr(wanted, name) for name in _FILTERS}
        given = {name: value for name, value in asked.items() if value}
        return _page(
            "sessions.html",
            page=page,
            asked=asked,
            filtered=bool(given),
            later=wanted.before is not None,
            first_page="?" + urlencode(given),
            next_page="?" + urlencode({**given, "limit": wanted.limit, "cursor": page.next}) if page.next else None,
            address=f"{request.url.scheme}://{request.url.netloc}",
        )

    @routes.get("/sessions/{key}")
    def session(key: str, after: Annotated[int, Query(ge=0, le=2**31)] = 0) -> Response:
        view = archive.overview(key, after, PAGE)
        return _page(
            "session.html",
            session=view.session,
            steps=view.steps,
            numbers=view.numbers,
            after=after,
            previous=max(after - PAGE, 0) if after else None,
        )

    @routes.get("/sessions/{key}/steps/{step_id}")
    def step(key: str, step_id: str, trace_id: Annotated[str, Query(max_length=64)] = "") -> Response:
        place = archive.step(key, step_id, trace_id)
        project, _ = archive.session_ref(key)
        return _page(
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
        return _page(
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
        return _page("precision.html", found=review.precision(project))

    return routes


def static_files() -> StaticFiles:
    """Our own style sheet and icon."""
    return StaticFiles(directory=_STATIC)


def is_page(request: Request) -> bool:
    """Whether a person asked, and is to be answered with a page also where something is wrong."""
    return not request.url.path.startswith(_PROGRAM_PATHS)


def error_page(request: Request, answer: Problem) -> Response:
    """What went wrong, and the way back."""
    return _page("error.html", status=answer.status, problem=answer, path=request.url.path)


def _page(template: str, status: int = 200, **values: object) -> Response:
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

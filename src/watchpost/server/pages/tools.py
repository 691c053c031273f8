"""The pages of tools: all of them, the worst first, and one with what changed in its responses, how it does, and its contract."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Annotated
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from watchpost.detect.schema_drift import KIND as DRIFT
from watchpost.server.alert_routes import let_in
from watchpost.server.api import Text
from watchpost.server.contracts import ContractAnswer, Contracts, PinGiven
from watchpost.server.glance import KEEPING, OFTEN_S
from watchpost.server.json_body import read_form
from watchpost.server.kept import Kept
from watchpost.server.measures import Measures
from watchpost.server.pages.figure import in_unit
from watchpost.server.pages.measure_question import WINDOWS, Asking, Pair, with_query, written
from watchpost.server.pages.rendering import rendered
from watchpost.server.pages.tool_story import candidates, courses, drifts, owners
from watchpost.server.problem import NotFoundError
from watchpost.server.review import BY_LENGTH, Review
from watchpost.server.tools import Called, ToolAnswer, Tools

WAIT_S = 0.5
"""How long the page of all tools waits for what is counted over their calls."""

EVERY_S = 60
"""How soon that page is asked for again."""

SHOWN = 200
"""Tools on one page."""

LENGTHS = ("24h", "7d")
VERSIONS = 20
"""Versions of a contract whose changes are told, the latest."""

CHANGES = 60
"""Changes of one version that are told."""

Name = Annotated[str, Query(max_length=200)]
Version = Annotated[int, Query(ge=0, le=2**31)]


class PinAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the forms of a tool's page send."""

    project: str = ""
    version: int = 0
    candidate: str = ""
    unpin: bool = False
    by: str = ""
    note: str = ""


def router(  # noqa: PLR0917 - all that pages of tools are made from
    tools: Tools,
    contracts: Contracts,
    measures: Measures,
    review: Review,
    executor: Executor,
    now_ns: Callable[[], int],
) -> APIRouter:
    """The routes. Those that only read the stores are plain functions, which run in worker threads."""
    routes = APIRouter(prefix="/tools", include_in_schema=False, default_response_class=HTMLResponse)

    def counted(asked: tuple[str, str]) -> Called:
        project, window = asked
        return tools.called(project, *Asking(window=window).times(now_ns()))

    calls = Kept(counted, KEEPING, executor, now_ns)

    @routes.get("")
    def every(q: Name = "", project: Text = "", window: Name = "") -> Response:
        asking = Asking(window=_length(window))
        asked = (project, asking.window)
        called = calls.answer(asked, WAIT_S)
        answer = tools.told(called.value if called else Called(None, None, {}, {}), project)
        words = q.lower().split()
        found = [each for each in answer.tools if all(word in f"{each.tool} {each.project}".lower() for word in words)]
        held = [("q", q), ("project", project)]
        return rendered(
            "tools.html",
            every=OFTEN_S if calls.is_coming(asked) else EVERY_S,
            counted=called is not None,
            answer=answer,
            found=found,
            shown=SHOWN,
            q=q,
            project=project,
            window=asking.window,
            windows=[(each, _address("/tools", *held, ("window", each))) for each in LENGTHS],
            here=_address("/tools", *held, ("window", window)),
            projects=sorted({each.project for each in answer.tools}),
            address=address,
            behind=lambda tool, measure: _asking(tool).sessions(measure, {}, answer.since or "", answer.until or ""),
            flagged=_flagged,
            since_day=written(now_ns() - WINDOWS["24h"]),
            in_unit=in_unit,
        )

    @routes.get("/{name:path}")
    def one(name: str, project: Text = "", version: Version = 0, window: Name = "") -> Response:
        asking = Asking(window=_length(window), filters=(("tool", name),))
        named = [project] if project else owners(measures, msgspec.structs.replace(asking, window="30d"), now_ns())
        if len(named) > 1:
            return rendered("tool_projects.html", name=name, owners=[(each, address(name, each)) for each in named])
        owner = named[0] if named else ""
        if owner:
            asking = msgspec.structs.replace(asking, filters=(*asking.filters, ("project", owner)))
        latest = _contract(contracts, name, owner, 0)
        differing, course = drifts(review, name, owner, latest), courses(measures, asking, now_ns())
        if latest is None and not differing and not course.calls.total.counted and not named:
            raise NotFoundError(f"nothing is known of a tool {name}")
        return rendered(
            "tool.html",
            name=name,
            project=owner or (latest.project if latest else ""),
            latest=latest,
            contract=contracts.one(name, owner, version) if version else latest,
            version=version,
            standing=[each for each in differing if not each.settled],
            settled=[each for each in differing if each.settled],
            others=candidates(latest, differing),
            courses=course,
            behind=asking.sessions("tool_calls", {}, course.calls.answer.since or "", course.calls.answer.until or ""),
            window=asking.window,
            windows=[(each, address(name, owner, window=each)) for each in LENGTHS],
            at_version=lambda number: address(name, owner, version=str(number) if number else ""),
            action=f"/tools/{quote(name, safe='')}/pin",
            versions=VERSIONS,
            changes=CHANGES,
            by_length=BY_LENGTH,
            in_unit=in_unit,
        )

    @routes.post("/{name:path}/pin")
    async def pin(request: Request, name: str) -> Response:
        asked = await read_form(request, PinAsked)
        given = PinGiven(asked.version, asked.candidate, None, asked.unpin, asked.by, asked.note)
        with let_in():
            answer, _ = await contracts.give(name, asked.project, given)
        return RedirectResponse(address(name, answer.project), 303)

    return routes


def address(tool: str, project: str, **more: str) -> str:
    """The page of a tool."""
    return _address(f"/tools/{quote(tool, safe='')}", ("project", project), *more.items())


def _address(path: str, *pairs: Pair) -> str:
    return with_query(path, [pair for pair in pairs if pair[1]])


def _length(window: str) -> str:
    return window if window in LENGTHS else LENGTHS[0]


def _asking(tool: ToolAnswer) -> Asking:
    return Asking(filters=(("tool", tool.tool), *([("project", tool.project)] if tool.project else [])))


def _flagged(tool: ToolAnswer, since: str) -> str:
    """The flags of drift of a tool."""
    return _address("/flags", ("kind", DRIFT), ("tool", tool.tool), ("project", tool.project), ("since", since))


def _contract(contracts: Contracts, tool: str, project: str, version: int) -> ContractAnswer | None:
    """What is known of a tool's responses; None where that is nothing."""
    try:
        return contracts.one(tool, project, version)
    except NotFoundError:
        return None

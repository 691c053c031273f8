"""One session: what came of it, its flags, its timeline, its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from watchpost.server.answers import StepAnswer
from watchpost.server.archive import Archive
from watchpost.server.pages.rendering import rendered

PAGE = 200
"""Steps on one page."""


def router(archive: Archive) -> APIRouter:
    """The route. `step` is the id of a step to be marked, on the page that lists it unless `after` says another."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/sessions/{key}")
    def session(
        key: str,
        after: Annotated[int | None, Query(ge=0, le=2**31)] = None,
        step: Annotated[str, Query(max_length=64)] = "",
        trace: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        if after is None:
            number = archive.number(key, step, trace) if step else None
            after = 0 if number is None else (number - 1) // PAGE * PAGE
        view = archive.overview(key, after, PAGE)
        return rendered(
            "session.html",
            session=view.session,
            steps=view.steps,
            rows=_row_ids(view.steps.steps),
            agents=view.agents,
            numbers=view.numbers,
            chosen=step,
            after=after,
            previous=max(after - PAGE, 0) if after else None,
        )

    return routes


def _row_ids(steps: Sequence[StepAnswer]) -> dict[int, str]:
    """The id of each step's row, by the step's number: no two rows share one, even where two traces share a step id."""
    taken: set[str] = set()
    found: dict[int, str] = {}
    for step in steps:
        name = f"step-{step.step_id}"
        found[step.number] = f"{name}-{step.trace_id}" if name in taken else name
        taken.add(name)
    return found

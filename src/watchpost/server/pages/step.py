"""One step with its contents, and the raw texts of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from watchpost.server.archive import Archive
from watchpost.server.pages.conversation import contents_of
from watchpost.server.pages.rendering import NO_STORE, rendered


def router(archive: Archive) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/sessions/{key}/steps/{step_id}")
    def step(key: str, step_id: str, trace_id: Annotated[str, Query(max_length=64)] = "") -> Response:
        place = archive.step(key, step_id, trace_id)
        project, session_id = archive.session_ref(key)
        return rendered(
            "step.html",
            key=key,
            project=project,
            session_id=session_id,
            step=place.detail,
            input=contents_of(place.detail.input),
            output=contents_of(place.detail.output),
            before=place.before,
            following=place.after,
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
        return PlainTextResponse(text, headers=NO_STORE)

    return routes

"""What open pages are told: that something changed, and never to what. They then ask for themselves again.

A page says in `GET /live?about=...` what it shows: `sessions`, `flags`, `alerts`, `knowledge`, or `session:` and the key of one. It gets a
server-sent event `changed` with the subjects that did, at most one a second, and a comment now and then, by which a dead connection is noticed.
`GET /live/firing` says how many alerts fire, for the badge that every page has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from watchpost.query.alerts import AlertFilter
from watchpost.runtime.react import Reaction
from watchpost.server.alerts import Alerts

BETWEEN_S = 1.0
"""At least this long passes between two events on one connection."""

BREATH_S = 15.0
"""After so long without an event a comment is sent."""

MOST_SUBJECTS = 20

MOST_FIRING = 99
"""So many firing alerts are counted; more are so many and a plus."""

_NO_STORE = {"cache-control": "no-store"}


class Live:
    """Passes on what batches changed, from the thread that applied them to the connections of one event loop."""

    def __init__(self, between_s: float = BETWEEN_S) -> None:
        self._between_s = between_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[_Listener] = set()
        self._closing = False

    def hang(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let `tell` reach this loop from now on."""
        self._loop = loop

    def tell(self, reaction: Reaction) -> None:
        """Say, from any thread, that a batch stands in the stores."""
        if self._loop is not None and self._listeners:
            self._loop.call_soon_threadsafe(self._pass_on, changed_by(reaction))

    def close(self) -> None:
        """End every stream, on the event loop, so that nobody waits for pages that stay open."""
        self._closing = True
        for listener in self._listeners:
            listener.woken.set()

    async def events(self, about: Iterable[str]) -> AsyncIterator[str]:
        """The stream of one connection, until it or the server goes away."""
        listener = _Listener(frozenset(about))
        self._listeners.add(listener)
        try:
            yield "retry: 2000\n\n"
            while not self._closing:
                try:
                    await asyncio.wait_for(listener.woken.wait(), BREATH_S)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                listener.woken.clear()
                if listener.changed:
                    yield f"event: changed\ndata: {' '.join(sorted(listener.changed))}\n\n"
                    listener.changed = frozenset()
                    await asyncio.sleep(self._between_s)
        finally:
            self._listeners.discard(listener)

    def _pass_on(self, changed: frozenset[str]) -> None:
        for listener in self._listeners:
            if heard := changed & listener.about:
                listener.changed |= heard
                listener.woken.set()


class _Listener:
    """One connection: what it is about, and what of that changed since its last event."""

    def __init__(self, about: frozenset[str]) -> None:
        self.about = about
        self.changed: frozenset[str] = frozenset()
        self.woken = asyncio.Event()


def changed_by(reaction: Reaction) -> frozenset[str]:
    """The subjects that a batch changed."""
    state, sessions = reaction.state, reaction.telemetry.sessions
    changed = {f"session:{session.key}" for session in sessions}
    subjects: Sequence[tuple[str, object]] = (
        ("sessions", sessions or state.erasures),
        ("flags", state.flags or state.verdicts),
        ("alerts", state.raised.alerts or state.raised.silences or state.raised.dispatched or state.raised.lapsed),
        ("knowledge", state.lessons or state.released.releases),
    )
    return frozenset(changed | {subject for subject, news in subjects if news})


def router(live: Live, alerts: Alerts) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/live")
    async def events(about: Annotated[list[str], Query(max_length=MOST_SUBJECTS)]) -> Response:
        return StreamingResponse(live.events(about), media_type="text/event-stream", headers=_NO_STORE)

    @routes.get("/live/firing")
    def firing() -> Response:
        found = alerts.page(AlertFilter(state="firing", limit=MOST_FIRING))
        return PlainTextResponse(f"{len(found.alerts)}{'+' * bool(found.next)}", headers=_NO_STORE)

    return routes

"""Watchpost as a benchmark sees it: a program with a data folder, an OTLP receiver, an API and pages. No product code runs here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

import msgspec

from load import Plan, send
from process import Client, Program, free_port
from spans import Shape, Template, session_name
from watchpost.model.session import session_key

_PAGE = 200
_MARKER = Shape(sessions=1, steps=1, rooted=False)


class NeverAppliedError(Exception):
    """What was acknowledged did not become visible in the time given."""


class _Totals(msgspec.Struct, frozen=True):
    steps: int


class Flag(msgspec.Struct, frozen=True):
    """A flag as the API shows it."""

    kind: str


class Session(msgspec.Struct, frozen=True):
    """What a benchmark reads of a session."""

    key: str
    session_id: str
    totals: _Totals
    flags: list[Flag] = []


class _Sessions(msgspec.Struct, frozen=True):
    sessions: list[Session]
    next: str | None = None


class Watchpost:
    """One server on a data folder. Use as a context manager; it is ready when entered, and ended when left."""

    def __init__(self, executable: Path, data: Path) -> None:
        """Start `executable` on `data` and wait until it is ready."""
        self.port = free_port()
        self.data = data
        data.mkdir(parents=True, exist_ok=True)
        command = [
            str(executable),
            "serve",
            "--data",
            str(data),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--grpc-port",
            str(free_port()),
        ]
        self.program = Program(command, (), data.parent, data.parent / "server.log")
        self.ready_s = self.program.wait_ready(self.port, "/readyz", 120.0)
        self.client = Client(self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.program.kill()

    def session(self, session_id: str) -> Session | None:
        """One session of the default project; None if it is not there (yet)."""
        answer = self.client.get(f"/api/sessions/{session_key('default', session_id)}")
        return msgspec.json.decode(answer.body, type=Session) if answer.status == 200 else None

    def steps(self) -> dict[str, int]:
        """The steps of every session, by session id."""
        found: dict[str, int] = {}
        cursor = ""
        while True:
            answer = self.client.get(f"/api/sessions?limit={_PAGE}{cursor}")
            if answer.status != 200:
                raise NeverAppliedError(f"sessions answered {answer.status}: {answer.body[:300]!r}")
            page = msgspec.json.decode(answer.body, type=_Sessions)
            found |= {session.session_id: session.totals.steps for session in page.sessions}
            if not page.next:
                return found
            cursor = f"&cursor={quote(page.next, safe='')}"

    def wait_applied(self, run: int, timeout_s: float = 900.0) -> float:
        """Send one marker session and wait until it shows; as the log is read in order, so does all that was acknowledged before.

        Returns the monotonic time at which it showed.
        """
        marker = send(
            Plan(port=self.port, run=run, spans=1, seconds=60.0, connections=1, shape=_MARKER), [Template(_MARKER, 0)]
        )
        if marker.spans != 1:
            raise NeverAppliedError("the marker was not acknowledged")
        name = session_name(run, 0, 0)
        end = time.perf_counter() + timeout_s
        while time.perf_counter() < end:
            if self.session(name) is not None:
                return time.perf_counter()
            time.sleep(0.05)
        raise NeverAppliedError(f"the marker did not show within {timeout_s:.0f} s")

    def wait_ended(self, timeout_s: float = 300.0) -> None:
        """Wait until every session has ended, but one: the marker's has no root to end with."""
        end = time.perf_counter() + timeout_s
        while time.perf_counter() < end:
            answer = self.client.get("/api/sessions?state=running&limit=2")
            if answer.status == 200 and len(msgspec.json.decode(answer.body, type=_Sessions).sessions) < 2:
                return
            time.sleep(1.0)
        raise NeverAppliedError(f"sessions did not end within {timeout_s:.0f} s")

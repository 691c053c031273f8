"""A real Watchpost in a process of its own, and what its API says."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote
from urllib.request import urlopen

import msgspec
import warm_interpreter

START_S = 60
STOP_S = 15

Found = TypeVar("Found")


class Flag(msgspec.Struct):
    kind: str
    step_id: str
    step: int
    severity: str
    state: str
    summary: str
    evidence: dict[str, object]


class Totals(msgspec.Struct):
    steps: int
    llm_calls: int | None
    tool_calls: int | None
    tool_errors: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None


class Session(msgspec.Struct):
    key: str
    session_id: str
    workflow: str
    state: str
    outcome: str | None
    totals: Totals
    flags: list[Flag]


class Sessions(msgspec.Struct):
    sessions: list[Session]


class Step(msgspec.Struct):
    step_id: str
    number: int
    kind: str
    agent: str
    model: str
    tool: str
    status: str
    input_tokens: int | None
    output_tokens: int | None


class Steps(msgspec.Struct):
    steps: list[Step]


def eventually(probe: Callable[[], Found | None], within_s: float = 60) -> Found:
    """What the probe answers as soon as that is not None; fails the test when time is over."""
    deadline = time.monotonic() + within_s
    while (found := probe()) is None:
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.05)
    return found


class WatchpostProcess:
    """A `with` block around `watchpost serve` in `folder`, with these settings as its watchpost.toml.

    It listens on a free port, and for gRPC on `grpc_port`; 0 takes a free one, which nobody is told.
    """

    def __init__(self, folder: Path, settings: str, *, grpc_port: int = 0, **environment: str) -> None:
        (folder / "watchpost.toml").write_text(settings, encoding="utf-8")
        self._folder = folder
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder)} | environment
        self._said = folder / "said.txt"
        self.grpc_port = grpc_port
        self.url = ""

    def __enter__(self) -> Self:
        self._said.write_bytes(b"")
        self._process = warm_interpreter.start(
            ["serve", "--data", "data", "--port", "0", "--grpc-port", str(self.grpc_port)],
            folder=self._folder,
            environment=self._environment,
            output=self._said,
        )
        try:
            self.url = eventually(self._address, START_S)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def session(self, session_id: str) -> Session | None:
        """The session with this id, or None while it is not known."""
        answer = msgspec.json.decode(self._get(f"/api/sessions?session_id={quote(session_id)}"), type=Sessions)
        return answer.sessions[0] if answer.sessions else None

    def sessions(self) -> list[Session]:
        """The latest two hundred sessions."""
        return msgspec.json.decode(self._get("/api/sessions?limit=200"), type=Sessions).sessions

    def steps(self, session: Session) -> list[Step]:
        """The steps of a session, in order."""
        return msgspec.json.decode(self._get(f"/api/sessions/{session.key}/steps"), type=Steps).steps

    def _get(self, path: str) -> bytes:
        with urlopen(self.url + path, timeout=60) as answer:  # noqa: S310  the address of our own process
            body: bytes = answer.read()
            return body

    def _address(self) -> str | None:
        text = self._said.read_text(encoding="utf-8")
        assert self._process.poll() is None, f"watchpost serve ended:\n{text}"
        found = re.search(r"listens at (http://\S+)", text)
        return found[1] if found else None

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

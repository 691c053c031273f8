"""A real server that is killed, what its API says while it lives, and what it leaves undone."""

from __future__ import annotations

import dataclasses
import http.client
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import warm_interpreter

from watchpost.log.log import Log
from watchpost.log.record import BATCH_BOUNDARY, DELIVERY, LogLimits
from watchpost.runtime.flow import Boundary
from watchpost.store.engines.sql import SqlState

START_S = 60
ANSWER_S = 20
POLL_S = 0.002
ASK_S = 0.03
"""How often a server is asked for something that takes time anyway: asking more often would keep it from getting there."""
PAGE = 37
"""Steps read at once: few, so that sessions have many pages."""

_Found = TypeVar("_Found")


class ApiFlag(msgspec.Struct):
    """As the API answers."""

    kind: str
    trace_id: str
    step_id: str
    step: int | None
    state: str


class ApiTotals(msgspec.Struct):
    """As the API answers."""

    steps: int
    llm_calls: int | None
    tool_calls: int | None
    tool_errors: int | None
    input_tokens: int | None
    output_tokens: int | None


class ApiSession(msgspec.Struct):
    """As the API answers."""

    key: str
    session_id: str
    state: str
    outcome: str | None
    totals: ApiTotals
    flags: list[ApiFlag]


class ApiStep(msgspec.Struct):
    """As the API answers."""

    step_id: str
    trace_id: str
    parent_id: str | None
    number: int
    kind: str
    name: str
    tool: str
    status: str
    input_tokens: int | None
    flags: list[ApiFlag]


class _Sessions(msgspec.Struct):
    sessions: list[ApiSession]
    next: str | None


class _Steps(msgspec.Struct):
    steps: list[ApiStep]
    next: int | None


class _Holder(msgspec.Struct):
    pid: int
    address: str


@dataclasses.dataclass(frozen=True)
class Undone:
    """What a killed server had in its log and not in its stores: deliveries, and whether a batch of them was cut."""

    deliveries: int
    cut: bool


def until(probe: Callable[[], _Found | None], within_s: float, every_s: float = ASK_S) -> _Found:
    """What the probe answers as soon as that is not None; fails the test when time is over."""
    deadline = time.monotonic() + within_s
    while (found := probe()) is None:
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(every_s)
    return found


class KillableServer:
    """`watchpost serve` on the data folder `folder/data`; started and killed any number of times."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder)} | environment
        self._said = folder / "said.txt"
        self._process: warm_interpreter.Started | None = None
        self.lives = 0

    def start(self) -> None:
        """Begin a life; returns at once."""
        self.lives += 1
        self._said.write_bytes(b"")
        self._process = warm_interpreter.start(
            ["serve", "--data", "data", "--port", "0", "--grpc-port", "0"],
            folder=self._folder,
            environment=self._environment,
            output=self._said,
        )

    def strike(self) -> None:
        """SIGKILL at once; `kill` is still to be called."""
        if self._process is not None:
            self._process.kill()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; nothing happens to one that does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def await_address(self) -> None:
        """Until it has opened its stores, just before it takes up its log and listens."""
        until(self._announced, START_S, POLL_S)

    def await_listening(self) -> None:
        """Until it answers requests, ready or not."""
        until(lambda: self._look(r"listens at http://(\S+)"), START_S, POLL_S)

    def connect(self, timeout_s: float = ANSWER_S) -> http.client.HTTPConnection:
        """A new connection to it, not yet open."""
        return http.client.HTTPConnection(self._announced() or "", timeout=timeout_s)

    def is_ready(self) -> bool:
        """Whether it says that it has taken up its log; False also while it does not answer."""
        connection = self.connect(0.25)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def await_applied(self) -> None:
        """Until it is ready and everything that it has taken stands in its stores."""
        until(lambda: self.is_ready() or None, START_S)
        until(lambda: self._lag() == 0 or None, START_S)

    def sessions(self) -> list[ApiSession]:
        """Every session, over all pages."""
        found: list[ApiSession] = []
        cursor: str | None = ""
        while cursor is not None:
            page = msgspec.json.decode(self._get(f"/api/sessions?limit=20&cursor={cursor}"), type=_Sessions)
            found += page.sessions
            cursor = page.next
        return found

    def steps(self, key: str) -> list[ApiStep]:
        """Every step of a session, over all pages."""
        found: list[ApiStep] = []
        after: int | None = 0
        while after is not None:
            page = msgspec.json.decode(self._get(f"/api/sessions/{key}/steps?limit={PAGE}&after={after}"), type=_Steps)
            found += page.steps
            after = page.next
        return found

    def undone(self) -> Undone:
        """What the dead server left in its log, read from a copy."""
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self._data / "log", copy / "log")
        for file in self._data.glob("state.db*"):
            shutil.copy(file, copy / file.name)
        state = SqlState.open(f"sqlite:///{copy / 'state.db'}", "0")
        cursor = state.cursor()
        state.close()
        log = Log.open(copy / "log", LogLimits(), first_seq=cursor.seq + 1)
        try:
            records = list(log.read(cursor.seq))
        finally:
            log.close()
        cut = any(
            record.kind == BATCH_BOUNDARY
            and msgspec.msgpack.decode(record.payload, type=Boundary).number > cursor.batch
            for record in records
        )
        return Undone(sum(record.kind == DELIVERY for record in records), cut)

    def _announced(self) -> str | None:
        self._look("")
        try:
            holder = msgspec.json.decode((self._data / "lock").read_bytes(), type=_Holder)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        if self._process is None or holder.pid != self._process.pid:
            return None
        return holder.address.removeprefix("http://") or None

    def _look(self, pattern: str) -> str | None:
        text = self._said.read_text(encoding="utf-8")
        assert self._process is None or self._process.poll() is None, f"watchpost serve ended:\n{text}"
        found = re.search(pattern, text)
        return found[0] if found else None

    def _lag(self) -> int:
        found = re.search(r"^watchpost_log_lag_bytes (\S+)$", self._get("/metrics").decode(), re.MULTILINE)
        assert found is not None
        return int(float(found[1]))

    def _get(self, path: str) -> bytes:
        connection = self.connect()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, f"{path}: {answer.status} {body.decode()}"
            return body
        finally:
            connection.close()

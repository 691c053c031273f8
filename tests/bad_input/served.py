"""A real `watchpost serve` in a process of its own, and what a sender and a reader see of it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
import msgspec
import warm_interpreter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

START_S = 60
STOP_S = 30
SECOND = 10**9
BASE_NS = 1_790_000_000 * SECOND
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
COMMAND = warm_interpreter.COMMAND

Found = TypeVar("Found")


class Totals(msgspec.Struct):
    steps: int
    input_tokens: int | None


class Session(msgspec.Struct):
    key: str
    session_id: str
    state: str
    totals: Totals


class Sessions(msgspec.Struct):
    sessions: list[Session]
    next: str | None


class Step(msgspec.Struct):
    step_id: str
    number: int
    name: str
    tool: str
    started_at: str | None
    duration_ms: float | None
    input_tokens: int | None


class Steps(msgspec.Struct):
    steps: list[Step]
    next: int | None


def eventually(probe: Callable[[], Found | None], within_s: float = 30) -> Found:
    """What the probe answers as soon as that is not None; fails the test when time is over."""
    deadline = time.monotonic() + within_s
    while (found := probe()) is None:
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.05)
    return found


def environment(folder: Path) -> dict[str, str]:
    """What a command may see: nothing of the settings of whoever runs the tests."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


class Served:
    """A `with` block around `watchpost serve` on free ports, in `folder`, with its data in `folder / "data"`."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        (folder / "watchpost.toml").write_text(settings, encoding="utf-8")
        self.folder = folder
        self.data = folder / "data"
        self._said = folder / "said.txt"
        self._sessions = 0

    def __enter__(self) -> Self:
        self._said.write_bytes(b"")
        self.process = warm_interpreter.start(
            ["serve", "--data", "data", "--port", "0", "--grpc-port", "0"],
            folder=self.folder,
            environment=environment(self.folder),
            output=self._said,
        )
        try:
            self.url = eventually(self._address, START_S)
        except BaseException:
            self.stop()
            raise
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        eventually(lambda: self.client.get("/readyz").status_code == 200 or None, START_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        self.stop()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End the process, if it has not ended, and return its exit code."""
        self.process.send_signal(by)
        try:
            return self.process.wait(STOP_S)
        finally:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """Everything on its standard output and standard error."""
        return self._said.read_text(encoding="utf-8")

    def post(self, body: bytes, media: str = PROTOBUF, **headers: str) -> httpx.Response:
        """Send one export of spans. Underscores of header names stand for hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/v1/traces", content=body, headers={"content-type": media} | given)

    def session(self, session_id: str, steps: int = 1) -> Session:
        """The session with this id, as soon as it has this many steps or more."""

        def probe() -> Session | None:
            answer = self.client.get("/api/sessions", params={"session_id": session_id})
            assert answer.status_code == 200, answer.text
            found = msgspec.json.decode(answer.content, type=Sessions).sessions
            return found[0] if found and found[0].totals.steps >= steps else None

        return eventually(probe, 60)

    def steps(self, session: Session, after: int = 0, limit: int = 1000) -> Steps:
        """One page of the steps of a session."""
        answer = self.client.get(f"/api/sessions/{session.key}/steps", params={"after": after, "limit": limit})
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Steps)

    def works(self) -> None:
        """Fails the test unless a good batch, of a session never seen, is taken now and shown with all its steps."""
        self._sessions += 1
        session_id = f"good-{self._sessions}"
        trace = (10**6 + self._sessions).to_bytes(16, "big")
        answer = self.post(batch([tool_span(trace, number, session_id) for number in (1, 2)]))
        assert (answer.status_code, answer.content) == (200, b"")
        assert self.session(session_id, steps=2).totals.steps == 2
        assert self.client.get("/readyz").text == "ready\n"
        assert "failing" not in self.said()

    def _address(self) -> str | None:
        text = self.said()
        assert self.process.poll() is None, f"watchpost serve ended:\n{text}"
        found = re.search(r"listens at (http://\S+)", text)
        return found[1] if found else None


def trace_of(name: str) -> bytes:
    """A trace id that no other name has."""
    return name.encode().ljust(16, b".")[-16:]


def tool_span(trace: bytes, number: int, session_id: str, **attributes: str | bool | float) -> Span:
    """One ended call of a tool: the step `number` of its trace, one second after the one before."""
    span = Span(
        trace_id=trace,
        span_id=number.to_bytes(8, "big"),
        name=f"call {number}",
        start_time_unix_nano=BASE_NS + number * SECOND,
        end_time_unix_nano=BASE_NS + number * SECOND + SECOND // 2,
    )
    given = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_order",
        "gen_ai.conversation.id": session_id,
        "gen_ai.tool.call.arguments": f'{{"order": "A{number}"}}',
    } | attributes
    for key, value in given.items():
        held = span.attributes.add(key=key).value
        if isinstance(value, str):
            held.string_value = value
        elif isinstance(value, bool):
            held.bool_value = value
        elif isinstance(value, int):
            held.int_value = value
        else:
            held.double_value = value
    return span


def as_of(began_ns: int, span: Span) -> Span:
    """The span of `tool_span` as it is when its trace began at this time."""
    span.start_time_unix_nano += began_ns - BASE_NS
    span.end_time_unix_nano += began_ns - BASE_NS
    return span


def batch(spans: list[Span]) -> bytes:
    """An export request of these spans."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    encoded: bytes = request.SerializeToString()
    return encoded

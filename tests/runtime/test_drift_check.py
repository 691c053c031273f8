"""A session that goes over to another task is measured by a running server and flagged where it did: by words, or by an endpoint's embeddings."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import msgspec
import pytest

from watchpost.detect.context_drift import Checkpoint, ContextDriftDetector, ContextDriftSettings
from watchpost.ingest.read import Reader
from watchpost.ingest.request import OverloadedError
from watchpost.model.step import Reading
from watchpost.model.telemetry import Parcel
from watchpost.runtime.drift_check import WAITING, DriftChecker
from watchpost.session.node import node_of

TRACE, SPAN, CALL = b"t" * 16, b"s" * 8, b"c" * 8

PROMPT = json.dumps(
    [
        {"role": "system", "parts": [{"type": "text", "content": "You book flights to Lisbon."}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "Here is a poem about rain."}]},
    ]
)


class EmbeddingServer:
    """An endpoint with two dimensions, flights and poems; `status` is what it answers with, `asked` what it was asked."""

    def __init__(self, status: int = 200) -> None:
        self.asked: list[dict[str, object]] = []
        self.keys: list[str | None] = []
        asked, keys = self.asked, self.keys

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked.append(request | {"path": self.path})
                keys.append(self.headers.get("authorization"))
                made = [
                    {"index": place, "embedding": [1.0 + text.count("flight"), 1.0 + 9 * text.count("poem")]}
                    for place, text in enumerate(request["input"])
                ]
                body = json.dumps({"data": made[::-1]}).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server gives it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Prompts:
    """Holds one prompt."""

    def reading(self, project: str, trace_id: bytes, span_id: bytes) -> Reading | None:
        """As promised."""
        if (project, trace_id, span_id) != ("p", TRACE, CALL):
            return None
        return Reading("p", TRACE, CALL, b"", 1, 1, 1, 2, "llm", "chat", "ok", input=PROMPT)


def checkpoint(asked: str = "", *, prompted: bool = True) -> Checkpoint:
    stated = "write poem about rain, write poem about snow"
    return Checkpoint("p", "s", TRACE, SPAN, 77, asked, stated, (TRACE, CALL) if prompted else None)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def measured(
    settings: ContextDriftSettings, *due: Checkpoint, send: Callable[[Parcel], Awaitable[object]] | None = None
) -> tuple[list[Parcel], DriftChecker]:
    """What a checker sends of these checkpoints."""
    sent: list[Parcel] = []
    checker = DriftChecker(settings, Prompts())

    async def keep(parcel: Parcel) -> None:
        sent.append(parcel)

    async def measure() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(checker.run(send or keep, stop))
        await asyncio.sleep(0)
        await asyncio.to_thread(checker.put, due)
        await asyncio.to_thread(wait_for, lambda: checker.measured + checker.failed == len(due))
        stop.set()
        await running

    asyncio.run(measure())
    return sent, checker


def findings(parcel: Parcel, settings: ContextDriftSettings) -> list[tuple[str, bytes]]:
    """What the detector says of a measurement that went the way of all telemetry."""
    [(reading, _)] = Reader(msgspec.msgpack.decode(msgspec.msgpack.encode(parcel), type=Parcel), 1, 1).readings()
    step = node_of(reading, reading.trace_id).step
    assert step is not None
    assert step.kind == "evaluation"
    return [(finding.kind, finding.at) for finding in ContextDriftDetector(settings).see(0, step)]


def test_words_far_from_the_prompt_lead_to_a_flag_at_the_step_that_said_them() -> None:
    settings = ContextDriftSettings(method="lexical")
    [parcel], _ = measured(settings, checkpoint())
    assert findings(parcel, settings) == [("CONTEXT_DRIFT", TRACE + SPAN)]
    [span] = parcel.spans
    assert (span.trace_id, span.parent_id, span.start_ns) == (TRACE, SPAN, 77)
    assert span.attributes["gen_ai.evaluation.score.label"] == "drift"


def test_what_a_person_asked_for_is_no_drift() -> None:
    settings = ContextDriftSettings(method="lexical")
    [parcel], _ = measured(settings, checkpoint("please write a poem about rain or snow"))
    assert findings(parcel, settings) == []
    assert parcel.spans[0].attributes["gen_ai.evaluation.score.label"] == "on task"


def test_the_same_checkpoint_measured_twice_is_one_span() -> None:
    settings = ContextDriftSettings(method="lexical")
    (one, other), _ = measured(settings, checkpoint(), checkpoint())
    assert one.spans[0].span_id == other.spans[0].span_id


def test_embeddings_come_from_the_endpoint_that_is_configured() -> None:
    with EmbeddingServer() as server:
        settings = ContextDriftSettings(method="embeddings", url=server.url, model="m-1", key="secret", distance=0.2)
        [parcel], _ = measured(settings, checkpoint())
    assert findings(parcel, settings) == [("CONTEXT_DRIFT", TRACE + SPAN)]
    [asked] = server.asked
    assert (asked["path"], asked["model"]) == ("/v1/embeddings", "m-1")
    assert server.keys == ["Bearer secret"]
    texts = asked["input"]
    assert isinstance(texts, list)
    assert "You book flights to Lisbon." in texts[0]
    assert "a poem about rain" not in texts[0], "what the model said itself is not what it was asked"


@pytest.mark.parametrize("status", [401, 500])
def test_an_endpoint_that_fails_costs_the_measurement_and_nothing_else(
    status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with EmbeddingServer(status) as server:
        settings = ContextDriftSettings(method="embeddings", url=server.url, model="m")
        sent, checker = measured(settings, checkpoint(), checkpoint())
    assert sent == []
    assert (checker.measured, checker.failed) == (0, 2)
    assert capfd.readouterr().err.count("not compared with its task") == 1


def test_a_flow_that_has_no_room_costs_the_measurement_and_nothing_else() -> None:
    async def refuse(parcel: Parcel) -> None:
        del parcel
        raise OverloadedError("full", 1)

    _, checker = measured(ContextDriftSettings(method="lexical"), checkpoint(), send=refuse)
    assert (checker.measured, checker.failed) == (0, 1)


def test_too_many_checkpoints_are_given_up_and_counted() -> None:
    checker = DriftChecker(ContextDriftSettings(method="lexical"), Prompts())
    checker.put([checkpoint()] * (WAITING + 5))
    checker.put([checkpoint()])
    assert checker.failed == 6

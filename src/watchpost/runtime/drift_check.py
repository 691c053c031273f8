"""Measures at checkpoints how far sessions have come from their task, and sends what it measured the way of all telemetry."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import httpx
import msgspec

from watchpost.detect.context_drift import (
    LONGEST,
    MEASURED,
    SHOWN,
    Checkpoint,
    ContextDriftSettings,
    Measurement,
    cosine_distance,
    lexical_distance,
)
from watchpost.ingest.request import OverloadedError
from watchpost.model.step import Reading
from watchpost.model.telemetry import Parcel, Span
from watchpost.runtime.supervisor import tell
from watchpost.store.erasure import Erasure
from watchpost_core.dialogue import dialogue

WAITING = 1000
"""Checkpoints that wait at most; beyond that the oldest are given up, and counted."""


Send = Callable[[Parcel], Awaitable[object]]
"""Takes telemetry of our own the way of all telemetry; raises `OverloadedError` where it cannot now."""


class Prompts(Protocol):
    """Where the prompt of a model call is found."""

    def reading(self, project: str, trace_id: bytes, span_id: bytes) -> Reading | None:
        """The whole winning copy of one span."""
        ...


class _Vector(msgspec.Struct, frozen=True):
    index: int
    embedding: list[float]


class _Vectors(msgspec.Struct, frozen=True):
    """What an embeddings endpoint answers."""

    data: list[_Vector]


class EmbeddingError(Exception):
    """The endpoint did not answer with embeddings; the message says what it did."""


class DriftChecker:
    """Takes checkpoints, and measures one at a time. Checkpoints wait in memory: those of a process that dies are not made up for."""

    def __init__(
        self,
        settings: ContextDriftSettings,
        prompts: Prompts,
    ) -> None:
        self._settings = settings
        self._prompts = prompts
        self._waiting: deque[Checkpoint] = deque(maxlen=WAITING)
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failing = False
        self._erased: set[tuple[str, bytes]] = set()
        self.measured = 0
        self.failed = 0

    def put(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Take checkpoints, from any thread. Nothing is done before `run`."""
        if not checkpoints:
            return
        self.failed += max(len(self._waiting) + len(checkpoints) - WAITING, 0)
        self._waiting.extend(checkpoints)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def erase(self, erasure: Erasure) -> None:
        """Give up the checkpoints of these traces, the one being measured too; from any thread."""
        traces = set(erasure.found.traces)
        self._erased |= traces
        for due in [due for due in list(self._waiting) if (due.project, due.trace_id) in traces]:
            with suppress(ValueError):  # it is being taken just now
                self._waiting.remove(due)

    async def run(self, send: Send, stop: asyncio.Event) -> None:
        """Measure until `stop` is set, and give each measurement to `send`."""
        self._loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(timeout=self._settings.timeout_seconds, trust_env=False) as client:
            stopped = asyncio.create_task(stop.wait())
            while not stop.is_set():
                self._wake.clear()
                while self._waiting and not stop.is_set():
                    self._erased.clear()
                    await self._measure(client, self._waiting.popleft(), send)
                woken = asyncio.create_task(self._wake.wait())
                await asyncio.wait((woken, stopped), return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()

    async def _measure(self, client: httpx.AsyncClient, due: Checkpoint, send: Send) -> None:
        try:
            asked = await asyncio.to_thread(self._asked, due)
            if not asked.strip():
                return
            distance = await self._distance(client, asked, due.stated)
            measured = Measurement(
                distance,
                self._settings.limit,
                self._settings.method,
                due.trace_id.hex(),
                due.span_id.hex(),
                asked[:SHOWN],
                due.stated[-SHOWN:],
            )
            if (due.project, due.trace_id) in self._erased:
                return
            await send(Parcel(due.project, {}, "watchpost", spans=(_span(due, measured),)))
        except (EmbeddingError, OverloadedError) as error:
            self.failed += 1
            if not self._failing:
                tell("a session was not compared with its task", error)
            self._failing = True
        else:
            self.measured += 1
            self._failing = False

    def _asked(self, due: Checkpoint) -> str:
        """What the session was asked to do, with what only the prompt of its last model call tells."""
        if due.prompted is None:
            return due.asked
        reading = self._prompts.reading(due.project, *due.prompted)
        spoken = dialogue(reading.input) if reading is not None else []
        told = "\n".join(words for role, words in spoken if role in {"system", "user"})
        return f"{told}\n{due.asked}"[:LONGEST]

    async def _distance(self, client: httpx.AsyncClient, asked: str, stated: str) -> float:
        if self._settings.method == "lexical":
            return lexical_distance(asked, stated)
        key = self._settings.key
        try:
            answer = await client.post(
                f"{self._settings.url.rstrip('/')}/embeddings",
                json={"model": self._settings.model, "input": [asked, stated], "encoding_format": "float"},
                headers={"authorization": f"Bearer {key}"} if key else {},
            )
            answer.raise_for_status()
            vectors = sorted(msgspec.json.decode(answer.content, type=_Vectors).data, key=lambda each: each.index)
            one, other = (vector.embedding for vector in vectors)
            return cosine_distance(one, other)
        except (httpx.HTTPError, ValueError) as error:
            raise EmbeddingError(f"{self._settings.url} gave no embeddings: {error or type(error).__name__}") from error


def _span(due: Checkpoint, measured: Measurement) -> Span:
    """The measurement as an evaluation beneath the step it is about; the same checkpoint gives the same span."""
    seed = due.trace_id + due.span_id + MEASURED.encode()
    return Span(
        due.trace_id,
        hashlib.blake2b(seed, digest_size=8).digest(),
        due.span_id,
        MEASURED,
        due.at_ns,
        max(due.at_ns, 1),
        1,
        1,
        "",
        {
            "watchpost.step.kind": "evaluation",
            "gen_ai.evaluation.name": "context_drift",
            "gen_ai.evaluation.score.value": round(measured.distance, 4),
            "gen_ai.evaluation.score.label": "drift" if measured.distance > measured.limit else "on task",
            "watchpost.output": msgspec.json.encode(measured).decode(),
        },
    )

"""What the flow promises to senders: durable before acknowledged, never dropped in silence, applied once."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from watchpost.detect.context_drift import ContextDriftSettings
from watchpost.detect.detector import Make
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.ingest.items import Limits
from watchpost.ingest.price import Pricing
from watchpost.ingest.redact import RedactionSettings
from watchpost.ingest.request import OtlpRequest, OverloadedError, RefusedError
from watchpost.log.log import Log
from watchpost.log.record import DELIVERY, LogLimits
from watchpost.rules.precision import PrecisionSettings
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.backlog import Backlog
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.decoder import InProcessDecoder
from watchpost.runtime.flow import Flow, Pace
from watchpost.runtime.judge import Judge
from watchpost.runtime.prepare import Preparer, Setup
from watchpost.runtime.react import Reactor
from watchpost.runtime.releases import Releases
from watchpost.runtime.reviews import Reviews
from watchpost.runtime.supervisor import Supervisor
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions
from watchpost.store.contracts import TelemetryBatch

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("bad_input", "flow")]
from memory_store import MemoryStore
from served import batch, eventually, tool_span, trace_of

SECOND = 10**9


class BarredStore(MemoryStore):
    """Takes no batch while it is barred."""

    def __init__(self) -> None:
        super().__init__()
        self.barred = False
        self.tries = 0
        self.written: list[int] = []

    def write(self, batch: TelemetryBatch) -> None:
        """As promised, or not at all."""
        self.tries += 1
        if self.barred:
            raise ConnectionError("the database is away")
        super().write(batch)
        self.written.append(batch.number)


class Site:
    """A flow over a real log and a store in memory, and the clock that it is told."""

    def __init__(self, folder: Path, store: BarredStore, *, lag_bytes: int, sync: Callable[[int], None]) -> None:
        self.store = store
        self.now_ns = 1_790_000_000 * SECOND
        self.backlog = Backlog()
        cursor = store.cursor()
        self.log = Log.open(folder, LogLimits(), first_seq=cursor.seq + 1, on_durable=self.backlog.put, sync=sync)
        sessions = Sessions(Quiet(30 * SECOND, 600 * SECOND))
        for summary in store.open_sessions(cursor.batch):
            sessions.wake(summary)
        reviews = Reviews(PrecisionSettings(), store)
        detectors = (Make(lambda _: LoopDetector(LoopSettings())),)
        self.flow = Flow(
            log=self.log,
            backlog=self.backlog,
            decoder=InProcessDecoder(Preparer(Setup(Limits(), RedactionSettings(), bytes(32)))),
            reactor=Reactor(
                sessions,
                pricing=Pricing(),
                judge=Judge(detectors, KnowledgeBase({}), store, reviews.are_dismissed),
                checkpoints=Checkpoints(ContextDriftSettings()),
                appraisal=Appraisal(),
                reviews=reviews,
                releases=Releases(store),
                source=store,
                seq=cursor.seq,
            ),
            telemetry=store,
            state=store,
            now_ns=lambda: self.now_ns,
            nudge=lambda: None,
            look=lambda _: None,
            pace=Pace(batch_s=0.01, lag_bytes=lag_bytes),
            supervisor=Supervisor(patient=True),
        )
        self._thread = threading.Thread(target=self.flow.run)

    def start(self) -> None:
        """Let it react."""
        self._thread.start()
        eventually(lambda: self.flow.supervisor.unready() is None or None)

    def send(self, number: int, session_id: str = "s") -> None:
        """Have one tool call accepted."""
        asyncio.run(self.flow.accept(request(number, session_id)))

    def steps(self) -> int:
        """The steps that the store counts."""
        return sum(len(row.steps) for row in self.store.ledger.values() if not row.gone)

    def stop(self) -> None:
        """As a process that ends."""
        self.flow.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self.flow.close()


def request(number: int, session_id: str = "s") -> OtlpRequest:
    return OtlpRequest("traces", batch([tool_span(trace_of(session_id), number, session_id)]))


class OpenSite(Protocol):
    """Opens a site on the log folder and the store of the test."""

    def __call__(self, *, lag_bytes: int = ..., sync: Callable[[int], None] = ...) -> Site: ...


@pytest.fixture
def store() -> BarredStore:
    return BarredStore()


@pytest.fixture
def open_site(tmp_path: Path, store: BarredStore) -> Iterator[OpenSite]:
    """Opens sites on one log folder and one store, and stops what was opened."""
    opened: list[Site] = []

    def open_one(*, lag_bytes: int = 1 << 30, sync: Callable[[int], None] = os.fdatasync) -> Site:
        opened.append(Site(tmp_path / "log", store, lag_bytes=lag_bytes, sync=sync))
        return opened[-1]

    yield open_one
    for site in opened:
        site.stop()


def test_a_request_is_acknowledged_only_after_the_log_has_it_on_disk(open_site: OpenSite) -> None:
    asked, allowed = threading.Event(), threading.Event()

    def sync(_descriptor: int) -> None:
        if threading.current_thread().name == "log-writer":
            asked.set()
            assert allowed.wait(30)

    site = open_site(sync=sync)
    site.start()

    async def accept() -> None:
        task = asyncio.create_task(site.flow.accept(request(1)))
        await asyncio.to_thread(asked.wait, 30)
        done, _ = await asyncio.wait([task], timeout=0.1)
        assert not done
        allowed.set()
        await task

    asyncio.run(accept())
    assert next(site.log.read(0)).kind == DELIVERY


def test_a_refused_request_leaves_nothing_in_the_log(open_site: OpenSite) -> None:
    site = open_site()
    site.start()
    with pytest.raises(RefusedError):
        asyncio.run(site.flow.accept(OtlpRequest("traces", b"\xff")))
    assert list(site.log.read(0)) == []


def test_nothing_new_is_taken_before_what_the_log_holds(open_site: OpenSite) -> None:
    site = open_site()
    with pytest.raises(OverloadedError, match="starting"):
        site.send(1)
    site.start()
    site.send(1)


def test_beyond_the_lag_requests_are_put_off_until_the_store_takes_batches_again(
    open_site: OpenSite, store: BarredStore
) -> None:
    site = open_site(lag_bytes=1)
    site.start()
    store.barred = True
    site.send(1)
    with pytest.raises(OverloadedError) as put_off:
        site.send(2)
    assert put_off.value.retry_after_s > 0
    assert "away" in eventually(site.flow.supervisor.unready)
    store.barred = False
    eventually(lambda: site.backlog.bytes == 0 or None)
    site.send(2)
    eventually(lambda: site.steps() == 2 or None)


def test_a_store_that_fails_for_a_while_gets_every_batch_once(open_site: OpenSite, store: BarredStore) -> None:
    site = open_site()
    site.start()
    store.barred = True
    for number in range(1, 21):
        site.send(number)
    eventually(lambda: store.tries >= 2 or None)
    assert (store.written, site.steps()) == ([], 0)
    store.barred = False
    eventually(lambda: site.steps() == 20 or None)
    eventually(lambda: site.backlog.bytes == 0 or None)
    assert store.written == sorted(set(store.written))
    assert store.cursor().batch == store.written[-1]
    assert site.flow.supervisor.unready() is None


def test_what_the_store_never_took_is_applied_by_the_next_process_once(open_site: OpenSite, store: BarredStore) -> None:
    first = open_site()
    first.start()
    store.barred = True
    for number in range(1, 6):
        first.send(number)
    eventually(lambda: store.tries or None)
    first.stop()
    assert (store.written, store.cursor().batch) == ([], 0)
    store.barred = False
    second = open_site()
    second.start()
    second.send(6)
    eventually(lambda: second.steps() == 6 or None)
    assert store.written == sorted(set(store.written))
    (summary,) = store.summaries.values()
    assert summary.totals.steps == 6

"""Stores, a door and a flow that keep the promises of their seams, in lists."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx
import msgspec
import uvicorn
from work_book import WorkBook

from watchpost.ingest.published_prices import PriceTable
from watchpost.ingest.request import Accepted, OtlpRequest
from watchpost.model.fact import Fact, Verdict
from watchpost.model.flag import Flag, flag_id
from watchpost.model.knowledge import Contract, Draft, Lesson
from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.step import Reading
from watchpost.model.telemetry import LogLine, MetricPoint, MetricType, Temporality
from watchpost.query.flags import FlagFilter, VerdictCount
from watchpost.query.measures import Contributor, Measured, Question, SessionsQuestion
from watchpost.query.metrics import PointFilter, StreamFilter
from watchpost.query.readiness import ReadinessFilter, ServiceSeen
from watchpost.query.sessions import SessionFilter
from watchpost.rules.precision import PrecisionSettings
from watchpost.runtime.flag_tally import FlagTally
from watchpost.server.agent_metrics import AgentMetrics
from watchpost.server.app import Reviewing, ServerSettings, create_app
from watchpost.server.contracts import Contracts
from watchpost.server.health import HealthNumbers
from watchpost.server.measures import Measures
from watchpost.server.readiness import ReadinessCheck
from watchpost.server.unpriced import UnpricedCalls
from watchpost.store.contracts import LedgerStep, StoredMetric
from watchpost.store.readers import MetricStream, StepRow, UnpricedModel
from watchpost.store.state import SessionPin

START_NS = 1_780_000_000_123_456_000
"""2026-05-28 20:26:40.123456 UTC."""


PRICES = PriceTable("published prices", "1.2.3", "2026-01-31")


class Shelf:
    """SessionReader, FlagReader, FlagList, LogReader, UnpricedReader, ReadinessReader and MetricReader over lists."""

    def __init__(self) -> None:
        self.summaries: list[Summary] = []
        self.ledger: dict[str, list[LedgerStep]] = {}
        self.spans: dict[tuple[str, bytes, bytes], Reading] = {}
        self.raised: list[Flag] = []
        self.given: list[Verdict] = []
        self.lines: list[tuple[str, LogLine]] = []
        self.metrics: list[StoredMetric] = []
        self.unpriced_models: list[UnpricedModel] = []
        self.services: list[ServiceSeen] = []
        self.asked_services: list[ReadinessFilter] = []

    def sessions(self, wanted: SessionFilter) -> list[Summary]:
        rows = [s for s in self.summaries if not s.moved_to]
        for field in ("project", "session_id", "state", "outcome", "workflow", "user_id"):
            asked = getattr(wanted, field)
            rows = [s for s in rows if not asked or getattr(s, field) == asked]
        rows.sort(key=lambda s: (s.received_ns, s.key), reverse=True)
        if wanted.before is not None:
            rows = [s for s in rows if (s.received_ns, s.key) < wanted.before]
        return rows[: wanted.limit]

    def session(self, key: str) -> Summary | None:
        return next((s for s in self.summaries if s.key == key), None)

    def steps(self, session: Summary, after: int, limit: int) -> list[StepRow]:
        rows = self.ledger.get(session.key, [])[after : after + limit]
        return [StepRow(after + place, step) for place, step in enumerate(rows, 1)]

    def reading(self, project: str, trace_id: bytes, span_id: bytes) -> Reading | None:
        return self.spans.get((project, trace_id, span_id))

    def logs(self, project: str, trace_id: bytes, span_id: bytes, limit: int) -> list[LogLine]:
        lines = [x for p, x in self.lines if (p, x.trace_id, x.span_id) == (project, trace_id, span_id)]
        return sorted(lines, key=lambda line: line.time_ns)[:limit]

    def unpriced(self, project: str, since_ns: int, limit: int) -> list[UnpricedModel]:
        rows = [m for m in self.unpriced_models if project in ("", m.project) and m.last_ns >= since_ns]
        return sorted(rows, key=lambda m: -m.calls)[:limit]

    def services_seen(self, wanted: ReadinessFilter) -> list[ServiceSeen]:
        self.asked_services.append(wanted)
        rows = [s for s in self.services if wanted.project in ("", s.project) and wanted.service in ("", s.service)]
        return rows[: wanted.limit]

    def streams(self, wanted: StreamFilter) -> list[MetricStream]:
        grouped: dict[tuple[str, str, str, MetricType, Temporality, bool], list[StoredMetric]] = {}
        for one in self.metrics:
            p = one.point
            key = (p.name, one.project, p.unit, p.type, p.temporality, p.monotonic)
            if wanted.project in ("", one.project) and (
                wanted.after is None or key > msgspec.structs.astuple(wanted.after)
            ):
                grouped.setdefault(key, []).append(one)
        return [
            MetricStream(key[1], key[0], *key[2:], len(found), max(one.received_ns for one in found))
            for key, found in sorted(grouped.items())
        ][: wanted.limit]

    def points(self, wanted: PointFilter) -> list[StoredMetric]:
        found = [m for m in self.metrics if m.point.name == wanted.name and wanted.project in ("", m.project)]
        found.sort(key=lambda m: (m.point.time_ns, m.id), reverse=True)
        if wanted.before is not None:
            found = [m for m in found if (m.point.time_ns, m.id) < wanted.before]
        return found[: wanted.limit]

    def flags(self, sessions: Sequence[tuple[str, str]]) -> list[Flag]:
        return sorted((f for f in self.raised if (f.project, f.session_id) in sessions), key=lambda f: f.at_ns)

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        return [f for f in self.raised if (f.project, f.trace_id) in traces]

    def flags_by_id(self, ids: Sequence[str]) -> list[Flag]:
        return sorted((f for f in self.raised if f.id in ids), key=lambda f: f.at_ns)

    def verdicts(self, flag_ids: Sequence[str]) -> list[Verdict]:
        return [verdict for verdict in self.given if verdict.flag_id in flag_ids]

    def verdict_counts(self, project: str) -> list[VerdictCount]:
        held = {verdict.flag_id: verdict.verdict for verdict in self.given}
        return [
            VerdictCount(f.project, f.kind, f.tool, int(held[f.id] == "confirm"), int(held[f.id] == "dismiss"))
            for f in self.raised
            if f.id in held and project in {"", f.project}
        ]

    def flags_matching(self, wanted: FlagFilter) -> list[Flag]:
        held = {verdict.flag_id: verdict.verdict for verdict in self.given}
        rows = [f for f in self.raised if wanted.verdict in {"", held.get(f.id, "none")}]
        for field in ("project", "session_id", "kind", "tool", "state"):
            asked = getattr(wanted, field)
            rows = [f for f in rows if not asked or getattr(f, field) == asked]
        rows = [f for f in rows if wanted.since_ns <= f.at_ns and (not wanted.until_ns or f.at_ns < wanted.until_ns)]
        rows.sort(key=lambda f: (f.at_ns, f.id), reverse=True)
        if wanted.before is not None:
            rows = [f for f in rows if (f.at_ns, f.id) < wanted.before]
        return rows[: wanted.limit]

    def add_session(self, session_id: str, *, at: int = 0, **fields: object) -> Summary:
        """A session received `at` seconds after START_NS, ended and completed unless told otherwise."""
        start = START_NS + at * 10**9
        summary = Summary(
            key=session_key("default", session_id),
            project="default",
            session_id=session_id,
            workflow="refunds",
            user_id="u-1",
            state="ended",
            outcome="completed",
            revision=1,
            started_ns=start,
            ended_ns=start + 2_500_000_000,
            received_ns=start,
            due_ns=0,
            totals=Totals(),
        )
        summary = msgspec.structs.replace(summary, **fields)
        self.summaries.append(summary)
        return summary

    def add_step(self, session: Summary, kind: str = "tool", *, trace: int = 1, **fields: object) -> LedgerStep:
        """The next step of a session, in trace number `trace`, with a span behind it."""
        rows = self.ledger.setdefault(session.key, [])
        number = len(rows) + 1
        trace_id = hashlib.blake2b(f"{session.key}{trace}".encode(), digest_size=16).digest()
        given = {name: fields.pop(name) for name in ("input", "output", "rest", "refs") if name in fields}
        step = LedgerStep(
            trace_id=trace_id,
            span_id=number.to_bytes(8, "big"),
            parent_id=bytes(8),
            start_ns=session.started_ns + number * 10**8,
            dur_us=1500,
            kind=kind,
            name="lookup_order",
            agent="refund-agent",
            model="",
            tool="lookup_order" if kind == "tool" else "",
            status="ok",
            error_type="",
            in_tok=None,
            out_tok=None,
            cost_nano=None,
        )
        step = msgspec.structs.replace(step, **fields)
        rows.append(step)
        reading = Reading(
            project=session.project,
            trace_id=step.trace_id,
            span_id=step.span_id,
            parent_id=step.parent_id,
            ver=1,
            received_ns=session.received_ns,
            start_ns=step.start_ns,
            end_ns=step.start_ns + 1,
            kind=step.kind,
            name=step.name,
            status="ok",
            tool=step.tool,
        )
        self.spans[session.project, step.trace_id, step.span_id] = msgspec.structs.replace(reading, **given)
        return step

    def add_point(self, point: MetricPoint, project: str = "default") -> StoredMetric:
        """A point received one second after the one added before, from a service called shop."""
        received_ns = START_NS + len(self.metrics) * 10**9
        identity = (len(self.metrics) + 1).to_bytes(16, "big")
        self.metrics.append(StoredMetric(identity, project, received_ns, {"service.name": "shop"}, "a.scope", point))
        return self.metrics[-1]

    def add_flag(self, session: Summary, step: LedgerStep, **fields: object) -> Flag:
        """A confirmed loop flag at a step."""
        flag = Flag(
            id=flag_id(session.project, "loop", str(len(self.raised)), step.trace_id, step.span_id),
            project=session.project,
            session_id=session.session_id,
            kind="loop",
            subject="lookup_order",
            trace_id=step.trace_id,
            span_id=step.span_id,
            severity="high",
            state="confirmed",
            summary="lookup_order was called 4 times with the same arguments",
            evidence={"steps": [step.span_id.hex()]},
            at_ns=step.start_ns,
        )
        self.raised.append(msgspec.structs.replace(flag, **fields))
        return self.raised[-1]


class Gauge:
    """A MeasureReader that answers as it was told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.asked_sessions: list[SessionsQuestion] = []
        self.answers: list[Measured] = []
        self.behind: list[Contributor] = []

    def measured(self, question: Question) -> Measured:
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else Measured(0, [])

    def contributors(self, asked: SessionsQuestion) -> list[Contributor]:
        self.asked_sessions.append(asked)
        after = asked.after or ("", "")
        return [one for one in self.behind if (one.project, one.session_id) > after][: asked.limit]


class OpenDoor:
    """Keeps what it is given; answers or raises what it was told to."""

    def __init__(self) -> None:
        self.taken: list[OtlpRequest] = []
        self.answer: Accepted | Exception = Accepted(0)
        self.pause_s = 0.0
        self.entered = threading.Event()

    async def accept(self, request: OtlpRequest) -> Accepted:
        self.entered.set()
        await asyncio.sleep(self.pause_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        self.taken.append(request)
        return self.answer


class Slate:
    """A notebook whose facts hold on the shelf at once, unless it is told to be `slow`; raises what it was told to."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.noted: list[Fact] = []
        self.slow = False
        self.fault: Exception | None = None

    async def note(self, facts: Sequence[Fact]) -> int:
        if self.fault is not None:
            raise self.fault
        self.noted += facts
        return len(self.noted)

    async def settled(self, seq: int, timeout_s: float) -> bool:
        assert timeout_s > 0
        if not self.slow:
            self._shelf.given = [fact for fact in self.noted[:seq] if isinstance(fact, Verdict)]
        return not self.slow


class Lessons:
    """A KnowledgeSource over lists."""

    def __init__(self) -> None:
        self.published: list[Lesson] = []
        self.gathered: list[Draft] = []

    def lessons(self, project: str) -> list[Lesson]:
        return [each for each in self.published if project in {"", each.project}]

    def drafts(self, project: str) -> list[Draft]:
        return [each for each in self.gathered if project in {"", each.project}]

    def pins(self, sessions: Sequence[tuple[str, str]]) -> list[SessionPin]:
        del sessions
        return []


class Pulse:
    """A flow that is as ready, and counts, as the test says."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.now = HealthNumbers()

    def unready(self) -> str | None:
        return self.reason

    def numbers(self) -> HealthNumbers:
        return self.now


class House:
    """A whole server over fakes, and a caller beside it who speaks as a program on this machine does."""

    def __init__(self, settings: ServerSettings | None = None) -> None:
        self.address = ""
        self.door = OpenDoor()
        self.shelf = Shelf()
        self.slate = Slate(self.shelf)
        self.gauge = Gauge()
        self.pulse = Pulse()
        self.base = Lessons()
        self.work = WorkBook()
        self.confirmed = FlagTally()
        self.declared: dict[str, Contract] = {}
        self.app = create_app(
            self.door,
            sessions=self.shelf,
            flags=self.shelf,
            logs=self.shelf,
            points=self.shelf,
            unpriced=UnpricedCalls(self.shelf, lambda: PRICES),
            readiness=ReadinessCheck(self.shelf, lambda: START_NS),
            measures=Measures(self.gauge, lambda: START_NS),
            reviewing=Reviewing(self.shelf, self.slate, PrecisionSettings(verdicts=4), lambda: START_NS),
            contracts=Contracts(self.base, self.slate, lambda: START_NS, self.declared),
            health=self.pulse,
            agents=AgentMetrics(self.work, self.confirmed.counts, lambda: START_NS),
            settings=settings or ServerSettings(),
        )

    def get(self, address: str, **headers: str) -> httpx.Response:
        """One GET in process, at localhost:8484."""
        return self.ask("GET", address, headers=headers)

    def post(self, address: str, body: bytes = b"", **headers: str) -> httpx.Response:
        """One POST of OTLP/protobuf in process, unless `content_type` says otherwise; underscores in names become dashes."""
        named = {"content-type": "application/x-protobuf"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return self.ask("POST", address, headers={k: v for k, v in named.items() if v}, body=body)

    def ask(
        self, method: str, address: str, *, headers: Mapping[str, str | bytes] | None = None, body: bytes = b""
    ) -> httpx.Response:
        """One request in process; an error that the application lets out is answered as a server would answer it."""
        as_sent = {name.encode(): v if isinstance(v, bytes) else v.encode() for name, v in (headers or {}).items()}

        async def one() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8484") as client:
                return await client.request(method, address, headers=as_sent, content=body)

        return asyncio.run(one())


@contextmanager
def served(house: House) -> Iterator[str]:
    """The house behind a real HTTP server on a free port of this machine; yields its address."""
    config = uvicorn.Config(house.app, host="127.0.0.1", port=0, log_level="warning", ws="none", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()

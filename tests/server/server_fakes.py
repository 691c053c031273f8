"""Stores, a door and a flow that keep the promises of their seams, in lists."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import httpx
import msgspec
import uvicorn
from cohort_shelf import CohortShelf
from erased_records import Graveyard
from ledger_shelf import LedgerShelf
from work_book import WorkBook

from watchpost.ingest.published_prices import PriceTable
from watchpost.ingest.redact import RedactionSettings, Redactor
from watchpost.ingest.request import Accepted, OtlpRequest
from watchpost.model.alert import Alert
from watchpost.model.fact import Fact, Hold, Verdict
from watchpost.model.flag import Flag, flag_id
from watchpost.model.knowledge import Contract, Draft, Lesson
from watchpost.model.release import Release
from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.silence import Silence
from watchpost.model.step import Reading
from watchpost.model.telemetry import LogLine, MetricPoint, MetricType, Parcel, Temporality
from watchpost.query.alerts import AlertFilter
from watchpost.query.flags import FlagFilter, KindCount, VerdictCount
from watchpost.query.logs import LogFilter
from watchpost.query.measures import Contributor, Measured, Question, SessionsQuestion
from watchpost.query.metrics import PointFilter, StreamFilter
from watchpost.query.readiness import ReadinessFilter, ServiceSeen
from watchpost.query.releases import ReleaseFilter
from watchpost.query.sessions import SessionFilter
from watchpost.rules.pack import runbook, shipped, shipped_text
from watchpost.rules.precision import PrecisionSettings
from watchpost.rules.rule_file import read_rules
from watchpost.rules.rule_text import RuleText, texts_of
from watchpost.runtime.flag_tally import FlagTally
from watchpost.runtime.settings_shown import SettingsShown
from watchpost.server.agent_metrics import AgentMetrics
from watchpost.server.alert_hold import NO_ROUTING
from watchpost.server.alerts import Alerts
from watchpost.server.app import ServerSettings, create_app
from watchpost.server.backtest import Backtests, Records
from watchpost.server.channel_trials import ChannelTrials
from watchpost.server.contracts import Contracts
from watchpost.server.days import UTC_DAYS
from watchpost.server.erasure import ErasureDesk
from watchpost.server.feedback import Feedback
from watchpost.server.health import HealthNumbers
from watchpost.server.health_report import HealthReport
from watchpost.server.inbound import Inbound, InboundSecrets
from watchpost.server.kept_traces import KeptTraces
from watchpost.server.live import Live
from watchpost.server.measures import Measures
from watchpost.server.notices import NoticeLog
from watchpost.server.readiness import ReadinessCheck
from watchpost.server.release_versions import Versions
from watchpost.server.releases import ReleaseBook
from watchpost.server.route_tree import RouteTree
from watchpost.server.rule_book import RuleBook
from watchpost.server.rule_review import RuleReviews
from watchpost.server.services import Alerting, Figures, Readers, Setup, Vitals, Words
from watchpost.server.slos import Slos
from watchpost.server.spending import Spending
from watchpost.server.unpriced import UnpricedCalls
from watchpost.store.alerts import AcknowledgedAlert, AlertGroup, StandingAlert
from watchpost.store.contracts import LedgerStep, Member, StoredMetric
from watchpost.store.readers import FoundLine, MetricStream, StepRow, UnnamedError, UnpricedModel
from watchpost.store.retention import Sampled
from watchpost.store.state import NoticeReader, SessionPin, StoredNotice
from watchpost_core.mentions import forms, named

START_NS = 1_780_000_000_123_456_000
"""2026-05-28 20:26:40.123456 UTC."""


SECRET = b"s" * 32
"""What digests of erased ids are keyed with."""

PRICES = PriceTable("published prices", "1.2.3", "2026-01-31")


def _searched_since_ns(wanted: SessionFilter) -> int:
    if wanted.among is not None:
        return 0
    return wanted.text_since_ns if wanted.words_since_ns is None else wanted.words_since_ns


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
        self.sampled_now: dict[str, Sampled] = {}
        self.held: list[Hold] = []
        self.asked_services: list[ReadinessFilter] = []
        self.searched_since_ns = 0
        self.words_searched_since_ns = 1 << 62
        self.few_keys: tuple[str, ...] | None = None

    def sessions(self, wanted: SessionFilter) -> list[Summary]:
        rows = [s for s in self.summaries if not s.moved_to]
        for field in ("project", "key", "session_id", "state", "outcome", "workflow", "user_id", "service", "org_id", "feature", "release"):  # fmt: skip
            asked = getattr(wanted, field)
            rows = [s for s in rows if not asked or getattr(s, field) == asked]
        if wanted.entity and not (things := named(wanted.entity) or named(wanted.entity.upper())):
            raise UnnamedError(wanted.entity)
        if wanted.entity:
            rows = [s for s in rows if forms(self._texts(s)) >= {thing.lower().encode() for thing in things}]
        if wanted.text:
            among = {s.key for s in rows} if wanted.among is None else set(wanted.among)
            rows = [s for s in rows if s.key in among]
            since = _searched_since_ns(wanted)
            rows = [s for s in rows if wanted.text.lower() in self._texts(s, since).lower()]
        if wanted.trace_id:
            rows = [s for s in rows if any(x.trace_id == wanted.trace_id for x in self.ledger.get(s.key, []))]
        if wanted.flag:
            rows = [s for s in rows if any(f.session_id == s.session_id and f.kind == wanted.flag for f in self.raised)]
        if wanted.flagged:
            rows = [
                s for s in rows if any(f.session_id == s.session_id and f.state != "withdrawn" for f in self.raised)
            ]
        if wanted.error:
            rows = [s for s in rows if any(x.status == "error" for x in self.ledger.get(s.key, []))]
        rows = [s for s in rows if s.ended_ns >= wanted.since_ns and s.started_ns < (wanted.until_ns or 2**63)]
        rows.sort(key=lambda s: (s.received_ns, s.key), reverse=True)
        if wanted.before is not None:
            rows = [s for s in rows if (s.received_ns, s.key) < wanted.before]
        return rows[: wanted.limit]

    def _texts(self, session: Summary, since_ns: int = 0) -> str:
        spans = [self.spans[session.project, x.trace_id, x.span_id] for x in self.ledger.get(session.key, [])]
        return " ".join(f"{x.input} {x.output}" for x in spans if x.received_ns >= since_ns)

    def few(self, wanted: SessionFilter) -> tuple[str, ...] | None:
        assert wanted.text
        return self.few_keys

    def text_since_ns(self, wanted: SessionFilter, most: int) -> int:
        assert wanted.text
        assert most > 0
        return self.searched_since_ns

    def words_since_ns(self, wanted: SessionFilter, most: int) -> int:
        assert most > 0
        return min(wanted.text_since_ns, self.words_searched_since_ns)

    def log_text_since_ns(self, wanted: LogFilter, most: int) -> int:
        assert most > 0
        return self.searched_since_ns if wanted.text else 0

    def sampled(self, keys: Sequence[str]) -> dict[str, Sampled]:
        return {key: self.sampled_now[key] for key in keys if key in self.sampled_now}

    def holds(self) -> list[Hold]:
        return [hold for hold in self.held if not hold.released]

    def session(self, key: str) -> Summary | None:
        return next((s for s in self.summaries if s.key == key), None)

    def members_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Member]:
        return [
            Member(s.project, s.session_id, step.trace_id, 1, live=True)
            for s in self.summaries
            for step in self.ledger.get(s.key, [])[:1]
            if (s.project, step.trace_id) in traces
        ]

    def steps(self, session: Summary, after: int, limit: int) -> list[StepRow]:
        rows = self.ledger.get(session.key, [])[after : after + limit]
        return [StepRow(after + place, step) for place, step in enumerate(rows, 1)]

    def reading(self, project: str, trace_id: bytes, span_id: bytes) -> Reading | None:
        return self.spans.get((project, trace_id, span_id))

    def logs(self, project: str, trace_id: bytes, span_id: bytes, limit: int) -> list[LogLine]:
        lines = [x for p, x in self.lines if (p, x.trace_id, x.span_id) == (project, trace_id, span_id)]
        return sorted(lines, key=lambda line: line.time_ns)[:limit]

    def log_lines(self, wanted: LogFilter) -> list[FoundLine]:
        found = [FoundLine(p, 1, place, x.time_ns, x) for place, (p, x) in enumerate(self.lines)]
        if wanted.session is not None:
            traces = {x.trace_id for x in self.ledger.get(session_key(*wanted.session), [])}
            found = [x for x in found if x.line.trace_id in traces]
        found = [x for x in found if wanted.project in {"", x.project} and x.line.severity >= wanted.severity]
        found = [x for x in found if wanted.trace_id in {b"", x.line.trace_id}]
        found = [x for x in found if wanted.span_id in {b"", x.line.span_id}]
        found = [x for x in found if wanted.event_name in {"", x.line.event_name}]
        found = [x for x in found if all(x.line.attributes.get(name) == value for name, value in wanted.attributes)]
        found = [x for x in found if wanted.text.lower() in f"{x.line.body} {x.line.attributes}".lower()]
        found = [x for x in found if wanted.since_ns <= x.line.time_ns < (wanted.until_ns or 2**63)]
        found.sort(key=lambda x: (x.line.time_ns, x.seq, x.place), reverse=True)
        if wanted.before is not None:
            found = [x for x in found if (x.line.time_ns, x.seq, x.place) < wanted.before]
        return found[: wanted.limit]

    def sessions_of(self, traces: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], Summary]:
        held = {s.key: s for s in self.summaries}
        members = self.members_of_traces(traces)
        return {(m.project, m.trace_id): held[session_key(m.project, m.session_id)] for m in members}

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

    def flag_kinds(self, wanted: FlagFilter) -> list[KindCount]:
        counted = Counter(flag.kind for flag in self.flags_matching(wanted))
        found = [KindCount(kind, many) for kind, many in counted.items()]
        return sorted(found, key=lambda each: (-each.flags, each.kind))

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


SLOS = read_rules("""
slos:
  - name: RefundsComplete
    good: completion_rate
    where: {workflow: [refunds]}
    by: [release]
    objective: 99 %
    window: 30d
    at_least_count: 20
    owner: team-refunds
    runbook: https://runbooks.example/refunds-slo
""").slos


P = ParamSpec("P")
T = TypeVar("T")


class Gauge:
    """A FiguresReader that answers as it was told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.asked_sessions: list[SessionsQuestion] = []
        self.answers: list[Measured] = []
        self.behind: list[Contributor] = []

    def measured(self, question: Question) -> Measured:
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else Measured(0, [])

    def measured_together(self, questions: Sequence[Question]) -> list[Measured]:
        return [self.measured(question) for question in questions]

    def contributors(self, asked: SessionsQuestion) -> list[Contributor]:
        self.asked_sessions.append(asked)
        after = asked.after or ("", "")
        return [one for one in self.behind if (one.project, one.session_id) > after][: asked.limit]


class AtOnce(Executor):
    """Does what it is given in the thread of the caller."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class QuietBoard:
    """AlertMemory and AlertReader where no rule ever held."""

    def standing(self) -> list[Alert]:
        return []

    def dispatched(self) -> list[Alert]:
        return []

    def alert_groups(self) -> list[AlertGroup]:
        return []

    def silences(self, ended_after_ns: int) -> list[Silence]:
        del ended_after_ns
        return []

    def alerts(self, wanted: AlertFilter) -> list[StandingAlert]:
        del wanted
        return []

    def alert(self, alert_id: str) -> StandingAlert | None:
        del alert_id
        return None

    def alert_history(self, alert_id: str, limit: int) -> list[StandingAlert]:
        del alert_id, limit
        return []

    def acknowledged(self, alert_id: str) -> list[AcknowledgedAlert]:
        del alert_id
        return []


class QuietOutbox:
    """A NoticeReader where nobody was told of anything."""

    def notices_about(self, alert_id: str, limit: int) -> list[StoredNotice]:
        del alert_id, limit
        return []

    def last_tries(self) -> list[StoredNotice]:
        return []


class Calendar:
    """A ReleaseReader over a list."""

    def __init__(self) -> None:
        self.released: list[Release] = []

    def releases(self, wanted: ReleaseFilter) -> list[Release]:
        rows = [r for r in self.released if wanted.retracted or r.retracted is None]
        rows = [r for r in rows if not wanted.projects or r.project in wanted.projects]
        rows = [r for r in rows if not wanted.workflows or r.workflow in {"", *wanted.workflows}]
        rows = [r for r in rows if wanted.kind in {"", r.kind} and r.at_ns >= wanted.since_ns]
        rows = [r for r in rows if not wanted.until_ns or r.at_ns < wanted.until_ns]
        rows.sort(key=lambda r: (r.at_ns, r.id), reverse=True)
        if wanted.before is not None:
            rows = [r for r in rows if (r.at_ns, r.id) < wanted.before]
        return rows[: wanted.limit]

    def release(self, release_id: str) -> Release | None:
        return next((r for r in self.released if r.id == release_id), None)


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
            self._shelf.held = [fact for fact in self.noted[:seq] if isinstance(fact, Hold)][-1:]
        return not self.slow


class InBox:
    """A desk that keeps what it is told, which holds at once unless it is `slow`; raises what it was told to."""

    def __init__(self) -> None:
        self.reported: list[Parcel] = []
        self.slow = False
        self.fault: Exception | None = None

    async def report(self, parcel: Parcel) -> int:
        if self.fault is not None:
            raise self.fault
        self.reported.append(parcel)
        return len(self.reported)

    async def settled(self, seq: int, timeout_s: float) -> bool:
        assert seq == len(self.reported)
        assert timeout_s > 0
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


def _now() -> int:
    return START_NS


@functools.cache
def _shipped_texts() -> dict[str, RuleText]:
    return texts_of(shipped_text(), "shipped.yaml")


class House:
    """A whole server over fakes, and a caller beside it who speaks as a program on this machine does."""

    def __init__(
        self,
        settings: ServerSettings | None = None,
        alerts: Alerts | None = None,
        inbound: Inbound | None = None,
        *,
        notices: NoticeReader | None = None,
        setup: Setup | None = None,
    ) -> None:
        self.address = ""
        self.door = OpenDoor()
        self.shelf = Shelf()
        self.slate = Slate(self.shelf)
        self.gauge = Gauge()
        self.calendar = Calendar()
        self.pulse = Pulse()
        self.live = Live()
        self.base = Lessons()
        self.work = WorkBook()
        self.confirmed = FlagTally()
        self.declared: dict[str, Contract] = {}
        self.inbox = InBox()
        self.counted = LedgerShelf()
        self.redact = Redactor(RedactionSettings(), b"k" * 32).delivery
        self.graves = Graveyard()
        self.cohorts = CohortShelf()
        told = NoticeLog(notices or QuietOutbox())
        self.app = create_app(
            self.door,
            readers=Readers(
                sessions=self.shelf,
                flags=self.shelf,
                listed=self.shelf,
                logs=self.shelf,
                points=self.shelf,
                traces=KeptTraces(self.shelf, self.shelf),
                texts=self.shelf,
                redact=self.redact,
            ),
            figures=Figures(
                measures=Measures(self.gauge, self.calendar, _now),
                versions=Versions(self.gauge, _now),
                spending=Spending(self.gauge, _now),
                slos=Slos(SLOS, self.gauge, _now),
                unpriced=UnpricedCalls(self.shelf, lambda: PRICES),
                readiness=ReadinessCheck(self.shelf, _now),
                executor=AtOnce(),
                days=UTC_DAYS,
            ),
            alerting=Alerting(
                alerts=alerts or Alerts(QuietBoard(), QuietBoard(), self.slate, _now, rules=shipped().rules),
                notices=told,
                rules=RuleBook(
                    shipped().rules,
                    QuietBoard(),
                    _shipped_texts(),
                    {rule.runbook: runbook(rule.runbook) or "" for rule in shipped().rules},
                ),
                inbound=inbound or Inbound(InboundSecrets(), QuietBoard(), self.slate, _now),
                backtests=Backtests(Records(self.counted, self.gauge, self.shelf), shipped().rules, _now, UTC_DAYS),
                rule_reviews=RuleReviews(QuietBoard(), QuietBoard(), shipped().rules, _now, UTC_DAYS),
            ),
            words=Words(
                notes=self.slate,
                precision=PrecisionSettings(verdicts=4),
                feedback=Feedback(self.shelf, self.inbox, self.redact, _now),
                releases=ReleaseBook(self.calendar, self.slate, _now),
                contracts=Contracts(self.base, self.slate, _now, self.declared),
                erasures=ErasureDesk(
                    self.shelf,
                    self.graves,
                    self.graves,
                    notes=self.slate,
                    redact=self.redact,
                    secret=SECRET,
                    now_ns=_now,
                ),
                cohorts=self.cohorts,
                now_ns=_now,
            ),
            vitals=Vitals(
                self.pulse,
                HealthReport(self.pulse, told, _now),
                AgentMetrics(self.work, self.confirmed.counts, _now),
                self.live,
            ),
            setup=setup
            or Setup(
                SettingsShown("watchpost.toml", is_there=False, settings=[], channels=[]),
                RouteTree(NO_ROUTING),
                ChannelTrials({}, _now),
            ),
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

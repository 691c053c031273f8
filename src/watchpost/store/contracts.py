"""The seams of the store, stated by what the flow and the pages need.

Every engine passes the same battery, `tests/store/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from watchpost.model.cost import UnpricedReason
from watchpost.model.fact import Verdict
from watchpost.model.flag import Flag
from watchpost.model.knowledge import Draft, Lesson
from watchpost.model.notice import DeliveryState, Due, Notice, Receipt
from watchpost.model.session import Summary
from watchpost.model.step import Reading
from watchpost.model.telemetry import Attributes, LogLine, MetricPoint, MetricType, Temporality
from watchpost.query.flags import FlagFilter, VerdictCount
from watchpost.query.measures import Contributor, Measured, Question, SessionsQuestion
from watchpost.query.metrics import PointFilter, StreamFilter
from watchpost.query.readiness import ReadinessFilter, ServiceSeen
from watchpost.query.sessions import SessionFilter


class Member(msgspec.Struct, frozen=True, gc=False):
    """That a trace belongs to a session. Of several rows for one trace and session the greatest `seq` holds."""

    project: str
    session_id: str
    trace_id: bytes
    seq: int
    live: bool


class LedgerStep(msgspec.Struct, frozen=True, gc=False):
    """One counted step.

    Times are Unix nanoseconds; `dur_us` is microseconds, None while running or where end precedes start; `first_us` is when the first token came. An evaluation has its `evaluator`, `score` and `label`.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    dur_us: int | None
    kind: str
    name: str
    agent: str
    model: str
    tool: str
    status: str
    error_type: str
    in_tok: int | None
    out_tok: int | None
    cost_nano: int | None
    flags: tuple[str, ...] = ()
    cached_tok: int | None = None
    reasoning_tok: int | None = None
    first_us: int | None = None
    prompt: str = ""
    evaluator: str = ""
    score: float | None = None
    label: str = ""


class LedgerRow(msgspec.Struct, frozen=True):
    """Everything counted for one session in one slot of ten minutes, by the start of its steps, in step order.

    The row of the greatest `seq` replaces all others of its project, slot and session; `gone` takes the slot out.
    `slot` is Unix seconds, a multiple of 600.
    """

    project: str
    slot: int
    session_id: str
    seq: int
    gone: bool
    workflow: str
    user_id: str
    outcome: str
    steps: tuple[LedgerStep, ...]
    service: str = ""
    org_id: str = ""
    feature: str = ""
    release: str = ""


class StoredLog(msgspec.Struct, frozen=True):
    """One log line as stored; `seq` is the log sequence of its delivery, `place` its place in it."""

    project: str
    seq: int
    place: int
    received_ns: int
    line: LogLine


class StoredMetric(msgspec.Struct, frozen=True):
    """One metric point as stored, with what sent it. Of several rows of one id only one counts, whichever that is.

    The `id` derives from all of it but `received_ns`, so that a point sent again is the same point.
    """

    id: bytes
    project: str
    received_ns: int
    resource: Attributes
    scope: str
    point: MetricPoint


class MetricStream(msgspec.Struct, frozen=True):
    """The points of one project that share a name, unit and type: how many there are, and when the last one was received."""

    project: str
    name: str
    unit: str
    type: MetricType
    temporality: Temporality
    monotonic: bool
    points: int
    received_ns: int


class TelemetryBatch(msgspec.Struct, frozen=True):
    """All that one `apply` writes to telemetry. `number` names it: writing a number again leaves one copy."""

    number: int
    readings: Sequence[Reading] = ()
    members: Sequence[Member] = ()
    ledger: Sequence[LedgerRow] = ()
    sessions: Sequence[Summary] = ()
    logs: Sequence[StoredLog] = ()
    metrics: Sequence[StoredMetric] = ()


class TelemetryWriter(Protocol):
    """Writes batches."""

    def write(self, batch: TelemetryBatch) -> None:
        """Return only when all of the batch is durable and readable; writing it twice leaves one copy.

        What is counted goes first (ledger, sessions, logs, metrics), then what a fold is rebuilt from (members, then spans): a
        fold rebuilt after a crash in between knows nothing of the batch, or finds all that it counts written.
        """
        ...


class FoldSource(Protocol):
    """What the fold asks to rebuild sessions that it does not hold. Answers cover every batch whose write returned."""

    def members_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Member]:
        """The live memberships of the given (project, trace id) pairs."""
        ...

    def members_of_sessions(self, sessions: Sequence[tuple[str, str]]) -> list[Member]:
        """The live memberships of the given (project, session id) pairs."""
        ...

    def readings(self, traces: Sequence[tuple[str, bytes]], upto: int) -> list[Reading]:
        """Of every span of the given traces the winning copy, among those whose log sequence is at most `upto`.

        Without `rest`, and with as much of `input` and `output` as a step is made of: whole of tool calls and handoffs, of a model call's
        input whether there was any, of other steps what `watchpost_core.utterance` looks at, none of what is no step. Where copies were merged and the winner lies beyond `upto`, none.
        """
        ...

    def open_sessions(self, applied: int) -> list[Summary]:
        """Every session that had not ended as of batch `applied`, and is not merged away.

        One that ended in a later batch, which a crash cut short, is among them: it is to end again.
        """
        ...


class StepRow(msgspec.Struct, frozen=True):
    """One step of a page of steps: its number in the session, from 1, and what the ledger counts for it."""

    number: int
    step: LedgerStep


class SessionReader(Protocol):
    """What pages, API and CLI ask about sessions."""

    def sessions(self, wanted: SessionFilter) -> list[Summary]:
        """At most `wanted.limit` summaries, latest activity first (`received_ns`, then key, descending), merged ones left out."""
        ...

    def session(self, key: str) -> Summary | None:
        """The summary of a key, also of one that was merged away; None for a key never seen."""
        ...

    def steps(self, session: Summary, after: int, limit: int) -> list[StepRow]:
        """The steps numbered `after + 1` to `after + limit` of a session."""
        ...

    def reading(self, project: str, trace_id: bytes, span_id: bytes) -> Reading | None:
        """The whole winning copy of one span, `rest` included."""
        ...


class UnpricedModel(msgspec.Struct, frozen=True):
    """Calls of one model, by one provider in one service, that have no cost for one reason.

    `provider` is the sender's word for it. `failed` of the `calls` ended in an error. Tokens are those that were reported, None
    where none were. `first_ns` and `last_ns` are when the first and the last call started, by their senders' clocks.
    """

    project: str
    provider: str
    model: str
    service: str
    reason: UnpricedReason
    calls: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    first_ns: int
    last_ns: int


class UnpricedReader(Protocol):
    """Model calls without a price."""

    def unpriced(self, project: str, since_ns: int, limit: int) -> list[UnpricedModel]:
        """The ended model calls and embeddings without a cost that started at or after a time, at most `limit` groups of them.

        The most calls first; an empty `project` is every project. Calls are those that sessions count, twins once.
        """
        ...


class MeasureReader(Protocol):
    """Measures of what is current in ledger and index of sessions; the order of writing, or writing twice, changes no answer."""

    def measured(self, question: Question) -> Measured:
        """What a measure comes to, by group and step of time."""
        ...

    def contributors(self, asked: SessionsQuestion) -> list[Contributor]:
        """The sessions behind one point of it, in the order of projects and session ids."""
        ...


class ReadinessReader(Protocol):
    """Which required fields services send."""

    def services_seen(self, wanted: ReadinessFilter) -> list[ServiceSeen]:
        """What the latest ended calls of at most `wanted.limit` services carry, those with the most calls first.

        Calls are those that sessions count, twins once. A service in which agents run, but no call was seen, is among them.
        """
        ...


class LogReader(Protocol):
    """Log lines of one step."""

    def logs(self, project: str, trace_id: bytes, span_id: bytes, limit: int) -> list[LogLine]:
        """At most `limit` lines that carry this trace and span id, by time."""
        ...


class MetricReader(Protocol):
    """What agents sent as metrics."""

    def streams(self, wanted: StreamFilter) -> list[MetricStream]:
        """At most `wanted.limit` streams in the order of their keys."""
        ...

    def points(self, wanted: PointFilter) -> list[StoredMetric]:
        """At most `wanted.limit` points of one metric, each once, the latest first (`time_ns`, then id, descending)."""
        ...


class Cursor(msgspec.Struct, frozen=True):
    """How far the flow has come: the number of the last applied batch and the last log sequence in it."""

    batch: int = 0
    seq: int = 0


class SessionPin(msgspec.Struct, frozen=True):
    """The knowledge by which a session is judged for good, and whether it has taught what it had to teach, as a `sound` one or not."""

    project: str
    session_id: str
    knowledge: int
    taught: bool
    sound: bool = False


class StoredVerdict(msgspec.Struct, frozen=True):
    """A verdict as stored, with what its flag was about; `seq` is the log sequence of its delivery, `place` its place in it.

    Of several verdicts about one flag the one of the greatest `seq` and `place` holds.
    """

    seq: int
    place: int
    project: str
    kind: str
    tool: str
    verdict: Verdict


class StateBatch(msgspec.Struct, frozen=True):
    """All that one `apply` writes to state, in one transaction with the cursor."""

    cursor: Cursor
    flags: Sequence[Flag] = ()
    notices: Sequence[Notice] = ()
    pins: Sequence[SessionPin] = ()
    lessons: Sequence[Lesson] = ()
    drafts: Sequence[Draft] = ()
    verdicts: Sequence[StoredVerdict] = ()


class StateWriter(Protocol):
    """The state of the flow."""

    def commit(self, batch: StateBatch) -> None:
        """Flags, pins and drafts replace those of the same id, notices, lessons and verdicts of a known id stay, the cursor moves: all or nothing."""
        ...

    def cursor(self) -> Cursor:
        """Where the last committed batch left off; zeros in an empty store."""
        ...


class KnowledgeSource(Protocol):
    """What was learnt."""

    def lessons(self, project: str) -> list[Lesson]:
        """Everything ever published in a project, by version; an empty `project` is every project."""
        ...

    def drafts(self, project: str) -> list[Draft]:
        """All drafts of a project; an empty `project` is every project."""
        ...

    def pins(self, sessions: Sequence[tuple[str, str]]) -> list[SessionPin]:
        """The pins of those of the given (project, session id) pairs that have one."""
        ...


class FlagReader(Protocol):
    """Flags of sessions."""

    def flags(self, sessions: Sequence[tuple[str, str]]) -> list[Flag]:
        """Every flag of the given (project, session id) pairs, withdrawn ones too, by time."""
        ...

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        """Every flag raised at a span of the given (project, trace id) pairs, withdrawn ones too."""
        ...


class VerdictReader(Protocol):
    """Flags one by one, and what people said of them."""

    def flags_by_id(self, ids: Sequence[str]) -> list[Flag]:
        """The flags of those of these ids that there are, by time."""
        ...

    def verdicts(self, flag_ids: Sequence[str]) -> list[Verdict]:
        """Every verdict about these flags, in the order in which they were given: of each flag the last one holds."""
        ...

    def verdict_counts(self, project: str) -> list[VerdictCount]:
        """How many flags of each kind and tool were confirmed and dismissed; an empty `project` is every project."""
        ...


class FlagList(VerdictReader, Protocol):
    """Flags by what they are, over all sessions."""

    def flags_matching(self, wanted: FlagFilter) -> list[Flag]:
        """At most `wanted.limit` flags, the latest first (`at_ns`, then id, descending)."""
        ...


class Outbox(Protocol):
    """Durable notices. A notice is due until a receipt says delivered or failed, whatever restarts in between."""

    def due(self, channel: str, now_ns: int, limit: int) -> list[Due]:
        """The oldest waiting notices of a channel whose time has come."""
        ...

    def settle(self, receipt: Receipt) -> None:
        """Record how a try went."""
        ...

    def backlog(self) -> dict[tuple[str, DeliveryState], int]:
        """How many notices stand in each state, per channel."""
        ...

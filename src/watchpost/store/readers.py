"""What pages, API and CLI ask of telemetry: one seam for each subject.

Every engine passes the same battery, `tests/store/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from watchpost.model.cost import UnpricedReason
from watchpost.model.session import Summary
from watchpost.model.step import Reading
from watchpost.model.telemetry import LogLine, MetricType, Temporality
from watchpost.query.logs import LogFilter
from watchpost.query.measures import Contributor, Measured, Question, SessionsQuestion
from watchpost.query.metrics import PointFilter, StreamFilter
from watchpost.query.readiness import ReadinessFilter, ServiceSeen
from watchpost.query.sessions import SessionFilter
from watchpost.store.contracts import LedgerRow, LedgerStep, StoredMetric


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


class StepRow(msgspec.Struct, frozen=True):
    """One step of a page of steps: its number in the session, from 1, and what the ledger counts for it."""

    number: int
    step: LedgerStep


class UnnamedError(Exception):
    """What sessions were to be found by, because they name it, names nothing."""


class SessionReader(Protocol):
    """What pages, API and CLI ask about sessions."""

    def sessions(self, wanted: SessionFilter) -> list[Summary]:
        """At most `wanted.limit` summaries, latest activity first (`received_ns`, then key, descending), merged ones left out.

        Raises `UnnamedError` where `wanted.entity` names nothing.
        """
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


class FiguresReader(MeasureReader, Protocol):
    """The same, many of them at once, for what shows them side by side."""

    def measured_together(self, questions: Sequence[Question]) -> list[Measured]:
        """What `measured` answers to each of them, in their order; those that differ by their measure alone cost little more than one."""
        ...


class LedgerReader(Protocol):
    """What is current in ledger and index of sessions, by time: what a stretch of history is told from."""

    def steps_between(self, since_ns: int, until_ns: int) -> int:
        """How many steps are stored of the slots from the one of `since_ns` until before `until_ns`; superseded copies count, so it is at most too many."""
        ...

    def rows_between(self, since_ns: int, until_ns: int) -> Iterator[LedgerRow]:
        """The current rows of these slots, by slot. What is written meanwhile may be among them or not."""
        ...

    def sessions_between(self, since_ns: int, until_ns: int) -> Iterator[Summary]:
        """Every session that started before `until_ns` and whose last step ended no earlier than `since_ns`, by `started_ns`; merged ones left out."""
        ...


class ReadinessReader(Protocol):
    """Which required fields services send."""

    def services_seen(self, wanted: ReadinessFilter) -> list[ServiceSeen]:
        """What the latest ended calls of at most `wanted.limit` services carry, those with the most calls first.

        Calls are those that sessions count, twins once. A service in which agents run, but no call was seen, is among them.
        """
        ...


class FoundLine(msgspec.Struct, frozen=True):
    """One log line and where it stands: `seq` is the log sequence of its delivery, `place` its place in it."""

    project: str
    seq: int
    place: int
    received_ns: int
    line: LogLine


class LogReader(Protocol):
    """Log lines."""

    def logs(self, project: str, trace_id: bytes, span_id: bytes, limit: int) -> list[LogLine]:
        """At most `limit` lines that carry this trace and span id, by time."""
        ...

    def log_lines(self, wanted: LogFilter) -> list[FoundLine]:
        """At most `wanted.limit` lines, the latest first (`time_ns`, `seq`, `place`, descending)."""
        ...

    def sessions_of(self, traces: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], Summary]:
        """The session that each of these traces, (project, trace id), belongs to, as far as it is in the index."""
        ...


class TextWindow(Protocol):
    """How far back texts can be searched at once: as they are by reading them all, as whole words by reading where those may stand."""

    def few(self, wanted: SessionFilter) -> tuple[str, ...] | None:
        """The keys of the sessions that what is asked for beside the text leaves, if they are few: all of their texts can be searched.

        None where they are not, or where nothing else is asked for than a project.
        """
        ...

    def text_since_ns(self, wanted: SessionFilter, most: int) -> int:
        """Since when spans were received that are about `most` or fewer, or that cannot be read with less; 0 where all can be searched."""
        ...

    def words_since_ns(self, wanted: SessionFilter, most: int) -> int:
        """Back to when no more than about `most` of the spans received before `wanted.text_since_ns` may hold all words of the text.

        It is no later than `wanted.text_since_ns`, and 0 where all can be searched.
        """
        ...

    def log_text_since_ns(self, wanted: LogFilter, most: int) -> int:
        """The same of log lines; of those of a trace or session all can be searched."""
        ...


class MetricReader(Protocol):
    """What agents sent as metrics."""

    def streams(self, wanted: StreamFilter) -> list[MetricStream]:
        """At most `wanted.limit` streams in the order of their keys."""
        ...

    def points(self, wanted: PointFilter) -> list[StoredMetric]:
        """At most `wanted.limit` points of one metric, each once, the latest first (`time_ns`, then id, descending)."""
        ...

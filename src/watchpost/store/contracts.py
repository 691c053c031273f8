"""What is written to telemetry and what the fold is rebuilt from: the seams that the flow needs.

Every engine passes the same battery, `tests/store/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from watchpost.model.ledger import LedgerRow as LedgerRow  # noqa: PLC0414 - passed on, as part of what is written
from watchpost.model.ledger import LedgerStep as LedgerStep  # noqa: PLC0414 - passed on, as part of what is written
from watchpost.model.session import Summary
from watchpost.model.step import Reading
from watchpost.model.telemetry import Attributes, LogLine, MetricPoint


class Member(msgspec.Struct, frozen=True, gc=False):
    """That a trace belongs to a session. Of several rows for one trace and session the greatest `seq` holds."""

    project: str
    session_id: str
    trace_id: bytes
    seq: int
    live: bool


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
        Of a span whose contents are no longer kept its outline.
        """
        ...

    def open_sessions(self, applied: int) -> list[Summary]:
        """Every session that had not ended as of batch `applied`, and is not merged away.

        One that ended in a later batch, which a crash cut short, is among them: it is to end again.
        """
        ...

"""Fills a data folder with as many stored spans as wanted, in minutes: through the product's own stores, but past its log and fold.

One group of generated sessions is folded as the product folds it; its rows are then written again and again under new
identities, ten minutes earlier each time. Run as `python fill.py --data DIR --spans N`; prints how many were written.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from spans import Shape, Template
from watchpost.ingest import otlp
from watchpost.ingest.items import Limits
from watchpost.ingest.read import Reader
from watchpost.ingest.request import OtlpRequest
from watchpost.model.session import Summary, session_key
from watchpost.model.step import Reading
from watchpost.runtime.ledger import ledger_rows
from watchpost.runtime.restore import restore
from watchpost.session.session import Quiet, slot_of
from watchpost.session.sessions import Sessions
from watchpost.store.contracts import (
    Cursor,
    LedgerRow,
    LedgerStep,
    Member,
    StateBatch,
    TelemetryBatch,
)
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.sql import SqlState
from watchpost.store.folder import DataFolder

_SHIFT_NS = 600 * 10**9
_SPREAD = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


class _Nothing:
    """A store that holds nothing yet."""

    def members_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Member]:  # noqa: ARG002 - nothing, whatever is asked
        return []

    def members_of_sessions(self, sessions: Sequence[tuple[str, str]]) -> list[Member]:  # noqa: ARG002 - nothing, whatever is asked
        return []

    def readings(self, traces: Sequence[tuple[str, bytes]], upto: int) -> list[Reading]:  # noqa: ARG002 - nothing, whatever is asked
        return []

    def open_sessions(self, applied: int) -> list[Summary]:  # noqa: ARG002 - nothing, whatever is asked
        return []


def group(now_ns: int) -> TelemetryBatch:
    """One group of sessions, folded and ended, as a batch."""
    template = Template(Shape(), 0)
    values = template.group(1, 0, now_ns)
    readings: list[Reading] = []
    for index in range(template.bodies):
        request = OtlpRequest("traces", template.body(index, values), project="")
        for parcel in otlp.decode(request, Limits()).parcels:
            reader = Reader(parcel, now_ns, 1)
            readings += [reader.read(span) for span in parcel.spans]
    sessions = Sessions(Quiet())
    restore(sessions, readings, (), _Nothing(), 0)
    for reading in readings:
        sessions.add(reading)
    sessions.settle(1, now_ns)
    settled = sessions.settle(1, now_ns + 10 * _SHIFT_NS)
    rows = [
        row
        for session in settled.changed
        for row in ledger_rows(session, {slot_of(step.start_ns) for step in session.steps}, {}, 1)
    ]
    members = [
        Member(session.project, session.session_id, trace_id, 1, live=True)
        for session in settled.changed
        for trace_id in session.traces
    ]
    return TelemetryBatch(1, readings, members, rows, [session.summary(0) for session in settled.changed])


class _Again:
    """A batch under the identities of copy `number`."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._mask = (number * _SPREAD) & _WORD
        self._shift = number * _SHIFT_NS

    def batch(self, first: TelemetryBatch) -> TelemetryBatch:
        return TelemetryBatch(
            self._number + 1,
            [self._reading(reading) for reading in first.readings],
            [
                msgspec.structs.replace(m, session_id=self._named(m.session_id), trace_id=self._id(m.trace_id))
                for m in first.members
            ],
            [self._row(row) for row in first.ledger],
            [self._summary(summary) for summary in first.sessions],
        )

    def _id(self, own: bytes) -> bytes:
        return own and own[:-8] + (int.from_bytes(own[-8:], "big") ^ self._mask).to_bytes(8, "big")

    def _named(self, session_id: str) -> str:
        return f"{session_id}-{self._number}" if session_id else ""

    def _reading(self, reading: Reading) -> Reading:
        return msgspec.structs.replace(
            reading,
            trace_id=self._id(reading.trace_id),
            span_id=self._id(reading.span_id),
            parent_id=self._id(reading.parent_id),
            received_ns=reading.received_ns - self._shift,
            start_ns=reading.start_ns - self._shift,
            end_ns=reading.end_ns - self._shift,
            own_session=self._named(reading.own_session),
        )

    def _row(self, row: LedgerRow) -> LedgerRow:
        steps = tuple([self._step(step) for step in row.steps])
        slot = row.slot - self._shift // 10**9
        return msgspec.structs.replace(row, slot=slot, session_id=self._named(row.session_id), steps=steps)

    def _step(self, step: LedgerStep) -> LedgerStep:
        return msgspec.structs.replace(
            step,
            trace_id=self._id(step.trace_id),
            span_id=self._id(step.span_id),
            parent_id=self._id(step.parent_id),
            start_ns=step.start_ns - self._shift,
        )

    def _summary(self, summary: Summary) -> Summary:
        session_id = self._named(summary.session_id)
        return msgspec.structs.replace(
            summary,
            key=session_key(summary.project, session_id),
            session_id=session_id,
            started_ns=summary.started_ns - self._shift,
            ended_ns=summary.ended_ns - self._shift,
            received_ns=summary.received_ns - self._shift,
        )


def main() -> None:
    """Fill the folder of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--spans", type=int, required=True)
    asked = parser.parse_args()
    program = version("watchpost")
    folder = DataFolder.open(asked.data)
    telemetry = ClickHouse.open(f"chdb://{folder.telemetry}", folder.tmp / "inserts", program)
    state = SqlState.open(f"sqlite:///{folder.state}", program)
    first = group(time.time_ns())
    written = copies = 0
    while written < asked.spans:
        copies += 1
        telemetry.write(_Again(copies).batch(first))
        written += len(first.readings)
    state.commit(StateBatch(Cursor(copies + 1, 1)))
    state.close()
    telemetry.close()
    folder.close()
    print(written)


if __name__ == "__main__":
    main()

"""Values of the model as Arrow columns of the telemetry tables.

Columns are built one by one from list comprehensions with the type given: nothing is inferred, and no row objects are made.
Integers must fit the column (64 bits signed where the model allows any), else OverflowError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import msgspec
import pyarrow as pa

from watchpost.model.session import Summary
from watchpost.model.step import Reading
from watchpost.store.contracts import LedgerRow, Member, StoredLog
from watchpost.store.engines.clickhouse_sql import readable

_TRACE = pa.binary(16)
_SPAN = pa.binary(8)
_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)

Columns = dict[str, pa.Array | pa.ChunkedArray]


def span_table(rows: Sequence[Reading]) -> pa.Table:
    """The rows of `spans`."""
    tokens = [r.tokens for r in rows]
    columns: Columns = {
        "project": _text([r.project for r in rows]),
        "trace_id": pa.array([r.trace_id for r in rows], _TRACE),
        "span_id": pa.array([r.span_id for r in rows], _SPAN),
        "parent_id": pa.array([r.parent_id or _NO_SPAN for r in rows], _SPAN),
        "ver": pa.array([r.ver for r in rows], pa.uint64()),
        "received_ns": _int64([r.received_ns for r in rows]),
        "start_ns": _int64([r.start_ns for r in rows]),
        "end_ns": _int64([r.end_ns for r in rows]),
        "kind": _text([r.kind for r in rows]),
        "name": _text([r.name for r in rows]),
        "status": _text([r.status for r in rows]),
        "own_session": _text([r.own_session for r in rows]),
        "agent": _text([r.agent for r in rows]),
        "workflow": _text([r.workflow for r in rows]),
        "service": _text([r.service for r in rows]),
        "user_id": _text([r.user_id for r in rows]),
        "provider": _text([r.provider for r in rows]),
        "model": _text([r.model for r in rows]),
        "tool": _text([r.tool for r in rows]),
        "call_id": _text([r.call_id for r in rows]),
        "response_id": _text([r.response_id for r in rows]),
        "error_type": _text([r.error_type for r in rows]),
        "in_tok": _int64([t.input for t in tokens]),
        "out_tok": _int64([t.output for t in tokens]),
        "cached_tok": _int64([t.cached for t in tokens]),
        "cache_write_tok": _int64([t.cache_write for t in tokens]),
        "reasoning_tok": _int64([t.reasoning for t in tokens]),
        "cost_nano": _int64([r.cost_nano for r in rows]),
        "input": _text([r.input for r in rows]),
        "output": _text([r.output for r in rows]),
        "rest": _text([r.rest for r in rows]),
        "refs": _text([r.refs for r in rows]),
    }
    return pa.table(columns)


def member_table(rows: Sequence[Member]) -> pa.Table:
    """The rows of `members` and of its mirror."""
    columns: Columns = {
        "project": _text([m.project for m in rows]),
        "session_id": _text([m.session_id for m in rows]),
        "trace_id": pa.array([m.trace_id for m in rows], _TRACE),
        "seq": pa.array([m.seq for m in rows], pa.uint64()),
        "live": pa.array([int(m.live) for m in rows], pa.uint8()),
    }
    return pa.table(columns)


def ledger_table(rows: Sequence[LedgerRow]) -> pa.Table:
    """The rows of `ledger`; a row's steps stand side by side in its `steps.*` lists."""
    steps = [s for r in rows for s in r.steps]
    ends = _offsets([len(r.steps) for r in rows])
    flags = pa.ListArray.from_arrays(
        _offsets([len(s.flags) for s in steps]), _text([f for s in steps for f in s.flags])
    )
    of_steps: Columns = {
        "trace_id": pa.array([s.trace_id for s in steps], _TRACE),
        "span_id": pa.array([s.span_id for s in steps], _SPAN),
        "parent_id": pa.array([s.parent_id or _NO_SPAN for s in steps], _SPAN),
        "start_ns": _int64([s.start_ns for s in steps]),
        "dur_us": _int64([s.dur_us for s in steps]),
        "kind": _text([s.kind for s in steps]),
        "name": _text([s.name for s in steps]),
        "agent": _text([s.agent for s in steps]),
        "model": _text([s.model for s in steps]),
        "tool": _text([s.tool for s in steps]),
        "status": _text([s.status for s in steps]),
        "error_type": _text([s.error_type for s in steps]),
        "in_tok": _int64([s.in_tok for s in steps]),
        "out_tok": _int64([s.out_tok for s in steps]),
        "cost_nano": _int64([s.cost_nano for s in steps]),
        "flags": flags,
    }
    columns: Columns = {
        "project": _text([r.project for r in rows]),
        "slot": _int64([r.slot for r in rows]),
        "session_id": _text([r.session_id for r in rows]),
        "seq": pa.array([r.seq for r in rows], pa.uint64()),
        "gone": pa.array([int(r.gone) for r in rows], pa.uint8()),
        "workflow": _text([r.workflow for r in rows]),
        "user_id": _text([r.user_id for r in rows]),
        "outcome": _text([r.outcome for r in rows]),
    }
    for name, values in of_steps.items():
        columns[f"steps.{name}"] = pa.ListArray.from_arrays(ends, values)
    return pa.table(columns)


def session_table(rows: Sequence[Summary]) -> pa.Table:
    """The rows of `sessions`; a session without an outcome has an empty one."""
    totals = [s.totals for s in rows]
    columns: Columns = {
        "key": _text([s.key for s in rows]),
        "project": _text([s.project for s in rows]),
        "session_id": _text([s.session_id for s in rows]),
        "workflow": _text([s.workflow for s in rows]),
        "user_id": _text([s.user_id for s in rows]),
        "state": _text([s.state for s in rows]),
        "outcome": _text([s.outcome or "" for s in rows]),
        "revision": pa.array([s.revision for s in rows], pa.uint64()),
        "started_ns": _int64([s.started_ns for s in rows]),
        "ended_ns": _int64([s.ended_ns for s in rows]),
        "received_ns": _int64([s.received_ns for s in rows]),
        "due_ns": _int64([s.due_ns for s in rows]),
        "steps": pa.array([t.steps for t in totals], pa.uint32()),
        "llm_calls": pa.array([t.llm_calls for t in totals], pa.uint32()),
        "tool_calls": pa.array([t.tool_calls for t in totals], pa.uint32()),
        "tool_errors": pa.array([t.tool_errors for t in totals], pa.uint32()),
        "in_tok": _int64([t.input_tokens for t in totals]),
        "out_tok": _int64([t.output_tokens for t in totals]),
        "cached_tok": _int64([t.cached_tokens for t in totals]),
        "reasoning_tok": _int64([t.reasoning_tokens for t in totals]),
        "cost_nano": _int64([t.cost_nano for t in totals]),
        "moved_to": _text([s.moved_to for s in rows]),
    }
    return pa.table(columns)


def log_table(rows: Sequence[StoredLog]) -> pa.Table:
    """The rows of `logs`; bodies and attributes as JSON, in which bytes become base64 text."""
    lines = [r.line for r in rows]
    columns: Columns = {
        "project": _text([r.project for r in rows]),
        "trace_id": pa.array([n.trace_id or _NO_TRACE for n in lines], _TRACE),
        "span_id": pa.array([n.span_id or _NO_SPAN for n in lines], _SPAN),
        "time_ns": _int64([n.time_ns for n in lines]),
        "seq": pa.array([r.seq for r in rows], pa.uint64()),
        "place": pa.array([r.place for r in rows], pa.uint32()),
        "received_ns": _int64([r.received_ns for r in rows]),
        "severity": pa.array([n.severity for n in lines], pa.int32()),
        "event_name": _text([n.event_name for n in lines]),
        "body": _text([_json(n.body) for n in lines]),
        "attributes": _text([_json(n.attributes) for n in lines]),
    }
    return pa.table(columns)


def _text(values: list[str]) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([readable(value) for value in values], pa.string())


def _int64(values: Sequence[int | None]) -> pa.Array:
    return pa.array(values, pa.int64())


def _offsets(lengths: Iterable[int]) -> pa.Array:
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + length)
    return pa.array(ends, pa.int32())


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_readable(value)).decode()


def _readable(value: object) -> object:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, list | tuple):
        return [_readable(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, dict):
        return {readable(str(key)): _readable(item) for key, item in cast("dict[object, object]", value).items()}
    return value

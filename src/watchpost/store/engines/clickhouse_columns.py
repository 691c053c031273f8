"""Values of the model as Arrow columns of the telemetry tables.

Columns are built one by one from list comprehensions with the type given: nothing is inferred, and no row objects are made.
Text of few distinct values goes as a dictionary, which the engine takes over as it is instead of hashing every row. A column of
spans that says nothing in any row is left out: the engine fills in the default at no cost.
Integers must fit the column (64 bits signed where the model allows any), else OverflowError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, cast

import msgspec
import pyarrow as pa

from watchpost.model.session import Summary
from watchpost.model.step import Reading
from watchpost.model.telemetry import ExponentialBuckets, ExponentialHistogram, Histogram, MetricPoint, Quantiles
from watchpost.store.contracts import LedgerRow, Member, StoredLog, StoredMetric
from watchpost.store.engines.clickhouse_sql import readable
from watchpost_core.mentions import unpacked

_TRACE = pa.binary(16)
_SPAN = pa.binary(8)
_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_NO_TARGET = bytes(24)
_MOST_ASKED = 65_535
_FEW = pa.dictionary(pa.int32(), pa.string())
_TEXTS = pa.list_(pa.string())
_COUNTS = pa.list_(pa.uint64())
_NO_HISTOGRAM = Histogram(0, None, None, None)
_NO_BUCKETS = ExponentialBuckets()
_NO_POWERS = ExponentialHistogram(0, None, None, None, 0, 0, 0.0, _NO_BUCKETS, _NO_BUCKETS)

Column: TypeAlias = pa.Array | pa.ChunkedArray
Columns = dict[str, Column]


def span_table(rows: Sequence[Reading]) -> pa.Table:
    """The rows of `spans`."""
    tokens = [r.tokens for r in rows]
    columns: dict[str, Column | None] = {
        "project": _few([r.project for r in rows]),
        "trace_id": _ids([r.trace_id for r in rows], 16),
        "span_id": _ids([r.span_id for r in rows], 8),
        "parent_id": _ids([r.parent_id or _NO_SPAN for r in rows], 8),
        "ver": pa.array([r.ver for r in rows], pa.uint64()),
        "received_ns": _int64([r.received_ns for r in rows]),
        "start_ns": _int64([r.start_ns for r in rows]),
        "end_ns": _int64([r.end_ns for r in rows]),
        "kind": _few([r.kind for r in rows]),
        "name": _few([r.name for r in rows]),
        "status": _few([r.status for r in rows]),
        "own_session": _text_or_none([r.own_session for r in rows]),
        "agent": _few_or_none([r.agent for r in rows]),
        "workflow": _few_or_none([r.workflow for r in rows]),
        "service": _few_or_none([r.service for r in rows]),
        "user_id": _text_or_none([r.user_id for r in rows]),
        "provider": _few_or_none([r.provider for r in rows]),
        "model": _few_or_none([r.model for r in rows]),
        "tool": _few_or_none([r.tool for r in rows]),
        "call_id": _text_or_none([r.call_id for r in rows]),
        "response_id": _text_or_none([r.response_id for r in rows]),
        "error_type": _few_or_none([r.error_type for r in rows]),
        "error": _text_or_none([r.error for r in rows]),
        "scope": _few_or_none([r.scope for r in rows]),
        "asked": pa.array([None if r.asked is None else min(r.asked, _MOST_ASKED) for r in rows], pa.uint16()),
        "ran": None if all(r.ran for r in rows) else pa.array([int(r.ran) for r in rows], pa.uint8()),
        "target": _ids([r.target or _NO_TARGET for r in rows], 24) if any(r.target for r in rows) else None,
        "in_tok": _int64_or_none([t.input for t in tokens]),
        "out_tok": _int64_or_none([t.output for t in tokens]),
        "cached_tok": _int64_or_none([t.cached for t in tokens]),
        "cache_write_tok": _int64_or_none([t.cache_write for t in tokens]),
        "reasoning_tok": _int64_or_none([t.reasoning for t in tokens]),
        "cost_nano": _int64_or_none([r.cost_nano for r in rows]),
        "texts": _texts(rows),
        "rest": _text([r.rest for r in rows]),
        "refs": _few_or_none([r.refs for r in rows]),
        "mentioned": _digests([r.mentioned for r in rows]),
        "org_id": _few_or_none([r.facets.org_id for r in rows]),
        "feature": _few_or_none([r.facets.feature for r in rows]),
        "release": _few_or_none([r.facets.release for r in rows]),
        "prompt": _few_or_none([r.facets.prompt for r in rows]),
        "first_us": _int64_or_none([r.first_token_us for r in rows]),
        "evaluator": _few_or_none([r.judged.evaluator for r in rows]),
        "score": _float64_or_none([r.judged.score for r in rows]),
        "label": _few_or_none([r.judged.label for r in rows]),
        **_replies(rows),
    }
    return pa.table({name: column for name, column in columns.items() if column is not None})


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
    flags = pa.ListArray.from_arrays(_offsets([len(s.flags) for s in steps]), _few([f for s in steps for f in s.flags]))
    of_steps: Columns = {
        "trace_id": _ids([s.trace_id for s in steps], 16),
        "span_id": _ids([s.span_id for s in steps], 8),
        "parent_id": _ids([s.parent_id or _NO_SPAN for s in steps], 8),
        "start_ns": _int64([s.start_ns for s in steps]),
        "dur_us": _int64([s.dur_us for s in steps]),
        "kind": _few([s.kind for s in steps]),
        "name": _few([s.name for s in steps]),
        "agent": _few([s.agent for s in steps]),
        "model": _few([s.model for s in steps]),
        "tool": _few([s.tool for s in steps]),
        "status": _few([s.status for s in steps]),
        "error_type": _few([s.error_type for s in steps]),
        "in_tok": _int64([s.in_tok for s in steps]),
        "out_tok": _int64([s.out_tok for s in steps]),
        "cost_nano": _int64([s.cost_nano for s in steps]),
        "flags": flags,
        "cached_tok": _int64([s.cached_tok for s in steps]),
        "reasoning_tok": _int64([s.reasoning_tok for s in steps]),
        "first_us": _int64([s.first_us for s in steps]),
        "prompt": _few([s.prompt for s in steps]),
        "evaluator": _few([s.evaluator for s in steps]),
        "score": _float64([s.score for s in steps]),
        "label": _few([s.label for s in steps]),
    }
    columns: Columns = {
        "project": _few([r.project for r in rows]),
        "slot": _int64([r.slot for r in rows]),
        "session_id": _text([r.session_id for r in rows]),
        "seq": pa.array([r.seq for r in rows], pa.uint64()),
        "gone": pa.array([int(r.gone) for r in rows], pa.uint8()),
        "workflow": _few([r.workflow for r in rows]),
        "user_id": _text([r.user_id for r in rows]),
        "outcome": _few([r.outcome for r in rows]),
        "service": _few([r.service for r in rows]),
        "org_id": _few([r.org_id for r in rows]),
        "feature": _few([r.feature for r in rows]),
        "release": _few([r.release for r in rows]),
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
        "retries": pa.array([t.retries for t in totals], pa.uint32()),
        "unseen_tool_calls": pa.array([t.unseen_tool_calls for t in totals], pa.uint32()),
        "estimated": pa.array([int(t.estimated) for t in totals], pa.uint8()),
        "moved_to": _text([s.moved_to for s in rows]),
        "service": _text([s.service for s in rows]),
        "org_id": _text([s.org_id for s in rows]),
        "feature": _text([s.feature for s in rows]),
        "release": _text([s.release for s in rows]),
        "success": pa.array([None if s.success is None else int(s.success) for s in rows], pa.uint8()),
        **{
            name: pa.array([list(getattr(s, name)) for s in rows], _TEXTS)
            for name in ("breaches", "within", "unchecked")
        },
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


def metric_table(rows: Sequence[StoredMetric]) -> pa.Table:
    """The rows of `metrics`; resources and attributes as JSON."""
    points = [r.point for r in rows]
    columns: Columns = {
        "project": _text([r.project for r in rows]),
        "name": _text([p.name for p in points]),
        "time_ns": _int64([p.time_ns for p in points]),
        "id": pa.array([r.id for r in rows], _TRACE),
        "received_ns": _int64([r.received_ns for r in rows]),
        "start_ns": _int64([p.start_ns for p in points]),
        "unit": _text([p.unit for p in points]),
        "type": _text([p.type for p in points]),
        "temporality": _text([p.temporality for p in points]),
        "monotonic": pa.array([int(p.monotonic) for p in points], pa.uint8()),
        "scope": _text([r.scope for r in rows]),
        "resource": _text([_json(r.resource) for r in rows]),
        "attributes": _text([_json(p.attributes) for p in points]),
        **_value_columns(points),
    }
    exemplars = [e for p in points for e in p.exemplars]
    ends = _offsets([len(p.exemplars) for p in points])
    of_exemplars: Columns = {
        "time_ns": _int64([e.time_ns for e in exemplars]),
        "value": _float64([e.value for e in exemplars]),
        "trace_id": pa.array([e.trace_id or _NO_TRACE for e in exemplars], _TRACE),
        "span_id": pa.array([e.span_id or _NO_SPAN for e in exemplars], _SPAN),
        "attributes": _text([_json(e.attributes) for e in exemplars]),
    }
    for name, values in of_exemplars.items():
        columns[f"exemplars.{name}"] = pa.ListArray.from_arrays(ends, values)
    return pa.table(columns)


def _value_columns(points: Sequence[MetricPoint]) -> Columns:
    """Values of every type side by side; those of another type are null, empty or zero."""
    values = [p.value for p in points]
    histograms = [v if isinstance(v, Histogram) else _NO_HISTOGRAM for v in values]
    powers = [v if isinstance(v, ExponentialHistogram) else _NO_POWERS for v in values]
    quantiles = [v.quantiles if isinstance(v, Quantiles) else () for v in values]
    counted = [v if isinstance(v, Histogram | ExponentialHistogram | Quantiles) else None for v in values]
    spread = [v if isinstance(v, Histogram | ExponentialHistogram) else None for v in values]
    return {
        "integer": _int64([v if isinstance(v, int) else None for v in values]),
        "real": _float64([v if isinstance(v, float) else None for v in values]),
        "count": pa.array([v.count if v else None for v in counted], pa.uint64()),
        "sum": _float64([v.sum if v else None for v in counted]),
        "min": _float64([v.min if v else None for v in spread]),
        "max": _float64([v.max if v else None for v in spread]),
        "bounds": pa.array([v.bounds for v in histograms], pa.list_(pa.float64())),
        "counts": pa.array([v.counts for v in histograms], _COUNTS),
        "scale": pa.array([v.scale for v in powers], pa.int32()),
        "zero_count": pa.array([v.zero_count for v in powers], pa.uint64()),
        "zero_threshold": _float64([v.zero_threshold for v in powers]),
        "positive_offset": pa.array([v.positive.offset for v in powers], pa.int32()),
        "positive_counts": pa.array([v.positive.counts for v in powers], _COUNTS),
        "negative_offset": pa.array([v.negative.offset for v in powers], pa.int32()),
        "negative_counts": pa.array([v.negative.counts for v in powers], _COUNTS),
        "quantiles": pa.array([[at for at, _ in pairs] for pairs in quantiles], pa.list_(pa.float64())),
        "quantile_values": pa.array([[value for _, value in pairs] for pairs in quantiles], pa.list_(pa.float64())),
    }


def _replies(rows: Sequence[Reading]) -> dict[str, Column | None]:
    """What people said to models that had answered; most batches hold none."""
    if not any(r.reply.answer for r in rows):
        return {}
    return {
        "reply": _text([r.reply.words for r in rows]),
        "reply_before": _text([r.reply.before for r in rows]),
        "reply_to": _int64([r.reply.answer for r in rows]),
    }


def _texts(rows: Sequence[Reading]) -> pa.ListArray:
    """Input and output of each span side by side, so that one repeats the other within reach of compression."""
    flat = [""] * (2 * len(rows))
    flat[::2] = [r.input for r in rows]
    flat[1::2] = [r.output for r in rows]
    return pa.FixedSizeListArray.from_arrays(_text(flat), 2).cast(_TEXTS)


def _digests(sets: list[bytes]) -> pa.ListArray | None:
    """Sets of digests, four bytes each, as lists of numbers."""
    joined = b"".join(sets)
    if not joined:
        return None
    numbers = pa.array(unpacked(joined), pa.uint32())
    return pa.ListArray.from_arrays(_offsets([len(each) // 4 for each in sets]), numbers)


def _few(values: list[str]) -> pa.DictionaryArray:
    """Text of few distinct values."""
    try:
        return pa.array(values, _FEW)
    except UnicodeEncodeError:
        return pa.array([readable(value) for value in values], _FEW)


def _few_or_none(values: list[str]) -> pa.DictionaryArray | None:
    return _few(values) if any(values) else None


def _text_or_none(values: list[str]) -> Column | None:
    return _text(values) if any(values) else None


def _int64_or_none(values: list[int | None]) -> pa.Array | None:
    return _int64(values) if values.count(None) < len(values) else None


def _float64_or_none(values: list[float | None]) -> pa.Array | None:
    return None if all(value is None for value in values) else pa.array(values, pa.float64())


def _ids(values: list[bytes], size: int) -> pa.Array:
    """Ids of `size` bytes each, in one copy. Raises ValueError where their sizes do not add up."""
    joined = b"".join(values)
    if len(joined) != size * len(values):
        raise ValueError(f"{len(values)} ids of {size} bytes take {len(joined)} bytes")
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), len(values), [None, pa.py_buffer(joined)])


def _text(values: list[str]) -> Column:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([readable(value) for value in values], pa.string())


def _int64(values: Sequence[int | None]) -> pa.Array:
    return pa.array(values, pa.int64())


def _float64(values: Sequence[float | None]) -> pa.Array:
    return pa.array(values, pa.float64())


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

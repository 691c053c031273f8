"""The metrics that agents sent, as the API answers them."""

from __future__ import annotations

import base64
import binascii
import math
from typing import TypeVar

import msgspec

from watchpost.model.telemetry import (
    Exemplar,
    ExponentialBuckets,
    ExponentialHistogram,
    Histogram,
    MetricType,
    PointValue,
    Quantiles,
    Temporality,
)
from watchpost.query.metrics import PointFilter, StreamFilter, StreamKey
from watchpost.server.answers import moment
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.store.contracts import StoredMetric
from watchpost.store.readers import MetricReader, MetricStream

Number = int | float | str
"""A number; text is one of `NaN`, `Infinity` and `-Infinity`, which JSON has no number for."""

_Cursor = TypeVar("_Cursor")


class StreamAnswer(msgspec.Struct, frozen=True):
    """The points that share a name, unit and type. `last_seen` is when the last one was received."""

    name: str
    project: str
    unit: str
    type: MetricType
    temporality: Temporality
    monotonic: bool
    points: int
    last_seen: str | None


class StreamsAnswer(msgspec.Struct, frozen=True):
    """A page of metrics by name; `next` is the cursor of the following page, null at the end."""

    metrics: list[StreamAnswer]
    next: str | None


class HistogramAnswer(msgspec.Struct, frozen=True):
    """`counts[i]` measurements are above `bounds[i - 1]` and at most `bounds[i]`; there is one count more than bounds, or none."""

    bounds: list[Number]
    counts: list[int]


class BucketsAnswer(msgspec.Struct, frozen=True):
    """`counts[i]` measurements are above base ** (offset + i) and at most base ** (offset + i + 1)."""

    offset: int
    counts: list[int]


class ExponentialHistogramAnswer(msgspec.Struct, frozen=True):
    """Buckets of base 2 ** (2 ** -scale), of measurements and, in `negative`, of their negatives."""

    scale: int
    zero_count: int
    zero_threshold: Number
    positive: BucketsAnswer
    negative: BucketsAnswer


class QuantileAnswer(msgspec.Struct, frozen=True):
    """The value at a quantile from 0 to 1."""

    quantile: Number
    value: Number


class ExemplarAnswer(msgspec.Struct, frozen=True):
    """One measurement behind a point; the ids of the step it was taken in, null where it names none."""

    time: str | None
    value: Number
    trace_id: str | None
    step_id: str | None
    attributes: dict[str, object]


class PointAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One point. `value` is the number of a gauge or sum; the others have `count`, `sum` and the member of their type.

    All of these are null where the sender says that it recorded nothing.
    """

    project: str
    unit: str
    type: MetricType
    temporality: Temporality
    monotonic: bool
    started_at: str | None
    time: str | None
    received_at: str | None
    attributes: dict[str, object]
    value: Number | None = None
    count: int | None = None
    sum: Number | None = None
    min: Number | None = None
    max: Number | None = None
    histogram: HistogramAnswer | None = None
    exponential_histogram: ExponentialHistogramAnswer | None = None
    quantiles: list[QuantileAnswer] | None = None
    exemplars: list[ExemplarAnswer]
    scope: str
    resource: dict[str, object]


class PointsAnswer(msgspec.Struct, frozen=True):
    """A page of the points of one metric, the latest first; `next` is the cursor of the following page, null at the end."""

    points: list[PointAnswer]
    next: str | None


def streams_page(reader: MetricReader, project: str, cursor: str, limit: int) -> StreamsAnswer:
    """A page of metrics; raises `ParameterError` for a cursor that no such page gave out."""
    after = _read(cursor, StreamKey)
    found = reader.streams(StreamFilter(project, after, limit + 1))
    more = len(found) > limit
    return StreamsAnswer([_stream(one) for one in found[:limit]], _cursor(_key(found[limit - 1])) if more else None)


def points_page(reader: MetricReader, name: str, project: str, cursor: str, limit: int) -> PointsAnswer:
    """A page of points; raises `ParameterError` as `streams_page` does, and `NotFoundError` for a metric that nobody sent."""
    before = _read(cursor, tuple[int, bytes])
    if before is not None and (len(before[1]) != 16 or not -(2**63) <= before[0] < 2**63):
        raise _no_cursor()
    found = reader.points(PointFilter(name, project, before, limit + 1))
    if not found and before is None:
        raise NotFoundError(f"no metric {name} was received")
    more = len(found) > limit
    last = found[limit - 1] if more else None
    return PointsAnswer(
        [_point(one) for one in found[:limit]], _cursor((last.point.time_ns, last.id)) if last else None
    )


def _key(s: MetricStream) -> StreamKey:
    return StreamKey(s.name, s.project, s.unit, s.type, s.temporality, s.monotonic)


def _stream(s: MetricStream) -> StreamAnswer:
    last_seen = moment(s.received_ns)
    return StreamAnswer(s.name, s.project, s.unit, s.type, s.temporality, s.monotonic, s.points, last_seen)


def _point(stored: StoredMetric) -> PointAnswer:
    point = stored.point
    return PointAnswer(
        project=stored.project,
        unit=point.unit,
        type=point.type,
        temporality=point.temporality,
        monotonic=point.monotonic,
        started_at=moment(point.start_ns),
        time=moment(point.time_ns),
        received_at=moment(stored.received_ns),
        attributes=point.attributes,
        exemplars=[_exemplar(one) for one in point.exemplars],
        scope=stored.scope,
        resource=stored.resource,
        **_value(point.value),  # type: ignore[arg-type] # each member has the type that its field has
    )


def _value(value: PointValue) -> dict[str, object]:
    match value:
        case Histogram():
            histogram = HistogramAnswer([_number(bound) for bound in value.bounds], list(value.counts))
            return {**_totals(value), "histogram": histogram}
        case ExponentialHistogram():
            buckets = (_buckets(value.positive), _buckets(value.negative))
            threshold = _number(value.zero_threshold)
            powers = ExponentialHistogramAnswer(value.scale, value.zero_count, threshold, *buckets)
            return {**_totals(value), "exponential_histogram": powers}
        case Quantiles():
            pairs = [QuantileAnswer(_number(quantile), _number(at)) for quantile, at in value.quantiles]
            return {"count": value.count, "sum": _number(value.sum), "quantiles": pairs}
        case _:
            return {"value": _optional(value)}


def _totals(value: Histogram | ExponentialHistogram) -> dict[str, object]:
    spread = {"sum": _optional(value.sum), "min": _optional(value.min), "max": _optional(value.max)}
    return {"count": value.count, **spread}


def _buckets(buckets: ExponentialBuckets) -> BucketsAnswer:
    return BucketsAnswer(buckets.offset, list(buckets.counts))


def _exemplar(e: Exemplar) -> ExemplarAnswer:
    trace_id, step_id = e.trace_id.hex() or None, e.span_id.hex() or None
    return ExemplarAnswer(moment(e.time_ns), _number(e.value), trace_id, step_id, e.attributes)


def _optional(value: float | None) -> Number | None:
    return None if value is None else _number(value)


def _number(value: float) -> Number:
    """As OTLP/JSON spells numbers."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _cursor(place: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


def _read(cursor: str, kind: type[_Cursor]) -> _Cursor | None:
    if not cursor:
        return None
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise _no_cursor() from error


def _no_cursor() -> ParameterError:
    return ParameterError("cursor", "not a cursor that such a list gave out")

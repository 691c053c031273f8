"""Metric points in ClickHouse: the questions as SQL, and rows as values of the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import msgspec

from watchpost.model.telemetry import (
    Attributes,
    Exemplar,
    ExponentialBuckets,
    ExponentialHistogram,
    Histogram,
    MetricPoint,
    PointValue,
    Quantiles,
)
from watchpost.query.metrics import PointFilter, StreamFilter, StreamKey
from watchpost.store.contracts import StoredMetric
from watchpost.store.engines.clickhouse_rows import Row
from watchpost.store.engines.clickhouse_sql import fill
from watchpost.store.readers import MetricStream

_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_FIRST = StreamKey("", "", "", "", "", monotonic=False)
_KEY = "name, project, unit, type, temporality, monotonic"


class _Value(msgspec.Struct, frozen=True, gc=False):
    """The columns that hold the value of a point, by name and in order."""

    integer: int | None
    real: float | None
    count: int | None
    sum: float | None
    min: float | None
    max: float | None
    bounds: Sequence[float]
    counts: Sequence[int]
    scale: int
    zero_count: int
    zero_threshold: float
    positive_offset: int
    positive_counts: Sequence[int]
    negative_offset: int
    negative_counts: Sequence[int]
    quantiles: Sequence[float]
    quantile_values: Sequence[float]


_POINT = (
    "id, project, received_ns, resource, scope, name, unit, type, temporality, monotonic, attributes, start_ns, time_ns,"
    " `exemplars.time_ns`, `exemplars.value`, `exemplars.trace_id`, `exemplars.span_id`, `exemplars.attributes`, "
    + ", ".join(_Value.__struct_fields__)
)


def streams_sql(wanted: StreamFilter) -> str:
    """What `streams` takes. `FINAL` counts a point that was sent again once, and unlike a count of ids needs no memory for each."""
    where = "(:project = '' OR project = :project)"
    if wanted.after is not None:
        where += f" AND ({_KEY}) > (:name, :of, :unit, :type, :temporality, :monotonic)"
    sql = f"""
        SELECT project, name, unit, type, temporality, monotonic, count(), max(received_ns) FROM metrics FINAL
        WHERE {where} GROUP BY {_KEY} ORDER BY {_KEY} LIMIT :limit"""  # noqa: S608 - names are ours, values are filled in
    after = wanted.after or _FIRST
    return fill(
        sql,
        name=after.name,
        of=after.project,
        unit=after.unit,
        type=after.type,
        temporality=after.temporality,
        monotonic=int(after.monotonic),
        project=wanted.project,
        limit=wanted.limit,
    )


def points_sql(wanted: PointFilter) -> str:
    """What `points` takes. The page is found by times and ids first, so that nothing more is read of the points on other pages."""
    where = "name = :name AND (:project = '' OR project = :project)"
    at, before = wanted.before or (0, b"")
    if wanted.before is not None:
        where += " AND time_ns <= :at AND (time_ns, id) < (:at, :before)"
    sql = f"""
        SELECT {_POINT} FROM metrics WHERE {where} AND (time_ns, id) IN (
          SELECT DISTINCT time_ns, id FROM metrics WHERE {where} ORDER BY time_ns DESC, id DESC LIMIT :limit)
        ORDER BY time_ns DESC, id DESC LIMIT 1 BY id"""  # noqa: S608 - names are ours, values are filled in
    return fill(sql, name=wanted.name, project=wanted.project, at=at, before=before, limit=wanted.limit)


def streams(rows: Iterable[Row]) -> list[MetricStream]:
    """The streams of such rows."""
    found = ((*row[:5], bool(row[5]), *row[6:]) for row in rows)
    return [MetricStream(*values) for values in found]  # type: ignore[arg-type] # the columns stand in the order of the fields


def points(rows: Iterable[Row]) -> list[StoredMetric]:
    """The points of such rows."""
    return [_stored(row) for row in rows]


def _stored(row: Row) -> StoredMetric:
    identity, project, received_ns, resource, scope = cast("tuple[bytes, str, int, str, str]", row[:5])
    exemplars = tuple(_exemplar(one) for one in zip(*cast("Sequence[Row]", row[13:18]), strict=True))
    value = _value(cast("str", row[7]), _Value(*row[18:]))  # type: ignore[arg-type] # the columns stand in the order of the fields
    values = (*row[5:9], bool(row[9]), _decoded(row[10]), *row[11:13], value, exemplars)
    point = MetricPoint(*values)  # type: ignore[arg-type] # the columns stand in the order of the fields
    return StoredMetric(identity, project, received_ns, _decoded(resource), scope, point)


def _exemplar(row: Row) -> Exemplar:
    time_ns, value, trace_id, span_id = cast("tuple[int, float, bytes, bytes]", row[:4])
    trace_id = b"" if trace_id == _NO_TRACE else trace_id
    span_id = b"" if span_id == _NO_SPAN else span_id
    return Exemplar(time_ns, value, trace_id, span_id, _decoded(row[4]))


def _value(kind: str, v: _Value) -> PointValue:
    if v.count is None:
        return v.real if v.integer is None else v.integer
    match kind:
        case "histogram":
            return Histogram(v.count, v.sum, v.min, v.max, tuple(v.bounds), tuple(v.counts))
        case "exponential_histogram":
            positive = ExponentialBuckets(v.positive_offset, tuple(v.positive_counts))
            negative = ExponentialBuckets(v.negative_offset, tuple(v.negative_counts))
            zero = (v.zero_count, v.zero_threshold)
            return ExponentialHistogram(v.count, v.sum, v.min, v.max, v.scale, *zero, positive, negative)
        case _:
            return Quantiles(v.count, v.sum or 0.0, tuple(zip(v.quantiles, v.quantile_values, strict=True)))


def _decoded(attributes: object) -> Attributes:
    return msgspec.json.decode(cast("str", attributes), type=dict[str, object])

"""Metrics in protobuf become points. What cannot be kept costs its own point; a metric of which nothing can be read counts as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from google.protobuf.message import DecodeError

from watchpost.ingest import wire, wire_metrics
from watchpost.ingest.items import InvalidItemError, Tally
from watchpost.ingest.points import NO_TYPE, Head, exemplar, few, point
from watchpost.ingest.protobuf import WireMap
from watchpost.ingest.wire_metrics import WireBody, WirePoint
from watchpost.model.telemetry import (
    Attributes,
    Exemplar,
    ExponentialBuckets,
    ExponentialHistogram,
    Histogram,
    MetricPoint,
    MetricType,
    PointValue,
    Quantiles,
)

_BUCKET_BYTES = 12
"""More than the largest count takes in protobuf, its tag included."""


_Found = tuple[WirePoint, PointValue, Sequence[bytes]]
_Reader = Callable[[bytes], _Found]
"""Bytes to the point as parsed, its value and its exemplars, unparsed."""


def size(data: bytes) -> int:
    """How many points an encoded metric has; 1 where it cannot be read."""
    try:
        return len(_opened(data)[1].data_points)
    except (InvalidItemError, DecodeError):
        return 1


def is_named(data: bytes) -> bool:
    """Whether this is a metric with a name and a type."""
    try:
        name = _opened(data)[0].name
    except (InvalidItemError, DecodeError):
        return False
    return bool(name) and name.isprintable()


def points(metrics: Sequence[bytes], tally: Tally) -> list[MetricPoint]:
    """The points of encoded metrics that can be kept; the others are told to the tally."""
    kept: list[MetricPoint] = []
    for place, data in enumerate(metrics):
        try:
            head, body = _opened(data)
        except InvalidItemError as error:
            tally.reject(f"metric[{place}]", str(error))
            continue
        except DecodeError:
            tally.reject(f"metric[{place}]", "not a well-formed message")
            continue
        for number, encoded in enumerate(body.data_points):
            try:
                kept.append(_point(head, encoded, tally.limits.attributes))
            except (InvalidItemError, wire.TooDeepError) as error:
                tally.reject(f"metric[{place}].data_points[{number}]", str(error))
            except DecodeError:
                tally.reject(f"metric[{place}].data_points[{number}]", "not a well-formed message")
    return kept


def _opened(data: bytes) -> tuple[Head, WireBody]:
    metric = wire_metrics.metric(data)
    kind = _TYPES.get(metric.WhichOneof("value") or "")
    if kind is None:
        raise InvalidItemError(NO_TYPE)
    encoded: bytes = getattr(metric, kind)
    body = wire_metrics.body(encoded)
    named = (wire.text(metric.name), wire.text(metric.unit))
    return Head(*named, kind, body.aggregation_temporality, body.is_monotonic), body


def _point(head: Head, data: bytes, max_attributes: int) -> MetricPoint:
    found, value, exemplars = _READERS[head.type](data)
    few(len(exemplars), "exemplars")
    return point(
        head,
        _attributes(found.attributes, max_attributes),
        start_ns=found.start_time_unix_nano,
        time_ns=found.time_unix_nano,
        flags=found.flags,
        value=value,
        exemplars=tuple([_exemplar(one, max_attributes) for one in exemplars]),
    )


def _attributes(found: WireMap, most: int) -> Attributes:
    if len(found) > most:
        raise InvalidItemError(f"attributes: more than {most}")
    return wire.attributes(found)


def _number(data: bytes) -> _Found:
    p = wire_metrics.number(data)
    return p, _one_of(p), p.exemplars


def _histogram(data: bytes) -> _Found:
    p = wire_metrics.histogram(data)
    few(len(p.bucket_counts), "bucket_counts")
    few(len(p.explicit_bounds), "explicit_bounds")
    return p, Histogram(*_totals(p), tuple(p.explicit_bounds), tuple(p.bucket_counts)), p.exemplars


def _exponential_histogram(data: bytes) -> _Found:
    p = wire_metrics.exponential_histogram(data)
    zero = (p.zero_count, p.zero_threshold)
    value = ExponentialHistogram(*_totals(p), p.scale, *zero, _buckets(p.positive), _buckets(p.negative))
    return p, value, p.exemplars


def _summary(data: bytes) -> _Found:
    p = wire_metrics.summary(data)
    few(len(p.quantile_values), "quantile_values")
    pairs = [(q.quantile, q.value) for q in map(wire_metrics.quantile, p.quantile_values)]
    return p, Quantiles(p.count, p.sum, tuple(pairs)), ()


def _buckets(data: bytes) -> ExponentialBuckets:
    """Counts that are zero take one byte each: parsed whatever their number, they would fill memory."""
    few(len(data) // _BUCKET_BYTES, "bucket_counts")
    found = wire_metrics.buckets(data)
    few(len(found.bucket_counts), "bucket_counts")
    return ExponentialBuckets(found.offset, tuple(found.bucket_counts))


def _totals(p: wire_metrics.WireDistribution) -> tuple[int, float | None, float | None, float | None]:
    return (
        p.count,
        p.sum if p.HasField("sum") else None,
        p.min if p.HasField("min") else None,
        p.max if p.HasField("max") else None,
    )


def _exemplar(data: bytes, max_attributes: int) -> Exemplar:
    e = wire_metrics.exemplar(data)
    value = _one_of(e)
    attributes = _attributes(e.filtered_attributes, max_attributes)
    return exemplar(e.time_unix_nano, None if value is None else float(value), e.trace_id, e.span_id, attributes)


def _one_of(holder: wire_metrics.WireNumber | wire_metrics.WireExemplar) -> int | float | None:
    match holder.WhichOneof("value"):
        case "as_int":
            return holder.as_int
        case "as_double":
            return holder.as_double
        case _:
            return None


_READERS: Mapping[MetricType, _Reader] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential_histogram,
    "summary": _summary,
}
_TYPES: Mapping[str, MetricType] = {kind: kind for kind in _READERS}

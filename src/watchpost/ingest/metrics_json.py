"""Metrics in OTLP/JSON become points, by the rules of the protobuf form."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from watchpost.ingest.items import InvalidItemError, Tally
from watchpost.ingest.json_members import (
    array,
    attributes,
    count,
    counts,
    double,
    doubles,
    enum,
    identifier,
    integer,
    mapping,
    text,
)
from watchpost.ingest.points import NO_TYPE, Head, exemplar, few, point
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

_Object = dict[str, object]

_TEMPORALITIES = {
    "AGGREGATION_TEMPORALITY_UNSPECIFIED": 0,
    "AGGREGATION_TEMPORALITY_DELTA": 1,
    "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
}


def size(metric: object) -> int:
    """How many points a metric has; 1 where it cannot be read."""
    try:
        return len(_opened(metric)[1])
    except InvalidItemError:
        return 1


def points(metrics: list[object], tally: Tally) -> list[MetricPoint]:
    """The points of metrics that can be kept; the others are told to the tally."""
    kept: list[MetricPoint] = []
    for place, metric in enumerate(metrics):
        try:
            head, listed = _opened(metric)
        except InvalidItemError as error:
            tally.reject(f"metrics[{place}]", str(error))
            continue
        for number, one in enumerate(listed):
            try:
                kept.append(_point(head, mapping(one), tally.limits.attributes))
            except InvalidItemError as error:
                tally.reject(f"metrics[{place}].dataPoints[{number}]", str(error))
    return kept


def _opened(metric: object) -> tuple[Head, list[object]]:
    m = mapping(metric)
    for name, (kind, _) in _READERS.items():
        if m.get(name) is not None:
            body = mapping(m[name])
            named = (text(m, "name"), text(m, "unit"))
            temporality = enum(body, "aggregationTemporality", _TEMPORALITIES)
            return Head(*named, kind, temporality, body.get("isMonotonic") is True), array(body, "dataPoints")
    raise InvalidItemError(NO_TYPE)


def _point(head: Head, p: _Object, max_attributes: int) -> MetricPoint:
    exemplars = array(p, "exemplars")
    few(len(exemplars), "exemplars")
    return point(
        head,
        _attributes(p, "attributes", max_attributes),
        start_ns=count(p, "startTimeUnixNano"),
        time_ns=count(p, "timeUnixNano"),
        flags=count(p, "flags"),
        value=_VALUES[head.type](p),
        exemplars=tuple([_exemplar(mapping(one), max_attributes) for one in exemplars]),
    )


def _attributes(holder: _Object, name: str, most: int) -> Attributes:
    if len(array(holder, name)) > most:
        raise InvalidItemError(f"{name}: more than {most}")
    return attributes(holder, name)


def _number(p: _Object) -> int | float | None:
    return integer(p, "asInt") if p.get("asInt") is not None else double(p, "asDouble")


def _histogram(p: _Object) -> Histogram:
    few(len(array(p, "bucketCounts")), "bucketCounts")
    few(len(array(p, "explicitBounds")), "explicitBounds")
    return Histogram(*_totals(p), doubles(p, "explicitBounds"), counts(p, "bucketCounts"))


def _exponential_histogram(p: _Object) -> ExponentialHistogram:
    return ExponentialHistogram(
        *_totals(p),
        enum(p, "scale", {}),
        count(p, "zeroCount"),
        double(p, "zeroThreshold") or 0.0,
        _buckets(mapping(p.get("positive"))),
        _buckets(mapping(p.get("negative"))),
    )


def _summary(p: _Object) -> Quantiles:
    listed = array(p, "quantileValues")
    few(len(listed), "quantileValues")
    pairs = [(double(q, "quantile") or 0.0, double(q, "value") or 0.0) for q in map(mapping, listed)]
    return Quantiles(count(p, "count"), double(p, "sum") or 0.0, tuple(pairs))


def _buckets(b: _Object) -> ExponentialBuckets:
    few(len(array(b, "bucketCounts")), "bucketCounts")
    return ExponentialBuckets(enum(b, "offset", {}), counts(b, "bucketCounts"))


def _totals(p: _Object) -> tuple[int, float | None, float | None, float | None]:
    return count(p, "count"), double(p, "sum"), double(p, "min"), double(p, "max")


def _exemplar(e: _Object, max_attributes: int) -> Exemplar:
    value = _number(e)
    return exemplar(
        count(e, "timeUnixNano"),
        None if value is None else float(value),
        identifier(e, "traceId"),
        identifier(e, "spanId"),
        _attributes(e, "filteredAttributes", max_attributes),
    )


_Reader = Callable[[_Object], PointValue]

_READERS: Mapping[str, tuple[MetricType, _Reader]] = {
    "gauge": ("gauge", _number),
    "sum": ("sum", _number),
    "histogram": ("histogram", _histogram),
    "exponentialHistogram": ("exponential_histogram", _exponential_histogram),
    "summary": ("summary", _summary),
}
_VALUES: Mapping[MetricType, _Reader] = dict(_READERS.values())

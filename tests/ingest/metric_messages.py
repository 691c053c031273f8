"""OTLP metrics made with the protocol's own classes, and what must be read in them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar as WireExemplar
from otlp_messages import ATTRIBUTES, SPAN_IDS, TEXT, TIMES, TRACE_IDS, key_values

from watchpost.ingest.items import MAX_NS
from watchpost.model.telemetry import (
    Attributes,
    Exemplar,
    ExponentialBuckets,
    ExponentialHistogram,
    Histogram,
    MetricPoint,
    Quantiles,
)

WirePoint = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint
WireDistribution = HistogramDataPoint | ExponentialHistogramDataPoint

_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_COUNT = st.integers(0, 2**64 - 1)
_COUNTS = st.lists(_COUNT, max_size=4).map(tuple)
_REALS = st.floats(allow_nan=False)
_MAYBE = st.none() | _REALS
_BOUNDS = st.lists(_REALS, max_size=4, unique=True).map(lambda bounds: tuple(sorted(bounds)))
_EXEMPLARS = st.lists(
    st.builds(Exemplar, TIMES, _REALS, TRACE_IDS | st.just(b""), SPAN_IDS | st.just(b""), ATTRIBUTES), max_size=2
).map(tuple)
_BUCKETS = st.builds(ExponentialBuckets, st.integers(-(2**31), 2**31 - 1), _COUNTS)


@st.composite
def _histograms(draw: st.DrawFn) -> Histogram:
    bounds = draw(_BOUNDS)
    size = len(bounds) + 1
    counts = draw(st.just([]) | st.lists(_COUNT, min_size=size, max_size=size))
    return Histogram(draw(_COUNT), draw(_MAYBE), draw(_MAYBE), draw(_MAYBE), bounds, tuple(counts))


_POWERS = st.builds(
    ExponentialHistogram,
    _COUNT,
    _MAYBE,
    _MAYBE,
    _MAYBE,
    st.integers(-(2**31), 2**31 - 1),
    _COUNT,
    _REALS,
    _BUCKETS,
    _BUCKETS,
)
_QUANTILES = st.builds(Quantiles, _COUNT, _REALS, st.lists(st.tuples(_REALS, _REALS), max_size=3).map(tuple))
_NAMES = TEXT.filter(bool)
_SAID = st.sampled_from(["", "delta", "cumulative"])


def _points(
    kind: str, values: st.SearchStrategy[object], said: st.SearchStrategy[str], monotonic: st.SearchStrategy[bool]
) -> st.SearchStrategy[MetricPoint]:
    exemplars = st.just(()) if kind == "summary" else _EXEMPLARS
    return st.builds(
        MetricPoint,
        name=_NAMES,
        unit=TEXT,
        type=st.just(kind),
        temporality=said,
        monotonic=monotonic,
        attributes=ATTRIBUTES,
        start_ns=TIMES,
        time_ns=TIMES,
        value=values | st.none(),
        exemplars=exemplars,
    )


_NO = st.just(False)  # noqa: FBT003 - a value to be drawn
POINTS = st.one_of(
    _points("gauge", _INTEGERS | _REALS, st.just(""), _NO),
    _points("sum", _INTEGERS | _REALS, _SAID, st.booleans()),
    _points("histogram", _histograms(), _SAID, _NO),
    _points("exponential_histogram", _POWERS, _SAID, _NO),
    _points("summary", _QUANTILES, st.just(""), _NO),
)
GOOD = MetricPoint("good", "{token}", "sum", "delta", True, {"key": "value"}, 1, 2, 5)  # noqa: FBT003 - OTLP's isMonotonic
_TEMPORALITY = {"": 0, "delta": 1, "cumulative": 2}


def wire_metric(point: MetricPoint) -> Metric:
    """A metric of one point in OTLP's form."""
    metric = Metric(name=point.name, description="what it is", unit=point.unit)
    body = getattr(metric, point.type)
    body.SetInParent()
    if point.type not in {"gauge", "summary"}:
        body.aggregation_temporality = AggregationTemporality.ValueType(_TEMPORALITY[point.temporality])
    if point.type == "sum":
        body.is_monotonic = point.monotonic
    wire: WirePoint = body.data_points.add()
    wire.start_time_unix_nano, wire.time_unix_nano = point.start_ns, point.time_ns
    wire.attributes.extend(key_values(point.attributes))
    if point.value is None:
        wire.flags = 1
    _set_value(wire, point)
    if not isinstance(wire, SummaryDataPoint):
        wire.exemplars.extend(map(_wire_exemplar, point.exemplars))
    return metric


def _set_value(wire: WirePoint, point: MetricPoint) -> None:
    match wire, point.value:
        case NumberDataPoint(), int(number):
            wire.as_int = number
        case NumberDataPoint(), float(number):
            wire.as_double = number
        case HistogramDataPoint(), Histogram() as value:
            _set_totals(wire, value)
            wire.explicit_bounds.extend(value.bounds)
            wire.bucket_counts.extend(value.counts)
        case ExponentialHistogramDataPoint(), ExponentialHistogram() as value:
            _set_totals(wire, value)
            wire.scale, wire.zero_count, wire.zero_threshold = value.scale, value.zero_count, value.zero_threshold
            for buckets, given in ((wire.positive, value.positive), (wire.negative, value.negative)):
                buckets.offset = given.offset
                buckets.bucket_counts.extend(given.counts)
        case SummaryDataPoint(), Quantiles() as value:
            wire.count, wire.sum = value.count, value.sum
            for quantile, at in value.quantiles:
                wire.quantile_values.add(quantile=quantile, value=at)
        case _:
            assert point.value is None


def _set_totals(wire: WireDistribution, value: Histogram | ExponentialHistogram) -> None:
    wire.count = value.count
    for name in ("sum", "min", "max"):
        if getattr(value, name) is not None:
            setattr(wire, name, getattr(value, name))


def _wire_exemplar(exemplar: Exemplar) -> WireExemplar:
    return WireExemplar(
        time_unix_nano=min(exemplar.time_ns, MAX_NS),
        as_double=exemplar.value,
        trace_id=exemplar.trace_id,
        span_id=exemplar.span_id,
        filtered_attributes=key_values(exemplar.attributes),
    )


def metric_request(
    points: Sequence[MetricPoint], resource: Attributes | None = None, scope: str = ""
) -> ExportMetricsServiceRequest:
    """A request of one resource and one scope, each point a metric of its own."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(key_values(resource or {}))
    items = group.scope_metrics.add()
    items.scope.name = scope
    items.metrics.extend(map(wire_metric, points))
    return request

"""OTLP's metrics in protobuf, read at the wire like spans: a broken metric or point costs only itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from watchpost.ingest.protobuf import (
    BOOL,
    BYTES,
    CHOICE,
    DOUBLE,
    FIXED64,
    INT32,
    MAP,
    OPTIONAL,
    REPEATED,
    SFIXED64,
    SINT32,
    UINT32,
    UINT64,
    Messages,
    Parser,
    WireMap,
)


class WireMetric(Protocol):
    """opentelemetry.proto.metrics.v1.Metric; `WhichOneof("value")` names its type, and the attribute of that name is its body."""

    name: bytes
    unit: bytes

    def WhichOneof(self, oneof: str) -> str | None:  # noqa: N802 - protobuf's name
        """The name of the one field of `oneof` that is there."""
        ...


class WireBody(Protocol):
    """Gauge, Sum, Histogram, ExponentialHistogram and Summary; the points are unparsed."""

    data_points: Sequence[bytes]
    aggregation_temporality: int
    is_monotonic: bool


class WirePoint(Protocol):
    """What the points of all types have."""

    attributes: WireMap
    start_time_unix_nano: int
    time_unix_nano: int
    flags: int


class WireNumber(WirePoint, Protocol):
    """opentelemetry.proto.metrics.v1.NumberDataPoint."""

    as_double: float
    as_int: int
    exemplars: Sequence[bytes]

    def WhichOneof(self, oneof: str) -> str | None:  # noqa: N802 - protobuf's name
        """The name of the one field of `oneof` that is there."""
        ...


class WireDistribution(WirePoint, Protocol):
    """What both histograms have; `HasField` knows whether `sum`, `min` and `max` are there."""

    count: int
    sum: float
    min: float
    max: float
    exemplars: Sequence[bytes]

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Whether an optional field is there."""
        ...


class WireHistogram(WireDistribution, Protocol):
    """opentelemetry.proto.metrics.v1.HistogramDataPoint."""

    bucket_counts: Sequence[int]
    explicit_bounds: Sequence[float]


class WireExponentialHistogram(WireDistribution, Protocol):
    """opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint."""

    scale: int
    zero_count: int
    zero_threshold: float
    positive: bytes
    negative: bytes


class WireBuckets(Protocol):
    """opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets."""

    offset: int
    bucket_counts: Sequence[int]


class WireSummary(WirePoint, Protocol):
    """opentelemetry.proto.metrics.v1.SummaryDataPoint."""

    count: int
    sum: float
    quantile_values: Sequence[bytes]


class WireQuantile(Protocol):
    """opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile."""

    quantile: float
    value: float


class WireExemplar(Protocol):
    """opentelemetry.proto.metrics.v1.Exemplar."""

    filtered_attributes: WireMap
    time_unix_nano: int
    as_double: float
    as_int: int
    span_id: bytes
    trace_id: bytes

    def WhichOneof(self, oneof: str) -> str | None:  # noqa: N802 - protobuf's name
        """The name of the one field of `oneof` that is there."""
        ...


_TIMES = {"start_time_unix_nano": (2, FIXED64), "time_unix_nano": (3, FIXED64)}
_MESSAGES = Messages(
    "watchpost.wire.metrics",
    {
        "Metric": {
            "name": (1, BYTES),
            "unit": (3, BYTES),
            "gauge": (5, BYTES + CHOICE),
            "sum": (7, BYTES + CHOICE),
            "histogram": (9, BYTES + CHOICE),
            "exponential_histogram": (10, BYTES + CHOICE),
            "summary": (11, BYTES + CHOICE),
        },
        "Body": {
            "data_points": (1, BYTES + REPEATED),
            "aggregation_temporality": (2, INT32),
            "is_monotonic": (3, BOOL),
        },
        "Number": _TIMES
        | {
            "as_double": (4, DOUBLE + CHOICE),
            "exemplars": (5, BYTES + REPEATED),
            "as_int": (6, SFIXED64 + CHOICE),
            "attributes": (7, MAP),
            "flags": (8, UINT32),
        },
        "Histogram": _TIMES
        | {
            "count": (4, FIXED64),
            "sum": (5, DOUBLE + OPTIONAL),
            "bucket_counts": (6, FIXED64 + REPEATED),
            "explicit_bounds": (7, DOUBLE + REPEATED),
            "exemplars": (8, BYTES + REPEATED),
            "attributes": (9, MAP),
            "flags": (10, UINT32),
            "min": (11, DOUBLE + OPTIONAL),
            "max": (12, DOUBLE + OPTIONAL),
        },
        "ExponentialHistogram": _TIMES
        | {
            "attributes": (1, MAP),
            "count": (4, FIXED64),
            "sum": (5, DOUBLE + OPTIONAL),
            "scale": (6, SINT32),
            "zero_count": (7, FIXED64),
            "positive": (8, BYTES),
            "negative": (9, BYTES),
            "flags": (10, UINT32),
            "exemplars": (11, BYTES + REPEATED),
            "min": (12, DOUBLE + OPTIONAL),
            "max": (13, DOUBLE + OPTIONAL),
            "zero_threshold": (14, DOUBLE),
        },
        "Buckets": {"offset": (1, SINT32), "bucket_counts": (2, UINT64 + REPEATED)},
        "Summary": _TIMES
        | {
            "count": (4, FIXED64),
            "sum": (5, DOUBLE),
            "quantile_values": (6, BYTES + REPEATED),
            "attributes": (7, MAP),
            "flags": (8, UINT32),
        },
        "Quantile": {"quantile": (1, DOUBLE), "value": (2, DOUBLE)},
        "Exemplar": {
            "time_unix_nano": (2, FIXED64),
            "as_double": (3, DOUBLE + CHOICE),
            "span_id": (4, BYTES),
            "trace_id": (5, BYTES),
            "as_int": (6, SFIXED64 + CHOICE),
            "filtered_attributes": (7, MAP),
        },
    },
)

metric: Parser[WireMetric] = _MESSAGES.parser("Metric")
body: Parser[WireBody] = _MESSAGES.parser("Body")
number: Parser[WireNumber] = _MESSAGES.parser("Number")
histogram: Parser[WireHistogram] = _MESSAGES.parser("Histogram")
exponential_histogram: Parser[WireExponentialHistogram] = _MESSAGES.parser("ExponentialHistogram")
buckets: Parser[WireBuckets] = _MESSAGES.parser("Buckets")
summary: Parser[WireSummary] = _MESSAGES.parser("Summary")
quantile: Parser[WireQuantile] = _MESSAGES.parser("Quantile")
exemplar: Parser[WireExemplar] = _MESSAGES.parser("Exemplar")

"""What agents send, decoded and redacted, before any convention has been read into it."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from watchpost.model.fact import Fact

Attributes = dict[str, object]
"""Attribute values are JSON values: None, bool, int, float, str, bytes, or lists and string-keyed dicts of them."""


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One span event; `time_ns` is Unix nanoseconds."""

    time_ns: int
    name: str
    attributes: Attributes


class Link(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One span link to `(trace_id, span_id)`."""

    trace_id: bytes
    span_id: bytes
    attributes: Attributes


class Span(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One OTLP span as received, after redaction.

    `trace_id` has 16 bytes, `span_id` 8, `parent_id` 8 or none at a root. Times are Unix nanoseconds that fit a signed
    64-bit integer; `end_ns` is 0 for a start event or heartbeat of a span that has not ended. `status` is OTLP's code:
    0 unset, 1 ok, 2 error. `kind` is OTLP's SpanKind number.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    start_ns: int
    end_ns: int
    kind: int
    status: int
    status_message: str
    attributes: Attributes
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()


class LogLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One OTLP log record as received, after redaction; `trace_id` and `span_id` are empty where it carries none."""

    time_ns: int
    severity: int
    trace_id: bytes
    span_id: bytes
    event_name: str
    body: object
    attributes: Attributes


MetricType = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]

Temporality = Literal["", "delta", "cumulative"]
"""Whether a point tells what happened since the one before it or since `start_ns`; empty where the sender does not say or it has no meaning."""


class Exemplar(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One measurement behind a point; `trace_id` and `span_id` name the span it was taken in, and are empty where it names none."""

    time_ns: int
    value: float
    trace_id: bytes
    span_id: bytes
    attributes: Attributes


class Histogram(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="histogram"):
    """Measurements counted in buckets: `counts[i]` of them are above `bounds[i - 1]` and at most `bounds[i]`.

    There is one count more than there are bounds, or none at all. `sum`, `min` and `max` are None where they are not told.
    """

    count: int
    sum: float | None
    min: float | None
    max: float | None
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


class ExponentialBuckets(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`counts[i]` measurements whose absolute value is above base ** (offset + i) and at most base ** (offset + i + 1)."""

    offset: int = 0
    counts: tuple[int, ...] = ()


class ExponentialHistogram(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="exponential_histogram"):
    """Measurements counted in buckets of base 2 ** (2 ** -scale); `zero_count` of them lie within `zero_threshold` of zero."""

    count: int
    sum: float | None
    min: float | None
    max: float | None
    scale: int
    zero_count: int
    zero_threshold: float
    positive: ExponentialBuckets
    negative: ExponentialBuckets


class Quantiles(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="summary"):
    """What a summary tells: pairs of quantile, 0 to 1, and the value there."""

    count: int
    sum: float
    quantiles: tuple[tuple[float, float], ...] = ()


PointValue = int | float | Histogram | ExponentialHistogram | Quantiles | None


class MetricPoint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One OTLP data point as received, after redaction, with what its metric says of it.

    `value` is a number for a gauge or sum and the struct of its type for the others; None where the sender says that it
    recorded none. Numbers may be NaN or infinite. Times are Unix nanoseconds that fit a signed 64-bit integer, 0 where unset.
    """

    name: str
    unit: str
    type: MetricType
    temporality: Temporality
    monotonic: bool
    attributes: Attributes
    start_ns: int
    time_ns: int
    value: PointValue
    exemplars: tuple[Exemplar, ...] = ()


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """The spans, log lines and metric points of one request that share a resource and an instrumentation scope."""

    project: str
    resource: Attributes
    scope: str
    spans: tuple[Span, ...] = ()
    logs: tuple[LogLine, ...] = ()
    metrics: tuple[MetricPoint, ...] = ()


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """One accepted request: what the log keeps and `react` reads. `received_ns` is our clock, not the sender's.

    `facts` are what people said, which comes the same way.
    """

    received_ns: int
    parcels: tuple[Parcel, ...]
    facts: tuple[Fact, ...] = ()


def point_ids(parcel: Parcel) -> list[bytes]:
    """16 bytes for each metric point of a parcel: the same for the same point of the same project, resource and scope, however often it is sent."""
    encoder = msgspec.msgpack.Encoder(order="deterministic")
    source = hashlib.blake2b(encoder.encode((parcel.project, parcel.resource, parcel.scope)), digest_size=16).digest()
    return [hashlib.blake2b(source + encoder.encode(point), digest_size=16).digest() for point in parcel.metrics]

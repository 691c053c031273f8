"""What agents send, decoded and redacted, before any convention has been read into it."""

from __future__ import annotations

import msgspec

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


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """The spans and log lines of one request that share a resource and an instrumentation scope."""

    project: str
    resource: Attributes
    scope: str
    spans: tuple[Span, ...] = ()
    logs: tuple[LogLine, ...] = ()


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """One accepted request: what the log keeps and `react` reads. `received_ns` is our clock, not the sender's."""

    received_ns: int
    parcels: tuple[Parcel, ...]

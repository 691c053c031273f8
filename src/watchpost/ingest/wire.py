"""OTLP's protobuf, read at the wire so that one malformed span, attribute or byte sequence costs only itself.

The messages here describe the same bytes as OTLP's own, with three differences. Spans, log records and metrics are length-delimited
bytes that are parsed one by one, so that a broken one is refused alone. Text is bytes, so that invalid UTF-8 is
replaced instead of failing the request. Attributes are a protobuf map, which has the wire form of repeated KeyValue (a
key twice: the last wins) and is read 40 % faster, with the values left as bytes and decoded by `any_value`.
"""

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
    INT64,
    MAP,
    REPEATED,
    Messages,
    Parser,
    WireMap,
)
from watchpost.model.telemetry import Attributes

MAX_DEPTH = 32
"""How deep attribute values may nest."""


class TooDeepError(ValueError):
    """An attribute value nests deeper than MAX_DEPTH."""


class WireSpan(Protocol):
    """opentelemetry.proto.trace.v1.Span."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: bytes
    kind: int
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: WireMap
    events: Sequence[bytes]
    links: Sequence[bytes]
    status: bytes


class WireEvent(Protocol):
    """opentelemetry.proto.trace.v1.Span.Event."""

    time_unix_nano: int
    name: bytes
    attributes: WireMap


class WireLink(Protocol):
    """opentelemetry.proto.trace.v1.Span.Link."""

    trace_id: bytes
    span_id: bytes
    attributes: WireMap


class WireStatus(Protocol):
    """opentelemetry.proto.trace.v1.Status."""

    message: bytes
    code: int


class WireLogRecord(Protocol):
    """opentelemetry.proto.logs.v1.LogRecord."""

    time_unix_nano: int
    observed_time_unix_nano: int
    severity_number: int
    body: bytes
    attributes: WireMap
    trace_id: bytes
    span_id: bytes
    event_name: bytes


class WireScope(Protocol):
    """opentelemetry.proto.common.v1.InstrumentationScope."""

    name: bytes


class WireResource(Protocol):
    """opentelemetry.proto.resource.v1.Resource."""

    attributes: WireMap


class WireScopeItems(Protocol):
    """ScopeSpans, ScopeLogs and ScopeMetrics: the items are unparsed spans, log records or metrics."""

    scope: bytes
    items: Sequence[bytes]


class WireResourceItems(Protocol):
    """ResourceSpans, ResourceLogs and ResourceMetrics."""

    resource: bytes
    scopes: Sequence[bytes]


class WireRequest(Protocol):
    """ExportTraceServiceRequest and its like for logs and metrics."""

    resources: Sequence[bytes]


class _WireAny(Protocol):
    string_value: bytes
    array_value: bytes
    kvlist_value: bytes

    def WhichOneof(self, oneof: str) -> str | None: ...  # noqa: N802 - protobuf's name


class _WireArray(Protocol):
    values: Sequence[bytes]


class _WireKeyValueList(Protocol):
    values: WireMap


_MESSAGES = Messages(
    "watchpost.wire",
    {
        "Request": {"resources": (1, BYTES + REPEATED)},
        "ResourceItems": {"resource": (1, BYTES), "scopes": (2, BYTES + REPEATED)},
        "ScopeItems": {"scope": (1, BYTES), "items": (2, BYTES + REPEATED)},
        "Resource": {"attributes": (1, MAP)},
        "Scope": {"name": (1, BYTES)},
        "Span": {
            "trace_id": (1, BYTES),
            "span_id": (2, BYTES),
            "parent_span_id": (4, BYTES),
            "name": (5, BYTES),
            "kind": (6, INT32),
            "start_time_unix_nano": (7, FIXED64),
            "end_time_unix_nano": (8, FIXED64),
            "attributes": (9, MAP),
            "events": (11, BYTES + REPEATED),
            "links": (13, BYTES + REPEATED),
            "status": (15, BYTES),
        },
        "Event": {"time_unix_nano": (1, FIXED64), "name": (2, BYTES), "attributes": (3, MAP)},
        "Link": {"trace_id": (1, BYTES), "span_id": (2, BYTES), "attributes": (4, MAP)},
        "Status": {"message": (2, BYTES), "code": (3, INT32)},
        "LogRecord": {
            "time_unix_nano": (1, FIXED64),
            "severity_number": (2, INT32),
            "body": (5, BYTES),
            "attributes": (6, MAP),
            "trace_id": (9, BYTES),
            "span_id": (10, BYTES),
            "observed_time_unix_nano": (11, FIXED64),
            "event_name": (12, BYTES),
        },
        "KeyValueList": {"values": (1, MAP)},
        "ArrayValue": {"values": (1, BYTES + REPEATED)},
        "AnyValue": {
            "string_value": (1, BYTES + CHOICE),
            "bool_value": (2, BOOL + CHOICE),
            "int_value": (3, INT64 + CHOICE),
            "double_value": (4, DOUBLE + CHOICE),
            "array_value": (5, BYTES + CHOICE),
            "kvlist_value": (6, BYTES + CHOICE),
            "bytes_value": (7, BYTES + CHOICE),
        },
    },
)


request: Parser[WireRequest] = _MESSAGES.parser("Request")
resource_items: Parser[WireResourceItems] = _MESSAGES.parser("ResourceItems")
scope_items: Parser[WireScopeItems] = _MESSAGES.parser("ScopeItems")
resource: Parser[WireResource] = _MESSAGES.parser("Resource")
scope: Parser[WireScope] = _MESSAGES.parser("Scope")
span: Parser[WireSpan] = _MESSAGES.parser("Span")
event: Parser[WireEvent] = _MESSAGES.parser("Event")
link: Parser[WireLink] = _MESSAGES.parser("Link")
status: Parser[WireStatus] = _MESSAGES.parser("Status")
log_record: Parser[WireLogRecord] = _MESSAGES.parser("LogRecord")
_any: Parser[_WireAny] = _MESSAGES.parser("AnyValue")
_array: Parser[_WireArray] = _MESSAGES.parser("ArrayValue")
_kvlist: Parser[_WireKeyValueList] = _MESSAGES.parser("KeyValueList")


def text(data: bytes) -> str:
    """UTF-8, with what is not UTF-8 replaced by U+FFFD."""
    return data.decode("utf-8", "replace")


def attributes(wire: WireMap) -> Attributes:
    """Every attribute with its value decoded; raises `TooDeepError` or `DecodeError` for a value that is none."""
    return {key: any_value(wire[key]) for key in wire}


_STRING_TAG = 0x0A
_LONG = 0x80


def any_value(data: bytes, depth: int = 0) -> object:
    """The JSON value of an AnyValue's bytes; absent is None. Strings, by far the commonest, are cut out without a parser."""
    size = len(data)
    if size > 1 and data[0] == _STRING_TAG:
        if data[1] == size - 2 and size < _LONG + 2:
            return str(data[2:], "utf-8", "replace")
        if size > _LONG and data[1] >= _LONG > data[2] and (data[1] & 0x7F | data[2] << 7) == size - 3:
            return str(data[3:], "utf-8", "replace")
    return _parsed_value(_any(data), depth) if data else None


def _parsed_value(value: _WireAny, depth: int) -> object:
    which = value.WhichOneof("value")
    match which:
        case None:
            return None
        case "string_value":
            return text(value.string_value)
        case "array_value":
            return [any_value(item, _deeper(depth)) for item in _array(value.array_value).values]
        case "kvlist_value":
            return _entries(_kvlist(value.kvlist_value).values, _deeper(depth))
        case _:
            plain: object = getattr(value, which)
            return plain


def _entries(wire: WireMap, depth: int) -> Attributes:
    return {key: any_value(wire[key], depth) for key in wire}


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise TooDeepError(f"attribute values may nest {MAX_DEPTH} deep")
    return depth + 1

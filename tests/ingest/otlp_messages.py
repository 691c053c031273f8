"""OTLP messages made with the protocol's own classes, and what must be read in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from google.protobuf import json_format
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from watchpost.ingest.items import MAX_NS
from watchpost.model.telemetry import Attributes, Event, Link, LogLine, Span

Request = ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary(max_size=6)
    | st.sampled_from(["x" * size for size in (125, 126, 127, 128, 129, 130, 300, 20_000)])
)
VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
ATTRIBUTES = st.dictionaries(TEXT, VALUES, max_size=5)
TIMES = st.integers(0, MAX_NS)
TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any)
SPAN_IDS = st.binary(min_size=8, max_size=8).filter(any)

SPANS = st.builds(
    Span,
    TRACE_IDS,
    SPAN_IDS,
    SPAN_IDS | st.just(b""),
    TEXT,
    TIMES,
    TIMES,
    st.integers(0, 5),
    st.integers(0, 2),
    TEXT,
    ATTRIBUTES,
    st.lists(st.builds(Event, TIMES, TEXT, ATTRIBUTES), max_size=2).map(tuple),
    st.lists(st.builds(Link, TRACE_IDS, SPAN_IDS, ATTRIBUTES), max_size=2).map(tuple),
)
LINES = st.builds(
    LogLine,
    st.integers(1, MAX_NS),
    st.integers(0, 24),
    TRACE_IDS | st.just(b""),
    SPAN_IDS | st.just(b""),
    TEXT,
    VALUES,
    ATTRIBUTES,
)


def any_value(value: object) -> AnyValue:
    """A value in OTLP's form; None is the absence of any."""
    wire = AnyValue()
    match value:
        case None:
            pass
        case bool():
            wire.bool_value = value
        case int():
            wire.int_value = value
        case float():
            wire.double_value = value
        case str():
            wire.string_value = value
        case bytes():
            wire.bytes_value = value
        case list():
            wire.array_value.SetInParent()
            wire.array_value.values.extend(any_value(item) for item in value)
        case dict():
            wire.kvlist_value.SetInParent()
            wire.kvlist_value.values.extend(key_values(value))
    return wire


def key_values(attributes: Attributes) -> list[KeyValue]:
    """Attributes in OTLP's form."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def wire_span(span: Span) -> WireSpan:
    """A span in OTLP's form."""
    wire = WireSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        name=span.name,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        kind=WireSpan.SpanKind.ValueType(span.kind),
        attributes=key_values(span.attributes),
        trace_state="vendor=1",
        flags=0x100,
    )
    if span.status or span.status_message:
        wire.status.code = Status.StatusCode.ValueType(span.status)
        wire.status.message = span.status_message
    for event in span.events:
        wire.events.add(time_unix_nano=event.time_ns, name=event.name, attributes=key_values(event.attributes))
    for link in span.links:
        wire.links.add(trace_id=link.trace_id, span_id=link.span_id, attributes=key_values(link.attributes))
    return wire


def trace_request(
    spans: Sequence[Span], resource: Attributes | None = None, scope: str = ""
) -> ExportTraceServiceRequest:
    """A request of one resource and one scope."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(schema_url="https://example.com/schema")
    group.resource.attributes.extend(key_values(resource or {}))
    items = group.scope_spans.add()
    items.scope.name = scope
    items.spans.extend(wire_span(span) for span in spans)
    return request


def log_request(lines: Sequence[LogLine], resource: Attributes | None = None) -> ExportLogsServiceRequest:
    """A request of one resource and one scope."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(key_values(resource or {}))
    records = group.scope_logs.add().log_records
    for line in lines:
        record = LogRecord(
            time_unix_nano=line.time_ns,
            severity_number=SeverityNumber.ValueType(line.severity),
            trace_id=line.trace_id,
            span_id=line.span_id,
            event_name=line.event_name,
            attributes=key_values(line.attributes),
        )
        if line.body is not None:
            record.body.CopyFrom(any_value(line.body))
        records.append(record)
    return request


def as_json(request: Request) -> bytes:
    """The same request in OTLP's JSON: protobuf's, but for identifiers, which are hexadecimal."""

    def hexadecimal(value: object) -> object:
        match value:
            case dict():
                return {
                    key: base64.b64decode(inner).hex()
                    if key in {"traceId", "spanId", "parentSpanId"}
                    else hexadecimal(inner)
                    for key, inner in value.items()
                }
            case list():
                return [hexadecimal(item) for item in value]
            case _:
                return value

    return json.dumps(hexadecimal(json_format.MessageToDict(request, use_integers_for_enums=True))).encode()


def length_delimited(number: int, content: bytes) -> bytes:
    """One protobuf field of bytes."""
    size, encoded = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*encoded, size]) + content


def raw_request(*items: bytes) -> bytes:
    """A request whose spans, log records or metrics are these bytes, whatever they are."""
    return length_delimited(1, length_delimited(2, b"".join(length_delimited(2, item) for item in items)))

"""Spans as the body of an OTLP export: protobuf or JSON, compressed or not."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Iterable, Sequence

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from watchpost.model.telemetry import Span

SERVICE = "shop"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@dataclasses.dataclass(frozen=True)
class Export:
    """One request to `/v1/traces`."""

    body: bytes
    headers: dict[str, str]


def export_of(spans: Iterable[Span], *, as_json: bool, compressed: bool) -> Export:
    """These spans as one request of one service."""
    body = _json(list(spans)) if as_json else _protobuf(spans)
    headers = {"content-type": JSON if as_json else PROTOBUF}
    if compressed:
        return Export(gzip.compress(body, 1), headers | {"content-encoding": "gzip"})
    return Export(body, headers)


def rejected(answer: bytes, *, as_json: bool) -> int:
    """How many spans the answer to an export says were not taken."""
    if not as_json:
        return int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
    partial = msgspec.json.decode(answer, type=dict[str, dict[str, object]]).get("partialSuccess", {})
    return int(str(partial.get("rejectedSpans", 0)))


def _protobuf(spans: Iterable[Span]) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = SERVICE
    scope = group.scope_spans.add()
    for span in spans:
        added = scope.spans.add(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_span_id=span.parent_id,
            name=span.name,
            start_time_unix_nano=span.start_ns,
            end_time_unix_nano=span.end_ns,
            kind=span.kind,
        )
        added.status.code = span.status
        for key, value in span.attributes.items():
            held = added.attributes.add(key=key).value
            if isinstance(value, int):
                held.int_value = value
            else:
                held.string_value = value
    return bytes(request.SerializeToString())


def _json(spans: Sequence[Span]) -> bytes:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SERVICE}}]}
    group = {"resource": resource, "scopeSpans": [{"spans": [_span(span) for span in spans]}]}
    return msgspec.json.encode({"resourceSpans": [group]})


def _span(span: Span) -> dict[str, object]:
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_id.hex(),
        "name": span.name,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "kind": span.kind,
        "status": {"code": span.status},
        "attributes": [
            {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
            for key, value in span.attributes.items()
        ],
    }

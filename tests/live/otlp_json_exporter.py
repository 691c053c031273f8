"""An exporter of OTLP/HTTP in JSON, as OpenTelemetry's JavaScript sends it; Python's own SDK has none for its newest release."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from urllib.request import Request, urlopen

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

IDS = ("traceId", "spanId", "parentSpanId")


class OTLPSpanExporter(SpanExporter):
    """Posts spans to `OTEL_EXPORTER_OTLP_ENDPOINT`; raises when they are refused, since a test wants to know."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        message = MessageToDict(encode_spans(spans), use_integers_for_enums=True)
        for span in (s for r in message["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]):
            span.update({name: base64.b64decode(span[name]).hex() for name in IDS if name in span})
        headers = {"content-type": "application/json"}
        url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
        with urlopen(Request(url, json.dumps(message).encode(), headers), timeout=30) as answer:  # noqa: S310 - a loopback address of the test
            assert json.load(answer).get("partialSuccess", {}) == {}
        return SpanExportResult.SUCCESS

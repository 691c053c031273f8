"""A sink of OTLP/HTTP traces on loopback that keeps what it was sent and answers as it is told."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class TraceSink:
    """A `with` block; `requests` are those that came to `/v1/traces`, in order of arrival."""

    def __init__(self, status: int = 200, rejected: int = 0) -> None:
        self._status = status
        self._response = ExportTraceServiceResponse()
        if rejected:
            self._response.partial_success.rejected_spans = rejected
            self._response.partial_success.error_message = "span id has no 8 bytes"
        self.requests: list[ExportTraceServiceRequest] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spans(self) -> list[Span]:
        return [span for request in self.requests for span in spans_of(request)]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        requests, status, answer = self.requests, self._status, self._response.SerializeToString()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["content-length"]))
                requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server gives it
                pass

        return Handler


def spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    return [span for part in request.resource_spans for scope in part.scope_spans for span in scope.spans]


def attributes_of(span: Span) -> dict[str, str | int]:
    return {each.key: _value(each) for each in span.attributes}


def _value(attribute: KeyValue) -> str | int:
    value = attribute.value
    return value.int_value if value.HasField("int_value") else value.string_value

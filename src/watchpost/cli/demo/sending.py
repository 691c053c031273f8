"""Posting OTLP trace requests to a Watchpost."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

TIMEOUT_S = 10.0
REASON_LENGTH = 200


class NotAcceptedError(Exception):
    """The spans were not taken, or not all of them; the message says by whom and why."""


class TraceSender:
    """A `with` block that holds the connection to `endpoint`, such as `http://127.0.0.1:8484`."""

    def __init__(self, endpoint: str) -> None:
        self._address = f"{endpoint.rstrip('/')}/v1/traces"
        # The endpoint is this machine's own: a proxy that the environment names could not reach it.
        self._client = httpx.Client(timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def send(self, body: bytes) -> None:
        """Post one serialized ExportTraceServiceRequest; returns once every span in it is durable, else `NotAcceptedError`."""
        headers = {"content-type": "application/x-protobuf"}
        try:
            answer = self._client.post(self._address, content=body, headers=headers)
        except httpx.TransportError as error:
            raise NotAcceptedError(f"{self._address}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise NotAcceptedError(f"{self._address}: HTTP {answer.status_code}: {answer.text[:REASON_LENGTH]}")
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        if partial.rejected_spans:
            raise NotAcceptedError(f"{self._address}: {partial.rejected_spans} spans refused: {partial.error_message}")

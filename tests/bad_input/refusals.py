"""What an export was answered, whichever encoding the answer is in."""

from __future__ import annotations

import dataclasses

import httpx
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Nothing was kept: the HTTP status, the field at fault, and the sentence, which begins with the field."""

    status: int
    field: str
    message: str


def refusal(answer: httpx.Response) -> Refusal:
    """The refusal that an answer is; fails the test for any other."""
    assert answer.status_code >= 400, answer.content
    if answer.headers["content-type"] == "application/x-protobuf":
        status = Status.FromString(answer.content)
        detail = BadRequest()
        assert status.details[0].Unpack(detail)
        return Refusal(answer.status_code, detail.field_violations[0].field, status.message)
    body = answer.json()
    return Refusal(answer.status_code, body["details"][0]["fieldViolations"][0]["field"], body["message"])


def left_out(answer: httpx.Response) -> tuple[int, str]:
    """How many spans were left out of an export that was taken, and why."""
    assert answer.status_code == 200, answer.content
    if answer.headers["content-type"] == "application/x-protobuf":
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        return partial.rejected_spans, partial.error_message
    partial_json = answer.json().get("partialSuccess", {})
    return int(partial_json.get("rejectedSpans", 0)), partial_json.get("errorMessage", "")

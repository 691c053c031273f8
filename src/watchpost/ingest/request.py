"""What arrives at the door, and the three answers to it: accepted, refused, not now."""

from __future__ import annotations

from typing import Literal

import msgspec

Signal = Literal["traces", "logs", "metrics", "agents_sdk"]
"""OTLP's signals, and what the OpenAI Agents SDK's own exporter posts."""

PATHS: dict[Signal, str] = {
    "traces": "/v1/traces",
    "logs": "/v1/logs",
    "metrics": "/v1/metrics",
    "agents_sdk": "/v1/traces/ingest",
}
"""Where each is posted to over HTTP."""


class OtlpRequest(msgspec.Struct, frozen=True):
    """One OTLP export request as received. `content_type` and `content_encoding` are the header values, empty if absent.

    `project` is the one the caller was admitted to or names in `x-watchpost-project`; empty leaves it to the resource.
    """

    signal: Signal
    body: bytes
    content_type: str = "application/x-protobuf"
    content_encoding: str = ""
    project: str = ""


class Accepted(msgspec.Struct, frozen=True):
    """The request is durable. `rejected` items were left out of it; `reasons` says why, one sentence per distinct cause."""

    rejected: int
    reasons: tuple[str, ...] = ()


class RefusedError(Exception):
    """Nothing of the request was kept, and sending it again as it is will not help.

    `status` is the HTTP status to answer: 400 malformed, 413 too large, 415 unknown encoding or media type. `field` names the part at fault.
    """

    def __init__(self, status: int, detail: str, field: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field


class OverloadedError(Exception):
    """Nothing of the request was kept; sending the same again after `retry_after_s` seconds may succeed."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s

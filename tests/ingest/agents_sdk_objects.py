"""Objects as the OpenAI Agents SDK 0.24 exports them, and requests that hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from watchpost.ingest.items import Limits
from watchpost.ingest.otlp import Decoded, decode
from watchpost.ingest.request import OtlpRequest

TRACE = "trace_" + "ab" * 16
USAGE = {
    "requests": 1,
    "input_tokens": 120,
    "output_tokens": 24,
    "total_tokens": 144,
    "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 64, "cache_write_tokens_details": None},
    "output_tokens_details": {"reasoning_tokens": 8},
}


def trace(group_id: str | None = "chat-1", **fields: object) -> dict[str, object]:
    """A trace object."""
    bare: dict[str, object] = {"object": "trace", "id": TRACE, "workflow_name": "order-support", "group_id": group_id}
    return bare | {"metadata": {"user_id": "u-7", "tenant": "acme"}} | fields


def name_of(number: int) -> str:
    """The id of span `number`."""
    return f"span_{number:024x}"


def span(number: int, data: Mapping[str, object], parent: int | None = None, **fields: object) -> dict[str, object]:
    """Span `number`: it starts that many seconds after noon and takes half a second."""
    bare: dict[str, object] = {
        "object": "trace.span",
        "id": name_of(number),
        "trace_id": TRACE,
        "parent_id": None if parent is None else name_of(parent),
        "started_at": f"2026-11-21T12:00:{number:02}.000000+00:00",
        "ended_at": f"2026-11-21T12:00:{number:02}.500000+00:00",
        "span_data": data,
        "error": None,
    }
    return bare | fields


def response(**fields: object) -> dict[str, object]:
    """A call of the Responses API."""
    return {"type": "response", "response_id": "resp_1", "usage": USAGE} | fields


def function(**fields: object) -> dict[str, object]:
    """A tool call."""
    bare: dict[str, object] = {"type": "function", "name": "get_order", "input": '{"order_id": "A1"}'}
    return bare | {"output": "{'status': 'open'}", "mcp_data": None} | fields


def sdk_span(kind: str, **data: object) -> dict[str, object]:
    """A task or a turn, which the SDK exports as custom spans."""
    return {"type": "custom", "name": kind, "data": {"sdk_span_type": kind} | data}


def run() -> list[dict[str, object]]:
    """The objects of one run, in the order in which they are exported."""
    spent = {"input_tokens": 120, "output_tokens": 24, "cached_input_tokens": 64, "cache_write_input_tokens": 0}
    return [
        trace(),
        span(4, {"type": "guardrail", "name": "no_pii", "triggered": False}, 3),
        span(5, response(), 3),
        span(6, function(), 3),
        span(3, sdk_span("turn", turn=1, agent_name="support", usage=spent), 2),
        span(2, {"type": "agent", "name": "support", "handoffs": [], "tools": ["get_order"], "output_type": "str"}, 1),
        span(1, sdk_span("task", name="order-support", usage=spent | {"requests": 1, "total_tokens": 144})),
    ]


def request(*objects: object) -> OtlpRequest:
    """A request as the exporter posts it."""
    return OtlpRequest("agents_sdk", json.dumps({"data": objects}).encode(), "application/json")


def decoded(*objects: object) -> Decoded:
    """What is read of such a request."""
    return decode(request(*objects), Limits())

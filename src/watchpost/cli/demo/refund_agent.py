"""A scripted support agent that gets stuck: it asks for one order again and again, and every answer is HTTP 200.

It calls no model. What it sends is what an instrumented agent sends: spans in OpenTelemetry's generative AI convention,
each when it has ended, so the root comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

ORDER = "R-48213"
CALLS = 14
STEP_S = 0.35
"""Seconds from one call to the next: all of them take about five."""

MODEL = "gpt-4o-mini"
AGENT = "refund-agent"
QUESTION = f"Where is my refund for order {ORDER}?"
SURRENDER = f"Your refund for order {ORDER} is still being processed. Please contact us again tomorrow."

FIRST_INPUT_TOKENS, TOKENS_PER_ROUND = 412, 58
CALL_OUTPUT_TOKENS, SURRENDER_OUTPUT_TOKENS = 19, 27

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS = 10**9

Part = dict[str, object]


class Sent(msgspec.Struct, frozen=True):
    """One request of the agent: `call` of `CALLS` has just been answered, 0 for the last request, which closes the run."""

    call: int
    body: bytes


class RefundAgent:
    """One run of the agent. `session_id` is its conversation; ids come from `new_bytes(length)`."""

    def __init__(self, now_ns: Callable[[], int], new_bytes: Callable[[int], bytes]) -> None:
        self._now_ns = now_ns
        self._new_bytes = new_bytes
        self._trace_id = new_bytes(16)
        self._root_id = new_bytes(8)
        self.session_id = f"refund-{ORDER}-{new_bytes(4).hex()}"

    def run(self, pause: Callable[[float], None]) -> Iterator[Sent]:
        """The requests, each as soon as its spans have ended; `pause(seconds)` passes while the agent works."""
        started_ns = self._now_ns()
        messages: list[Part] = [_message("user", {"type": "text", "content": QUESTION})]
        for call in range(1, CALLS + 1):
            yield Sent(call, _request(self._round(call, messages, pause)))
        start_ns = self._now_ns()
        pause(STEP_S / 2)
        answer = _message("assistant", {"type": "text", "content": SURRENDER}) | {"finish_reason": "stop"}
        last = self._chat(CALLS + 1, messages, answer, SURRENDER_OUTPUT_TOKENS, start_ns)
        root = self._span(
            f"invoke_agent {AGENT}", started_ns, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": AGENT}
        )
        root.span_id, root.parent_span_id = self._root_id, b""
        yield Sent(0, _request([last, root]))

    def _round(self, call: int, messages: list[Part], pause: Callable[[float], None]) -> list[Span]:
        """The model asks for the order once more, the tool answers; both join the conversation."""
        start_ns = self._now_ns()
        pause(STEP_S / 2)
        call_id = f"call_{self._new_bytes(8).hex()}"
        arguments = {"order_id": ORDER}
        asked = _message("assistant", {"type": "tool_call", "id": call_id, "name": "get_order", "arguments": arguments})
        chat = self._chat(call, messages, asked | {"finish_reason": "tool_call"}, CALL_OUTPUT_TOKENS, start_ns)
        tool_ns = self._now_ns()
        pause(STEP_S / 2)
        result = {"http_status": 200, "order_id": ORDER, "refund": "pending", "checked_at": _clock(self._now_ns())}
        tool = self._span(
            "execute_tool get_order",
            tool_ns,
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "get_order",
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": call_id,
                "gen_ai.tool.call.arguments": _json(arguments),
                "gen_ai.tool.call.result": _json(result),
            },
        )
        messages += [asked, _message("tool", {"type": "tool_call_response", "id": call_id, "response": result})]
        return [chat, tool]

    def _chat(self, call: int, messages: Sequence[Part], answer: Part, output_tokens: int, start_ns: int) -> Span:
        span = self._span(
            f"chat {MODEL}",
            start_ns,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": MODEL,
                "gen_ai.response.model": MODEL,
                "gen_ai.response.id": f"chatcmpl-{self._new_bytes(8).hex()}",
                "gen_ai.usage.input_tokens": FIRST_INPUT_TOKENS + (call - 1) * TOKENS_PER_ROUND,
                "gen_ai.usage.output_tokens": output_tokens,
                "gen_ai.input.messages": _json(messages),
                "gen_ai.output.messages": _json([answer]),
            },
        )
        span.kind = Span.SPAN_KIND_CLIENT
        return span

    def _span(self, name: str, start_ns: int, attributes: dict[str, str | int]) -> Span:
        """A span beneath the root that ends now."""
        return Span(
            trace_id=self._trace_id,
            span_id=self._new_bytes(8),
            parent_span_id=self._root_id,
            name=name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=self._now_ns(),
            attributes=_attributes(attributes | {"gen_ai.conversation.id": self.session_id}),
            status=Status(code=Status.STATUS_CODE_UNSET),
        )


def _request(spans: Sequence[Span]) -> bytes:
    resource = Resource(attributes=_attributes({"service.name": AGENT}))
    scope = ScopeSpans(scope=InstrumentationScope(name="watchpost.demo"), spans=spans)
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])
    body: bytes = request.SerializeToString()
    return body


def _attributes(values: dict[str, str | int]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value))
        for key, value in values.items()
    ]


def _message(role: str, part: Part) -> Part:
    return {"role": role, "parts": [part]}


def _clock(at_ns: int) -> str:
    """The time of day in UTC, to the second."""
    return (_EPOCH + timedelta(seconds=at_ns // _NS)).strftime("%H:%M:%S")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()

"""What the OpenAI Agents SDK's own exporter posts, `{"data": [objects]}`, becomes spans in the official convention.

An object is a `trace` or a `trace.span`, as the SDK's `export()` gives them, and becomes one span. Promise: the same object
becomes the same span whatever stands beside it, so that objects may come in any order, split over requests, and twice.

A span's id has 12 bytes there and any text is allowed; here it is an 8-byte digest of that text, which is kept beside it. A
trace object has no times and says what is true of all spans of its trace: session, workflow, user, metadata. It becomes a span
of its own that starts and ends at no known time, beneath a caller that is never sent: as a root it would tell when the run began
and ended, which only the spans of the run can.

Every fact of an object is kept. One that the convention has a name for stands under that name, any other under
`openai.agents.` and its own. Source: openai-agents 0.24, `agents/tracing`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from watchpost.ingest.batching import as_text
from watchpost.ingest.encoding import json_value
from watchpost.ingest.instant import instant_ns
from watchpost.ingest.items import MAX_NS, InvalidItemError, Tally, checked
from watchpost.ingest.request import RefusedError
from watchpost.ingest.wire import MAX_DEPTH
from watchpost.model.telemetry import Attributes, Parcel, Span

SCOPE = "openai.agents"
GUARDRAIL_TRIGGERED = "guardrail_triggered"
"""The error type of a guardrail that was tripped."""

_PREFIX = "openai.agents."
_TRACE_ID = re.compile(r"trace_([0-9a-f]{32})")

_OPERATIONS = {
    "response": "chat",
    "generation": "chat",
    "function": "execute_tool",
    "agent": "invoke_agent",
    "task": "invoke_workflow",
}
_KINDS = {
    "turn": "turn",
    "handoff": "handoff",
    "guardrail": "guardrail",
    "transcription": "llm",
    "speech": "llm",
}
"""What has no operation in the convention, by what it is to Watchpost; all else is structure."""

_MODEL_CALLS = frozenset({"response", "generation"})
"""The only spans whose usage counts: turns and tasks repeat the sum of those beneath them."""

_NAMES: Mapping[str, Mapping[str, str]] = {
    "response": {"response_id": "gen_ai.response.id"},
    "generation": {"model": "gen_ai.request.model"},
    "function": {"name": "gen_ai.tool.name"},
    "agent": {"name": "gen_ai.agent.name"},
    "task": {"name": "gen_ai.workflow.name"},
    "turn": {"agent_name": "gen_ai.agent.name"},
    "transcription": {"model": "gen_ai.request.model"},
    "speech": {"model": "gen_ai.request.model"},
}
_CONTENT: Mapping[str, Mapping[str, str]] = {
    "response": {"input": "gen_ai.input.messages"},
    "generation": {"input": "gen_ai.input.messages", "output": "gen_ai.output.messages"},
    "function": {"input": "gen_ai.tool.call.arguments", "output": "gen_ai.tool.call.result"},
    "transcription": {"output": "gen_ai.output.messages"},
    "speech": {"input": "gen_ai.input.messages"},
}
"""Content becomes text, which is JSON where it was none."""

_RESPONSE_NAMES = {"id": "gen_ai.response.id", "model": "gen_ai.response.model"}
_RESPONSE_CONTENT = {"output": "gen_ai.output.messages"}

_USAGE: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("gen_ai.usage.input_tokens", (("input_tokens",), ("prompt_tokens",))),
    ("gen_ai.usage.output_tokens", (("output_tokens",), ("completion_tokens",))),
    (
        "gen_ai.usage.cache_read.input_tokens",
        (("input_tokens_details", "cached_tokens"), ("prompt_tokens_details", "cached_tokens")),
    ),
    (
        "gen_ai.usage.cache_write.input_tokens",
        (("input_tokens_details", "cache_write_tokens"), ("prompt_tokens_details", "cache_write_tokens")),
    ),
    (
        "gen_ai.usage.reasoning.output_tokens",
        (("output_tokens_details", "reasoning_tokens"), ("completion_tokens_details", "reasoning_tokens")),
    ),
)
"""Where usage says what, first present wins."""

_LABELS = {
    "turn": ("turn", "turn"),
    "handoff": ("handoff to", "to_agent"),
    "generation": ("chat", "model"),
    "transcription": ("transcription", "model"),
    "speech": ("speech", "model"),
    "mcp_tools": ("mcp_tools", "server"),
}
"""What a span without a name is called: a word, and the field that follows it where there is one."""

_TRACE_FIELDS = frozenset({"object", "id", "workflow_name", "group_id", "metadata"})
_SPAN_FIELDS = frozenset(
    {"object", "id", "trace_id", "parent_id", "started_at", "ended_at", "span_data", "error", "metadata"}
)
_USER_KEYS = ("user_id", "user.id")


def parcels(body: bytes, tally: Tally) -> list[Parcel]:
    """The spans of every object that can be read, or `RefusedError` naming the field at which the body stops being a request."""
    request = json_value(body)
    data = request.get("data") if isinstance(request, dict) else None
    if not isinstance(data, list):
        raise RefusedError(400, "must be an array of trace and trace.span objects", "data")
    if len(data) > tally.limits.items:
        detail = f"the request holds {len(data)} items; at most {tally.limits.items} are read"
        raise RefusedError(413, detail, "data")
    spans: list[Span] = []
    for place, member in enumerate(data):
        try:
            spans.append(checked(_span(member, tally.limits.attributes)))
        except InvalidItemError as error:
            tally.reject(f"data[{place}]", str(error))
    return [Parcel("", {}, SCOPE, tuple(spans))]


def is_recorded(value: dict[str, object]) -> bool:
    """Whether a JSON object is a body as the exporter posts it, one of its objects, or an event that holds one as `export`."""
    data = value.get("data")
    return (
        _is_object(value) or _is_object(value.get("export")) or (isinstance(data, list) and any(map(_is_object, data)))
    )


def recorded(value: dict[str, object]) -> list[bytes]:
    """The objects in such a JSON object, each as JSON.

    An event may hold, as `span_data_attrs`, what the SDK knows in its own process and does not export: the model's response and
    the input. These join what was exported and replace nothing of it.
    """
    export, data = value.get("export"), value.get("data")
    if _is_object(value):
        return [msgspec.json.encode(value)]
    if not isinstance(export, dict) or not _is_object(export):
        return [msgspec.json.encode(member) for member in data] if isinstance(data, list) else []
    exported, live = export.get("span_data"), value.get("span_data_attrs")
    if isinstance(exported, dict) and exported.get("type") == "response" and isinstance(live, dict):
        unexported = {key: live[key] for key in ("response", "input") if key in live}
        export = export | {"span_data": unexported | exported}
    return [msgspec.json.encode(export)]


def span_id(text: str) -> bytes:
    """The 8 bytes by which a span of the SDK is known here."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()


def trace_id(text: str) -> bytes:
    """The 16 bytes by which a trace of the SDK is known here: its own hexadecimal digits, or the digest of an id without."""
    own = _TRACE_ID.fullmatch(text)
    return bytes.fromhex(own[1]) if own else hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()


def _span(member: object, max_attributes: int) -> Span:
    if not isinstance(member, dict):
        raise InvalidItemError("must be an object")
    if not _is_object(member):
        raise InvalidItemError("object: must be trace or trace.span")
    _check(member, 0)
    span = _trace(member) if member["object"] == "trace" else _step(member)
    if len(span.attributes) > max_attributes:
        raise InvalidItemError(f"attributes: more than {max_attributes}")
    return span


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and value.get("object") in ("trace", "trace.span")


def _check(value: object, depth: int) -> None:
    """Raise `InvalidItemError` for what no attribute can hold."""
    if depth > MAX_DEPTH:
        raise InvalidItemError(f"values may nest {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for inner in value.values():
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise InvalidItemError("integers must fit 64 bits")


def _trace(trace: dict[str, object]) -> Span:
    own_id = _identity(trace, "id")
    metadata = trace.get("metadata")
    users = [metadata[key] for key in _USER_KEYS if key in metadata] if isinstance(metadata, dict) else []
    attributes: Attributes = {
        "watchpost.step.kind": "chain",
        "gen_ai.conversation.id": trace.get("group_id"),
        "gen_ai.workflow.name": trace.get("workflow_name"),
        "user.id": users[0] if users else None,
        **_others(trace, _TRACE_FIELDS, _PREFIX),
        _PREFIX + "metadata": metadata,
        _PREFIX + "trace_id": own_id,
    }
    name = as_text(trace.get("workflow_name")) or "trace"
    place, caller = span_id(own_id), span_id(f"caller of {own_id}")
    return Span(trace_id(own_id), place, caller, name, 0, 0, 0, 0, "", _present(attributes))


def _step(span: dict[str, object]) -> Span:
    own_id = _identity(span, "id")
    parent = None if span.get("parent_id") is None else _identity(span, "parent_id")
    kind, fields = _fields(span)
    attributes = _said(kind, fields)
    status, message = 0, ""
    error = span.get("error")
    if error is not None:
        status, message = 2, as_text(error.get("message") if isinstance(error, dict) else error)
        attributes |= _error(error)
    attributes |= _others(span, _SPAN_FIELDS, _PREFIX)
    attributes |= {
        _PREFIX + "metadata": span.get("metadata"),
        _PREFIX + "span_id": own_id,
        _PREFIX + "parent_id": parent,
    }
    return Span(
        trace_id(_identity(span, "trace_id")),
        span_id(own_id),
        span_id(parent) if parent else b"",
        _name(kind, fields),
        _time(span, "started_at"),
        0 if span.get("ended_at") is None else _time(span, "ended_at"),
        0,
        status,
        message,
        _present(attributes),
    )


def _fields(span: dict[str, object]) -> tuple[str, dict[str, object]]:
    """The type of a span and what it says; the SDK's own turns and tasks come as custom spans."""
    data = span.get("span_data")
    if not isinstance(data, dict):
        raise InvalidItemError("span_data: must be an object")
    kind = data.get("type")
    if not isinstance(kind, str):
        raise InvalidItemError("span_data.type: must be text")
    fields = _others(data, {"type"})
    inner = data.get("data")
    if kind == "custom" and isinstance(inner, dict) and (own := inner.get("sdk_span_type")) in ("task", "turn"):
        fields = _others(fields, {"name", "data"}) | _others(inner, {"sdk_span_type"})
        kind = str(own)
    return kind, fields


def _said(kind: str, fields: dict[str, object]) -> Attributes:
    """What a span says, each fact once: under the convention's name where it has one, else under its own."""
    names, content = _NAMES.get(kind, {}), _CONTENT.get(kind, {})
    moved = {*names, *content}
    attributes = _renamed(fields, names, content)
    response = fields.get("response")
    if kind == "response" and isinstance(response, dict):
        attributes = _present(_renamed(response, _RESPONSE_NAMES, _RESPONSE_CONTENT)) | _present(attributes)
        attributes |= _others(response, {*_RESPONSE_NAMES, *_RESPONSE_CONTENT}, _PREFIX + "response.")
        moved.add("response")
    attributes |= {
        "gen_ai.operation.name": _OPERATIONS.get(kind),
        "watchpost.step.kind": None if kind in _OPERATIONS else _KINDS.get(kind, "chain"),
        "error.type": GUARDRAIL_TRIGGERED if kind == "guardrail" and fields.get("triggered") is True else None,
        _PREFIX + "type": kind,
    }
    if kind in _MODEL_CALLS:
        attributes |= _tokens(fields.get("usage") or (response.get("usage") if isinstance(response, dict) else None))
    return attributes | _others(fields, moved, _PREFIX + "span_data.")


def _renamed(fields: dict[str, object], names: Mapping[str, str], content: Mapping[str, str]) -> Attributes:
    found: Attributes = {attribute: fields.get(field) for field, attribute in names.items()}
    for field, attribute in content.items():
        found[attribute] = None if fields.get(field) is None else as_text(fields[field])
    return found


def _tokens(usage: object) -> Attributes:
    counts: Attributes = {}
    for attribute, paths in _USAGE:
        for path in paths:
            found = usage
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if found is not None:
                counts[attribute] = found
                break
    return counts


def _error(error: object) -> Attributes:
    """What is said of a failure beside its message, which is the span's status message."""
    if not isinstance(error, dict):
        return {}
    data = error.get("data")
    if not isinstance(data, dict):
        return _others(error, {"message"}, _PREFIX + "error.")
    named = {"error": "error.message", "error_type": "error.type"}
    return (
        _others(error, {"message", "data"}, _PREFIX + "error.")
        | _others(data, {*named}, _PREFIX + "error.data.")
        | {attribute: data[key] for key, attribute in named.items() if key in data}
    )


def _others(holder: dict[str, object], known: set[str] | frozenset[str], prefix: str = "") -> Attributes:
    return {prefix + key: value for key, value in holder.items() if key not in known}


def _present(attributes: Attributes) -> Attributes:
    return {key: value for key, value in attributes.items() if value is not None}


def _name(kind: str, fields: dict[str, object]) -> str:
    word, field = _LABELS.get(kind, ("", "name"))
    return f"{word} {as_text(fields.get(field))}".strip() or kind


def _identity(holder: dict[str, object], field: str) -> str:
    value = holder.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidItemError(f"{field}: must be text")
    return value


def _time(span: dict[str, object], field: str) -> int:
    value = span.get(field)
    if not isinstance(value, str):
        raise InvalidItemError(f"{field}: must be an ISO 8601 time")
    time_ns = instant_ns(value, field)
    if not 0 < time_ns <= MAX_NS:
        raise InvalidItemError(f"{field}: must lie between 1970 and 2262")
    return time_ns

"""Session JSONL, the neutral form: one recorded session, one object, becomes one trace.

The form has no times: steps are spaced one second apart from a base that the caller gives, and take no time themselves.
Ids derive from the source, the session id and the place of the step, so that a session read twice is the same trace. What
the file knows of how the session really went (`ground_truth`) is never read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from watchpost.ingest.batching import JSON, Item, as_text, json_attributes
from watchpost.ingest.items import InvalidItemError
from watchpost.model.telemetry import Attributes

SPACING_NS = 1_000_000_000
"""From one step to the next."""

_KINDS = {"user": "human", "llm": "llm", "tool": "tool", "agent": "handoff"}

_SPAN_NAMES = {"user": "user", "llm": "chat", "tool": "execute_tool", "agent": "handoff"}
"""A span's name is one of these and the step's name: a tool's bare name could be read as something else than a tool."""

_ROLES = frozenset({"", "assistant", "user", "system", "tool", "human", "ai", "function", "developer", "model"})
"""What stands where an agent's name would, in recordings that know only chat roles."""

_TOKENS = (
    ("gen_ai.usage.input_tokens", ("input", "prompt", "input_tokens", "prompt_tokens")),
    ("gen_ai.usage.output_tokens", ("output", "completion", "output_tokens", "completion_tokens")),
)

_RESOURCE = msgspec.json.encode({})
_SCOPE = msgspec.json.encode({"name": "watchpost.session_jsonl"})


class _Step(msgspec.Struct, frozen=True):
    kind: Literal["llm", "tool", "agent", "user"]
    step: object = None
    agent: str | None = None
    name: str | None = None
    input: object = None
    output: object = None
    error: object = None
    thought: object = None
    tokens: object = None

    @property
    def is_system_prompt(self) -> bool:
        return self.agent == "system" and self.kind != "tool"


class _Session(msgspec.Struct, frozen=True):
    session_id: Annotated[str, msgspec.Meta(min_length=1)]
    steps: list[_Step]
    source: str | None = None
    task: object = None


def is_session(value: dict[str, object]) -> bool:
    """Whether an object claims to be a session."""
    return "session_id" in value and "steps" in value


def items(value: dict[str, object], base_ns: int) -> Iterator[Item]:
    """The spans of one session: its root, then one per step. `InvalidItemError` before the first if it is none."""
    try:
        session = msgspec.convert(value, _Session)
    except msgspec.ValidationError as error:
        raise InvalidItemError(f"no session: {error}") from error
    return _spans(session, base_ns)


def misnumbered(value: dict[str, object]) -> bool:
    """Whether steps of a session carry other numbers than their places, counted from 0."""
    steps = value.get("steps")
    numbers = [step.get("step") for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    return any(number is not None and number != place for place, number in enumerate(numbers))


def _spans(session: _Session, base_ns: int) -> Iterator[Item]:
    source = session.source or ""
    trace_id = hashlib.blake2b(msgspec.json.encode([source, session.session_id]), digest_size=16)
    root_id = _span_id(trace_id.digest(), "root")
    shared: dict[str, object] = {"traceId": trace_id.hexdigest()}
    yield _item(
        shared
        | {
            "spanId": root_id,
            "name": source or "session",
            "startTimeUnixNano": str(base_ns),
            "endTimeUnixNano": str(base_ns + max(len(session.steps) - 1, 0) * SPACING_NS),
        },
        _root_attributes(session, source),
    )
    shared["parentSpanId"] = root_id
    for place, step in enumerate(session.steps):
        at = str(base_ns + place * SPACING_NS)
        span: dict[str, object] = {
            "spanId": _span_id(trace_id.digest(), str(place)),
            "name": _span_name(step),
            "startTimeUnixNano": at,
            "endTimeUnixNano": at,
        }
        if _failed(step):
            span["status"] = {"code": 2, "message": "" if step.error is True else as_text(step.error)}
        yield _item(shared | span, _step_attributes(step, session.session_id))


def _item(span: dict[str, object], attributes: Attributes) -> Item:
    kept = {key: value for key, value in attributes.items() if value != ""}
    body = msgspec.json.encode(span | {"attributes": json_attributes(kept)})
    return Item("traces", JSON, _RESOURCE, _SCOPE, body)


def _span_id(trace_id: bytes, place: str) -> str:
    return hashlib.blake2b(place.encode(), key=trace_id, digest_size=8).hexdigest()


def _span_name(step: _Step) -> str:
    if step.is_system_prompt:
        return "system prompt"
    return f"{_SPAN_NAMES[step.kind]} {step.name or ''}".rstrip()


def _root_attributes(session: _Session, source: str) -> Attributes:
    prompts = [as_text(step.output) or as_text(step.input) for step in session.steps if step.is_system_prompt]
    parts = [{"type": "text", "content": text} for text in prompts]
    return {
        "watchpost.step.kind": "workflow",
        "watchpost.session.id": session.session_id,
        "watchpost.workflow": source or "session",
        "watchpost.input": as_text(session.task),
        "gen_ai.system_instructions": as_text(parts) if parts else "",
    }


def _step_attributes(step: _Step, session_id: str) -> Attributes:
    acts = step.kind in {"llm", "tool"} and not step.is_system_prompt
    named = acts and (step.agent or "").strip().lower() not in _ROLES
    return {
        "watchpost.step.kind": "state" if step.is_system_prompt else _KINDS[step.kind],
        "watchpost.session.id": session_id,
        "watchpost.input": as_text(step.input),
        "watchpost.output": as_text(step.output),
        "watchpost.agent": step.agent if named else None,
        "gen_ai.tool.name": step.name if step.kind == "tool" else None,
        "agent.decision_rationale": as_text(step.thought),
        "error.type": _error_type(step),
        **_tokens(step.tokens),
    }


def _failed(step: _Step) -> bool:
    """An error is a text, true, or an object that says more; null, false, empty and 0 are none."""
    return bool(step.error)


def _error_type(step: _Step) -> str | None:
    if not _failed(step):
        return None
    return "tool_error" if step.kind == "tool" else "error"


def _tokens(reported: object) -> Attributes:
    counts: Attributes = {}
    if isinstance(reported, dict):
        for attribute, keys in _TOKENS:
            found = next((reported[key] for key in keys if key in reported), None)
            if isinstance(found, int) and not isinstance(found, bool):
                counts[attribute] = found
    return counts

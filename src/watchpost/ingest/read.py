"""Span to Reading: what a span says, in the one vocabulary, whatever convention it was sent in."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

import msgspec

from watchpost.ingest import content
from watchpost.ingest.facts import NAME_LENGTH, Facts, as_name
from watchpost.ingest.failure import failure, finish
from watchpost.ingest.kind import DECLARED_KIND, HANDOFF_TOOL, RETURNS, agent_name, kind
from watchpost.ingest.log_events import told
from watchpost.ingest.reply import reply
from watchpost.model.step import NO_FACETS, NO_REPLY, NOT_JUDGED, STEP_KINDS, TEXT_KEPT, Facets, Judged, Reading, Tokens
from watchpost.model.telemetry import Attributes, Parcel, Span
from watchpost_core.mentions import mentions

ENDED = 1 << 63

_STRUCTURAL = frozenset({"agent", "workflow", "chain", "turn"})

_LEAF_TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_NO_TOKENS = Tokens()

FIRST_TOKEN_EVENTS = frozenset({"First Token Stream Event", "ai.stream.firstChunk"})
LONGEST_FIRST_TOKEN_US = 86_400 * 10**6
"""A first token that took longer than a day is a mistake of units."""

_FINISH_TOOL = frozenset({"tool_calls", "tool_call", "tool-calls", "tool_use", "function_call", "function_calls"})


class Reader:
    """Reads the spans of one parcel; the resource they share is encoded once."""

    def __init__(self, parcel: Parcel, received_ns: int, seq: int) -> None:
        self._project = parcel.project
        self._received_ns = received_ns
        self._seq = seq
        self._parcel = parcel
        self._service = as_name(parcel.resource.get("service.name"))
        self._release = as_name(parcel.resource.get("service.version"))
        self._scope = parcel.scope[:NAME_LENGTH]
        self._resource = msgspec.Raw(msgspec.json.encode(parcel.resource))

    def readings(self) -> list[tuple[Reading, Attributes]]:
        """Every span of the parcel, and every log line that tells of a step, with the attributes it was sent with."""
        told_of = [span for line in self._parcel.logs if (span := told(line)) is not None]
        return [(self.read(span), span.attributes) for span in (*self._parcel.spans, *told_of)]

    def read(self, span: Span) -> Reading:
        """One span. Its attributes may hold anything: what does not fit a fact stays in `rest`."""
        facts = Facts(span.attributes, span.events)
        named = facts.names.get
        name = span.name[:NAME_LENGTH]
        is_a, tool = facts.kind, as_name(facts.peek("tool"))
        if DECLARED_KIND not in span.attributes or not is_a:
            is_a, tool = kind(is_a, name, tool)
        elif is_a == "tool":
            tool = tool or name
        elif is_a != "handoff":
            tool = ""
        facts.hold("tool", tool)
        called = is_a == "tool"
        asks, answers = facts.texts(is_a)
        text, answer, enveloped = facts.text(asks), facts.text(answers), False
        if called or is_a == "handoff":
            text = content.arguments(text) if text else ""
            answer, enveloped = content.result(answer) if answer else ("", False)
        facts.hold(asks, text)
        facts.hold(answers, answer)
        outcome = failure(span, facts, is_a, enveloped)
        status = outcome.status
        if called and not facts.kind and status == "ok" and not span.status and not answer:
            status = "unknown"
        response_id, asked = named("response_id", ""), None
        if is_a == "llm":
            response_id = response_id or content.response_id(answer)
            asked = _asked(facts, answer, span, status)
        return Reading(
            self._project,
            span.trace_id,
            span.span_id,
            span.parent_id,
            (ENDED if span.end_ns else 0) | self._seq,
            self._received_ns,
            span.start_ns,
            span.end_ns,
            is_a,
            name,
            status,
            named("own_session", ""),
            named("agent", "") or (agent_name(name) if is_a == "agent" else ""),
            named("workflow", ""),
            self._service,
            named("user_id", ""),
            named("provider", ""),
            named("model", ""),
            tool,
            named("call_id", ""),
            response_id,
            outcome.error_type,
            outcome.error,
            self._scope,
            asked,
            outcome.ran,
            _target(span) if is_a == "evaluation" else b"",
            _tokens(facts, is_a) if facts.is_counted else _NO_TOKENS,
            None,
            text,
            answer,
            self._rest(span, facts.used),
            ",".join(facts.refs),
            _mentioned(is_a, text, answer),
            _facets(named("org_id", ""), named("feature", ""), named("release", "") or self._release, _prompt(named)),
            _first_token_us(facts, span) if is_a == "llm" else None,
            _judged(facts) if is_a == "evaluation" else NOT_JUDGED,
            reply=reply(span.attributes, span.events, text) if is_a == "llm" else NO_REPLY,
        )

    def _rest(self, span: Span, used: set[str]) -> str:
        attributes = span.attributes
        rest: dict[str, object] = {
            "attributes": {key: attributes[key] for key in attributes if key not in used},
            "resource": self._resource,
        }
        if self._scope:
            rest["scope"] = self._scope
        if span.kind:
            rest["kind"] = span.kind
        if span.status:
            rest["status"] = span.status
        if span.status_message:
            rest["status_message"] = span.status_message
        if len(span.name) > NAME_LENGTH:
            rest["name"] = span.name
        if span.events:
            rest["events"] = [[e.time_ns, e.name, e.attributes] for e in span.events]
        if span.links:
            rest["links"] = [[k.trace_id.hex(), k.span_id.hex(), k.attributes] for k in span.links]
        return msgspec.json.encode(rest).decode()


@lru_cache(maxsize=4096)
def _facets(org_id: str, feature: str, release: str, prompt: str) -> Facets:
    """One value for all spans that share them."""
    return Facets(org_id, feature, release, prompt) if org_id or feature or release or prompt else NO_FACETS


def _prompt(named: Callable[[str, str], str]) -> str:
    """A prompt of a library, with its version: `refunds@3`."""
    prompt, version = named("prompt", ""), named("prompt_version", "")
    return f"{prompt}@{version}" if prompt and version else prompt or version


def _first_token_us(facts: Facts, span: Span) -> int | None:
    """How long the first token took: as told, or from the event that marks it."""
    seconds, milliseconds = facts.number("first_token_s"), facts.number("first_token_ms")
    if seconds is not None:
        told = seconds * 1e6
    elif milliseconds is not None:
        told = milliseconds * 1e3
    else:
        marked = next((event.time_ns for event in span.events if event.name in FIRST_TOKEN_EVENTS), 0)
        if not marked or not span.start_ns:
            return None
        told = (marked - span.start_ns) / 1e3
    return round(told) if 0 <= told <= LONGEST_FIRST_TOKEN_US else None


def _judged(facts: Facts) -> Judged:
    return Judged(facts.names.get("evaluator", ""), facts.number("score"), facts.names.get("label", ""))


def _mentioned(is_a: str, text: str, answer: str) -> bytes:
    """What the texts of a step name of which the fold does not keep the words."""
    if is_a not in STEP_KINDS:
        return b""
    if is_a == "llm":
        return mentions(text) if text else b""
    cut = [each for each in (text, answer) if len(each) > TEXT_KEPT]
    return mentions(*cut) if cut else b""


def _tokens(facts: Facts, is_a: str) -> Tokens:
    """The tokens of a call, or the total that a structural span reports; wherever cached tokens are counted apart, they are added to the input."""
    if is_a in _STRUCTURAL:
        return Tokens(
            facts.count("total_input_tokens"),
            facts.count("total_output_tokens"),
            facts.count("total_cached_tokens"),
            None,
            facts.count("total_reasoning_tokens"),
        )
    tokens = Tokens(*[facts.count(fact) for fact in _LEAF_TOKENS])
    if tokens.input is None and (uncached := facts.count("uncached_tokens")) is not None:
        whole = uncached + (tokens.cached or 0) + (tokens.cache_write or 0)
        return msgspec.structs.replace(tokens, input=whole)
    return tokens


def _asked(facts: Facts, answer: str, span: Span, status: str) -> int | None:
    """How many tools a model call asked for, without those that nothing runs for; None where neither its answer nor why it stopped is known."""
    calls = content.asked(answer)
    if not calls and "openinference.span.kind" in span.attributes:
        calls = _flattened_calls(span.attributes)
    if calls:
        names = [name for _, name in calls if _runs(name)]
        offered = facts.text("offered").replace('\\"', '"') if names else ""
        return sum(1 for name in names if not offered or f'"{name}"' in offered)
    stopped = finish(facts)
    if not stopped and not answer:
        return 0 if status == "error" or not span.end_ns else None
    return 1 if stopped in _FINISH_TOOL else 0


@lru_cache(maxsize=4096)
def _runs(tool: str) -> bool:
    return tool not in RETURNS and not HANDOFF_TOOL.fullmatch(tool)


def _flattened_calls(attributes: Attributes) -> list[tuple[str, str]]:
    """Tool calls of OpenInference's flattened output messages."""
    return [
        ("", value)
        for key, value in attributes.items()
        if key.startswith("llm.output_messages.") and key.endswith(".tool_call.function.name") and ".tool_calls." in key
        if isinstance(value, str)
    ]


def _target(span: Span) -> bytes:
    """The trace id and span id that an evaluation sent as a trace of its own speaks of."""
    if span.parent_id or len(span.links) != 1:
        return b""
    link = span.links[0]
    return link.trace_id + link.span_id if len(link.trace_id) == 16 and len(link.span_id) == 8 else b""


def raw_attributes(reading: Reading) -> Attributes:
    """The attributes of the span as received: those in `rest` and those that became fields."""
    rest = msgspec.json.decode(reading.rest, type=dict[str, object])
    attributes = cast("Attributes", rest.get("attributes", {}))
    for ref in filter(None, reading.refs.split(",")):
        field, _, key = ref.partition("=")
        attributes[key] = _field(reading, field)
    return attributes


def _field(reading: Reading, field: str) -> object:
    counted = field.removesuffix("_tokens").removeprefix("total_")
    match counted:
        case "input" | "output" | "cached" | "cache_write" | "reasoning" if field.endswith("_tokens"):
            return cast("object", getattr(reading.tokens, counted))
        case _:
            return cast("object", getattr(reading, field))

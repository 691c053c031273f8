"""Span to Reading: what a span says, in the one vocabulary, whatever convention it was sent in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

import msgspec

from watchpost.ingest.dialects import DIALECTS
from watchpost.model.step import Reading, SpanKind, Status, Tokens
from watchpost.model.telemetry import Attributes, Parcel, Span

NAME_LENGTH = 256
"""Longest text, in characters, kept in a field that names something; longer text stays whole in `rest` and is cut here."""

ENDED = 1 << 63
MAX_TOKENS = 2**32 - 1

DECLARED_KIND = "watchpost.step.kind"
"""The attribute by which a person says what a span is; it is not second-guessed."""

CONTROL_FLOW = frozenset({"ParentCommand", "GraphInterrupt", "GraphBubbleUp"})
"""Exceptions by which LangGraph hands over or waits for a person: no errors."""

HANDOFF_TOOL = re.compile(
    r"(transfer|hand_?off)_(back_)?to_\w+|handoff|delegate[_ ](work|task)[_ ]to[_ ]\w+", re.IGNORECASE
)
"""Names of the tools by which frameworks let a model hand its task to another agent."""

_DISGUISES = tuple((re.compile(name), kind) for dialect in DIALECTS for name, kind in dialect.disguises.items())

_Slot = tuple[str, int, str]
"""A fact, how preferred an attribute is for it (less is more), and how `refs` says that it was read from there."""

_SLOTS: dict[str, tuple[_Slot, ...]] = {}
"""What an attribute may say: an OpenInference `input.value` serves a model call and a tool call alike."""

_KINDS: dict[str, Mapping[str, SpanKind]] = {}
_IMPLIES: tuple[tuple[str, SpanKind], ...] = tuple(
    (key, kind) for dialect in DIALECTS for key, kind in dialect.implies.items()
)


def _fill_slots() -> None:
    rank = 0
    for dialect in DIALECTS:
        for fact, keys in dialect.facts.items():
            for key in keys:
                rank += 1
                if fact == "kind":
                    _KINDS[key] = dialect.kinds
                elif all(known != fact for known, _, _ in _SLOTS.get(key, ())):
                    _SLOTS[key] = (*_SLOTS.get(key, ()), (fact, rank, f"{fact.removeprefix('tool_')}={key}"))


_fill_slots()

_TOKEN_FACTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_OTHER_FACTS = frozenset({"input", "output", "tool_input", "tool_output", *_TOKEN_FACTS})


class Reader:
    """Reads the spans of one parcel; the resource they share is encoded once."""

    def __init__(self, parcel: Parcel, received_ns: int, seq: int) -> None:
        self._project = parcel.project
        self._received_ns = received_ns
        self._seq = seq
        self._service = _name(parcel.resource.get("service.name"))
        self._scope = parcel.scope
        self._resource = msgspec.Raw(msgspec.json.encode(parcel.resource))

    def read(self, span: Span) -> Reading:
        """One span. Its attributes may hold anything: what does not fit a fact stays in `rest`."""
        facts = _Facts(span.attributes)
        named = facts.names.get
        tool = named("tool", "")
        name = span.name[:NAME_LENGTH]
        kind = facts.kind
        if DECLARED_KIND not in span.attributes:
            kind, tool = _kind(kind, name, tool)
        called = kind == "tool"
        if called and not tool:
            tool = name
        agent = named("agent", "")
        if kind == "agent" and not agent:
            agent = name
        status, error_type = _status(span, facts)
        return Reading(
            self._project,
            span.trace_id,
            span.span_id,
            span.parent_id,
            (ENDED if span.end_ns else 0) | self._seq,
            self._received_ns,
            span.start_ns,
            span.end_ns,
            kind,
            name,
            status,
            named("own_session", ""),
            agent,
            named("workflow", ""),
            self._service,
            named("user_id", ""),
            named("provider", ""),
            named("model", ""),
            tool,
            named("call_id", ""),
            named("response_id", ""),
            error_type,
            Tokens(*[facts.count(fact) for fact in _TOKEN_FACTS]),
            None,
            facts.text("tool_input" if called else "input"),
            facts.text("tool_output" if called else "output"),
            self._rest(span, facts.used),
            ",".join(facts.refs),
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


class _Facts:
    """What the attributes of one span say, each fact from the most preferred attribute that carries it.

    `names` are the facts that name something. `used` are the attributes that went whole into a field, `refs` which field each
    went into.
    """

    __slots__ = ("_found", "kind", "names", "refs", "used")

    def __init__(self, attributes: Attributes) -> None:
        found: dict[str, tuple[int, str, str, object]] = {}
        for key, value in attributes.items():
            for fact, rank, ref in _SLOTS.get(key, ()):
                best = found.get(fact)
                if (best is None or rank < best[0]) and (fact != "own_session" or _is_session(value)):
                    found[fact] = (rank, key, ref, value)
        self._found = found
        self.kind = _said_kind(attributes)
        refs: list[str] = []
        used: set[str] = set()
        self.refs, self.used = refs, used
        self.names: dict[str, str] = {}
        for fact, (_, key, ref, value) in found.items():
            if fact in _OTHER_FACTS:
                continue
            if isinstance(value, str) and 0 < len(value) <= NAME_LENGTH:
                self.names[fact] = value
                refs.append(ref)
                used.add(key)
            else:
                self.names[fact] = _name(value)

    def text(self, fact: str) -> str:
        slot = self._found.get(fact)
        if slot is None:
            return ""
        _, key, ref, value = slot
        if isinstance(value, str):
            self.refs.append(ref)
            self.used.add(key)
            return value
        return msgspec.json.encode(value).decode()

    def count(self, fact: str) -> int | None:
        slot = self._found.get(fact)
        if slot is None:
            return None
        _, key, ref, value = slot
        count = _count(value)
        if count is not None and count is value:
            self.refs.append(ref)
            self.used.add(key)
        return count


def _is_session(value: object) -> bool:
    """Whether it is one: some frameworks send a provider's response id there, which changes with every call."""
    return not isinstance(value, str) or not value.startswith("resp_")


def _said_kind(attributes: Attributes) -> str:
    """The kind that the most preferred dialect with a kind attribute names, else what the presence of an attribute implies."""
    for key, kinds in _KINDS.items():
        said = attributes.get(key)
        if isinstance(said, str) and (kind := kinds.get(said.lower())) is not None:
            return kind
    return next((kind for key, kind in _IMPLIES if key in attributes), "chain")


@lru_cache(maxsize=4096)
def _kind(said: str, name: str, tool: str) -> tuple[str, str]:
    """What a span is, whatever it says of itself, and the tool it calls; names recur, and patterns are slow."""
    if said in {"llm", "tool"}:
        said = next((real for pattern, real in _DISGUISES if pattern.fullmatch(name)), said)
    called = (tool or name) if said == "tool" else tool
    if said in {"tool", "agent"} and HANDOFF_TOOL.fullmatch(called):
        return "handoff", called
    return said, tool


def _name(value: object) -> str:
    if isinstance(value, str):
        return value[:NAME_LENGTH]
    return "" if value is None or isinstance(value, (list, dict, bytes)) else str(value)[:NAME_LENGTH]


def _status(span: Span, facts: _Facts) -> tuple[Status, str]:
    """How the span stands, and the type of its error if it is one."""
    error_type = facts.names.get("error_type", "") or _exception_type(span)
    failed = span.status == 2 or (bool(error_type) and span.status != 1)
    if failed and error_type.rpartition(".")[2] not in CONTROL_FLOW:
        return "error", error_type
    return ("ok" if span.end_ns else "running"), error_type


def _exception_type(span: Span) -> str:
    for event in reversed(span.events):
        if event.name == "exception":
            return _name(event.attributes.get("exception.type"))
    return ""


def _count(value: object) -> int | None:
    """A token count: a whole number from 0, also as text or as a float without a fraction; anything else is not reported."""
    if (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TOKENS:
        return None
    return value


def raw_attributes(reading: Reading) -> Attributes:
    """The attributes of the span as received: those in `rest` and those that became fields."""
    rest = msgspec.json.decode(reading.rest, type=dict[str, object])
    attributes = cast("Attributes", rest.get("attributes", {}))
    for ref in filter(None, reading.refs.split(",")):
        field, _, key = ref.partition("=")
        attributes[key] = _field(reading, field)
    return attributes


def _field(reading: Reading, field: str) -> object:
    match field.removesuffix("_tokens"):
        case "input" | "output" | "cached" | "cache_write" | "reasoning" as name if field.endswith("_tokens"):
            return cast("object", getattr(reading.tokens, name))
        case _:
            return cast("object", getattr(reading, field))

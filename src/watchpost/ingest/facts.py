"""What the attributes and events of one span say, by the tables of all dialects at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import get_args

import msgspec

from watchpost.ingest import content
from watchpost.ingest.dialects import DIALECTS
from watchpost.ingest.dialects.dialect import Fact
from watchpost.model.telemetry import Attributes, Event

NAME_LENGTH = 256
"""Longest text, in characters, kept in a field that names something; longer text stays whole in `rest` and is cut here."""

MAX_TOKENS = 2**32 - 1

_Place = tuple[str, int, str, str]
"""A fact, how preferred a place is for it (less is more), how `refs` says that it was read from there (empty where it is not held as
it stands there), and the path within, empty for the whole."""

_NOBODY = frozenset({"", "none", "null", "unknown", "undefined", "<not specified>"})
_ANSWERS = ("resp_", "chatcmpl-", "msg_", "gen-")
"""How a provider's ids of single answers begin; some frameworks send them as if they were ids of sessions."""

_PLACES: dict[str, tuple[_Place, ...]] = {}
_EVENTS: dict[str, dict[str, tuple[_Place, ...]]] = {}
_KINDS = tuple((key, dialect.kinds) for dialect in DIALECTS for key in dialect.facts.get("kind", ()))
_IMPLIED = tuple((place, kind) for dialect in DIALECTS for place, kind in dialect.implies.items())
_FAILURES = {key: values for dialect in DIALECTS for key, values in dialect.failures.items()}
_NEVER_RAN = {key: values for dialect in DIALECTS for key, values in dialect.never_ran.items()}
_DOUBTFUL = frozenset(key for dialect in DIALECTS for key in dialect.doubtful)
_MARKS = frozenset({*_FAILURES, *_NEVER_RAN, *_DOUBTFUL})


_FACETS = frozenset({"org_id", "feature", "release", "prompt", "prompt_version", "evaluator", "label"})
_REWRITTEN = _FACETS | {"uncached_tokens", "score", "first_token_s", "first_token_ms"}
"""Facts that no field holds as they stand in the attribute."""


def _fill() -> None:
    rank = 0
    for dialect in DIALECTS:
        for fact, places in dialect.facts.items():
            for place in places if fact != "kind" else ():
                rank += 1
                _put(place, fact, rank)


def _put(place: str, fact: str, rank: int) -> None:
    key, _, path = place.partition(">")
    event, slash, key_of_event = key.partition("/")
    ref = "" if slash or path or fact in _REWRITTEN else f"{fact.removeprefix('tool_')}={key}"
    one: _Place = (fact, rank, ref, path)
    if slash:
        of_event = _EVENTS.setdefault(event, {})
        of_event[key_of_event] = (*of_event.get(key_of_event, ()), one)
    elif all(known[0] != fact or known[3] != path for known in _PLACES.get(key, ())):
        _PLACES[key] = (*_PLACES.get(key, ()), one)


_fill()

_COUNTED = frozenset(fact for fact in get_args(Fact) if fact.endswith("_tokens"))
_TEXTS = frozenset(
    {"input", "output", "tool_input", "tool_output", "offered", "finish", "error_message", "http_status"}
    | {"score", "first_token_s", "first_token_ms"}
)
_NAMES = frozenset(get_args(Fact)) - _COUNTED - _TEXTS - {"kind", "tool", "error_type"}


class Facts:
    """Each fact from the most preferred place that carries it.

    `kind` is what the span says it is, or what its attributes imply, empty if neither. `names` are the facts that name something.
    `failed` says that an attribute calls it a failure, `doubtful` that its status OK proves nothing, `never_ran` that a tool call
    was refused before the tool ran. `used` are the attributes that went whole into a field, `refs` which field each went into.
    """

    __slots__ = ("_found", "doubtful", "failed", "is_counted", "kind", "names", "never_ran", "refs", "used")

    def __init__(self, attributes: Attributes, events: tuple[Event, ...]) -> None:
        found: dict[str, tuple[int, str, str, object]] = {}
        self._found = found
        for key, value in attributes.items():
            for fact, rank, ref, path in _PLACES.get(key, ()):
                best = found.get(fact)
                if best is not None and best[0] <= rank:
                    continue
                said = content.at(value, path) if path else value
                if said is not None and said != "" and (fact not in _PARTICULAR or _is_meant(fact, said)):
                    found[fact] = (rank, key, ref, said)
        for event in events:
            if (places := _EVENTS.get(event.name)) is not None:
                self._event(event, places)
        self.kind = _kind(attributes, events)
        self.failed = self.doubtful = self.never_ran = False
        if not _MARKS.isdisjoint(attributes):
            self._mark(attributes)
        self.names: dict[str, str] = {}
        self.refs: list[str] = []
        self.used: set[str] = set()
        self.is_counted = False
        self._take_names()

    def _take_names(self) -> None:
        for fact, (_, key, ref, value) in self._found.items():
            if fact in _COUNTED:
                self.is_counted = True
            elif fact in _NAMES:
                if ref and type(value) is str and len(value) <= NAME_LENGTH and value[0] != '"':
                    self.names[fact] = value
                    self.refs.append(ref)
                    self.used.add(key)
                else:
                    self.names[fact] = as_name(value)

    def _event(self, event: Event, places: Mapping[str, tuple[_Place, ...]]) -> None:
        for key, slots in places.items():
            value = event.attributes.get(key)
            if value is None or value == "":
                continue
            for fact, rank, _, path in slots:
                best = self._found.get(fact)
                inner = content.at(value, path) if path else value
                if (best is None or rank <= best[0]) and inner is not None:
                    self._found[fact] = (rank, "", "", inner)

    def _mark(self, attributes: Attributes) -> None:
        self.failed = any(str(attributes.get(key)).lower() in values for key, values in _FAILURES.items())
        self.never_ran = any(str(attributes.get(key)).lower() in values for key, values in _NEVER_RAN.items())
        self.doubtful = not _DOUBTFUL.isdisjoint(attributes)

    def peek(self, fact: str) -> object:
        """A fact as it stands, None if it is absent."""
        slot = self._found.get(fact)
        return None if slot is None else slot[3]

    def texts(self, kind: str) -> tuple[str, str]:
        """The facts that hold the input and the output of a span of a kind; a handover may be a tool call or not."""
        if kind == "tool":
            return "tool_input", "tool_output"
        if kind != "handoff":
            return "input", "output"
        return (
            "tool_input" if "tool_input" in self._found else "input",
            "tool_output" if "tool_output" in self._found else "output",
        )

    def text(self, fact: str) -> str:
        """A fact that is a text as sent, or JSON where it was sent as a structure; empty if it is absent."""
        slot = self._found.get(fact)
        if slot is None:
            return ""
        value = slot[3]
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def hold(self, fact: str, text: str) -> None:
        """Remember that a field holds a text: if it is the attribute as sent, `rest` need not repeat it."""
        slot = self._found.get(fact)
        if slot is not None and slot[2] and (slot[3] is text or (fact == "tool" and slot[3] == text)):
            self.refs.append(slot[2])
            self.used.add(slot[1])

    def number(self, fact: str) -> float | None:
        """A number, also as text or as a truth value; None where it is none, and where it is not finite."""
        slot = self._found.get(fact)
        if slot is None:
            return None
        try:
            number = float(slot[3])  # type: ignore[arg-type] # whatever cannot be a number is none
        except (TypeError, ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def count(self, fact: str) -> int | None:
        """A token count: a whole number from 0, also as text or as a float without a fraction; anything else is not reported."""
        slot = self._found.get(fact)
        if slot is None:
            return None
        _, key, ref, value = slot
        count = _count(value)
        if count is not None and count is value and ref:
            self.refs.append(ref)
            self.used.add(key)
        return count


def _kind(attributes: Attributes, events: tuple[Event, ...]) -> str:
    """What a span says it is, by the most preferred attribute with a known value, else what its attributes or events imply."""
    for key, table in _KINDS:
        said = attributes.get(key)
        if said is not None and isinstance(said, str) and (kind := table.get(said.strip('"').lower())) is not None:
            return kind
    for place, kind in _IMPLIED:
        if place in attributes or (place[-1] == "/" and any(event.name == place[:-1] for event in events)):
            return kind
    return ""


_PARTICULAR = frozenset({"own_session", "call_id"})


def _is_meant(fact: str, value: object) -> bool:
    """Whether an id is one: placeholders are none, and an id of one answer is none of a session."""
    if not isinstance(value, str):
        return not isinstance(value, bool | list | dict | bytes)
    return value.lower() not in _NOBODY and not (fact == "own_session" and value.startswith(_ANSWERS))


def as_name(value: object) -> str:
    """A value as the name of something, cut to `NAME_LENGTH`; texts that are JSON texts are decoded."""
    if isinstance(value, str):
        if value[:1] == '"':
            inner = content.structure(value)
            value = inner if isinstance(inner, str) else value
        return value[:NAME_LENGTH]
    return "" if value is None or isinstance(value, list | dict | bytes) else str(value)[:NAME_LENGTH]


def _count(value: object) -> int | None:
    if (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TOKENS:
        return None
    return value

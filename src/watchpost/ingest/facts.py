"""What the attributes and events of one span say, by the tables of all dialects at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from watchpost.ingest import content
from watchpost.ingest.dialects import DIALECTS
from watchpost.model.step import SpanKind
from watchpost.model.telemetry import Attributes, Event

NAME_LENGTH = 256
"""Longest text, in characters, kept in a field that names something; longer text stays whole in `rest` and is cut here."""

MAX_TOKENS = 2**32 - 1

_Place = tuple[str, int, str, object]
"""A fact, how preferred a place is for it (less is more), how `refs` says that it was read from there (empty where it is not held as
it stands there), and what is needed to read it: the path within, or the table of a `_MARKS` fact."""

_MARKS = frozenset({"kind", "implied", "failed", "doubtful", "never_ran"})
_NOBODY = frozenset({"", "none", "null", "unknown", "undefined", "<not specified>"})
_ANSWERS = ("resp_", "chatcmpl-", "msg_", "gen-")
"""How a provider's ids of single answers begin; some frameworks send them as if they were ids of sessions."""

_PLACES: dict[str, tuple[_Place, ...]] = {}
_EVENTS: dict[str, dict[str, tuple[_Place, ...]]] = {}


def _fill() -> None:
    rank = 0
    for dialect in DIALECTS:
        for fact, places in dialect.facts.items():
            for place in places:
                rank += 1
                if fact == "kind":
                    _put(place, "kind", rank, dialect.kinds)
                else:
                    _put(place, fact, rank, None)
        for place, kind in dialect.implies.items():
            rank += 1
            _put(place, "implied", rank, kind)
        for key, values in dialect.failures.items():
            _put(key, "failed", 0, values)
        for key, values in dialect.never_ran.items():
            _put(key, "never_ran", 0, values)
        for key in dialect.doubtful:
            _put(key, "doubtful", 0, dialect.doubtful)


def _put(place: str, fact: str, rank: int, table: object) -> None:
    key, _, path = place.partition(">")
    event, slash, key_of_event = key.partition("/")
    ref = "" if slash or path or fact in _MARKS else f"{fact.removeprefix('tool_')}={key}"
    one: _Place = (fact, rank, ref, table if table is not None else path or None)
    if slash:
        of_event = _EVENTS.setdefault(event, {})
        of_event[key_of_event] = (*of_event.get(key_of_event, ()), one)
    elif all(known[0] != fact or known[3] != one[3] for known in _PLACES.get(key, ())):
        _PLACES[key] = (*_PLACES.get(key, ()), one)


_fill()


class Facts:
    """Each fact from the most preferred place that carries it.

    `kind` is what the span says it is, or what its attributes imply, empty if neither. `failed` says that an attribute calls it a
    failure, `doubtful` that its status OK proves nothing, `never_ran` that a tool call was refused before the tool ran. `used` are
    the attributes that went whole into a field, `refs` which field each went into.
    """

    __slots__ = ("_found", "doubtful", "failed", "kind", "never_ran", "refs", "used")

    def __init__(self, attributes: Attributes, events: tuple[Event, ...]) -> None:
        self._found: dict[str, tuple[int, str, str, object]] = {}
        self.kind = ""
        self.failed = self.doubtful = self.never_ran = False
        self.refs: list[str] = []
        self.used: set[str] = set()
        found = self._found
        for key, value in attributes.items():
            for fact, rank, ref, how in _PLACES.get(key, ()):
                best = found.get(fact)
                if best is not None and best[0] <= rank:
                    continue
                if how is not None:
                    self._within(fact, rank, value, how)
                elif value is not None and value != "" and (fact not in _PARTICULAR or _is_meant(fact, value)):
                    found[fact] = (rank, key, ref, value)
        for event in events:
            if (places := _EVENTS.get(event.name)) is not None:
                self._event(event, places)
        if not self.kind and "implied" in found:
            self.kind = cast("SpanKind", found["implied"][3])

    def _within(self, fact: str, rank: int, value: object, how: object) -> None:
        """A mark, or a value that stands within another."""
        match fact:
            case "kind":
                said = value.strip('"').lower() if isinstance(value, str) else ""
                if (kind := cast("Mapping[str, SpanKind]", how).get(said)) is not None:
                    self.kind = kind
                    self._found["kind"] = (rank, "", "", kind)
            case "implied":
                self._found["implied"] = (rank, "", "", how)
            case "failed":
                self.failed |= str(value).lower() in cast("frozenset[str]", how)
            case "never_ran":
                self.never_ran |= str(value).lower() in cast("frozenset[str]", how)
            case "doubtful":
                self.doubtful = True
            case _:
                inner = content.at(value, cast("str", how))
                if inner is not None and inner != "" and (fact not in _PARTICULAR or _is_meant(fact, inner)):
                    self._found[fact] = (rank, "", "", inner)

    def _event(self, event: Event, places: Mapping[str, tuple[_Place, ...]]) -> None:
        for fact, rank, _, kind in places.get("", ()):
            if fact not in self._found or rank < self._found[fact][0]:
                self._found[fact] = (rank, "", "", kind)
        for key, slots in places.items():
            value = event.attributes.get(key)
            if not key or value is None or value == "":
                continue
            for fact, rank, _, path in slots:
                best = self._found.get(fact)
                inner = value if path is None else content.at(value, cast("str", path))
                if (best is None or rank <= best[0]) and inner is not None:
                    self._found[fact] = (rank, "", "", inner)

    def name(self, fact: str) -> str:
        """A fact that names something, empty if it is absent."""
        slot = self._found.get(fact)
        if slot is None:
            return ""
        _, key, ref, value = slot
        if isinstance(value, str) and 0 < len(value) <= NAME_LENGTH and value[0] != '"':
            if ref:
                self.refs.append(ref)
                self.used.add(key)
            return value
        return as_name(value)

    def peek(self, fact: str) -> object:
        """A fact as it stands, None if it is absent."""
        slot = self._found.get(fact)
        return None if slot is None else slot[3]

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
        if slot is not None and slot[2] and slot[3] is text:
            self.refs.append(slot[2])
            self.used.add(slot[1])

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

"""Names taken out of documents that says something of others too."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

ERASED = "[erased]"

_LONG = 12
"""From so many characters on a name is one wherever it stands in a text; a shorter one only as a whole word."""


class Left(msgspec.Struct, frozen=True):
    """What is left of a document, and how many sessions its events still name."""

    text: str | bytes
    sessions: int


class Names:
    """What is to be known no more: keys and ids of sessions, ids of users, traces and flags."""

    def __init__(self, names: Iterable[str]) -> None:
        held = sorted({name for name in names if name}, key=len, reverse=True)
        each = (re.escape(name) if len(name) >= _LONG else rf"(?<!\w){re.escape(name)}(?!\w)" for name in held)
        self._names = re.compile("|".join(each)) if held else None

    def out_of(self, document: object) -> Left | None:
        """A document, JSON as text or MessagePack as bytes, without them: gone from lists, and the texts in which one stands replaced; None where none does."""
        if self._names is None or not isinstance(document, str | bytes):
            return None
        try:
            held = _read(document)
        except msgspec.DecodeError:
            return None
        left = self._without(held)
        if left == held:
            return None
        is_text = isinstance(document, str)
        return Left(msgspec.json.encode(left).decode() if is_text else msgspec.msgpack.encode(left), _sessions(left))

    def _without(self, value: object) -> object:
        match value:
            case str():
                return ERASED if self._names is not None and self._names.search(value) else value
            case list():
                return [left for each in value if (left := self._without(each)) != ERASED or each == ERASED]
            case dict():
                return {name: self._without(each) for name, each in value.items()}
            case _:
                return value


def _read(document: str | bytes) -> object:
    return msgspec.json.decode(document) if isinstance(document, str) else msgspec.msgpack.decode(document)


def _sessions(value: object) -> int:
    """How many sessions are named anywhere beneath."""
    match value:
        case dict():
            named = value.get("sessions")
            return (len(named) if isinstance(named, list) else 0) + sum(map(_sessions, value.values()))
        case list():
            return sum(map(_sessions, value))
        case _:
            return 0

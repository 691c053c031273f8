"""What a model has been told in a session, so that one can ask whether it was ever told of an id.

Most ids that a model names were named a few steps before. So the latest texts are searched as they stand, and only when an id
is not found there are all texts so far turned into digests, each text once.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

import msgspec

from watchpost.model.step import TEXT_KEPT
from watchpost_core.mentions import INCOMPLETE, digest, mentions, named, unpacked

LATEST = 16
"""Entries that are searched before all of them are turned into digests."""

_DIGEST_BYTES = 4
_INCOMPLETE = INCOMPLETE.to_bytes(_DIGEST_BYTES, "little")
_JOINING = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_DIGITS = re.compile(r"[0-9]+")
_LEAST_NUMBER = 4
_SHORT = 64


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """What one step told. `text` is empty where it has been turned into digests or was too long to be held."""

    place: int
    text: str
    mentioned: bytes
    every_word: bool


class Heard:
    """Everything told so far; the latest steps can be taken back.

    A step costs an entry. Asking costs a search of `LATEST` texts, and now and then the digests of texts that were not asked
    about before, each once. Texts are held as the steps hold them, and dropped once they are digests.
    """

    def __init__(self) -> None:
        self._pending: list[_Entry] = []
        self._blind: list[int] = []
        """The places of steps that told more than could be noted."""
        self._known: dict[int, bool] = {}
        """Each digest so far, and whether a text named it that is held as text."""
        self._noted: list[tuple[int, list[tuple[int, bool | None]]]] = []
        """The place of each entry that became digests, and what it changed in `_known`."""

    @property
    def is_whole(self) -> bool:
        """Whether all that was told could be noted."""
        return not self._blind

    def add(self, place: int, text: str, mentioned: bytes = b"", *, every_word: bool = False) -> None:
        """A step told a text and, in texts that are not held, what is `mentioned`. People write ids in small letters too: `every_word`."""
        if not text and not mentioned:
            return
        if len(text) > TEXT_KEPT:
            mentioned, text = mentioned + mentions(text), ""
        if mentioned and _is_incomplete(mentioned):
            self._blind.append(place)
        self._pending.append(_Entry(place, text, mentioned, every_word))

    def rewind(self, steps: int) -> None:
        """Forget what steps told whose place is `steps` or beyond."""
        while self._blind and self._blind[-1] >= steps:
            self._blind.pop()
        while self._pending and self._pending[-1].place >= steps:
            self._pending.pop()
        while self._noted and self._noted[-1][0] >= steps:
            for key, before in reversed(self._noted.pop()[1]):
                if before is None:
                    del self._known[key]
                else:
                    self._known[key] = before

    def names(self, value: str, *, in_texts: bool = False) -> bool:
        """Whether anything told so far names this id, as it stands or by its number; `in_texts` leaves out the inputs of model calls.

        An id of several parts apart, such as `shop/A1`, is named where each of them is that holds a digit. What `mentions` does not
        note, such as a word in small letters, nobody can tell not to have been named.
        """
        return all(
            self._names(thing, in_texts) for thing in (_sought(value) if len(value) <= _SHORT else _things_in(value))
        )

    def _names(self, thing: str, in_texts: bool) -> bool:
        key = digest(thing)
        if self._has(key, in_texts):
            return True
        needle = key.to_bytes(_DIGEST_BYTES, "little")
        for entry in islice(reversed(self._pending), LATEST):
            if _stands_in(thing, entry.text) or (not in_texts and _holds(entry.mentioned, needle)):
                return True
        self._note()
        return self._has(key, in_texts) or any(self._has(digest(number), in_texts) for number in _numbers(thing))

    def _has(self, key: int, in_texts: bool) -> bool:
        return self._known.get(key, False) if in_texts else key in self._known

    def _note(self) -> None:
        """Turn every pending entry into digests."""
        known = self._known
        for entry in self._pending:
            changed: list[tuple[int, bool | None]] = []
            for key in unpacked(mentions(entry.text, entry.text.upper() if entry.every_word else "")):
                before = known.get(key)
                if not before:
                    changed.append((key, before))
                    known[key] = True
            for key in unpacked(entry.mentioned):
                if key not in known:
                    changed.append((key, None))
                    known[key] = False
            if changed:
                self._noted.append((entry.place, changed))
        self._pending.clear()


def _things_in(value: str) -> tuple[str, ...]:
    """What a value names, as it is sought."""
    return tuple([thing.strip("_-").lower() for thing in named(value)])


_sought = lru_cache(maxsize=4096)(_things_in)


def _is_incomplete(mentioned: bytes) -> bool:
    """Digests are sorted within a set, and `INCOMPLETE` is the least; two sets may stand behind one another."""
    return _holds(mentioned, _INCOMPLETE)


def _numbers(thing: str) -> list[str]:
    """How else an id may have been written: as its number of four digits or more, also without zeros before it. `order 4711` is `ORD-04711`."""
    runs = _DIGITS.findall(thing)
    if len(runs) != 1 or len(runs[0]) < _LEAST_NUMBER:
        return []
    bare = runs[0].lstrip("0")
    return [runs[0], bare] if len(bare) >= _LEAST_NUMBER else runs


def _stands_in(thing: str, text: str) -> bool:
    """Whether a text names a thing in so many letters, in the case in which ids are mostly written."""
    return _stands_as(thing, text) or _stands_as(thing.upper(), text)


def _stands_as(thing: str, text: str) -> bool:
    at = text.find(thing)
    while at >= 0:
        end = at + len(thing)
        if (at == 0 or text[at - 1] not in _JOINING) and (end == len(text) or text[end] not in _JOINING):
            return True
        at = text.find(thing, at + 1)
    return False


def _holds(mentioned: bytes, needle: bytes) -> bool:
    at = mentioned.find(needle)
    while at >= 0:
        if at % _DIGEST_BYTES == 0:
            return True
        at = mentioned.find(needle, at + 1)
    return False

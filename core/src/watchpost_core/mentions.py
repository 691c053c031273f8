"""Which ids, numbers and addresses a text names, as a set small enough to be kept where the text is not.

A detector that asks whether an id was ever seen need not keep every prompt of a session: 4 bytes for each thing named are enough.
A set may say of a thing it does not hold that it does, with a chance of about one in four thousand million for each thing it holds. It
loses one only where a text is longer or names more than can be held, and says so by holding `INCOMPLETE`.

A thing is a run of letters, digits, `_` and `-` that holds a digit, five capital letters or more, or an e-mail address. Upper and lower
case are one. A text may be JSON, or JSON within JSON. With it stand its parts between punctuation that hold a digit (`4711` of
`ORD-4711`) and its runs of four digits or more (`9583042` of `W9583042`).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from sys import byteorder
from zlib import crc32

LONGEST = 262_144
"""Characters of a text that are looked at: half of them at its beginning, half at its end, between which long prompts repeat old ones."""

MOST = 2048
"""Digests kept of one set of texts, the least ones."""

INCOMPLETE = 0
"""A digest that a set holds beside the others where it could not hold all that was named; no thing has it."""

_TAIL = 8192
"""Characters at the end of a text of which everything is kept, as far as `MOST` goes: what is new in a prompt stands there."""

_KEPT = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_DIGITS = b"0123456789"
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CLASSES = bytes(
    ord("d" if code in _DIGITS else "u" if code in _CAPITALS else "l" if code in _KEPT else " ") for code in range(256)
)
"""For each byte what it is: a digit, a capital letter, another part of a thing, or none."""

_APART_BUT_DOTS = bytes(code if code in _KEPT + b".+" else ord(" ") for code in range(256))
_EDGES = b"_-"
_BACKSLASH = ord("\\")
_LINE_ENDS = b"ntr"
"""What stands behind a backslash for white space in JSON; it is no part of the word behind it."""

_HOST = re.compile(rb"@[a-zA-Z0-9-]{1,63}(?:\.[a-zA-Z0-9-]{1,63}){1,8}")
_LONGEST_LOCAL = 64
_BEYOND_ASCII = re.compile(rb"\\u[0-9a-fA-F]{4}")
_PART = re.compile(rb"[a-z0-9]{3,}|[0-9]{1,2}")
_PLAIN_WORD = re.compile(rb"[a-z]+")
_RUN = re.compile(rb"[0-9]{4,}")
_REMEMBERED = 64
"""Longer things recur too seldom to be remembered."""


def named(text: str) -> list[str]:
    """The things that a text names as they stand there, without their parts, sorted; each once."""
    return sorted(thing.decode() for thing in _things(text))


def forms(text: str) -> set[bytes]:
    """Everything that a text names, parts too, in lower case: that of which `mentions` holds the digests."""
    found: set[bytes] = set()
    for thing in _things(text):
        found.update(_forms_of(thing))
    return found


def mentions(*texts: str) -> bytes:
    """All that these texts name as a set: `unpacked` gives its digests."""
    digests: set[int] = set()
    whole = True
    for text in texts:
        if len(text) > LONGEST:
            whole = False
            digests |= _digests(text[: LONGEST // 2])
            digests |= _digests(text[-LONGEST // 2 :])
        else:
            digests |= _digests(text)
    if len(digests) > MOST:
        whole = False
        late = {each for text in texts for each in _digests(text[-_TAIL:])}
        digests = {*sorted(late)[:MOST], *sorted(digests - late)[: max(0, MOST - len(late))]}
    digests.discard(INCOMPLETE)
    if not whole:
        digests.add(INCOMPLETE)
    return packed(sorted(digests))


def packed(digests: Iterable[int]) -> bytes:
    """Digests as a set: four bytes for each, the least significant first."""
    held = array("I", digests)
    if byteorder == "big":
        held.byteswap()
    return held.tobytes()


def unpacked(held: bytes) -> Sequence[int]:
    """The digests in a set."""
    digests = array("I", held)
    if byteorder == "big":
        digests.byteswap()
    return digests


def digest(thing: str) -> int:
    """The digest under which a set holds a thing: the CRC-32 of its lower-case letters in UTF-8."""
    return crc32(thing.lower().encode(errors="replace"))


def _forms_of(thing: bytes) -> set[bytes]:
    """A thing in lower case, with its parts."""
    plain = thing.lower()
    found = {plain}
    if not plain.isdigit():
        found.update(_RUN.findall(plain))
        if not plain.isalnum():
            found.update(part for part in _PART.findall(plain) if _PLAIN_WORD.fullmatch(part) is None)
    return found


def _digests(text: str) -> set[int]:
    """The digests of everything that a text names."""
    found: set[int] = set()
    for thing in _things(text):
        found.update(_digests_remembered(thing) if len(thing) <= _REMEMBERED else _digests_of(thing))
    return found


def _digests_of(thing: bytes) -> tuple[int, ...]:
    return tuple(map(crc32, _forms_of(thing)))


_digests_remembered = lru_cache(maxsize=4096)(_digests_of)
"""The next prompt of a session names again what the one before it named."""


def _things(text: str) -> set[bytes]:
    """The things in a text as they stand there, in ASCII. Words are searched for by their classes: most hold nothing that tells."""
    raw = text.encode(errors="replace")
    if b"\\u" in raw:
        raw = _unescaped(raw)
    classes = raw.translate(_CLASSES)
    length = len(raw)
    found: set[bytes] = set()
    at = classes.find(b"d")
    while at >= 0:
        end = classes.find(b" ", at)
        if end < 0:
            end = length
        start = classes.rfind(b" ", 0, at) + 1
        if start and raw[start - 1] == _BACKSLASH and raw[start] in _LINE_ENDS:
            start += 1
        found.add(raw[start:end].strip(_EDGES))
        at = classes.find(b"d", end)
    if b"uuuuu" in classes:
        found.update(_capitals(raw, classes))
    if b"@" in raw:
        found.update(_addresses(_unescaped(raw)))
    return found


def _capitals(raw: bytes, classes: bytes) -> Iterator[bytes]:
    """The words of five capital letters or more."""
    at = classes.find(b"uuuuu")
    while at >= 0:
        end = classes.find(b" ", at)
        if end < 0:
            end = len(raw)
        start = classes.rfind(b" ", 0, at) + 1
        if start and raw[start - 1] == _BACKSLASH and raw[start] in _LINE_ENDS:
            start += 1
        word = raw[start:end].strip(_EDGES)
        if word.isalpha() and word.isupper():
            yield word
        at = classes.find(b"uuuuu", end)


def _addresses(raw: bytes) -> Iterator[bytes]:
    """The e-mail addresses in an unescaped text."""
    for host in _HOST.finditer(raw):
        start = host.start()
        before = raw[max(0, start - _LONGEST_LOCAL) : start].translate(_APART_BUT_DOTS).split(b" ")[-1]
        if before:
            yield before.lstrip(b".") + host[0]


def _unescaped(raw: bytes) -> bytes:
    r"""The text without what JSON writes for line feeds and characters beyond ASCII: of `\nA1` the thing is `A1`, not `nA1`."""
    if b"\\" not in raw:
        return raw
    plain = raw.replace(b"\\n", b"  ").replace(b"\\t", b"  ").replace(b"\\r", b"  ")
    return _BEYOND_ASCII.sub(b" ", plain) if b"\\u" in plain else plain

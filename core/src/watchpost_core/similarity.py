"""When two tool calls are the same call again: the canonical form of arguments, the entities in it, and likeness.

Text alone cannot tell: over 1,048 successful real runs, "at least 90 % alike" called 5.2 % of them loops, mostly calls such
as `file_id 12` and `file_id 13`. So two argument texts are alike only if they also name exactly the same entities.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import lru_cache

from watchpost_core.fields import is_id_field

LONGEST = 16_384
"""Characters of arguments that are looked at. A longer text is cut there and ends in its length and a digest of all of it,
so that two long texts are the same only if they are the same to the last character."""

LEAST_ALIKE = 90.0
"""The least similarity, of 100, of two alike texts."""

_ENCODINGS_DEEP = 3
_JSON_SPACE = " \t\n\r"
_DECODER = json.JSONDecoder(strict=False)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_PSEUDONYM = re.compile(r"\[[a-z][a-z0-9_]{0,31}:[0-9a-f]{8}\]")
_TOKEN = re.compile(_PSEUDONYM.pattern + r"""|[^\s"'{}\[\](),:;=<>|\\]+""")
_BLANKED = bytes.maketrans(b"\"'{}[](),:;=<>|\\", b" " * 16)
_FIELD = re.compile(r'"([^"\\]{1,128})":(\[[^\[\]{}]*\]|"[^"\\]*(?:\\.[^"\\]*)*")')
_TEXT = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"')
_DIGIT = re.compile(r"\d")
_FULL_STOPS = ".,!?"

_names_an_id = lru_cache(maxsize=4096)(is_id_field)
"""Field names recur; looking at one takes longer than remembering it."""


def canonical(arguments: str) -> str:
    """One text for all spellings of the same arguments; never raises.

    JSON (also JSON held in a JSON string, to three levels) is written again with sorted keys and without spaces; of a
    repeated key the last holds. Anything else has its runs of white space made one space. Work and answer are bounded by
    `LONGEST`.
    """
    if len(arguments) > LONGEST:
        digest = hashlib.sha256(arguments.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{_collapsed(arguments[:LONGEST])} {len(arguments)}-{digest}"
    parsed = _parsed(arguments)
    if isinstance(parsed, str):
        return _collapsed(parsed)
    try:
        return _ENCODER.encode(parsed)
    except (ValueError, RecursionError):
        return _collapsed(arguments)


def entities(canonical: str) -> tuple[str, ...]:
    """What a canonical text is about, sorted, repeated as often as it stands there.

    Entities are numbers with their sign, tokens that hold a digit (order numbers, UUIDs, dates, versions, addresses), e-mail
    addresses, pseudonyms of redacted values, and whole values of fields named as ids, such as `"user_id":"mia"`.
    """
    tokens = [_trimmed(token) for token in _tokens(canonical) if not token.isalpha()]
    found = [token for token in tokens if _is_entity(token)]
    for name, value in _FIELD.findall(canonical):
        if _names_an_id(name):
            found += (text for text in _TEXT.findall(value) if text and text not in found)
    return tuple(sorted(found))


def alike(one: str, other: str, similarity: Callable[[str, str], float], least: float = LEAST_ALIKE) -> bool:
    """Whether two canonical texts are the same call again: the same entities, and texts at least `least` alike.

    `similarity` answers 0 to 100, as `rapidfuzz.fuzz.ratio` does; it is asked only where the entities are the same.
    """
    return one == other or (entities(one) == entities(other) and similarity(one, other) >= least)


def _parsed(text: str) -> object:
    """The value that a text holds as JSON, or the innermost text that is none."""
    for _ in range(_ENCODINGS_DEEP):
        stripped = text.strip(_JSON_SPACE)
        try:
            parsed, end = _DECODER.raw_decode(stripped)
        except (ValueError, RecursionError):
            return text
        if end != len(stripped):
            return text
        if not isinstance(parsed, str):
            return parsed
        text = parsed
    return text


def _tokens(text: str) -> list[str]:
    """What `_TOKEN` finds; by splitting where that finds the same, for it takes a quarter of the time."""
    if text.isascii() and _PSEUDONYM.search(text) is None:
        return text.encode().translate(_BLANKED).decode().split()
    return _TOKEN.findall(text)


def _collapsed(text: str) -> str:
    return " ".join(text.split())


def _trimmed(token: str) -> str:
    return token if token.startswith("[") else token.strip(_FULL_STOPS)


def _is_entity(token: str) -> bool:
    return token.startswith("[") or _DIGIT.search(token) is not None or ("@" in token and "." in token)

"""Values as Python writes them: `{'paid': True, 'items': ('a', 1)}`, read without running anything."""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring_ascii as quoted

LONGEST = 1 << 17
"""Longer texts, in characters, are not read."""

_TOKEN = re.compile(
    r"""\s*(?:[bBuUrR]{0,2}(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")"""
    r"|([A-Za-z_][A-Za-z0-9_.]*)|([-+]?[0-9][0-9A-Za-z_.]*(?:(?<=[eE])[-+][0-9]+)?)|([{}\[\](),:=]))",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WORDS = {"True": "true", "False": "false", "None": "null", "nan": "NaN", "inf": "Infinity"}
_NAMED = re.compile(r"\b(?:True|False|None)\b")
_SYMBOLS = {"(": "[", ")": "]"}


def literal_value(text: str) -> object:
    """The value that a text is the Python literal of; None where it is none. A call such as `Decimal('1')` is an empty string. Never raises."""
    if len(text) > LONGEST:
        return None
    if '"' not in text and "\\" not in text and (plain := _plain(text)) is not None:
        return plain
    pieces = _pieces(text)
    if not pieces:
        return None
    try:
        value: object = json.loads("".join(pieces))
    except (ValueError, RecursionError):
        return None
    return value


def _plain(text: str) -> object:
    """The value of a literal in which every apostrophe begins or ends a string, as those of dicts and lists most often are."""
    try:
        value: object = json.loads(_NAMED.sub(_as_json, text.replace("'", '"')), strict=False)
    except (ValueError, RecursionError):
        return None
    return value


def _as_json(found: re.Match[str]) -> str:
    return _WORDS[found[0]]


def _pieces(text: str) -> list[str] | None:
    """The text as JSON, piece by piece; None where something in it belongs to no literal."""
    pieces: list[str] = []
    at, end = 0, len(text.rstrip())
    calls = 0
    while at < end:
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        at = token.end()
        single, double, word, number, symbol = token.groups()
        if calls:
            calls += (symbol == "(") - (symbol == ")")
        elif word is not None and word not in _WORDS:
            if text[at : at + 1] != "(":
                return None
            at, calls = at + 1, 1
            pieces.append('""')
        elif symbol is not None:
            _punctuate(pieces, symbol)
        else:
            pieces.append(_scalar(single if single is not None else double, word, number))
    return pieces


def _scalar(string: str | None, word: str | None, number: str | None) -> str:
    if string is not None:
        return quoted(_ESCAPE.sub(r"\1", string) if "\\" in string else string)
    return _WORDS[word] if word is not None else number or ""


def _punctuate(pieces: list[str], symbol: str) -> None:
    if symbol in "])}" and pieces and pieces[-1] == ",":
        pieces.pop()
    if symbol == ":" and pieces and pieces[-1][:1] not in {'"', "]", "}"}:
        pieces[-1] = quoted(pieces[-1])
    pieces.append(_SYMBOLS.get(symbol, symbol))

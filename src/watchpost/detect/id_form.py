"""How ids are written, and where they stand in texts: in fields named as ids, and in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

import msgspec

from watchpost_core.fields import ID_TAILS, is_id_field, kind_label
from watchpost_core.mentions import named

LONGEST_ID = 128
"""Longer values are no ids."""

MOST = 64
"""Ids that are looked at in one call, and in one answer."""

_DEEP = 8
_VALUES = 2000
_SAFE_NAME = 64
_LITERAL = 8
_WHICH = frozenset({"new", "old", "source", "target", "from", "to"})

_PART = re.compile(r"[A-Za-z0-9]+|[^A-Za-z0-9]+")
_PREFIXED = re.compile(r"([A-Za-z]{1,8})([0-9]{2,})")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ONE_PART = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[a-z]{2}")
_LONG_NUMBER = 6
_LONG_MIXED = 8
_FEW_DIGITS = 4
_TEXT = re.compile(r"[#A-Za-z0-9][A-Za-z0-9_#:./@-]*")
_HAS_DIGIT = re.compile(r"[0-9]")
_HAS_LETTER = re.compile(r"[A-Za-z]")
_NUMBER = re.compile(r"[0-9]+")
_NO_ID = re.compile(
    r"""
    \d{4}-\d{1,2}(?:-\d{1,2})?(?:[T_]?\d{1,2})? | \d{1,2}-\d{1,2}-\d{2,4}     # dates
    | \d{1,2}[AaPp][Mm] | \d+(?:st|nd|rd|th|[kKMGT]?B|[kMG]?Hz|[kcm]?m|[km]?g|m?[sl]|lbs?|oz|in|ft|mi|mAh|[xXKhdLWVp]|px|EUR|USD|GBP)
    | v\d+[a-z0-9]*                                                          # versions
    | [a-z][a-z0-9_]{0,31}:[0-9a-f]{8}                                       # pseudonyms of what was hidden
    """,
    re.VERBOSE,
)
_NO_ID_IN_WORDS = re.compile(
    r"""
    (?!(?:-?\d){12}) \d+-\d+(?:-\d+){0,2}(?:-[A-Za-z]+)?                     # ranges, telephone numbers
    | \d+-[A-Za-z]+(?:-[A-Za-z]+)?                                           # 10-day
    """,
    re.VERBOSE,
)
_FILE_ENDING = re.compile(r".+\.[A-Za-z][A-Za-z0-9]{1,4}")
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LINK = re.compile(r"\b(?:https?://|www\.)[^\s<>\"')\]]+")

_PAIR = re.compile(
    r"""[\\"']*([A-Za-z_][A-Za-z0-9_.\-]{0,63})[\\"']*\s*[:=]\s*"""
    r"""(\[[^\[\]{}]{0,2000}\]|[\\]*"[^"\n\\]{1,128}|'[^'\n]{1,128}|[#A-Za-z0-9][A-Za-z0-9_#\-]{0,128})"""
)
_ITEM = re.compile(r"[^\s\"',\[\]\\]+")
_names_an_id = lru_cache(maxsize=4096)(is_id_field)


def is_id_name(name: str) -> bool:
    """Whether a field is named as an id."""
    return len(name) <= _SAFE_NAME and _names_an_id(name)


@lru_cache(maxsize=4096)
def label(field: str) -> str:
    """What kind of id a field holds: `order_id` of `orderId`, `item_id` of `new_item_ids`."""
    words = kind_label(field).split("_")
    words = [word for word in words if word not in _WHICH] or words
    last = words[-1]
    return "_".join([*words[:-1], last[:-1] if last.endswith("s") and last[:-1] in ID_TAILS else last])


def cleaned(value: str) -> str:
    """A value without the signs that people put around ids."""
    return value.strip(" \t\r\n\"'`#()[]<>.,;:")


@lru_cache(maxsize=4096)
def form_of(value: str) -> str:
    r"""How a value is written, as a pattern that other ids of its kind would match: `ORD-\d{4}` of `ORD-4711`, `[A-Z0-9]{6}` of `H9ZU1C`."""
    if _UUID.fullmatch(value):
        return "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    return "".join(_form_of_part(part) if part.isalnum() else re.escape(part) for part in _PART.findall(value))


def _form_of_part(part: str) -> str:
    if part.isdigit():
        return f"\\d{{{len(part)}}}"
    if part.isalpha():
        return "[a-z]+" if part.islower() else part if part.isupper() and len(part) <= _LITERAL else "[A-Za-z]+"
    prefixed = _PREFIXED.fullmatch(part)
    if prefixed:
        return f"{prefixed[1]}\\d{{{len(prefixed[2])}}}"
    letters = "A-Z" if part.isupper() else "a-z" if part.islower() else "A-Za-z"
    return f"[{letters}0-9]{{{len(part)}}}"


def looks_like_id(value: str) -> bool:
    """Whether a value that stands in a field named as an id is one that somebody must have told: a letter and a digit, or four digits."""
    if not 3 <= len(value) <= LONGEST_ID or not _HAS_DIGIT.search(value) or not _TEXT.fullmatch(value):
        return False
    if (
        "://" in value
        or "@" in value
        or value.startswith("www.")
        or _NO_ID.fullmatch(value)
        or _FILE_ENDING.fullmatch(value)
    ):
        return False
    return bool(_HAS_LETTER.search(value)) or sum(map(len, _NUMBER.findall(value))) >= 4


def is_telling(value: str) -> bool:
    """Whether few things but ids are written as this value is, so that words and numbers in a text are not taken for ids of its form."""
    if not looks_like_id(value):
        return False
    digits = sum(map(len, _NUMBER.findall(value)))
    if not _HAS_LETTER.search(value):
        return digits >= _LONG_NUMBER
    if _ONE_PART.fullmatch(value) and not _PREFIXED.fullmatch(value):
        return len(value) >= (_LONG_NUMBER if value.isupper() else _LONG_MIXED) and digits >= 1
    return digits >= (_FEW_DIGITS if _WORD.search(value) else 2)


def is_example(value: str) -> bool:
    """Whether a value shows only how ids are written: its number is one digit again and again, or counts up: `W0000000`, `ORD-12345`."""
    digits = "".join(_NUMBER.findall(value))
    return len(digits) >= 4 and (len(set(digits)) == 1 or digits in "01234567890" or digits in "9876543210")


def id_arguments(arguments: str) -> list[tuple[str, str]]:
    """Every value of a field named as an id in the JSON arguments of a call, nested ones too, with the field's name; `MOST` at most."""
    if not arguments or arguments[0] != "{":
        return []
    try:
        parsed = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return []
    found: list[tuple[str, str]] = []
    _gather(cast("object", parsed), "", found, _DEEP)
    return found


def _gather(value: object, field: str, found: list[tuple[str, str]], deep: int) -> None:
    if len(found) >= MOST or deep < 0:
        return
    if isinstance(value, dict):
        for name, held in cast("dict[str, object]", value).items():
            if is_id_name(name) or type(held) is dict or type(held) is list:
                _gather(held, name, found, deep - 1)
    elif isinstance(value, list):
        for item in cast("list[object]", value)[:_VALUES]:
            _gather(item, field, found, deep - 1)
    elif isinstance(value, str | int) and not isinstance(value, bool) and is_id_name(field):
        told = str(value)
        if told and len(told) <= LONGEST_ID:
            found.append((field, told))


def id_values(text: str) -> Iterator[tuple[str, str]]:
    """Values of fields named as ids in a tool's output, JSON or not (`order_id: 4711`), with the field's name; and lists of nothing but telling ids."""
    for name, told in _PAIR.findall(text):
        is_list = told[0] == "["
        if is_id_name(name):
            values = _ITEM.findall(told) if is_list else [told.lstrip("\\")]
        elif is_list and len(told) > 2:
            values = _ITEM.findall(told)
            if not all(is_telling(cleaned(value)) for value in values):
                continue
        else:
            continue
        for value in values:
            plain = cleaned(value)
            if plain and len(plain) <= LONGEST_ID and " " not in plain:
                yield name, plain


def claims(words: str) -> list[str]:
    """What a model's words name that may be an id: not dates, times, amounts, telephone numbers, versions, file names, links or code."""
    raw = words.encode(errors="replace")
    if len(raw.translate(None, b"0123456789")) == len(raw):
        return []
    if "```" in words:
        words = _CODE.sub(" ", words)
    if "://" in words or "www." in words:
        words = _LINK.sub(" ", words)
    return [thing for thing in named(words)[:_VALUES] if _may_be_id(thing, words)][:MOST]


def _may_be_id(thing: str, words: str) -> bool:
    if len(thing) < 3 or "@" in thing or not _HAS_DIGIT.search(thing):
        return False
    if _NO_ID.fullmatch(thing) or _NO_ID_IN_WORDS.fullmatch(thing):
        return False
    if not _HAS_LETTER.search(thing) and len(thing) < 6:
        return False
    at = words.find(thing)
    before, after = words[max(0, at - 1) : at], words[at + len(thing) : at + len(thing) + 2]
    return not (
        before in {"$", "€", "£", "+", ".", "/", "\\"}
        or (after[:1] in {".", ",", "/", "%"} and after[1:].isalnum())
        or after[:1] == "%"
    )

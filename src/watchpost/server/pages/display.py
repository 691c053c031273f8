"""How values look on a page. Text from traces is hostile: it is escaped, and what would hide or reorder it is made visible."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

import msgspec
from markupsafe import Markup, escape

from watchpost.query.measures import Unit
from watchpost.rules.quantity import amount_text, duration_text

ABSENT = Markup('<span class="absent" title="not reported by the source">–</span>')

BLOCK_LENGTH = 6_000
"""Characters of one text shown in full; the rest is a link away."""

_PRETTY_LENGTH = 200_000

_PAIRS, _ITEMS, _SHORT = 8, 100, 300

_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_REORDERING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = r"\u00ad\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"
_SMUGGLING = r"\ud800-\udfff\U000e0000-\U000e0fff"
HIDDEN = re.compile(rf"\r(?!\n)|[{_CONTROLS}{_REORDERING}{_INVISIBLE}{_SMUGGLING}]")
"""Characters that steer a display instead of standing on it. Joiners stay: scripts and emoji need them."""


class Block(msgspec.Struct, frozen=True):
    """A long text as shown: escaped, at most `BLOCK_LENGTH` characters of `length`."""

    text: Markup
    length: int
    cut: bool


def shown(text: object, limit: int = 120) -> Markup:
    """Text for a line, cut to `limit` characters with an ellipsis; a dash for empty text."""
    plain = str(text)
    if not plain:
        return ABSENT
    return visible(plain) if len(plain) <= limit else visible(plain[: limit - 1]) + "…"


def visible(text: str) -> Markup:
    """Text escaped, with every hidden character replaced by its code point."""
    parts: list[Markup] = []
    end = 0
    for match in HIDDEN.finditer(text):
        code = Markup('<span class="code-point">U+{:04X}</span>').format(ord(match[0]))
        parts += (escape(text[end : match.start()]), code)
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def block(text: str) -> Block:
    """A text for a box of its own; JSON is indented."""
    indented = _indented(text)
    return Block(visible(indented[:BLOCK_LENGTH]), len(text), len(indented) > BLOCK_LENGTH)


def json_block(value: object) -> Block:
    """Any value of an answer as indented JSON."""
    return block(msgspec.json.encode(value).decode())


def _indented(text: str) -> str:
    if not text.lstrip().startswith(("{", "[")) or len(text) > _PRETTY_LENGTH:
        return text
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return text


def is_blank(value: object, deep: int = 2) -> bool:
    """Whether a value of evidence says nothing: an empty text, null, or a list or object of nothing else, looked at so `deep`."""
    match value:
        case dict():
            return not value or (deep > 0 and all(is_blank(item, deep - 1) for item in value.values()))
        case list():
            return not value or (deep > 0 and all(is_blank(item, deep - 1) for item in value))
        case _:
            return value is None or value == ""


def is_short(value: object, deep: int = 2) -> bool:
    """Whether a list or object reads well without the brackets of JSON: little in it, and none of it deep."""
    match value:
        case dict() | list() if not deep:
            return False
        case dict():
            return len(value) <= _PAIRS and all(is_short(item, deep - 1) for item in value.values())
        case list():
            return len(value) <= _ITEMS and all(not isinstance(item, list) and is_short(item, deep) for item in value)
        case str():
            return len(value) <= _SHORT
        case _:
            return True


def is_flat(value: dict[str, object]) -> bool:
    """Whether an object holds only short values, which can stand side by side."""
    return all(not isinstance(each, (dict, list, tuple)) and len(str(each)) <= 48 for each in value.values())


def count(value: int | None) -> Markup:
    """A number with thousands separated; a dash where the source reported none."""
    return ABSENT if value is None else escape(f"{value:,}")


def told(value: int | None) -> Markup:
    """A number with thousands separated; words where the source reported none."""
    return Markup('<span class="absent">not reported</span>') if value is None else escape(f"{value:,}")


def money(value: str | None) -> Markup:
    """US dollars to a length that can be compared at a glance; the exact amount is the tooltip."""
    if value is None:
        return ABSENT
    amount = Decimal(value)
    short = f"{amount:,.2f}" if not amount or abs(amount) >= 1 else f"{amount:.4f}"
    if amount and not Decimal(short.replace(",", "")):
        short = "<0.0001"
    return Markup('<span title="${}">{}</span>').format(value, short if short.startswith("<") else f"${short}")


def size(value: float) -> Markup:
    """Bytes in the unit that suits them, of 1000; the exact number is the tooltip where it was shortened."""
    left, unit = value, "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if abs(left) < 999.5:
            break
        left, unit = left / 1000, larger
    if unit == "B":
        return escape(f"{value:g} B")
    return Markup('<span title="{:,.0f} B">{} {}</span>').format(value, f"{left:.3g}", unit)


def span(seconds: float) -> str:
    """A length of time as rules write it: `5m`, `7d`."""
    return duration_text(round(seconds * 10**9))


def amount(value: float, unit: Unit | None) -> str:
    """A number of a rule in its unit, to four digits; without one where that is not known."""
    return f"{value:g}" if unit is None else amount_text(value, unit)


def clock(value: str | None) -> Markup:
    """A moment to the second, in UTC; the exact one is the tooltip."""
    if value is None:
        return ABSENT
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(value, value[:19].replace("T", " "))


def duration(milliseconds: float | None) -> Markup:
    """A length of time in the unit that suits it; a dash while it lasts."""
    if milliseconds is None:
        return ABSENT
    seconds = milliseconds / 1000
    if seconds < 1:
        return escape(f"{milliseconds:.0f} ms")
    if seconds < 60:
        return escape(f"{seconds:.1f} s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return escape(f"{minutes} m {rest:02} s")
    return escape(f"{minutes // 60:,} h {minutes % 60:02} m")


def between(start: str | None, end: str | None) -> float | None:
    """Milliseconds from one moment to another; None where either is unknown."""
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000


def offset(start: str | None, moment: str | None) -> Markup:
    """When something happened after the start of its session; the moment itself is the tooltip."""
    passed = between(start, moment)
    if passed is None:
        return ABSENT
    sign = "+" if passed >= 0 else "−"
    return Markup('<time datetime="{0}" title="{0}">{1}{2}</time>').format(moment, sign, duration(abs(passed)))

"""Amounts as people write them in rules, `5m`, `10 %`, `0.50 USD`, and back to text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from watchpost.query.measures import Unit, Value

SECOND_NS = 10**9

_SPANS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhdw])")
_AMOUNT = re.compile(r"(-?[0-9][0-9_]{0,20}(?:\.[0-9]{1,18})?)\s*([A-Za-z%$]*)")

_SCALES: Mapping[Unit, Mapping[str, Decimal]] = {
    "seconds": {
        "": Decimal(1),
        "ms": Decimal("0.001"),
        **{name: Decimal(seconds) for name, seconds in _SPANS.items()},
    },
    "share": {"": Decimal(1), "%": Decimal("0.01")},
    "usd": {"": Decimal(1), "USD": Decimal(1)},
    "tokens": {"": Decimal(1), "tokens": Decimal(1), "k": Decimal(1000), "M": Decimal(10**6)},
    "count": {"": Decimal(1), "k": Decimal(1000), "M": Decimal(10**6)},
    "score": {"": Decimal(1)},
    "bytes": {"": Decimal(1), "kB": Decimal(1000), "MB": Decimal(10**6), "GB": Decimal(10**9)},
}
_EXAMPLES: Mapping[Unit, str] = {
    "seconds": "30s, 500ms or 10m",
    "share": "0.10 or 10 %",
    "usd": "0.50 USD",
    "tokens": "8000, 50k or 1M",
    "count": "10",
    "score": "0.8",
    "bytes": "512 MB",
}


class QuantityError(ValueError):
    """Text that is no such amount. The message says what would be one."""


def duration_ns(text: str) -> int:
    """Nanoseconds of `90s`, `5m`, `1h`, `7d` or `2w`; raises `QuantityError`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise QuantityError(f"{text!r} is no duration, such as 30s, 5m, 1h or 7d")
    return int(found[1]) * _SPANS[found[2]] * SECOND_NS


def duration_text(span_ns: int) -> str:
    """The shortest that `duration_ns` reads, of whole seconds."""
    seconds = span_ns // SECOND_NS
    for name in ("d", "h", "m"):
        if seconds and seconds % _SPANS[name] == 0:
            return f"{seconds // _SPANS[name]}{name}"
    return f"{seconds}s"


def amount(text: str, unit: Unit) -> Decimal:
    """A number of a unit: of seconds, dollars, tokens, or as a share of 1; raises `QuantityError` for another unit."""
    found = _AMOUNT.fullmatch(text)
    scale = _SCALES[unit].get(found[2]) if found else None
    if found is None or scale is None:
        raise QuantityError(f"{text!r} is not in {unit}: write it as {_EXAMPLES[unit]}")
    number = Decimal(found[1].replace("_", "")) * scale
    if unit == "share" and not found[2] and number > 1:
        raise QuantityError(f"{text!r} is more than all of it: a share is from 0 to 1, or write {text} %")
    if number < 0 and unit != "score":
        raise QuantityError(f"{text!r} is below 0, which {unit} never are")
    return number


def amount_text(value: float, unit: Unit) -> str:
    """A number of a unit as a person reads it, to four digits."""
    match unit:
        case "share":
            return f"{value * 100:.4g} %"
        case "seconds":
            return f"{value:.4g} s"
        case "usd":
            return f"{value:.4g} USD" if value < 1000 else f"{value:,.0f} USD"
        case "count" | "tokens" | "bytes":
            return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
        case "score":
            return f"{value:.4g}"


def in_unit(value: Value, unit: Unit) -> float | None:
    """What `value_of` says as a number of the unit: dollars, not billionths of them."""
    if value is None:
        return None
    return value / 10**9 if unit == "usd" else float(value)

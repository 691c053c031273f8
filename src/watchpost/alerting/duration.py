"""Lengths of time as Prometheus and Alertmanager write them: `30s`, `5m`, `1h30m`, `7d`."""

from __future__ import annotations

import re

_UNITS = (
    ("y", 365 * 86400_000),
    ("w", 7 * 86400_000),
    ("d", 86400_000),
    ("h", 3600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
)
"""Milliseconds of each unit, from the longest."""
_SHAPE = re.compile("".join(rf"(?:(\d+){unit})?" for unit, _ in _UNITS), re.ASCII)
_LONGEST_MS = 2**63 // 1_000_000 - 1


def read_duration(text: str) -> int:
    """Nanoseconds. Units stand from the longest to the shortest, each at most once; `0` needs none.

    >>> read_duration("1h30m") // 10**9
    5400

    Raises `ValueError` for anything else, and for what no 64-bit number of nanoseconds holds.
    """
    if text == "0":
        return 0
    shape = _SHAPE.fullmatch(text) if text else None
    if shape is None:
        raise ValueError(f"{text!r} is no length of time; write one like 30s, 5m, 1h30m or 7d")
    length_ms = sum(int(number) * ms for number, (_, ms) in zip(shape.groups(), _UNITS, strict=True) if number)
    if length_ms > _LONGEST_MS:
        raise ValueError(f"{text!r} is longer than 292 years")
    return length_ms * 1_000_000


def write_duration(length_ns: int) -> str:
    """The text that `read_duration` reads back; parts of a millisecond are dropped.

    >>> write_duration(5400 * 10**9)
    '1h30m'
    """
    left = length_ns // 1_000_000
    text = ""
    for unit, ms in _UNITS:
        number, left = divmod(left, ms)
        text += f"{number}{unit}" if number else ""
    return text or "0s"

"""The stale data detector: a tool whose answer is older, by what it says itself, than such an answer may be.

What may be how old only people know: nothing is looked at until a greatest age is declared for a tool. The age is that at the start
of the call, by the clock of whoever sent it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from functools import partial

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "STALE_DATA"

_NS = 10**9
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([smhdw])")
_TIMES = (
    "as_of", "asOf", "as-of", "data_as_of", "fetched_at", "fetchedAt", "retrieved_at", "quoted_at", "observed_at", "cached_at",
    "generated_at", "snapshot_at", "last_updated", "lastUpdated", "last-updated", "updated_at", "updatedAt", "last_modified",
    "lastModified", "last-modified", "refreshed_at", "timestamp",
)  # fmt: skip
_AGES = ("cache_age", "cacheAge", "cache_age_seconds", "age_seconds", "x-cache-age", "data_age_seconds")
_HEADERS = re.compile(r"""["'](?:response_)?headers["']\s*:\s*\{([^{}]{0,4000})""", re.IGNORECASE)
_HEADER_AGE = re.compile(r"""["']age["']\s*:\s*["']?([0-9]{1,12})""", re.IGNORECASE)
_EPOCH = re.compile(r"[0-9]{9,19}(?:\.[0-9]{1,9})?")


class StaleDataSettings(msgspec.Struct, frozen=True):
    """The greatest age of what a tool answers, by its name or a shell pattern, such as `90s`, `15m`, `1h`, `2d`; the first that fits holds.

    `fields` are names under which tools say as of when their answer is, beside those that are known.
    """

    max_age: dict[str, str] = {}
    fields: tuple[str, ...] = ()
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        for tool, age in self.max_age.items():
            if _DURATION.fullmatch(age.strip()) is None:
                raise ValueError(
                    f"max_age.{tool} must be a number and one of s, m, h, d and w, such as 1h, not {age!r}"
                )


class StaleDataDetector:
    """Reads the time in the answers of declared tools; a tool is found once in a session. No later step can refute it."""

    kinds: frozenset[StepKind] = frozenset({"tool", "retrieval"})

    def __init__(self, settings: StaleDataSettings) -> None:
        self._settings = settings
        self._told: set[str] = set()
        self._undo = Undo()
        self._time = _field(
            (*settings.fields, *_TIMES), r"""(?:["']([^"'\n]{4,40})["']|([0-9]{9,19}(?:\.[0-9]{1,9})?))"""
        )
        self._age = _field(_AGES, r"""["']?([0-9]{1,12}(?:\.[0-9]{1,9})?)""")

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say whether its answer is too old."""
        tool = shown(step.tool or step.name)
        most = self._most(tool)
        if not most or step.status != "ok" or not step.result or tool in self._told:
            return ()
        found = self._oldness(step)
        if found is None or found[0] <= most:
            return ()
        self._told.add(tool)
        self._undo.note(place, partial(self._told.discard, tool))
        age_ns, field, said = found
        evidence: dict[str, object] = {
            "reason": "too_old",
            "tool": tool,
            "value": round(age_ns / _NS, 3),
            "threshold": most / _NS,
            "window": "call",
            "field": field,
            "said": said,
            "calls": [{"span_id": step.span_id.hex(), "arguments": shown(step.arguments)}],
        }
        old = f"{_words(age_ns)} old when it was called, and may be {_words(most)}"
        return (
            Finding(KIND, tool or step.kind, self._settings.severity, f"{tool}: {field} {said} was {old}", evidence),
        )

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)

    def _most(self, tool: str) -> int:
        """The greatest age of a tool's answer in nanoseconds, 0 where none is declared."""
        for pattern, age in self._settings.max_age.items():
            if fnmatchcase(tool, pattern):
                return duration_ns(age)
        return 0

    def _oldness(self, step: Step) -> tuple[int, str, str] | None:
        """How old an answer is by the newest time in it, and what says so; None where nothing does."""
        found: list[tuple[int, str, str]] = []
        for name, text, number in self._time.findall(step.result):
            at_ns = _instant_ns(text or number)
            if at_ns is not None and at_ns <= step.start_ns:
                found.append((step.start_ns - at_ns, shown(name), shown(text or number)))
        found += [(int(float(age) * _NS), shown(name), f"{age} s") for name, age in self._age.findall(step.result)]
        for headers in _HEADERS.findall(step.result):
            found += [(int(age) * _NS, "age", f"{age} s") for age in _HEADER_AGE.findall(headers)]
        return min(found) if found else None


def duration_ns(text: str) -> int:
    """A duration such as `1h` in nanoseconds; raises ValueError for what is none."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration")
    return int(float(found[1]) * _UNITS[found[2]] * _NS)


def _field(names: Sequence[str], value: str) -> re.Pattern[str]:
    """Finds a member of an object, as JSON or Python write it, or a line `name: value`."""
    either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"""(?<![\w-])["']?({either})["']?\s*[:=]\s*{value}""")


def _instant_ns(text: str) -> int | None:
    """The Unix nanoseconds of a date and time; of UTC where it names no zone. None for what is none, and for a date alone, which is a whole day."""
    text = text.strip()
    if _EPOCH.fullmatch(text):
        number = float(text)
        scale = next(scale for scale, most in ((1, 1e11), (10**3, 1e14), (10**6, 1e17), (10**9, 1e20)) if number < most)
        return int(number * _NS / scale)
    if len(text) < len("2026-01-01T00:00"):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, IndexError, TypeError):
            return None
    try:
        whole = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return int(whole.timestamp() * _NS)
    except (OverflowError, ValueError):
        return None


def _words(ns: int) -> str:
    seconds = ns / _NS
    unit, size = next((each for each in reversed(_UNITS.items()) if seconds >= each[1] and each[0] != "w"), ("s", 1))
    return f"{seconds / size:.4g} {unit}"

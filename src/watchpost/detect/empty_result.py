"""The empty result detector: a tool that finds nothing, and nothing again, or nothing where it always finds something.

Empty is what says so: an empty list or object, null, an object whose lists are all empty or whose count is 0, or a short sentence such
as "no results found". A result that was not reported, and an error, are not empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import cast

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.detector import Surroundings
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "EMPTY_RESULT"

_LONGEST = 300
_SHOWN_CALLS = 5
_EMPTY = frozenset({"[]", "{}", "()", "null", "none", "nil", '""', "''", "[[]]", "[{}]", "set()"})
_THING = r"(?:results?|rows?|records?|matches|match|documents?|items?|entries|entry|hits?|data|files?|events?|emails?|messages?|orders?|products?|flights?)"
_SAYS = re.compile(
    rf"(?:sorry,? )?(?:(?:there (?:are|were|is|was) )?(?:no|0|zero) (?:\w+ ){{0,2}}{_THING}|nothing(?: was)?) ?(?:(?:was|were|are|is|have been|has been) )?"
    r"(?:found|returned|available|match(?:ed|ing)?|in set|selected|exist)?\b(?!.*\b(?:affected|deleted|updated|errors?)\b).{0,120}",
    re.IGNORECASE | re.DOTALL,
)
_HOLDS = re.compile(
    r"(?:search_?)?(?:results?|items|data|rows|records|hits|documents|docs|matches|entries|list|values?|content|output|response)",
    re.IGNORECASE,
)
_COUNTS = re.compile(
    r"(?:total|count|num|number|row|result|hit)s?(?:_?(?:of_)?(?:count|results|rows|hits|items|total))?", re.IGNORECASE
)


class EmptyResultSettings(msgspec.Struct, frozen=True):
    """How many empty results of one tool in a row, in a turn, are too many, 0 for none ever, and when one alone is.

    One alone is where the tool is known well and was empty in a share of at most `rare` of all its calls, 0 for never. That is certain enough
    once 3 / `rare` calls are known, none of them empty. `expected` are tools, by name or shell pattern, that may be empty.
    """

    repeats: int = 3
    rare: float = 0.005
    expected: tuple[str, ...] = ()
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if self.repeats < 0 or self.repeats == 1:
            raise ValueError("repeats must be at least 2, or 0 to switch it off")
        if not 0 <= self.rare < 1:
            raise ValueError(f"rare must be from 0 and below 1, not {self.rare}")


class _Row(msgspec.Struct, frozen=True, gc=False):
    count: int
    calls: tuple[tuple[bytes, str, str], ...]


class EmptyResultDetector:
    """Counts empty results in a row. A row is one finding, at the call that completes it; no later step can refute it."""

    kinds: frozenset[StepKind] = frozenset({"tool", "retrieval", "human"})

    def __init__(self, settings: EmptyResultSettings, around: Surroundings) -> None:
        self._settings = settings
        self._knowledge = around.knowledge
        self._rows: dict[str, _Row] = {}
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say whether it is one empty result too many."""
        if step.kind == "human":
            if self._rows:
                self._undo.note(place, partial(setattr, self, "_rows", self._rows))
                self._rows = {}
            return ()
        if step.status == "ok" and is_empty(step.result):
            return self._empty(place, step)
        if self._rows and step.status == "ok" and step.result and (tool := _tool(step)) in self._rows:
            self._put(place, tool, None)
        return ()

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)

    def _empty(self, place: int, step: Step) -> Sequence[Finding]:
        tool = _tool(step)
        if any(fnmatchcase(tool, each) for each in self._settings.expected):
            return ()
        row = self._rows.get(tool, _Row(0, ()))
        call = (step.span_id, shown(step.arguments), shown(step.result))
        calls = (*row.calls, call) if row.count < _SHOWN_CALLS else row.calls
        row = _Row(row.count + 1, calls)
        self._put(place, tool, row)
        if row.count == 1 and self._is_rare(tool):
            return (self._finding(tool, "rarely_empty", row, self._settings.rare),)
        if row.count == self._settings.repeats:
            return (self._finding(tool, "in_a_row", row, self._settings.repeats),)
        return ()

    def _is_rare(self, tool: str) -> bool:
        """Whether the tool is known to bring something; with so many calls, its share is below this with a chance of 95 in 100."""
        norm = self._knowledge.norm(f"tool_empty {tool}")
        return norm is not None and self._settings.rare > 0 and norm.p50 + 3 / norm.count <= self._settings.rare

    def _put(self, place: int, tool: str, row: _Row | None) -> None:
        self._undo.note(place, partial(self._set, tool, self._rows.get(tool)))
        self._set(tool, row)

    def _set(self, tool: str, row: _Row | None) -> None:
        if row is None:
            self._rows.pop(tool, None)
        else:
            self._rows[tool] = row

    def _finding(self, tool: str, reason: str, row: _Row, threshold: float) -> Finding:
        norm = self._knowledge.norm(f"tool_empty {tool}")
        evidence: dict[str, object] = {
            "reason": reason,
            "tool": tool,
            "value": row.count,
            "threshold": threshold,
            "window": "turn",
            "usually_empty": None if norm is None else {"share": norm.p50, "calls": norm.count},
            "calls": [{"span_id": span.hex(), "arguments": asked, "result": said} for span, asked, said in row.calls],
        }
        times = (
            f"found nothing {row.count} times in a row"
            if reason == "in_a_row"
            else "found nothing, and hardly ever does"
        )
        return Finding(
            KIND, tool, self._settings.severity, f"{tool} {times}, last with {row.calls[-1][1] or '()'}", evidence
        )


def is_empty(result: str) -> bool:
    """Whether a result says that there is nothing; false for one that was not reported."""
    if not result or len(result) > _LONGEST:
        return False
    text = result.strip()
    if text.lower() in _EMPTY:
        return True
    if text[:1] == "{" and text[-1:] == "}":
        return _holds_nothing(text)
    return len(text) > len("nothing") - 1 and _SAYS.fullmatch(text) is not None


def _holds_nothing(text: str) -> bool:
    """Whether an object has members for what was found, all empty, or a count that is 0, and no other list or object that holds anything."""
    try:
        found = cast("object", json.loads(text))
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict):
        return False
    members = cast("dict[str, object]", found)
    if any(isinstance(value, list | dict) and value for value in members.values()):
        return False
    told = [value for name, value in members.items() if _HOLDS.fullmatch(name)]
    counts = [value for name, value in members.items() if _COUNTS.fullmatch(name) and isinstance(value, int | float)]
    if any(value for value in (*told, *counts)):
        return False
    return any(value in ([], {}) or value is None for value in told) or (
        bool(counts) and not any(isinstance(value, bool) for value in counts)
    )


def _tool(step: Step) -> str:
    return shown(step.tool or step.name) or step.kind

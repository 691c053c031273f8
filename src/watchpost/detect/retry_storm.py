"""The retry storm detector: a tool or a model that fails again and again, and is asked again and again.

`LOOP_DETECTED` looks at what is asked: the same arguments, whatever comes back. This looks at what comes back: the same failure,
whatever is asked. A call repeated to the letter that fails each time is both, and each detector says its part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "RETRY_STORM"

_SHOWN_CALLS = 5
_SIGN = 60
_VARIES = re.compile(r"[0-9]+|[:\n].*", re.DOTALL)
"""What tells one occurrence of an error from the next: numbers, and all that follows the exception's name."""


class RetryStormSettings(msgspec.Struct, frozen=True):
    """How many failures in a row make a storm, 0 for none ever: one call and the three attempts that a sound retry policy makes.

    `patient` are tools, by name or shell pattern, that may fail for as long as they like, as one that waits for something does.
    """

    failures: int = 4
    patient: tuple[str, ...] = ()
    severity: Severity = "error"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if self.failures < 0 or self.failures == 1:
            raise ValueError("failures must be at least 2, or 0 to switch it off")


class _Streak(msgspec.Struct, frozen=True, gc=False):
    """Failures in a row of one tool or model that read alike."""

    sign: str
    count: int
    ended_ns: int
    began_ns: int
    calls: tuple[tuple[bytes, str, str], ...]


class RetryStormDetector:
    """Counts failures in a row. One storm is one finding, at the call that completes it; no later step can refute it."""

    kinds: frozenset[StepKind] = frozenset({"tool", "llm", "human"})

    def __init__(self, settings: RetryStormSettings) -> None:
        self._settings = settings
        self._streaks: dict[tuple[str, str], _Streak] = {}
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step in order and say which storm it completes."""
        if step.status == "error" and step.kind != "human":
            return self._failed(place, step)
        if not self._streaks:
            return ()
        if step.kind == "human":
            self._undo.note(place, partial(setattr, self, "_streaks", self._streaks))
            self._streaks = {}
        elif step.status == "ok" and (key := _key(step)) in self._streaks:
            self._put(place, key, None)
        return ()

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)

    def _failed(self, place: int, step: Step) -> Sequence[Finding]:
        key, sign = _key(step), _sign(step)
        streak = self._streaks.get(key)
        if streak is not None and streak.sign == sign and step.start_ns < streak.ended_ns:
            return ()
        call = (step.span_id, shown(step.arguments), shown(step.error or step.result))
        ended_ns = step.end_ns or step.start_ns
        if streak is None or streak.sign != sign:
            streak = _Streak(sign, 1, ended_ns, step.start_ns, (call,))
        else:
            calls = streak.calls if streak.count >= _SHOWN_CALLS else (*streak.calls, call)
            streak = _Streak(sign, streak.count + 1, ended_ns, streak.began_ns, calls)
        self._put(place, key, streak)
        if streak.count != self._settings.failures or any(fnmatchcase(key[1], each) for each in self._settings.patient):
            return ()
        return (self._storm(step, key, streak, call),)

    def _put(self, place: int, key: tuple[str, str], streak: _Streak | None) -> None:
        self._undo.note(place, partial(self._set, key, self._streaks.get(key)))
        self._set(key, streak)

    def _set(self, key: tuple[str, str], streak: _Streak | None) -> None:
        if streak is None:
            self._streaks.pop(key, None)
        else:
            self._streaks[key] = streak

    def _storm(self, step: Step, key: tuple[str, str], streak: _Streak, last: tuple[bytes, str, str]) -> Finding:
        kind, name = key
        calls = streak.calls if streak.calls[-1][0] == last[0] else (*streak.calls[:-1], last)
        evidence: dict[str, object] = {
            "reason": "failing_model" if kind == "llm" else "failing_tool",
            "tool": "" if kind == "llm" else name,
            "model": name if kind == "llm" else "",
            "value": streak.count,
            "threshold": self._settings.failures,
            "window": "turn",
            "seconds": round(max(streak.ended_ns - streak.began_ns, 0) / 1e9, 3),
            "error_type": step.error_type,
            "calls": [{"span_id": span.hex(), "arguments": asked, "error": error} for span, asked, error in calls],
        }
        return Finding(
            KIND,
            name,
            self._settings.severity,
            f"{name} failed {streak.count} times in a row, last with {last[2] or 'an error that was not reported'}",
            evidence,
        )


def _key(step: Step) -> tuple[str, str]:
    name = step.model if step.kind == "llm" else step.tool
    return step.kind, shown(name or step.name) or step.kind


def _sign(step: Step) -> str:
    """What is the same in every occurrence of one error."""
    return f"{step.error_type} {_VARIES.sub('', (step.error or step.result)[:400])[:_SIGN]}"

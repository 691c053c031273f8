"""The latency detector: a tool or model call that took far longer than such calls do.

How long they take is learnt from sessions that went well (`tool_seconds NAME`, `model_seconds NAME`). A call stands out where it took
more than so many times as long as 99 in 100, and longer than anybody should mind at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.detector import Surroundings
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.knowledge import Knowledge
from watchpost.model.step import Step, StepKind

KIND = "LATENCY_OUTLIER"


class LatencySettings(msgspec.Struct, frozen=True):
    """A call stands out at more than `times` the p99 of its tool or model, and more than `least_seconds`, known from at least so many `observations`.

    0 `times` switches it off.
    """

    times: float = 3.0
    least_seconds: float = 5.0
    observations: int = 100
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if self.times and self.times < 1:
            raise ValueError("times must be at least 1, or 0 to switch it off")
        if self.least_seconds < 0:
            raise ValueError("least_seconds must not be negative")
        if self.observations < 1:
            raise ValueError("observations must be at least 1")


class LatencyDetector:
    """Compares each call that ended with what is known; each tool and model is found once in a session. No later step can refute it."""

    kinds: frozenset[StepKind] = frozenset({"tool", "llm"})

    def __init__(self, settings: LatencySettings, around: Surroundings) -> None:
        self._settings = settings
        self._knowledge: Knowledge = around.knowledge
        self._least_ns = int(settings.least_seconds * 1e9)
        self._told: set[str] = set()
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say whether it took far too long."""
        if not step.end_ns or step.end_ns - step.start_ns <= self._least_ns:
            return ()
        name = shown((step.tool if step.kind == "tool" else step.model) or step.name)
        about = f"{'tool' if step.kind == 'tool' else 'model'}_seconds {name}"
        norm = self._knowledge.norm(about)
        if norm is None or norm.count < self._settings.observations or about in self._told:
            return ()
        seconds, most = (step.end_ns - step.start_ns) / 1e9, self._settings.times * norm.p99
        if seconds <= most:
            return ()
        self._told.add(about)
        self._undo.note(place, partial(self._told.discard, about))
        evidence: dict[str, object] = {
            "reason": "slow_tool" if step.kind == "tool" else "slow_model",
            "tool": name if step.kind == "tool" else "",
            "model": name if step.kind == "llm" else "",
            "value": round(seconds, 3),
            "threshold": round(max(most, self._settings.least_seconds), 3),
            "window": "call",
            "usual_seconds": {"p50": norm.p50, "p95": norm.p95, "p99": norm.p99, "calls": norm.count},
            "calls": [{"span_id": step.span_id.hex(), "arguments": shown(step.arguments)}],
        }
        summary = f"{name} took {seconds:.1f} s, where 99 in 100 calls take at most {norm.p99:.3g} s"
        return (Finding(KIND, about, self._settings.severity, summary, evidence),)

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)

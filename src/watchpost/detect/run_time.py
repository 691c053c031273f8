"""Runs that take too long, and agents that fall silent. No folds over steps: what decides is that nothing comes.

A run is one trace. It is open while its root is known to have begun and not to have ended; then it has lasted from its beginning until now,
by the clocks of whoever sent it and our own. Of any other run only what was seen of it counts: from its first beginning to its last end.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

from watchpost.detect.alike import shown
from watchpost.model.flag import Finding, Severity
from watchpost.model.knowledge import Knowledge

STUCK = "STUCK_RUN"
SILENT = "SILENT_AGENT"

_NS = 10**9


class RunTimeSettings(msgspec.Struct, frozen=True):
    """When a run is stuck.

    After `seconds`, 0 for never, or, where its workflow is known from at least `observations` runs, already after `times` the p99 of those,
    0 for never, and no less than `least_seconds`. `limits` declares the seconds of workflows, by name or shell pattern, instead, 0 for
    any time; the first that fits holds. `silent` says whether agents that fell silent are found.
    """

    seconds: float = 600.0
    times: float = 3.0
    least_seconds: float = 60.0
    observations: int = 100
    limits: dict[str, float] = {}
    silent: bool = True
    severity: Severity = "critical"
    silent_severity: Severity = "error"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        for field in ("seconds", "least_seconds"):
            if not 0 <= getattr(self, field) <= 10**9:
                raise ValueError(f"{field} must be from 0 to 1000000000")
        if self.times and self.times < 1:
            raise ValueError("times must be at least 1, or 0 to switch it off")
        if self.observations < 1:
            raise ValueError("observations must be at least 1")
        for workflow, seconds in self.limits.items():
            if not 0 <= seconds <= 10**9:
                raise ValueError(f"limits.{workflow} must be from 0 to 1000000000; 0 is any time")


class RunLimit(msgspec.Struct, frozen=True):
    """How long a run may take, in nanoseconds, 0 for any time, and why: `declared`, `default` or `norm`, whose p99 in seconds it is made of."""

    ns: int
    basis: str
    p99: float | None = None


class Run(msgspec.Struct, frozen=True):
    """One run as far as it is known, in Unix nanoseconds; `is_open` says that its root began and is not known to have ended."""

    started_ns: int
    ended_ns: int
    is_open: bool

    def lasted_ns(self, now_ns: int) -> int:
        """How long it has lasted at a time."""
        return (now_ns if self.is_open else self.ended_ns) - self.started_ns


def limit_of(settings: RunTimeSettings, workflow: str, knowledge: Knowledge) -> RunLimit:
    """How long a run of a workflow may take."""
    for pattern, seconds in settings.limits.items():
        if fnmatchcase(workflow, pattern):
            return RunLimit(int(seconds * _NS), "declared")
    default_ns = int(settings.seconds * _NS)
    norm = knowledge.norm(f"workflow_seconds {shown(workflow)}")
    if norm is not None and settings.times and norm.count >= settings.observations:
        usual_ns = int(max(settings.times * norm.p99, settings.least_seconds) * _NS)
        if not default_ns or usual_ns < default_ns:
            return RunLimit(usual_ns, "norm", norm.p99)
    return RunLimit(default_ns, "default")


def stuck(settings: RunTimeSettings, workflow: str, limit: RunLimit, run: Run, now_ns: int) -> Finding | None:
    """The finding where a run has lasted longer than it may; the same at any later time, until its end is known."""
    lasted_ns = run.lasted_ns(now_ns)
    if not limit.ns or lasted_ns <= limit.ns:
        return None
    most = limit.ns / _NS
    took = most if run.is_open else lasted_ns / _NS
    evidence: dict[str, object] = {
        "reason": "still_running" if run.is_open else "took_too_long",
        "value": round(took, 3),
        "threshold": most,
        "window": "run",
        "basis": limit.basis,
        "usual_seconds": None if limit.p99 is None else {"p99": limit.p99},
        "workflow": shown(workflow),
        "started_ns": run.started_ns,
    }
    said = f"has been running for more than {most:g} s" if run.is_open else f"took {took:.1f} s, more than {most:g} s"
    return Finding(STUCK, "run", settings.severity, f"a run of {shown(workflow) or 'the agent'} {said}", evidence)


def silent(settings: RunTimeSettings, workflow: str, *, waited_s: float, is_open: bool, last: str) -> Finding | None:
    """The finding where a run never ended and nothing came of it for so long; `last` names the last that was seen of it."""
    if not settings.silent:
        return None
    evidence: dict[str, object] = {
        "reason": "root_still_open" if is_open else "root_never_seen",
        "value": waited_s,
        "threshold": waited_s,
        "window": "run",
        "workflow": shown(workflow),
        "last_step": shown(last),
    }
    summary = f"nothing of {shown(workflow) or 'the agent'} for {waited_s:g} s after {shown(last) or 'its last step'}, and its run never ended"
    return Finding(SILENT, "run", settings.silent_severity, summary, evidence)


def due_ns(limit: RunLimit, run: Run) -> int:
    """When an open run will be stuck, 0 if never."""
    return run.started_ns + limit.ns + 1 if limit.ns and run.is_open else 0

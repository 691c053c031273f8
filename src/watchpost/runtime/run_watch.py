"""Which runs of a session are stuck, late or silent, whether its user left it, and when to look again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter

from watchpost.detect.abandoned import AbandonedSettings, abandoned
from watchpost.detect.detector import Surroundings
from watchpost.detect.run_time import Run, RunTimeSettings, due_ns, limit_of, silent, stuck
from watchpost.detect.sla import Sla, breach, sla_of
from watchpost.model.flag import Finding
from watchpost.model.session import Summary
from watchpost.model.step import Step
from watchpost.session.outcome import last_run
from watchpost.session.session import Quiet, Session
from watchpost.session.trace import Trace

_FINISHED = frozenset({"agent", "workflow", "turn"})
_LOOKED_AT = 20
"""Steps of a run that tell whether its source knows times at all."""


class RunWatch:
    """Decides by the time of the batch. Once a session has ended, by the time at which it did: then nothing changes any more."""

    def __init__(
        self,
        settings: RunTimeSettings,
        quiet: Quiet,
        slas: tuple[Sla, ...] = (),
        left: AbandonedSettings = AbandonedSettings(),  # noqa: B008 - a frozen value
    ) -> None:
        self._settings = settings
        self._left = left
        self._quiet = quiet
        self._slas = slas

    def findings(
        self, session: Session, around: Surroundings, now_ns: int, *, escalated: bool = False
    ) -> tuple[list[tuple[Step, Finding]], int]:
        """What stands, each at the first step of its run, or its last where the run fell silent, and when more may; 0 for never. `escalated`: a person took over."""
        found: list[tuple[Step, Finding]] = []
        look_again_ns = 0
        if not session.steps:
            return found, 0
        ended = session.state == "ended"
        as_of = min(now_ns, session.due_ns(self._quiet)) if ended else now_ns
        limit = None
        for trace in session.traces.values():
            run = Run(trace.started_ns, trace.ended_ns, trace.open_roots > 0)
            if not run.started_ns or (not run.is_open and run.lasted_ns(0) <= 0):
                continue
            limit = limit or limit_of(self._settings, around.workflow, around.knowledge)
            finding = stuck(self._settings, around.workflow, limit, run, as_of)
            if finding is not None:
                found += _placed(session, trace, finding)
            elif run.is_open and not ended and (due := due_ns(limit, run)):
                look_again_ns = min(look_again_ns or due, due)
            if (most_us := self._most_us(around.workflow)) is not None:
                late, due = _late(run, most_us, around.workflow, as_of)
                found += [] if late is None else _placed(session, trace, late)
                look_again_ns = min(look_again_ns or due, due) if due and not ended else look_again_ns
        if ended and session.outcome == "timeout":
            found += self._silence(session, around)
        if ended and (left := abandoned(self._left, session.steps, escalated=escalated)) is not None:
            found.append(left)
        return found, look_again_ns

    def first_look_ns(self, summary: Summary, around: Surroundings) -> int:
        """When a run of a session that is known by its summary alone may be stuck at the earliest; 0 for never, and where all its roots had ended."""
        if not summary.started_ns or summary.due_ns - summary.received_ns <= self._quiet.rooted_ns:
            return 0
        run = Run(summary.started_ns, 0, is_open=True)
        due = due_ns(limit_of(self._settings, around.workflow, around.knowledge), run)
        most_us = self._most_us(around.workflow)
        _, late = (None, 0) if most_us is None else _late(run, most_us, around.workflow, 0)
        return min(due or late, late or due)

    def _most_us(self, workflow: str) -> int | None:
        """How long a run of a workflow may take by its SLA."""
        return sla_of(self._slas, workflow).latency_us if self._slas else None

    def _silence(self, session: Session, around: Surroundings) -> Iterator[tuple[Step, Finding]]:
        run = last_run(session)
        if (run.ended_roots and not run.open_roots) or _finished_unseen(run):
            return
        last = next((step for step in reversed(session.steps) if _is_of(step, run)), None)
        if last is None:
            return
        waited_s = self._quiet.idle_ns / 1e9
        name = last.tool or last.name
        finding = silent(self._settings, around.workflow, waited_s=waited_s, is_open=run.open_roots > 0, last=name)
        if finding is not None:
            yield last, finding


def _late(run: Run, most_us: int, workflow: str, now_ns: int) -> tuple[Finding | None, int]:
    """The finding where a run took longer than its SLA allows, the same at any later time until its end is known; and when an open one will have."""
    took_us = run.lasted_ns(now_ns) // 1000
    if took_us <= most_us:
        return None, run.started_ns + (most_us + 1) * 1000 if run.is_open else 0
    return breach("latency", workflow, most_us if run.is_open else took_us, most_us, is_over=not run.is_open), 0


def _placed(session: Session, trace: Trace, finding: Finding) -> Iterator[tuple[Step, Finding]]:
    """A finding about a run at its first step; none for a run without steps, or whose source knows no times."""
    first: Step | None = None
    timed = trace.open_roots > 0
    steps = session.steps
    seen = 0
    for place in range(bisect_left(steps, trace.started_ns, key=attrgetter("start_ns")), len(steps)):
        step = steps[place]
        if _is_of(step, trace):
            first = first or step
            timed |= step.end_ns > step.start_ns
            seen += 1
            if timed or seen == _LOOKED_AT:
                break
    if first is not None and timed:
        yield first, finding


def _is_of(step: Step, run: Trace) -> bool:
    """Whether a step is something that a run did, and not what was said of it later."""
    return step.trace_id == run.trace_id and step.kind != "evaluation"


def _finished_unseen(run: Trace) -> bool:
    """Whether all that was seen of a run stands beneath agents or workflows that ended: then only who called them is not seen."""
    if run.open_roots:
        return False
    tops = [node for node in run.nodes.values() if node.parent_id not in run.nodes and node.kind != "evaluation"]
    return all(node.kind in _FINISHED and node.end_ns for node in tops)

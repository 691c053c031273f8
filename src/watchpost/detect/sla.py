"""Service level agreements: what one run of a workflow may take, and the finding where a limit passes while it goes on.

A run is one trace. Each limit is checked by itself, and only going beyond it is a breach: a run that takes exactly what it may has kept it.
Tokens are all input and output tokens of the run's model calls, its cost what those calls and its retrievals cost. What nobody reported adds nothing
here, so that a breach that is told is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.detector import Make, Surroundings
from watchpost.model.flag import Finding
from watchpost.model.session import SlaLimit
from watchpost.model.step import Step, StepKind

KIND = "SLA_BREACHED"

_SPENDING: frozenset[StepKind] = frozenset({"llm", "retrieval"})
_NONE: frozenset[StepKind] = frozenset()


class Sla(msgspec.Struct, frozen=True):
    """What a run may take whose workflow fits a shell pattern: microseconds, tokens, nano-USD. None is no limit."""

    workflow: str
    latency_us: int | None = None
    tokens: int | None = None
    cost_nano: int | None = None


NO_SLA = Sla("*")


@lru_cache(maxsize=1024)
def sla_of(slas: tuple[Sla, ...], workflow: str) -> Sla:
    """The first agreement that fits a workflow; one without limits where none does."""
    return next((each for each in slas if fnmatchcase(workflow, each.workflow)), NO_SLA)


def sla_makes(slas: tuple[Sla, ...]) -> tuple[Make, ...]:
    """The detector of breaches of tokens and cost; none where nothing bounds them."""
    if not any(each.tokens is not None or each.cost_nano is not None for each in slas):
        return ()
    return (Make(lambda around: SlaDetector(sla_of(slas, around.workflow), around), by_workflow=True),)


class _Spent(msgspec.Struct, frozen=True, gc=False):
    """What a run had spent before the step at a place."""

    place: int
    trace_id: bytes
    tokens: int
    nano: int


class SlaDetector:
    """Adds up what the calls of each run report. A limit gives one finding for each run; no later step can refute it."""

    kinds: frozenset[StepKind]

    def __init__(self, sla: Sla, around: Surroundings) -> None:
        self._sla = sla
        self._workflow = around.workflow
        self.kinds = _NONE if sla.tokens is None and sla.cost_nano is None else _SPENDING
        self._runs: dict[bytes, tuple[int, int]] = {}
        self._before: list[_Spent] = []

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Add the next step and say which limit it takes its run beyond."""
        used = (step.tokens.input or 0) + (step.tokens.output or 0) if step.kind == "llm" else 0
        nano = step.cost_nano or 0
        if used <= 0 and nano <= 0:
            return ()
        tokens, spent = self._runs.get(step.trace_id, (0, 0))
        self._before.append(_Spent(place, step.trace_id, tokens, spent))
        self._runs[step.trace_id] = (tokens + used, spent + nano)
        found: list[Finding] = []
        if self._sla.tokens is not None and tokens <= self._sla.tokens < tokens + used:
            found.append(breach("tokens", self._workflow, tokens + used, self._sla.tokens))
        if self._sla.cost_nano is not None and spent <= self._sla.cost_nano < spent + nano:
            found.append(breach("cost", self._workflow, spent + nano, self._sla.cost_nano))
        return found

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        while self._before and self._before[-1].place >= steps:
            last = self._before.pop()
            self._runs[last.trace_id] = (last.tokens, last.nano)


def breach(limit: SlaLimit, workflow: str, value: int, most: int, *, is_over: bool = True) -> Finding:
    """The finding that a run took more than it may: microseconds, tokens or nano-USD. One that goes on took at least so much."""
    of = shown(workflow) or "the agent"
    more = "" if is_over else "more than "
    match limit:
        case "latency":
            said = f"a run of {of} took {more}{value / 10**6:g} s, and may take {most / 10**6:g} s"
            shown_value: object = value / 10**6
            shown_most: object = most / 10**6
        case "tokens":
            said = f"a run of {of} used {value:,} tokens, and may use {most:,}"
            shown_value, shown_most = value, most
        case "cost":
            said = f"a run of {of} cost {_usd(value)} USD, and may cost {_usd(most)}"
            shown_value, shown_most = value / 10**9, most / 10**9
    evidence: dict[str, object] = {
        "reason": limit,
        "workflow": shown(workflow),
        "value": shown_value,
        "threshold": shown_most,
        "window": "run",
    }
    return Finding(KIND, limit, "warning", said, evidence)


def _usd(nano: int) -> str:
    return f"{Decimal(nano).scaleb(-9).normalize():f}"

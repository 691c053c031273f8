"""Which limits of its workflow's SLA the runs of a session kept, once it has ended: exact, and honest where a number is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from watchpost.detect.sla import NO_SLA, Sla, sla_of
from watchpost.model.session import SlaLimit, Summary
from watchpost.model.step import Step
from watchpost.session.estimate import is_silent, untold
from watchpost.session.session import Session
from watchpost.session.trace import Trace


class Taken(msgspec.Struct, frozen=True):
    """What a run took of something: at least `least`, and no more than that where it is `whole`."""

    least: int
    whole: bool


def with_sla(session: Session, summary: Summary, slas: tuple[Sla, ...]) -> Summary:
    """The summary of a session that ended with what its runs kept and broke; without an SLA as it is.

    A limit that any run went beyond is breached. One that no run did is unchecked where a run did not tell enough to know; else it was kept.
    """
    sla = sla_of(slas, summary.workflow) if slas else NO_SLA
    limits: dict[SlaLimit, int | None] = {"latency": sla.latency_us, "tokens": sla.tokens, "cost": sla.cost_nano}
    if not any(most is not None for most in limits.values()):
        return summary
    runs = [_taken(run, steps) for run, steps in _runs(session)]
    sorted_out: dict[str, list[SlaLimit]] = {"breaches": [], "within": [], "unchecked": []}
    for limit, most in limits.items():
        if most is None or not runs:
            continue
        each = [run[limit] for run in runs]
        if any(taken.least > most for taken in each):
            sorted_out["breaches"].append(limit)
        else:
            sorted_out["within" if all(taken.whole for taken in each) else "unchecked"].append(limit)
    return msgspec.structs.replace(summary, **{name: tuple(limits) for name, limits in sorted_out.items()})


def _runs(session: Session) -> Iterator[tuple[Trace, list[Step]]]:
    """The runs of a session with their steps. A call that was reported by itself belongs to the run around it in time."""
    traces = [t for t in session.traces.values() if any(node.kind != "evaluation" for node in t.nodes.values())]
    runs = [trace for trace in traces if not trace.is_stray] or traces
    more: dict[bytes, list[Step]] = {}
    for stray in traces:
        if stray not in runs:
            around = [run for run in runs if run.started_ns <= stray.started_ns <= run.ended_ns] or runs
            more.setdefault(around[0].trace_id, []).extend(stray.placed.values())
    for run in runs:
        yield run, [*run.placed.values(), *more.get(run.trace_id, ())]


def _taken(run: Trace, steps: Iterable[Step]) -> Mapping[SlaLimit, Taken]:
    """What a run took, by what is limited."""
    steps = list(steps)
    calls = [step for step in steps if step.kind == "llm"]
    billed = [*calls, *(step for step in steps if step.kind == "retrieval" and step.tokens.input is not None)]
    unseen = not calls and bool(run.agents or run.tools) and not run.tripped
    told = sum((step.tokens.input or 0) + (step.tokens.output or 0) for step in calls)
    whole = not unseen
    if run.usage and (unseen or any(is_silent(step) for step in calls)):
        more = untold(run, unseen=unseen)
        told += (more.input or 0) + (more.output or 0)
        whole = more.input is not None and more.output is not None
    elif any(None in {step.tokens.input, step.tokens.output} for step in calls if step.status != "error"):
        whole = False
    knows_times = run.started_ns > 0 and run.ended_ns >= run.started_ns
    return {
        "latency": Taken(
            (run.ended_ns - run.started_ns) // 1000 if knows_times else 0, knows_times and not run.open_roots
        ),
        "tokens": Taken(told, whole),
        "cost": Taken(
            sum(step.cost_nano or 0 for step in billed),
            not unseen and not any(step.cost_nano is None for step in billed if step.status != "error"),
        ),
    }

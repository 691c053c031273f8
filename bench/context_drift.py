"""How well the lexical measure tells a session that went over to another task from one that did not.

The fault: from some step on, a run does what a run of another kind does, chosen by a seeded generator; nobody asked for it. No embeddings
are measured here: there is no model on this machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from rates import Rate, Sheet
from real_runs import Run, halves
from watchpost.detect.context_drift import ContextDriftSettings, checkpoint_of, lexical_distance
from watchpost.model.step import Step

LEAST_ACTS = 10


def distance(steps: Sequence[Step], settings: ContextDriftSettings) -> float | None:
    """How far a session has come from its task at its end; None where there is too little to compare."""
    due = checkpoint_of("bench", "run", steps, settings)
    return None if due is None else lexical_distance(due.asked, due.stated)


def kind_of(run: Run) -> str:
    """Runs of one kind have alike tasks and tools."""
    return f"{run.file} {run.truth.get('suite', '')}"


def acts(run: Run) -> list[Step]:
    """What the agent did."""
    return [step for step in run.steps if step.kind in {"llm", "tool", "handoff"}]


def switched(run: Run, other: Run, settings: ContextDriftSettings) -> list[Step]:
    """The run up to its end, and then the last steps of another: nobody asked for those."""
    return [*run.steps, *acts(other)[-settings.window :]]


def measure_context_drift(found: Sequence[Run], seed: int = 1) -> Sheet:
    """For three seeds, what the limit that leaves one half's good runs alone says of the other half; the first seed's is the one to set."""
    sheets = [_measured(found, each) for each in (seed, seed + 1, seed + 2)]
    return Sheet(
        "CONTEXT_DRIFT",
        [rate for sheet in sheets for rate in sheet.false],
        sheets[0].found,
        [rate for sheet in sheets[1:] for rate in sheet.found],
        {what: figure for sheet in sheets for what, figure in sheet.figures.items()},
    )


def _measured(found: Sequence[Run], seed: int) -> Sheet:
    """The limit lets 99 in 100 of the runs pass that it is chosen on, and is rounded up to hundredths, as it stands in the settings."""
    settings = ContextDriftSettings(method="lexical")
    good = [run for run in found if run.succeeded and len(acts(run)) >= LEAST_ACTS and not run.truth.get("attack")]
    chosen, held = halves(good, seed)
    known = sorted(far for run in chosen if (far := distance(run.steps, settings)) is not None)
    limit = math.ceil(100 * known[min(len(known) - 1, int(0.99 * len(known)))]) / 100
    chance = random.Random(seed)
    drifted = 0
    for run in held:
        other = chance.choice([each for each in good if kind_of(each) != kind_of(run)])
        drifted += _beyond(switched(run, other, settings), settings, limit)
    return Sheet(
        "CONTEXT_DRIFT",
        [
            Rate(
                f"successful, of the half kept apart, seed {seed}",
                sum(_beyond(run.steps, settings, limit) for run in held),
                len(held),
            )
        ],
        [Rate(f"went over to another kind of task, seed {seed}", drifted, len(held))],
        figures={f"limit chosen on the other half, seed {seed}": limit},
    )


def _beyond(steps: Sequence[Step], settings: ContextDriftSettings, limit: float) -> bool:
    return (distance(steps, settings) or 0.0) > limit

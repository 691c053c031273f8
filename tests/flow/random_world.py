"""A larger world of agent spans, drawn at random, and the order in which its spans come in."""

from __future__ import annotations

import dataclasses
import random

from world import Spec, trace_id

TOOLS = ("search", "refund", "lookup")
KINDS = ("llm", "llm", "tool", "tool", "tool", "tool", "agent", "chain")
MOST_SPANS = 40
MOST_IN_BATCH = 30
MISSING = 900
"""The number of a parent that never comes."""


@dataclasses.dataclass(frozen=True)
class Arrival:
    """One span as it comes in: started, or ended."""

    spec: Spec
    ended: bool


Batch = tuple[Arrival, ...]


def specs(rng: random.Random, traces: int) -> list[Spec]:
    """Traces of 1 to 40 spans: several roots, parents that are missing, ids of sessions on some of the spans.

    Traces join by the ids that their spans carry; an id may be the trace id of another trace, which then is joined
    whether it carries an id or not.
    """
    return [spec for trace in range(traces) for spec in _trace(rng, trace, traces)]


def _trace(rng: random.Random, trace: int, traces: int) -> list[Spec]:
    names = [f"chat-{rng.randrange(traces // 4)}" for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    if rng.random() < 0.2:
        names.append(trace_id(rng.randrange(traces)).hex())
    named = rng.choice([0.05, 0.3, 1.0])
    begin_s = rng.randrange(40) * 60
    return [
        Spec(
            trace,
            span,
            _parent(rng, span),
            rng.choice(KINDS),
            begin_s + rng.randrange(60) * 20,
            rng.choice(names) if names and rng.random() < named else "",
            rng.choice(TOOLS),
            rng.randrange(8),
            rng.choice([None, 0, 7, 130]),
            rng.random() < 0.2,
        )
        for span in range(rng.randint(1, MOST_SPANS))
    ]


def _parent(rng: random.Random, span: int) -> int | None:
    if rng.random() < 0.08:
        return MISSING
    if span == 0 or rng.random() < 0.08:
        return None
    return rng.randrange(max(0, span - 8), span)


def batches(rng: random.Random, world: list[Spec]) -> list[Batch]:
    """Every span ends at least once, in batches of 1 to 30; some start before or after that, some come twice.

    The spans of a trace come near each other, in any order, and one in ten of them at any time.
    """
    place = [rng.random() for _ in range(world[-1].trace + 1)]
    came = [Arrival(spec, ended=True) for spec in world]
    came += [Arrival(spec, ended=True) for spec in world if rng.random() < 0.2]
    came += [Arrival(spec, ended=False) for spec in world if rng.random() < 0.4]
    came.sort(key=lambda one: rng.random() if rng.random() < 0.1 else place[one.spec.trace] + rng.uniform(-0.05, 0.05))
    cut: list[Batch] = []
    while came:
        size = rng.choice([rng.randint(1, 5), rng.randint(1, 12), rng.randint(1, MOST_IN_BATCH)])
        cut.append(tuple(came[:size]))
        del came[:size]
    return cut

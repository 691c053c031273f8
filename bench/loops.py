"""How often LOOP_DETECTED is wrong about real runs, and how often it finds loops that were put into them.

The loops, each put into a real run that went well by a seeded generator, after a tool call that it chooses: the same call three times more
(`looped`), the same with another spelling each time, of white space, key order or a word of free text (`near-looped`), and two different calls
of the run by turns for two rounds more (`A-B-A-B`). Results are those that the calls had. Runs that are flagged as they are get no loop.
Found is a loop that is flagged at the very step that completes it, or before where the run had made the call already.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

from rates import Rate, Sheet, by_file
from real_runs import Run
from watchpost.detect.detector import Make, Surroundings
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.detect.run import DetectorRun
from watchpost.model.step import Step

SETTINGS: dict[str, LoopSettings] = {
    "inbox tools declared as polling": LoopSettings(polling={"get_*emails": 0}),
    "calls_per_turn 10": LoopSettings(repeats=0, cycle_rounds=0, unchanged=0, turns=0, calls_per_turn=10),
    "calls_per_turn 15": LoopSettings(repeats=0, cycle_rounds=0, unchanged=0, turns=0, calls_per_turn=15),
    "calls_per_turn 20": LoopSettings(repeats=0, cycle_rounds=0, unchanged=0, turns=0, calls_per_turn=20),
    "alike_calls alone": LoopSettings(cycle_rounds=0, unchanged=0, turns=0),
    "equal_calls alone": LoopSettings(alike=1.0, cycle_rounds=0, unchanged=0, turns=0),
    "cycle alone": LoopSettings(repeats=0, unchanged=0, turns=0),
    "unchanged_result alone": LoopSettings(repeats=0, cycle_rounds=0, turns=0),
    "turns alone": LoopSettings(repeats=0, cycle_rounds=0, unchanged=0),
}

"""What is measured beside the defaults: each reason by itself, and limits that are off by default."""

Inject = Callable[[Sequence[Step], random.Random], tuple[list[Step], int] | None]
"""A run with a loop in it, and the place of the step that completes it; None where the run has no room for one."""


def places(steps: Sequence[Step], settings: LoopSettings) -> list[int]:
    """Where a run is flagged."""
    run = DetectorRun([Make(lambda _: LoopDetector(settings))], Surroundings())
    run.update(list(steps), 0, Surroundings())
    return [place for place, _ in run.findings]


def measure_loops(found: Sequence[Run], seed: int = 1) -> Sheet:
    """Flagged runs by outcome and setting, and loops found."""
    by_default = _flagged(found, LoopSettings())
    everything, *files = by_file(found, by_default, succeeded=True)
    beside = [*files, *by_file(found, by_default, succeeded=False)]
    for name, settings in SETTINGS.items():
        flagged = _flagged(found, settings)
        for succeeded in (True, False):
            beside += [
                Rate(f"{name}: {rate.what}", rate.hits, rate.n) for rate in by_file(found, flagged, succeeded=succeeded)
            ]
    good = [run for run, is_flagged in zip(found, by_default, strict=True) if run.succeeded and not is_flagged]
    return Sheet(
        "LOOP_DETECTED",
        [everything],
        [_recall(name, inject, good, random.Random(f"{seed} {name}")) for name, inject in LOOPS.items()],
        beside,
    )


def _flagged(found: Sequence[Run], settings: LoopSettings) -> list[bool]:
    return [bool(places(run.steps, settings)) for run in found]


def _recall(name: str, inject: Inject, good: Sequence[Run], chance: random.Random) -> Rate:
    made = [each for run in good if (each := inject(run.steps, chance)) is not None]
    hits = sum(any(place <= at for place in places(steps, LoopSettings())) for steps, at in made)
    return Rate(name, hits, len(made))


def _calls(steps: Sequence[Step]) -> list[int]:
    """The calls with arguments that went well and brought something."""
    return [
        place
        for place, step in enumerate(steps)
        if step.kind == "tool" and step.status == "ok" and step.arguments.startswith("{") and len(step.arguments) > 2
    ]


def _looped(steps: Sequence[Step], chance: random.Random) -> tuple[list[Step], int] | None:
    return _repeated(steps, chance, lambda step, _: step.arguments)


def _near_looped(steps: Sequence[Step], chance: random.Random) -> tuple[list[Step], int] | None:
    return _repeated(steps, chance, lambda step, number: _respelled(step.arguments, number, chance))


def _repeated(
    steps: Sequence[Step], chance: random.Random, spelled: Callable[[Step, int], str]
) -> tuple[list[Step], int] | None:
    calls = _calls(steps)
    if not calls:
        return None
    place = chance.choice(calls)
    more = [msgspec.structs.replace(steps[place], arguments=spelled(steps[place], number)) for number in range(3)]
    return _spliced(steps, place, more), place + 2


def _by_turns(steps: Sequence[Step], chance: random.Random) -> tuple[list[Step], int] | None:
    calls = [
        (place, later)
        for place, later in pairwise(_calls(steps))
        if (steps[place].tool, steps[place].arguments) != (steps[later].tool, steps[later].arguments)
    ]
    if not calls:
        return None
    first, second = chance.choice(calls)
    more = [steps[first], steps[second]] * 2
    return _spliced(steps, second, more), second + 4


def _respelled(arguments: str, number: int, chance: random.Random) -> str:
    """The same arguments as a model spells them the next time."""
    value = json.loads(arguments)
    names = list(value)
    chance.shuffle(names)
    texts = [name for name in names if isinstance(value[name], str) and len(value[name]) > 30 and " " in value[name]]
    if texts:
        value[texts[0]] = value[texts[0]] + ("", "!", ".")[number]
    return json.dumps({name: value[name] for name in names}, indent=(None, 1, 2)[number])


def _spliced(steps: Sequence[Step], place: int, more: Sequence[Step]) -> list[Step]:
    """The steps with more behind one, each a step of its own."""
    put = [
        msgspec.structs.replace(step, span_id=(1 << 62 | place << 16 | number).to_bytes(8, "big"))
        for number, step in enumerate(more)
    ]
    return [*steps[: place + 1], *put, *steps[place + 1 :]]


LOOPS: dict[str, Inject] = {"looped": _looped, "near-looped": _near_looped, "A-B-A-B": _by_turns}

"""How often TOOL_SCHEMA_DRIFT is wrong about real runs, and how often it finds faults that were put into them.

The runs of each file are a project of their own. Those that went well are split in two by a seed. Learnt is the first half; the second
follows in the order in which it stands in the file, with learning going on. False flags are counted per run that went well, in three ways:
from the first run on, with nothing known before it; of those the first hundred; and in the second half, for three seeds. Faults, as `faults`
makes them, begin in a run of the second half, drawn by chance; found is a fault that is flagged at the very first step that has it. Tools are
drawn evenly, however often they are called.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from faults import FAULT_KINDS, FaultKind, draw, drift_from, fields_of
from rates import Rate, Sheet, pooled
from real_runs import Run
from watchpost.detect.contract_learning import ContractLearner, response_shape
from watchpost.detect.detector import Surroundings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.schema_drift import SchemaDriftDetector, SchemaDriftSettings, guards
from watchpost.model.flag import Finding
from watchpost.model.knowledge import Contract, Knowledge
from watchpost.model.step import Step

SETTINGS = SchemaDriftSettings()
_GUARDS = guards()


class Fleet:
    """One project whose sessions end one after the other."""

    def __init__(self) -> None:
        self._known = KnowledgeBase({"contract": lambda: ContractLearner(SETTINGS.enough)})

    @property
    def knowledge(self) -> Knowledge:
        """All that is known now."""
        return self._known.at("bench", self._known.version("bench"))

    def end(self, steps: Sequence[Step], *, well: bool) -> list[tuple[int, Finding]]:
        """Judge a session, and learn from it if it went well and nothing was found."""
        found = found_in(steps, self.knowledge)
        self._known.learn("bench", Ended("", steps, well and not found), 0)
        self._known.news()
        return found


def found_in(steps: Sequence[Step], knowledge: Knowledge) -> list[tuple[int, Finding]]:
    """The findings of one session, with their places."""
    detector = SchemaDriftDetector(SETTINGS, Surroundings(knowledge=knowledge), _undeclared, _GUARDS)
    return [
        (place, each) for place, step in enumerate(steps) if step.kind == "tool" for each in detector.see(place, step)
    ]


def _undeclared(_: str) -> Contract | None:
    return None


def measure_schema_drift(found: Sequence[Run], seed: int = 1, trials: int = 300) -> Sheet:
    """Each file a project, and all of them together; files of which no run went well tell nothing."""
    files = sorted({run.file for run in found if run.succeeded})
    projects = {file: _Project([run for run in found if run.file == file], seed, trials) for file in files}
    later = {again: [each.second_half(again) for each in projects.values()] for again in (seed, seed + 1, seed + 2)}
    false = [
        pooled("all, successful, from the first run on", (each.cold[0] for each in projects.values())),
        *(pooled(f"second half, the first known, seed {again}", rates) for again, rates in later.items()),
    ]
    found_rates = [
        pooled(f"field {kind}", (each.recall[kind, True] for each in projects.values())) for kind in FAULT_KINDS
    ]
    beside: list[Rate] = []
    for number, (file, project) in enumerate(projects.items()):
        rates = [*project.cold, project.guarded, *(rate for (_, known), rate in project.recall.items() if known)]
        rates += [rates_of_seed[number] for rates_of_seed in later.values()]
        rates.append(
            pooled("any fault, tool without a contract", (r for (_, known), r in project.recall.items() if not known))
        )
        beside += [Rate(f"{file}: {rate.what}", rate.hits, rate.n) for rate in rates]
    return Sheet("TOOL_SCHEMA_DRIFT", false, found_rates, beside)


class _Project:
    """The runs of one file, and what is measured on them."""

    def __init__(self, found: Sequence[Run], seed: int, trials: int) -> None:
        self._good = [run.steps for run in found if run.succeeded]
        chance = random.Random(seed)
        fleet, held_out = self._taught(chance)
        known = fleet.knowledge
        shaped = [
            step
            for steps in held_out
            for step in steps
            if step.kind == "tool" and step.status == "ok" and response_shape(step)
        ]
        has_contract = sum(known.contract(step.tool) is not None for step in shaped)
        self.guarded = Rate("responses in the second half of tools with a contract", has_contract, len(shaped))
        cold = Fleet()
        went = [
            flagged
            for run in found
            for flagged in (bool(cold.end(run.steps, well=run.succeeded is True)),)
            if run.succeeded
        ]
        self.cold = [
            Rate("from the first run on", sum(went), len(went)),
            Rate("the first hundred", sum(went[:100]), len(went[:100])),
        ]
        self.recall = _recall(held_out, known, chance, trials)

    def second_half(self, seed: int) -> Rate:
        """False flags where the first half is known."""
        fleet, held_out = self._taught(random.Random(seed))
        flagged = sum(bool(fleet.end(steps, well=True)) for steps in held_out)
        return Rate(f"second half, seed {seed}", flagged, len(held_out))

    def _taught(self, chance: random.Random) -> tuple[Fleet, list[Sequence[Step]]]:
        """A fleet that saw one half, and the other."""
        learnt = set(chance.sample(range(len(self._good)), len(self._good) // 2))
        fleet = Fleet()
        for number in sorted(learnt):
            fleet.end(self._good[number], well=True)
        return fleet, [steps for number, steps in enumerate(self._good) if number not in learnt]


def _recall(
    held_out: Sequence[Sequence[Step]], known: Knowledge, chance: random.Random, trials: int
) -> dict[tuple[FaultKind, bool], Rate]:
    """Faults found, by their kind and whether the tool had a contract."""
    tools = fields_of(step for steps in held_out for step in steps)
    rates: dict[tuple[FaultKind, bool], Rate] = {}
    for kind in FAULT_KINDS:
        for guarded in (True, False):
            names = sorted(tool for tool in tools if (known.contract(tool) is not None) is guarded)
            hits = tried = 0
            for _ in range(trials * 20 if names else 0):
                if tried == trials:
                    break
                tool = chance.choice(names)
                fault = draw(chance, kind, tool, tools[tool])
                first = chance.randrange(len(held_out))
                if fault is None:
                    continue
                drifted = (
                    (steps, place) for steps, place in drift_from(fault, held_out[first:], 0) if place is not None
                )
                if (begin := next(drifted, None)) is None:
                    continue
                steps, place = begin
                tried += 1
                hits += any(at == place and each.evidence["tool"] == tool for at, each in found_in(steps, known))
            rates[kind, guarded] = Rate(f"field {kind}", hits, tried)
    return rates

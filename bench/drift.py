"""How often TOOL_SCHEMA_DRIFT is wrong about real runs, and how often it finds faults that were put into them.

    python bench/drift.py --sessions DIRECTORY [--seed N] [--trials N]

The runs of each file are a project of their own. Those that went well are split in two by a seed. Learnt is the first half; the second
follows in the order in which it stands in the file, with learning going on. False flags are counted per run that went well, in three ways: in the
second half; from the first run on, with nothing known before it; and of those the first hundred. Faults, as `faults` makes them, begin in a run
of the second half, drawn by chance; found is a fault that is flagged at the very first step that has it.
"""

from __future__ import annotations

import argparse
import gzip
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from faults import FAULT_KINDS, draw, drift_from, fields_of
from watchpost.detect.contract_learning import ContractLearner, response_shape
from watchpost.detect.detector import Surroundings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.schema_drift import SchemaDriftDetector, SchemaDriftSettings, guards
from watchpost.model.flag import Finding
from watchpost.model.knowledge import Contract, Knowledge
from watchpost.model.step import Step, StepKind, Tokens

SETTINGS = SchemaDriftSettings()
_KINDS: dict[str, StepKind] = {"llm": "llm", "tool": "tool", "user": "human"}
_GUARDS = guards()


class Row(msgspec.Struct, frozen=True):
    """What was counted: `hits` among `n`, with the 95 % Wilson interval of the share, in per cent."""

    what: str
    hits: int
    n: int
    percent: float
    low: float
    high: float


def row(what: str, hits: int, n: int) -> Row:
    """A row, of which `n` may be 0."""
    if not n:
        return Row(what, 0, 0, 0.0, 0.0, 100.0)
    z, share = 1.959964, hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Row(
        what, hits, n, *(round(100 * value, 2) for value in (share, max(0.0, middle - half), min(1.0, middle + half)))
    )


class Fleet:
    """One project whose sessions end one after the other."""

    def __init__(self, settings: SchemaDriftSettings = SETTINGS) -> None:
        self._settings = settings
        self._known = KnowledgeBase({"contract": lambda: ContractLearner(settings.enough)})

    @property
    def knowledge(self) -> Knowledge:
        """All that is known now."""
        return self._known.at("bench", self._known.version("bench"))

    def judge(self, steps: Sequence[Step]) -> list[tuple[int, Finding]]:
        """What is found in a session."""
        return found_in(steps, self.knowledge, self._settings)

    def end(self, steps: Sequence[Step], *, well: bool) -> list[tuple[int, Finding]]:
        """Judge a session, and learn from it if it went well and nothing was found."""
        found = self.judge(steps)
        self._known.learn("bench", Ended("", steps, well and not found), 0)
        self._known.news()
        return found


def found_in(
    steps: Sequence[Step], knowledge: Knowledge, settings: SchemaDriftSettings = SETTINGS
) -> list[tuple[int, Finding]]:
    """The findings of one session, with their places."""
    detector = SchemaDriftDetector(settings, Surroundings(knowledge=knowledge), _undeclared, _GUARDS)
    return [
        (place, each) for place, step in enumerate(steps) if step.kind == "tool" for each in detector.see(place, step)
    ]


def _undeclared(_: str) -> Contract | None:
    return None


def measure_schema_drift(
    sessions: Sequence[tuple[Sequence[Step], bool]],
    seed: int = 1,
    trials: int = 200,
    settings: SchemaDriftSettings = SETTINGS,
) -> list[Row]:
    """All rows for the sessions of one project, each with whether it went well."""
    good = [steps for steps, well in sessions if well]
    chance = random.Random(seed)
    learnt = set(chance.sample(range(len(good)), len(good) // 2))
    fleet = Fleet(settings)
    for number in sorted(learnt):
        fleet.end(good[number], well=True)
    known = fleet.knowledge
    held_out = [steps for number, steps in enumerate(good) if number not in learnt]
    rows = [row("false, second half", sum(bool(fleet.end(steps, well=True)) for steps in held_out), len(held_out))]
    shaped = [
        step
        for steps in held_out
        for step in steps
        if step.kind == "tool" and step.status == "ok" and response_shape(step)
    ]
    guarded = sum(known.contract(step.tool) is not None for step in shaped)
    rows.append(row("responses in the second half of tools with a contract", guarded, len(shaped)))
    cold = Fleet(settings)
    flagged = [bool(found) and well for steps, well in sessions for found in (cold.end(steps, well=well),)]
    went = [flag for flag, (_, well) in zip(flagged, sessions, strict=True) if well]
    rows.append(row("false, from the first run on", sum(went), len(went)))
    rows.append(row("false, the first hundred", sum(went[:100]), len(went[:100])))
    return rows + _recall(held_out, known, chance, trials, settings)


def _recall(
    held_out: Sequence[Sequence[Step]],
    known: Knowledge,
    chance: random.Random,
    trials: int,
    settings: SchemaDriftSettings,
) -> list[Row]:
    tools = fields_of(step for steps in held_out for step in steps)
    rows = []
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
                found = found_in(steps, known, settings)
                hits += any(at == place and each.evidence["tool"] == tool for at, each in found)
            rows.append(row(f"found, {kind}, tool {'with' if guarded else 'without'} a contract", hits, tried))
    return rows


class _RawStep(msgspec.Struct):
    kind: str
    agent: str | None = ""
    name: str | None = ""
    input: str | None = ""
    output: str | None = ""
    error: object = None


class _RawTruth(msgspec.Struct):
    outcome: str | None = None


class _RawSession(msgspec.Struct):
    ground_truth: _RawTruth
    steps: list[_RawStep]


def runs(path: Path) -> Iterator[tuple[list[Step], bool]]:
    """The runs of a file, and whether each went well."""
    with gzip.open(path, "rb") as lines:
        for number, line in enumerate(lines):
            raw = msgspec.json.decode(line, type=_RawSession)
            kept = [each for each in raw.steps if each.kind in _KINDS and each.agent != "system"]
            yield [_step(number, place, each) for place, each in enumerate(kept)], raw.ground_truth.outcome == "success"


def _step(session: int, place: int, raw: _RawStep) -> Step:
    is_tool = raw.kind == "tool"
    return Step(
        trace_id=session.to_bytes(16, "big"),
        span_id=(place + 1).to_bytes(8, "big"),
        parent_id=b"",
        start_ns=place,
        end_ns=place + 1,
        kind=_KINDS[raw.kind],
        name=raw.name or "",
        agent=raw.agent or "",
        model="",
        tool=(raw.name or "") if is_tool else "",
        status="error" if raw.error else "ok",
        error_type="",
        tokens=Tokens(),
        cost_nano=None,
        arguments=(raw.input or "") if is_tool else "",
        result=(raw.output or "")[:8192] if is_tool else "",
    )


def main() -> None:
    """Measure every file of the folder and print what was found."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--sessions", type=Path, required=True, metavar="DIRECTORY")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--trials", type=int, default=200)
    chosen = arguments.parse_args()
    for path in sorted(chosen.sessions.glob("*.jsonl.gz")):
        print(path.name.split(".")[0])
        for each in measure_schema_drift(list(runs(path)), chosen.seed, chosen.trials):
            if not each.n:
                continue
            print(f"  {each.what:<54} {each.hits:>4}/{each.n:<5} {each.percent:6.2f} [{each.low:.2f}, {each.high:.2f}]")


if __name__ == "__main__":
    main()

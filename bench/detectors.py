"""How often the detectors flag real runs that went well, and how often those that failed.

    python bench/detectors.py --sessions DIRECTORY [--json]

DIRECTORY holds `*.jsonl.gz`, one session a line: `{session_id, ground_truth: {outcome: success|fail}, steps: [{kind: llm|tool|user|agent,
agent, name, input, output, error}]}`. The outcome decides which row a run counts in and reaches no detector.
Each rate comes with its 95 % Wilson interval, and with every limit that is off by default measured too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from watchpost.detect.detector import Make, Surroundings
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.detect.run import DetectorRun
from watchpost.model.step import Step, StepKind, Tokens

MEASURED = {
    "by default": LoopSettings(),
    "calls_per_turn 10": LoopSettings(repeats=0, cycle_rounds=0, unchanged=0, turns=0, calls_per_turn=10),
    "calls_per_turn 15": LoopSettings(repeats=0, cycle_rounds=0, unchanged=0, turns=0, calls_per_turn=15),
    "calls_per_turn 20": LoopSettings(repeats=0, cycle_rounds=0, unchanged=0, turns=0, calls_per_turn=20),
    "alike_calls alone": LoopSettings(cycle_rounds=0, unchanged=0, turns=0),
    "equal_calls alone": LoopSettings(alike=1.0, cycle_rounds=0, unchanged=0, turns=0),
    "cycle alone": LoopSettings(repeats=0, unchanged=0, turns=0),
    "unchanged_result alone": LoopSettings(repeats=0, cycle_rounds=0, turns=0),
    "turns alone": LoopSettings(repeats=0, cycle_rounds=0, unchanged=0),
}


class RawStep(msgspec.Struct):
    """One step as the file has it."""

    kind: str
    agent: str | None = ""
    name: str | None = ""
    input: str | None = ""
    output: str | None = ""
    error: object = None


class RawTruth(msgspec.Struct):
    """What became of the run."""

    outcome: str | None = None


class RawSession(msgspec.Struct):
    """One line of a file."""

    ground_truth: RawTruth
    steps: list[RawStep]


class Rate(msgspec.Struct):
    """Flagged runs among runs, in per cent with the 95 % Wilson interval."""

    runs: int
    flagged: int
    percent: float
    low: float
    high: float


KINDS: dict[str, StepKind] = {"llm": "llm", "tool": "tool", "user": "human"}


def sessions(path: Path) -> Iterator[RawSession]:
    """The sessions of one file."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=RawSession)


def steps_of(session: RawSession) -> list[Step]:
    """The steps of a session, a second apart, without its system prompt."""
    kept = [raw for raw in session.steps if raw.kind in KINDS and raw.agent != "system"]
    return [step_of(number, raw) for number, raw in enumerate(kept, start=1)]


def step_of(number: int, raw: RawStep) -> Step:
    """One step; only a tool call has arguments and a result."""
    kind = KINDS[raw.kind]
    is_tool = kind == "tool"
    return Step(
        trace_id=bytes(15) + b"\1",
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=number * 1_000_000_000,
        end_ns=number * 1_000_000_000 + 1,
        kind=kind,
        name=raw.name or "",
        agent=raw.agent or "",
        model="",
        tool=(raw.name or "") if is_tool else "",
        status="error" if raw.error else "ok",
        error_type="",
        tokens=Tokens(),
        cost_nano=None,
        arguments=(raw.input or "") if is_tool else "",
        result=(raw.output or "") if is_tool else "",
    )


def reasons(settings: LoopSettings, steps: list[Step]) -> set[str]:
    """Why the run is flagged, each reason once."""
    run = DetectorRun([Make(lambda _: LoopDetector(settings))], Surroundings())
    run.update(steps, 0, Surroundings())
    return {str(finding.evidence["reason"]) for _, finding in run.findings}


def rate(flagged: int, runs: int) -> Rate:
    """The share of flagged runs and its interval; `runs` is not 0."""
    z = 1.959964
    share = flagged / runs
    middle = (share + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs)) / (1 + z * z / runs)
    percent, low, high = (round(100 * value, 2) for value in (share, max(0.0, middle - half), min(1.0, middle + half)))
    return Rate(runs, flagged, percent, low, high)


def measure(path: Path) -> dict[str, dict[str, Rate]]:
    """For one file: setting (and reason, for the default), then outcome, to the rate."""
    runs: Counter[str] = Counter()
    flagged: Counter[tuple[str, str]] = Counter()
    for session in sessions(path):
        outcome = session.ground_truth.outcome or "unknown"
        runs[outcome] += 1
        for row in rows_of(steps_of(session)):
            flagged[row, outcome] += 1
    rows = sorted({row for row, _ in flagged} | set(MEASURED))
    return {row: {outcome: rate(flagged[row, outcome], n) for outcome, n in sorted(runs.items())} for row in rows}


def rows_of(steps: list[Step]) -> Iterator[str]:
    """The settings that flag a run; the default ones also once for each reason they give."""
    for name, settings in MEASURED.items():
        found = reasons(settings, steps)
        if found:
            yield name
        if settings == LoopSettings():
            yield from (f"{name}: {reason}" for reason in found)


def main() -> None:
    """Measure every file of the folder and print what was found."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--sessions", type=Path, required=True, metavar="DIRECTORY")
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    measured = {path.name.split(".")[0]: measure(path) for path in sorted(chosen.sessions.glob("*.jsonl.gz"))}
    if chosen.json:
        print(json.dumps(msgspec.to_builtins(measured), indent=2))
        return
    for name, rows in measured.items():
        print(name)
        for row, outcomes in rows.items():
            cells = "   ".join(
                f"{outcome} {each.flagged:>3}/{each.runs:<4} {each.percent:5.1f} [{each.low:.1f}, {each.high:.1f}]"
                for outcome, each in outcomes.items()
            )
            print(f"  {row:<32} {cells}")


if __name__ == "__main__":
    main()

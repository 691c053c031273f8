"""How often real runs show what a user signals: asking again, correcting, asking for a person, leaving.

    python bench/user_signals.py --sessions DIRECTORY --kind KIND [--sample 60] [--seed 7]

prints findings drawn by a fixed seed, with the words they rest on, for somebody to read; what was read is in the docs. `measure_user_signals` counts the
runs with each signal, by whether they went well, and how many repetitions put into them are found: after an answer of the agent, what the person
said first is said again, to the letter (`again`), with its sentences in another order (`reordered`), or with every fifth word left out (`shortened`).
`prompted` is a run as most instrumentations send it: no human steps, a trace for each turn, and what was said so far in the input of each model call. Sheets
say how many utterances are heard there (`heard in prompts`), and how many of the findings of the steps of people are found (`found in prompts`).
Whoever escalates, corrects or leaves may have been served well: the shares among runs that went well are no false alarms.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rates import Rate, Sheet, by_file
from real_runs import BASE_NS, Run, folded, runs
from watchpost.detect import abandoned, corrected, escalated, rephrased
from watchpost.detect.abandoned import AbandonedSettings
from watchpost.detect.corrected import CorrectedDetector, CorrectedSettings
from watchpost.detect.detector import Make, Surroundings
from watchpost.detect.escalated import EscalatedDetector, EscalatedSettings
from watchpost.detect.rephrased import RephrasedDetector, RephrasedSettings
from watchpost.detect.run import DetectorRun
from watchpost.detect.turns import Turns
from watchpost.model.flag import Finding
from watchpost.model.step import Step
from watchpost.model.telemetry import Attributes, Delivery, Parcel, Span

KINDS = (rephrased.KIND, corrected.KIND, escalated.KIND, abandoned.KIND)

_CORRECTIONS = corrected.phrases(CorrectedSettings())
_REQUESTS = escalated.phrases(EscalatedSettings())
_MAKES = (
    Make(lambda _: RephrasedDetector(RephrasedSettings())),
    Make(lambda _: CorrectedDetector(CorrectedSettings(), _CORRECTIONS)),
    Make(lambda _: EscalatedDetector(EscalatedSettings(), _REQUESTS)),
)
_SENTENCE = re.compile(r"[^.!?]+[.!?]*\s*")


def measure_user_signals(found: Sequence[Run], seed: int = 1) -> list[Sheet]:
    """A sheet for each signal; the same ones for the same runs and seed."""
    of = [{finding.kind for _, finding in findings(run.steps)} for run in found]
    conversations = [(run.steps, prompted(run.steps)) for run in found if _is_conversation(run.steps)]
    sheets: list[Sheet] = []
    for kind in KINDS:
        each = [kind in kinds for kinds in of]
        everything, *files = by_file(found, each, succeeded=True)
        recall = [_recall(found, name, say, random.Random(f"{seed} {name}")) for name, say in _AGAIN.items()]
        sheets.append(
            Sheet(
                kind,
                [everything],
                [*([*recall, _heard(conversations)] if kind == rephrased.KIND else ()), _found(conversations, kind)],
                [*files, *by_file(found, each, succeeded=False), _found_alone(conversations, kind)],
            )
        )
    return sheets


def findings(steps: Sequence[Step]) -> list[tuple[Step, Finding]]:
    """Every signal in a run that has ended."""
    run = DetectorRun(_MAKES, Surroundings())
    run.update(list(steps), 0, Surroundings())
    told = [(steps[place], finding) for place, finding in run.findings]
    is_escalated = any(finding.kind == escalated.KIND for _, finding in told)
    left = abandoned.abandoned(AbandonedSettings(), steps, escalated=is_escalated)
    return told if left is None else [*told, left]


def prompted(steps: Sequence[Step]) -> list[Step]:
    """The run as it is folded where people are heard only in prompts; what was said after the last model call is nowhere then."""
    told: list[dict[str, str]] = []
    spans: list[Span] = []
    turn = 0
    for number, step in enumerate(steps):
        if step.kind == "human":
            turn += 1
            told.append({"role": "user", "content": step.result})
            continue
        attributes: Attributes = {"gen_ai.conversation.id": "c", "watchpost.step.kind": step.kind}
        if step.kind == "llm":
            attributes["gen_ai.input.messages"] = msgspec.json.encode(told).decode()
            attributes["gen_ai.output.messages"] = step.result
            told.append({"role": "assistant", "content": step.result})
        elif step.kind == "state":
            told.append({"role": "system", "content": step.result})
            continue
        else:
            attributes |= {"gen_ai.tool.name": step.tool, "watchpost.input": step.arguments}
            attributes["watchpost.output"] = step.result
            told.append({"role": "tool", "content": step.result})
        at = BASE_NS + number * 10**9
        trace_id, status = turn.to_bytes(16, "big"), 2 if step.status == "error" else 0
        spans.append(
            Span(trace_id, number.to_bytes(8, "big"), b"", step.name, at, at, 1, status, step.error, attributes)
        )
    return folded([Delivery(BASE_NS, (Parcel("default", {}, "bench", tuple(spans)),))])


def _is_conversation(steps: Sequence[Step]) -> bool:
    return sum(step.kind == "human" for step in steps) > 1


_Conversations = Sequence[tuple[Sequence[Step], Sequence[Step]]]
"""The steps of runs, and of the same as they are sent with people in prompts alone."""


def _heard(conversations: _Conversations) -> Rate:
    """How many utterances are heard in prompts, of those that an answer precedes and a model call follows."""
    turns = [Turns() for _ in conversations]
    heard = sum(
        turn.see(at, step) is not None
        for turn, (_, sent) in zip(turns, conversations, strict=True)
        for at, step in enumerate(sent)
        if step.kind == "llm"
    )
    return Rate("heard in prompts", heard, sum(len(_replies(steps)) for steps, _ in conversations))


def _found(conversations: _Conversations, kind: str) -> Rate:
    """How many of the findings in steps of people, or in what follows them, are found where people are heard in prompts."""
    both = [(_told(steps, kind), _told(sent, kind)) for steps, sent in conversations]
    return Rate(
        "found in prompts", sum((one & other).total() for one, other in both), sum(one.total() for one, _ in both)
    )


def _found_alone(conversations: _Conversations, kind: str) -> Rate:
    """In how many conversations something is found only where people are heard in prompts."""
    alone = sum(bool(_told(sent, kind) - _told(steps, kind)) for steps, sent in conversations)
    return Rate("conversations with more found in prompts", alone, len(conversations))


def _told(steps: Sequence[Step], kind: str) -> Counter[str]:
    return Counter(finding.summary for _, finding in findings(steps) if finding.kind == kind)


def _replies(steps: Sequence[Step]) -> list[Step]:
    calls = [place for place, step in enumerate(steps) if step.kind == "llm"]
    first = next((place for place in calls if _answers(steps[place])), len(steps))
    return [step for place, step in enumerate(steps) if step.kind == "human" and calls and first < place < calls[-1]]


def _reordered(text: str, chance: random.Random) -> str:
    sentences = [each.strip() for each in _SENTENCE.findall(text)]
    chance.shuffle(sentences)
    return " ".join(sentences)


def _shortened(text: str, chance: random.Random) -> str:
    words = text.split()
    gone = set(chance.sample(range(len(words)), len(words) // 5))
    return " ".join(word for place, word in enumerate(words) if place not in gone)


_AGAIN: dict[str, Callable[[str, random.Random], str]] = {
    "again": lambda text, _: text,
    "reordered": _reordered,
    "shortened": _shortened,
}


def _recall(found: Sequence[Run], name: str, say: Callable[[str, random.Random], str], chance: random.Random) -> Rate:
    """How many repetitions of a person's first words, put in after the first answer, are found."""
    tried = hits = 0
    for run in found:
        first = next((place for place, step in enumerate(run.steps) if step.kind == "human"), None)
        if first is None or len(run.steps[first].result.split()) < 8:
            continue
        answer = next((p for p in range(first, len(run.steps)) if _answers(run.steps[p])), None)
        if answer is None:
            continue
        words = say(run.steps[first].result, chance)
        said = msgspec.structs.replace(run.steps[first], result=words, span_id=b"again...")
        steps = [*run.steps[: answer + 1], said]
        tried += 1
        hits += any(finding.kind == rephrased.KIND and step is said for step, finding in findings(steps))
    return Rate(name, hits, tried)


def _answers(step: Step) -> bool:
    return step.kind == "llm" and step.status != "error" and bool(step.result.strip())


def main() -> None:
    """Print findings to read."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--sessions", type=Path, required=True, metavar="DIRECTORY")
    arguments.add_argument("--kind", choices=KINDS, required=True)
    arguments.add_argument("--sample", type=int, default=60)
    arguments.add_argument("--seed", type=int, default=7)
    chosen = arguments.parse_args()
    told = [
        f"{run.file} {run.session_id} succeeded={run.succeeded} {finding.evidence['reason']}"
        f" {finding.evidence.get('words') or finding.evidence.get('before')!r}\n    {step.result[-240:]!r}\n"
        for run in runs(chosen.sessions)
        if run.succeeded is not None
        for step, finding in findings(run.steps)
        if finding.kind == chosen.kind
    ]
    picked = told if len(told) <= chosen.sample else random.Random(chosen.seed).sample(told, chosen.sample)
    sys.stdout.writelines([f"{len(picked)} of {len(told)}\n", *picked])


if __name__ == "__main__":
    main()

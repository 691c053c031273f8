"""How often the hallucination detector is wrong, and what it finds of ids put into real runs that nobody told the agent.

The fault, by a seeded generator: in one call of a run one value of an argument named as an id gets other digits, so that it stands nowhere
in the run (`id in a call`); or in one answer an id that a tool showed does (`id in words`). Found means flagged at that very step, by that
id. What the agent did afterwards is left as it was. Each run gives up to `FAULTS` faults of each kind, one at a time.

All of it is measured file by file, with nothing known; and on a half of the runs, drawn by session, once with nothing known and once with what
the successful runs of the other half teach. With the databases behind the runs (`*.json.gz`, objects keyed by id) it is also told how many
ids the model was the first to name, how many of those exist, and how many are flagged.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec

from rates import Rate, Sheet, pooled
from real_runs import Run, halves
from watchpost.detect.detector import Surroundings
from watchpost.detect.hallucination import HallucinationDetector, HallucinationSettings
from watchpost.detect.id_formats import IdFormatLearner
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.model.flag import Finding
from watchpost.model.step import Step
from watchpost_core.fields import is_id_field

PROJECT = "bench"
FAULTS = 3
"""Faults of each kind in one run."""

_TRIES = 100
_ARGUMENT = re.compile(r'"([A-Za-z_]+)":\s*(\[[^\[\]{}]*\]|"[^"\\]*"|\d+)')
_VALUE = re.compile(r'[^\s"\',\[\]]+')
_SHOWN = re.compile(r"""["']?([A-Za-z_]+)["']?\s*[:=]\s*["']?([#A-Za-z0-9_-]+)""")


class Fault(msgspec.Struct, frozen=True):
    """A run with an id that nobody told: the place of the step, the id, and whether it is a number of fewer than four digits."""

    steps: Sequence[Step]
    place: int
    value: str
    short: bool


def flags(
    steps: Sequence[Step], surroundings: Surroundings, settings: HallucinationSettings
) -> list[tuple[int, Finding]]:
    """What the detector says of the steps of a session."""
    detector = HallucinationDetector(settings, surroundings)
    return [
        (place, finding)
        for place, step in enumerate(steps)
        if step.kind in detector.kinds
        for finding in detector.see(place, step)
    ]


def taught(found: Sequence[Run]) -> Surroundings:
    """What a project knows after these runs, of which the successful ones teach."""
    knowledge = KnowledgeBase({"id_format": IdFormatLearner})
    for run in found:
        knowledge.learn(PROJECT, Ended(run.workflow, run.steps, run.succeeded is True), 0)
    return Surroundings(PROJECT, "", knowledge.at(PROJECT, knowledge.version(PROJECT)))


def foreign(value: str, text: str, chance: random.Random) -> str | None:
    """An id written as this one that stands nowhere in a text; None where there is none."""
    for _ in range(_TRIES):
        made = "".join(_other(each, chance) for each in value)
        if (
            made != value
            and re.search(rf"(?<![A-Za-z0-9]){re.escape(made)}(?![A-Za-z0-9])", text, re.IGNORECASE) is None
        ):
            return made
    return None


def _other(character: str, chance: random.Random) -> str:
    return chance.choice(string.digits) if character.isdigit() else character


def id_in_call(run: Run, chance: random.Random) -> Fault | None:
    """One argument of one call replaced; None where no call names an id with a digit."""
    sites = [
        (place, *site) for place, step in enumerate(run.steps) if step.kind == "tool" for site in _sites(step.arguments)
    ]
    return _replaced(run, sites, chance, in_words=False)


def id_in_words(run: Run, chance: random.Random) -> Fault | None:
    """One id of an answer replaced that a tool showed; None where no answer names one."""
    ids = {
        value
        for step in run.steps
        if step.kind == "tool"
        for name, value in _SHOWN.findall(step.result)
        if is_id_field(name) and any(each.isdigit() for each in value) and any(each.isalpha() for each in value)
    }
    sites = [
        (place, at.start(), at.end())
        for place, step in enumerate(run.steps)
        if step.kind == "llm"
        for value in sorted(ids)
        for at in re.finditer(rf"(?<![A-Za-z0-9_]){re.escape(value)}(?![A-Za-z0-9_])", step.result)
    ]
    return _replaced(run, sites, chance, in_words=True)


def _sites(arguments: str) -> Iterator[tuple[int, int]]:
    for found in _ARGUMENT.finditer(arguments):
        if is_id_field(found[1]):
            for value in _VALUE.finditer(arguments, found.start(2), found.end(2)):
                if any(each.isdigit() for each in value[0]):
                    yield value.span()


def _replaced(run: Run, sites: list[tuple[int, int, int]], chance: random.Random, *, in_words: bool) -> Fault | None:
    if not sites:
        return None
    place, start, end = chance.choice(sites)
    step = run.steps[place]
    told = step.result if in_words else step.arguments
    value = told[start:end]
    made = foreign(value, "\n".join(f"{each.arguments}\n{each.result}" for each in run.steps), chance)
    if made is None:
        return None
    changed = told[:start] + made + told[end:]
    steps = list(run.steps)
    steps[place] = msgspec.structs.replace(step, **({"result": changed} if in_words else {"arguments": changed}))
    return Fault(steps, place, made, short=made.isdigit() and len(made) < 4)


def is_found(fault: Fault, surroundings: Surroundings, settings: HallucinationSettings) -> bool:
    """Whether the id is flagged at its step."""
    return any(
        place == fault.place and str(finding.evidence["value"]).lower() in fault.value.lower()
        for place, finding in flags(fault.steps, surroundings, settings)
    )


def measure_hallucination(found: Sequence[Run], databases: Path | None = None, seed: int = 1) -> Sheet:
    """Flags on successful and on failed runs, and what is found of faults; with `databases`, of ids that models named first."""
    whole: list[list[Rate]] = []
    beside: list[Rate] = []
    for file in sorted({run.file for run in found}):
        of = [run for run in found if run.file == file]
        teaching, measured = halves(of)
        whole.append(_rates(of, Surroundings(), seed))
        for what, rates in (
            (file, whole[-1]),
            (f"{file}, a short number is judged from one digit", _rates(of, Surroundings(), seed, _SHORT)),
            (f"{file}, a half", _rates(measured, Surroundings(), seed)),
            (f"{file}, the same half, formats learnt from the other", _rates(measured, taught(teaching), seed)),
        ):
            beside += [Rate(f"{what}: {rate.what}", rate.hits, rate.n) for rate in rates if rate.n]
    false, failed, *faults = (pooled(rates[0].what, rates) for rates in zip(*whole, strict=True))
    if databases is not None:
        beside += measure_invented([run for run in found if "tau" in run.file], databases)
    return Sheet("ENTITY_HALLUCINATION", [Rate("all, successful", false.hits, false.n)], faults, [failed, *beside])


_SHORT = HallucinationSettings(shortest_number=1)


def _rates(
    found: Sequence[Run], surroundings: Surroundings, seed: int, settings: HallucinationSettings | None = None
) -> list[Rate]:
    """Flags on successful and on failed runs, and what is found of faults of each kind in every run that has room for them."""
    chosen = settings or HallucinationSettings()
    chance = random.Random(seed)
    rates: list[Rate] = []
    for what, outcome in (("flagged, successful", True), ("flagged, failed", False)):
        of = [run for run in found if run.succeeded is outcome]
        rates.append(Rate(what, sum(bool(flags(run.steps, surroundings, chosen)) for run in of), len(of)))
    calls = [fault for run in found for _ in range(FAULTS) if (fault := id_in_call(run, chance)) is not None]
    spoken = [fault for run in found for _ in range(FAULTS) if (fault := id_in_words(run, chance)) is not None]
    for what, faults in (
        ("id in a call", [fault for fault in calls if not fault.short]),
        ("number of one to three digits in a call", [fault for fault in calls if fault.short]),
        ("id in words", spoken),
    ):
        rates.append(Rate(what, sum(is_found(fault, surroundings, chosen) for fault in faults), len(faults)))
    return rates


def database_ids(folder: Path) -> frozenset[str]:
    """Every key and text of the databases in a folder that holds a digit."""
    found: set[str] = set()
    for path in sorted(folder.glob("*.json.gz")):
        with gzip.open(path, "rb") as file:
            _collect(cast("object", json.load(file)), found)
    return frozenset(found)


def _collect(value: object, found: set[str]) -> None:
    if isinstance(value, dict):
        for key, held in cast("dict[str, object]", value).items():
            _collect(key, found)
            _collect(held, found)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            _collect(item, found)
    elif isinstance(value, str) and any(each.isdigit() for each in value):
        found.add(value.lstrip("#"))


def named_first(run: Run) -> Iterator[tuple[int, str]]:
    """Ids written as those of these databases that a model named where no result and nobody had, by plain search in the text: its step and the id."""
    told = ""
    for place, step in enumerate(run.steps):
        if step.kind in {"llm", "tool"}:
            for name in set(_NAMES.findall(step.result if step.kind == "llm" else step.arguments)):
                if name.lower() not in told:
                    yield place, name
        if step.kind != "llm":
            told += f"\n{step.result}".lower()


_NAMES = re.compile(
    r"\b(?:[a-z]+_[a-z]+_\d{4}|(?=[A-Z]*\d)[A-Z0-9]{6}|W\d{7}|\d{10}|HAT\d{3}|(?:credit_card|gift_card|certificate|paypal)_\d{7})\b"
)
"""Users, reservations, orders, items, flights and payments."""


def measure_invented(found: Sequence[Run], databases: Path) -> list[Rate]:
    """Of the ids that a model was first to name, in its words or in a call, how many are flagged: those that exist, and those that do not."""
    exist = database_ids(databases)
    counts = {True: [0, 0], False: [0, 0]}
    for run in found:
        flagged = {
            str(finding.evidence["value"]) for _, finding in flags(run.steps, Surroundings(), HallucinationSettings())
        }
        for name in {name for _, name in named_first(run)}:
            counts[name in exist][0] += name in flagged
            counts[name in exist][1] += 1
    return [
        Rate("flagged of ids first named by the model that no database has", *counts[False]),
        Rate("flagged of ids first named by the model that exist", *counts[True]),
    ]

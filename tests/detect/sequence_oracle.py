"""What a sequence must find, worked out the slow way: every choice of steps is tried. Shares nothing with the detector but the parsed values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from watchpost.detect.sequence_pattern import Condition, Stage, StepPattern, StepSequence
from watchpost.model.step import Step

Bound = Mapping[str, str]
Chosen = list[list[int]]
"""The places of the steps of each stage."""


def fired(sequence: StepSequence, steps: Sequence[Step]) -> list[int]:
    """The places of the findings that stand in the end, one for each binding where a sequence asks for the end, else one a step."""
    done: list[tuple[int, Bound]] = []
    found: list[tuple[int, int | None]] = []
    standing: list[tuple[Bound, int | None]] = []
    for place in range(len(steps)):
        complete: list[Bound] = []
        for chosen, bound in matches(sequence, steps, place):
            if bound not in complete and not is_spent(sequence, steps, chosen, done):
                complete.append(bound)
        if complete and not sequence.never_after:
            found.append((place, None))
        for bound in complete if sequence.never_after else ():
            if not any(other == bound and (until is None or until > place) for other, until in standing):
                until = refuted_at(sequence, steps, place, bound)
                standing.append((bound, until))
                found.append((place, until))
        done += [(place, bound) for bound in complete]
    return [place for place, until in found if until is None]


def refuted_at(sequence: StepSequence, steps: Sequence[Step], place: int, bound: Bound) -> int | None:
    """The first later step that must not come."""
    for later in range(place + 1, len(steps)):
        if any(binds(never, steps[later], bound) is not None for never in sequence.never_after):
            return later
    return None


def is_spent(sequence: StepSequence, steps: Sequence[Step], chosen: Chosen, done: list[tuple[int, Bound]]) -> bool:
    """Whether an earlier finding ended this match while it was open."""
    for place, ended in done:
        if chosen[0][0] <= place < chosen[-1][-1]:
            bound: Bound = {}
            for stage, places in zip(sequence.stages, chosen, strict=True):
                for each in places:
                    if each <= place:
                        bound = binds(stage.step, steps[each], bound) or bound
            if all(ended[name] == value for name, value in bound.items()):
                return True
    return False


def matches(sequence: StepSequence, steps: Sequence[Step], last: int) -> Iterator[tuple[Chosen, Bound]]:
    """Every choice of steps that is a match and ends at this place, with what it binds."""

    def go(chosen: Chosen, bound: Bound) -> Iterator[tuple[Chosen, Bound]]:
        if len(chosen) == len(sequence.stages):
            if chosen[-1][-1] == last:
                yield chosen, bound
            return
        stage = sequence.stages[len(chosen)]
        after = chosen[-1][-1] if chosen else None
        for places, further in choices(stage, steps, bound, range(0 if after is None else after + 1, last + 1)):
            since = places[0] if after is None else after
            if is_allowed(stage, steps, places, since, further):
                yield from go([*chosen, places], further)

    yield from go([], {})


def choices(
    stage: Stage, steps: Sequence[Step], bound: Bound, among: range, taken: tuple[int, ...] = ()
) -> Iterator[tuple[list[int], Bound]]:
    """Every choice among these places of as many steps as the stage asks for, without what must not have come before them."""
    if len(taken) == stage.times:
        yield list(taken), bound
        return
    for place in among:
        further = binds(stage.step, steps[place], bound)
        if further is not None and not any(
            binds(never, steps[earlier], further) is not None for never in stage.before for earlier in range(place)
        ):
            yield from choices(stage, steps, further, range(place + 1, among.stop), (*taken, place))


def is_allowed(stage: Stage, steps: Sequence[Step], places: list[int], since: int, bound: Bound) -> bool:
    """Whether the steps of a stage came in time and without what must not lie between."""
    if stage.within_steps is not None and places[-1] - since > stage.within_steps:
        return False
    if stage.within_ns is not None and steps[places[-1]].start_ns - steps[since].start_ns > stage.within_ns:
        return False
    between = [steps[place] for place in range(since + 1, places[-1]) if place not in places]
    return not any(binds(never, step, bound) is not None for never in stage.between for step in between)


def binds(pattern: StepPattern, step: Step, bound: Bound) -> Bound | None:
    """What is bound once this step is taken for the pattern; None where it cannot be."""
    if not is_meant(pattern, step):
        return None
    for condition in pattern.conditions:
        read = value_of(condition, step)
        if read is None:
            return None
        if condition.test == "as" and condition.variable not in bound:
            bound = {**bound, condition.variable: read}
        elif condition.test != "is there":
            wanted = bound[condition.variable] if condition.variable else condition.value
            if (read == wanted) == (condition.test == "!="):
                return None
    return bound


def is_meant(pattern: StepPattern, step: Step) -> bool:
    """Whether a step is of the kind, name, standing, agent and words that the pattern asks for."""
    return (
        pattern.kind in (None, step.kind)
        and (not pattern.names or any(fnmatchcase(step.tool or step.name, name) for name in pattern.names))
        and (pattern.standing != "failed" or step.status == "error")
        and (pattern.standing != "ok" or step.status == "ok")
        and (not pattern.agent or fnmatchcase(step.agent, pattern.agent))
        and (not pattern.says or pattern.says.lower() in step.result.lower())
    )


def value_of(condition: Condition, step: Step) -> str | None:
    """A field of the first level that is a text or a number, as text."""
    text = step.arguments if condition.side == "arguments" else step.result
    document = json.loads(text) if text.startswith("{") else {}
    value = document.get(condition.path[0])
    return None if value is None else str(value)

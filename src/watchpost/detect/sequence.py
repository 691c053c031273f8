"""The sequence detector: finds in a session what a user watches for.

A step continues every open match that it fits, and any steps may lie in between; of two open matches that have come as far and bound the
same values only the later is kept, for it is nearer to whatever may follow. A match that is complete is one finding, and ends every open
match that has bound nothing else than it: the next finding takes steps of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import get_args

import msgspec

from watchpost.detect.alike import SHOWN_CHARACTERS, shown
from watchpost.detect.detector import Refutation
from watchpost.detect.sequence_fields import Fields, fits, holds, text_of
from watchpost.detect.sequence_pattern import Condition, OwnSequence, Stage, StepPattern, explain
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding
from watchpost.model.step import Step, StepKind

MOST_OPEN = 64
"""Open matches of one sequence in a session; the oldest is dropped for a new one."""

MOST_AWAITED = 64
"""Complete matches of one sequence that wait for the end of the session; while there are as many no other is reported."""

MOST_REMEMBERED = 10_000
"""Different values remembered of steps that must not have come before; with as many no other value counts as unseen."""

SHOWN_STEPS = 6
SHOWN_EXPLANATION = 1000
"""What evidence holds at most."""


class _Link(msgspec.Struct, frozen=True, gc=False):
    """A step of a match, and those before it."""

    span_id: bytes
    name: str
    shown: str
    earlier: _Link | None


class _Open(msgspec.Struct, frozen=True):
    """A match that waits for stage `stage`, of which it has `count` steps already.

    `bound` are the values of the variables so far, in their order; `from_place` and `from_ns` are what `within` counts from.
    """

    stage: int
    count: int
    bound: tuple[str, ...]
    from_place: int
    from_ns: int
    link: _Link | None

    @property
    def key(self) -> tuple[int, int, tuple[str, ...]]:
        """What tells it from others."""
        return (self.stage, self.count, self.bound)


class _Awaited(msgspec.Struct, frozen=True):
    """A finding that stands unless a step that must not come does; where it stands, and what was bound."""

    place: int
    bound: tuple[str, ...]
    finding: Finding


class SequenceDetector:
    """Finds one sequence in one session.

    A step that no pattern fits costs the patterns and keeps nothing. One that fits costs at most `MOST_OPEN` comparisons for each stage, and keeps
    at most as many matches, however long the session is.
    """

    def __init__(self, own: OwnSequence) -> None:
        self._own = own
        self._stages = own.steps.stages
        self._never_after = own.steps.never_after
        self._slots = {name: slot for slot, name in enumerate(own.steps.variables)}
        self._patterns = tuple(dict.fromkeys(own.steps.patterns()))
        kinds = [pattern.kind for pattern in self._patterns]
        every: tuple[StepKind, ...] = get_args(StepKind)
        self.kinds: frozenset[StepKind] = frozenset(kind for kind in every if None in kinds or kind in kinds)
        self._open: tuple[_Open, ...] = ()
        """From the longest waiting to the latest."""
        self._awaited: tuple[_Awaited, ...] = ()
        self._before = tuple(dict.fromkeys(pattern for stage in self._stages for pattern in stage.before))
        self._remembered: dict[StepPattern, set[str]] = {pattern: set() for pattern in self._before}
        """What came of each pattern that must not have come before: the values of the field that it compares, or one empty text."""
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding | Refutation]:
        """Take the next step in order and say whether it completes the sequence, or refutes that it is complete."""
        fields = Fields(step)
        if not any(fits(pattern, step, fields) for pattern in self._patterns):
            return ()
        complete, moved = self._moved(place, step, fields)
        barred = {
            stage: patterns
            for stage, each in enumerate(self._stages)
            if (patterns := [pattern for pattern in each.between if fits(pattern, step, fields)])
        }
        barring = [pattern for pattern in self._never_after if fits(pattern, step, fields)]
        said: list[Finding | Refutation] = []
        if complete or moved or barred or barring:
            held, awaited = self._open, self._awaited
            self._undo.note(place, lambda: self._restore(held, awaited))
            if barring:
                said += self._refuted(barring, fields)
            if barred:
                self._open = tuple(each for each in held if not self._is_barred(each, barred, fields))
            if complete:
                said += self._complete(place, complete)
            self._keep(moved, complete)
        for pattern in self._before:
            if fits(pattern, step, fields):
                self._remember(place, pattern, fields)
        return said

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)

    def _restore(self, held: tuple[_Open, ...], awaited: tuple[_Awaited, ...]) -> None:
        self._open, self._awaited = held, awaited

    def _moved(self, place: int, step: Step, fields: Fields) -> tuple[list[_Open], list[_Open]]:
        """The matches that this step completes, and those that it begins or brings further."""
        complete: list[_Open] = []
        moved: list[_Open] = []
        for number, stage in enumerate(self._stages):
            if not fits(stage.step, step, fields):
                continue
            waiting = [each for each in self._open if each.stage == number and _is_within(stage, each, place, step)]
            for each in waiting if number else [*waiting, _Open(0, 0, (), place, step.start_ns, None)]:
                bound = self._binding(stage.step.conditions, each.bound, fields)
                if bound is None or any(self._came_before(pattern, bound) for pattern in stage.before):
                    continue
                further = _further(each, stage, bound, place, step)
                (complete if further.stage == len(self._stages) else moved).append(further)
        return complete, moved

    def _binding(
        self, conditions: Sequence[Condition], bound: tuple[str, ...], fields: Fields
    ) -> tuple[str, ...] | None:
        """What is bound with this step; None where a condition on what is bound does not hold."""
        for each in conditions:
            if not each.variable:
                continue
            slot = self._slots[each.variable]
            if slot < len(bound):
                test = msgspec.structs.replace(each, test="=") if each.test == "as" else each
                if not holds(test, fields, bound[slot]):
                    return None
                continue
            values = fields.values(each.side, each.path)
            if len(values) != 1:
                return None
            bound = (*bound, text_of(values[0]))
        return bound

    def _came_before(self, pattern: StepPattern, bound: tuple[str, ...]) -> bool:
        """Whether a step that must not have come came, or too many came to tell."""
        remembered = self._remembered[pattern]
        compared = [each for each in pattern.conditions if each.variable]
        value = bound[self._slots[compared[0].variable]] if compared else ""
        return value in remembered or len(remembered) >= MOST_REMEMBERED

    def _remember(self, place: int, pattern: StepPattern, fields: Fields) -> None:
        remembered = self._remembered[pattern]
        compared = [each for each in pattern.conditions if each.variable]
        values = [text_of(value) for each in compared for value in fields.values(each.side, each.path)]
        for value in values if compared else ("",):
            if value not in remembered and len(remembered) < MOST_REMEMBERED:
                remembered.add(value)
                self._undo.note(place, partial(remembered.discard, value))

    def _is_barred(self, match: _Open, barred: dict[int, list[StepPattern]], fields: Fields) -> bool:
        patterns = barred.get(match.stage, ())
        return any(self._binding(pattern.conditions, match.bound, fields) is not None for pattern in patterns)

    def _refuted(self, barring: Sequence[StepPattern], fields: Fields) -> list[Refutation]:
        """Stop waiting for the end where a step came that must not come."""
        came = [
            each
            for each in self._awaited
            if any(self._binding(pattern.conditions, each.bound, fields) is not None for pattern in barring)
        ]
        self._awaited = tuple(each for each in self._awaited if each not in came)
        return [Refutation(each.place, each.finding) for each in came]

    def _complete(self, place: int, complete: list[_Open]) -> list[Finding]:
        """Report what is complete: of several matches the latest, but each that waits for the end of the session."""
        if not self._never_after:
            return [self._finding(complete[-1])]
        waiting = {each.bound for each in self._awaited}
        new = {each.bound: each for each in complete if each.bound not in waiting}
        awaited = [
            _Awaited(place, each.bound, self._finding(each))
            for each in list(new.values())[: max(0, MOST_AWAITED - len(self._awaited))]
        ]
        self._awaited = (*self._awaited, *awaited)
        return [each.finding for each in awaited]

    def _keep(self, moved: Sequence[_Open], complete: Sequence[_Open]) -> None:
        """Hold what goes on: of matches that have come as far the latest, none that has bound nothing else than one that is complete."""
        held = {each.key: each for each in self._open}
        for each in moved:
            held.pop(each.key, None)
            held[each.key] = each
        kept = [each for each in held.values() if not any(_agree(each.bound, other.bound) for other in complete)]
        self._open = tuple(kept[-MOST_OPEN:])

    def _finding(self, match: _Open) -> Finding:
        own = self._own
        entities = [shown(value) for value in match.bound]
        named = ", ".join(f"{name} {value}" for name, value in zip(self._slots, entities, strict=False))
        links = _links(match)
        steps = [*links[: SHOWN_STEPS - 1], links[-1]] if len(links) > SHOWN_STEPS else links
        return Finding(
            own.name,
            shown(named) or own.name.lower(),
            own.severity,
            f"{own.summary} ({named})" if named else own.summary,
            {
                "reason": "sequence",
                "tool": shown(links[0].name),
                "value": len(links),
                "threshold": len(links),
                "window": "session",
                "calls": [
                    {"span_id": each.span_id.hex(), "tool": shown(each.name), "arguments": each.shown}
                    for each in reversed(steps)
                ],
                "entities": entities,
                "sequence": explain(own.steps)[:SHOWN_EXPLANATION],
            },
            refutable=bool(self._never_after),
        )


def _further(match: _Open, stage: Stage, bound: tuple[str, ...], place: int, step: Step) -> _Open:
    """A match with this step in it."""
    link = _Link(step.span_id, (step.tool or step.name)[:SHOWN_CHARACTERS], shown(step.arguments), match.link)
    if match.count + 1 == stage.times:
        return _Open(match.stage + 1, 0, bound, place, step.start_ns, link)
    return _Open(match.stage, match.count + 1, bound, match.from_place, match.from_ns, link)


def _links(match: _Open) -> list[_Link]:
    """The steps of a match, the latest first."""
    links: list[_Link] = []
    link = match.link
    while link is not None:
        links.append(link)
        link = link.earlier
    return links


def _is_within(stage: Stage, match: _Open, place: int, step: Step) -> bool:
    return (stage.within_steps is None or place - match.from_place <= stage.within_steps) and (
        stage.within_ns is None or step.start_ns - match.from_ns <= stage.within_ns
    )


def _agree(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether two matches bound the same as far as both have come."""
    return all(one == other for one, other in zip(some, others, strict=False))

"""The seams that every detector fulfils."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from watchpost.model.flag import Finding
from watchpost.model.knowledge import NOTHING_KNOWN, Knowledge
from watchpost.model.step import Step, StepKind


class Surroundings(msgspec.Struct, frozen=True):
    """What a detector may know of a session beside its steps. `workflow` may become known late, `knowledge` is pinned for good."""

    project: str = "default"
    workflow: str = ""
    knowledge: Knowledge = NOTHING_KNOWN


class Refutation(msgspec.Struct, frozen=True):
    """The step just seen shows that a refutable finding of the same detector, made at the step at `place`, does not hold."""

    place: int
    finding: Finding


class Detector(Protocol):
    """A fold over those of one session's steps whose kind is among `kinds`, in step order.

    `place` is the place of a step among all steps of the session, from 0; places grow, and need not follow one another.
    """

    kinds: frozenset[StepKind]

    def see(self, place: int, step: Step) -> Sequence[Finding | Refutation]:
        """Take the next step in order and say what it reveals; findings stand at this step."""
        ...

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        ...


class Make(msgspec.Struct, frozen=True):
    """How a session gets its detector. One that looks at the workflow is made anew when that changes."""

    detector: Callable[[Surroundings], Detector]
    by_workflow: bool = False

"""What people say in a session: steps of kind human, and replies that stand only in what model calls were given.

Under the role of a user also stand the words of other agents, templates, results of tools and demands to try again. So a reply counts as a
person's only where all of this is so: it begins a run, that is a trace, of its own; the answer before it in the prompt is one that this
session gave in another run; and no step of kind human told of it already. A run holds one reply: what a program says to a model within a
run never counts, and neither does a first message, nor one that is sent again in place of one that was answered.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from watchpost.model.step import Step
from watchpost_core.replies import fingerprint

ANSWERS = 16
"""Answers back that are looked through for the one that a person replies to."""


class Turn(msgspec.Struct, frozen=True, gc=False):
    """What a person said at a step. `before` is what they had said before the answer, and `answered` its step; empty for a human step."""

    words: str
    before: str = ""
    answered: bytes = b""


class Turns:
    """Follows the steps of a session of kind human and llm. A step costs an entry, a reply a look at the latest answers."""

    def __init__(self) -> None:
        self._answers: list[tuple[int, Step]] = []
        self._people: list[int] = []
        """The place of each human step."""
        self._replies: list[tuple[int, bytes, int]] = []
        """The place and trace of each reply that counted, and the place of the answer before it."""
        self._runs: set[bytes] = set()
        """Their traces."""

    def see(self, place: int, step: Step) -> Turn | None:
        """Take the next step of kind human or llm, and say what a person said in it."""
        if step.kind == "human":
            self._people.append(place)
            return Turn(step.result)
        turn = self._reply(place, step) if step.reply.answer else None
        if answers(step):
            self._answers.append((place, step))
        return turn

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        while self._answers and self._answers[-1][0] >= steps:
            self._answers.pop()
        while self._people and self._people[-1] >= steps:
            self._people.pop()
        while self._replies and self._replies[-1][0] >= steps:
            self._runs.remove(self._replies.pop()[1])

    @property
    def answered(self) -> bytes:
        """The span id of the latest answer, empty where there is none."""
        return self._answers[-1][1].span_id if self._answers else b""

    def _reply(self, place: int, step: Step) -> Turn | None:
        if step.trace_id in self._runs:
            return None
        elsewhere = (each for each in reversed(self._answers) if each[1].trace_id != step.trace_id)
        latest = (each for each in islice(elsewhere, ANSWERS) if fingerprint(each[1].result) == step.reply.answer)
        at, answer = next(latest, (-1, step))
        if at < 0 or (self._people and self._people[-1] > at) or (self._replies and self._replies[-1][2] >= at):
            return None
        self._replies.append((place, step.trace_id, at))
        self._runs.add(step.trace_id)
        return Turn(step.reply.words, step.reply.before, answer.span_id)


def answers(step: Step) -> bool:
    """Whether a step of kind llm answers with words."""
    return step.result != "" and step.status != "error" and not step.result.isspace()

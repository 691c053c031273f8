"""What lies further back than memory: asked of the store, seldom, and kept between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from watchpost.query.measures import Cell, Group, Measured, Question
from watchpost.query.metrics import OWN_PROJECT

FEWEST_BUCKETS = 5
"""Windows of a baseline with anything in them; a deviation over fewer says nothing."""


class History(Protocol):
    """Answers questions about all that was ever stored."""

    def answer(self, question: Question) -> Measured | None:
        """What the store says, in the groups of the question; a second time the same, or what is known by now; None while nothing is."""
        ...


Points = Mapping[Group, list[Cell]]
"""By group, that of the whole window first where there are no steps of time, else the steps alone."""


class Asked:
    """One question that moves with time, and its last answer. `ask` makes it for the end of a window, a multiple of the evaluation grid."""

    def __init__(self, history: History | None, ask: Callable[[int], Question], every_ns: int) -> None:
        self._history = history
        self._ask = ask
        self._every_ns = every_ns
        self._at_ns: int | None = None
        self._points: Points = {}

    def points(self, end_ns: int) -> Points | None:
        """What the answer was, no older than it may be; None where there is nobody to ask, or no answer yet."""
        if self._history is None:
            return None
        if self._at_ns is None or not self._at_ns <= end_ns < self._at_ns + self._every_ns:
            question = self._ask(end_ns)
            answer = self._history.answer(question)
            if answer is None:
                return None
            self._points = _by_group(question, answer)
            self._at_ns = end_ns
        return self._points

    def forget(self) -> None:
        """Ask anew the next time."""
        self._at_ns, self._points = None, {}


def refresh_ns(span_ns: int) -> int:
    """How long an answer over so long a time is good enough: a minute, of six hours and more five."""
    return (300 if span_ns >= 6 * 3600 * 10**9 else 60) * 10**9


def _by_group(question: Question, answer: Measured) -> Points:
    found: dict[Group, list[Cell]] = {}
    for cell in answer.cells:
        if cell.group is not None and (cell.step is not None) is bool(question.step_ns):
            found.setdefault(cell.group if question.by else (OWN_PROJECT,), []).append(cell)
    return found

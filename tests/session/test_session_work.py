"""The work of a long session grows with its length and not faster."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from folding import Fold, span

LONG = 400


def calls(work: Callable[[], None]) -> int:
    """How many Python functions and generators were entered."""
    entered = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal entered
        del frame, argument
        entered += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return entered


def one_by_one(steps: int) -> Callable[[], None]:
    fold = Fold()

    def work() -> None:
        fold.receive(span(1, "agent", ended=False, session__id="long"))
        for number in range(2, steps + 2):
            fold.receive(span(number, "tool" if number % 2 else "llm", 1))
        fold.receive(span(1, "agent", session__id="long"))
        assert len(fold.only.steps) == steps

    return work


def newest_first(steps: int) -> Callable[[], None]:
    fold = Fold()

    def work() -> None:
        for number in range(steps + 1, 1, -1):
            fold.receive(span(number, "tool", 1))
        fold.receive(span(1, "agent", session__id="long"))
        assert len(fold.only.steps) == steps

    return work


def started_then_ended(steps: int) -> Callable[[], None]:
    fold = Fold()

    def work() -> None:
        for number in range(1, steps + 1):
            fold.receive(span(number, "llm", ended=False))
            fold.receive(span(number, "llm"))
        assert len(fold.only.steps) == steps

    return work


def in_a_chain(steps: int) -> Callable[[], None]:
    fold = Fold()

    def work() -> None:
        for number in range(1, steps + 1):
            fold.receive(span(number, "tool" if number % 2 else "chain", number - 1 or None, session__id="long"))
        assert len(fold.only.traces) == 1

    return work


@pytest.mark.parametrize("world", [one_by_one, newest_first, started_then_ended, in_a_chain])
def test_twice_the_steps_are_about_twice_the_work(world: Callable[[int], Callable[[], None]]) -> None:
    world(10)()  # fills caches
    once, twice = calls(world(LONG)), calls(world(2 * LONG))
    assert twice / once < 2.3

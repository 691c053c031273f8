"""Figures that are kept for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from watchpost.server.kept import MOST_KEYS, NS, Found, Keeping, Kept


class Clock:
    """Stands until it is put on."""

    def __init__(self) -> None:
        self.now_ns = 1_790_000_000 * NS

    def __call__(self) -> int:
        return self.now_ns

    def pass_(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as running:
        yield running


def value(found: Found[int] | None) -> int | None:
    return found.value if found else None


def until(kept: Kept[str, int], wanted: int) -> int | None:
    """The answer, once it is as wanted; it is worked out in another thread."""
    for _ in range(500):
        if value(kept.answer("a", 0.01)) == wanted:
            break
        threading.Event().wait(0.01)
    return value(kept.answer("a", 0.01))


def counted(clock: Callable[[], int], pool: ThreadPoolExecutor) -> tuple[Kept[str, int], list[str]]:
    asked: list[str] = []

    def work(key: str) -> int:
        asked.append(key)
        return len(asked)

    return Kept(work, Keeping(fresh_s=20, usable_s=300), pool, clock), asked


def test_a_fresh_answer_is_given_out_again_with_the_time_it_is_of(pool: ThreadPoolExecutor) -> None:
    clock = Clock()
    kept, asked = counted(clock, pool)
    began_ns = clock.now_ns
    assert value(kept.answer("a", 5)) == 1
    clock.pass_(20)
    assert kept.answer("a", 5) == Found(1, began_ns, began_ns)
    assert asked == ["a"]
    assert value(kept.answer("b", 5)) == 2


def test_an_older_one_is_given_out_while_the_next_is_worked_out(pool: ThreadPoolExecutor) -> None:
    clock, go = Clock(), threading.Event()
    values = iter(range(1, 9))

    def work(_: str) -> int:
        go.wait(5)
        return next(values)

    kept = Kept(work, Keeping(20, 300), pool, clock)
    go.set()
    assert value(kept.answer("a", 5)) == 1
    go.clear()
    clock.pass_(21)
    assert not kept.is_coming("a")
    assert value(kept.answer("a", 0)) == 1
    assert kept.is_coming("a")
    go.set()
    assert until(kept, 2) == 2
    assert not kept.is_coming("a")


def test_the_next_is_waited_for_where_the_last_came_soon(pool: ThreadPoolExecutor) -> None:
    clock = Clock()
    kept, _ = counted(clock, pool)
    kept.answer("a", 5)
    clock.pass_(21)
    assert value(kept.answer("a", 5)) == 2


def test_one_that_is_too_old_is_waited_for(pool: ThreadPoolExecutor) -> None:
    clock = Clock()
    kept, _ = counted(clock, pool)
    kept.answer("a", 5)
    clock.pass_(301)
    assert value(kept.answer("a", 5)) == 2


def test_what_takes_too_long_is_none_yet_and_comes_later_and_is_worked_out_once(pool: ThreadPoolExecutor) -> None:
    go = threading.Event()
    asked: list[str] = []

    def work(key: str) -> int:
        asked.append(key)
        go.wait(5)
        return 7

    kept = Kept(work, Keeping(20, 300), pool, Clock())
    assert kept.answer("a", 0) is None
    assert kept.answer("a", 0.01) is None
    go.set()
    assert value(kept.answer("a", 5)) == 7
    assert asked == ["a"]


def test_work_that_took_long_rests_ten_times_as_long(pool: ThreadPoolExecutor) -> None:
    clock = Clock()
    asked: list[str] = []

    def work(key: str) -> int:
        asked.append(key)
        clock.pass_(6)
        return len(asked)

    kept = Kept(work, Keeping(20, 300), pool, clock)
    kept.answer("a", 5)
    clock.pass_(59)
    kept.answer("a", 5)
    assert not kept.is_coming("a")
    clock.pass_(2)
    kept.answer("a", 5)
    assert until(kept, 2) == 2


def test_what_goes_wrong_is_raised_and_tried_again(pool: ThreadPoolExecutor) -> None:
    values: list[int] = []

    def work(_: str) -> int:
        values.append(1)
        return 1 // (len(values) - 1)

    kept = Kept(work, Keeping(20, 300), pool, Clock())
    with pytest.raises(ZeroDivisionError):
        kept.answer("a", 5)
    assert value(kept.answer("a", 5)) == 1


def test_only_so_many_answers_are_kept(pool: ThreadPoolExecutor) -> None:
    kept, asked = counted(Clock(), pool)
    for number in range(MOST_KEYS + 1):
        kept.answer(str(number), 5)
    kept.answer("1", 5)
    assert len(asked) == MOST_KEYS + 1
    kept.answer("0", 5)
    assert len(asked) == MOST_KEYS + 2

"""Figures that take long to work out, kept for a while: a page is there at once, with figures of a stated age or none yet, never late."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future, wait
from typing import Generic, TypeVar

import msgspec

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

MOST_KEYS = 64
"""Answers that are kept of one kind of work; what was worked out longest ago goes first."""

RESTS = 10
"""Work is not begun again until so many times as long as it took have passed: at most a tenth of the time goes into it."""

NS = 10**9


class Found(msgspec.Struct, Generic[Value], frozen=True):
    """What came out, worked out from `began_ns` to `ended_ns`."""

    value: Value
    began_ns: int
    ended_ns: int

    @property
    def took_s(self) -> float:
        """How long that took."""
        return (self.ended_ns - self.began_ns) / NS


class Keeping(msgspec.Struct, frozen=True):
    """For so many seconds an answer is `fresh`; until it is no longer `usable` it is given out while the next one is worked out."""

    fresh_s: float
    usable_s: float


class Kept(Generic[Key, Value]):
    """The latest answers of some work, by what was asked. Safe for any number of threads; nothing is worked out twice at once."""

    def __init__(
        self, work: Callable[[Key], Value], keeping: Keeping, executor: Executor, now_ns: Callable[[], int]
    ) -> None:
        self._work = work
        self._keeping = keeping
        self._executor = executor
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._found: OrderedDict[Key, Found[Value]] = OrderedDict()
        self._running: dict[Key, Future[Found[Value]]] = {}

    def begin(self, key: Key) -> None:
        """See to it that an answer is on its way unless there is a fresh one."""
        with self._lock:
            if key not in self._running and not self._is_fresh(self._found.get(key)):
                self._running[key] = self._executor.submit(self._timed, key)

    def last(self, key: Key) -> Found[Value] | None:
        """What was worked out last, if it is usable; nothing is begun."""
        with self._lock:
            return self._usable(self._found.get(key))

    def is_coming(self, key: Key) -> bool:
        """Whether a newer answer is on its way."""
        with self._lock:
            return key in self._running

    def answer(self, key: Key, wait_s: float) -> Found[Value] | None:
        """The answer; None if it takes longer than so many seconds and there is none that is usable.

        Where there is one, the next is waited for only if it took less than half of that the last time. Raises what the work raised.
        """
        self.begin(key)
        with self._lock:
            running, last = self._running.get(key), self._usable(self._found.get(key))
        if running is None:
            return last
        if last is None or 2 * last.took_s < wait_s:
            wait((running,), wait_s)
        if not running.done():
            return last
        self._settle(key, running)
        return running.result()

    def _settle(self, key: Key, done: Future[Found[Value]]) -> None:
        """Put what is done in the place of what was kept."""
        with self._lock:
            if self._running.get(key) is not done:
                return
            del self._running[key]
            if done.exception() is None:
                self._found[key] = done.result()
                self._found.move_to_end(key)
                while len(self._found) > MOST_KEYS:
                    self._found.popitem(last=False)

    def _timed(self, key: Key) -> Found[Value]:
        began_ns = self._now_ns()
        return Found(self._work(key), began_ns, self._now_ns())

    def _is_fresh(self, found: Found[Value] | None) -> bool:
        if found is None:
            return False
        return self._age_s(found) <= max(self._keeping.fresh_s, RESTS * found.took_s)

    def _usable(self, found: Found[Value] | None) -> Found[Value] | None:
        return found if found is not None and self._age_s(found) <= self._keeping.usable_s else None

    def _age_s(self, found: Found[Value]) -> float:
        return (self._now_ns() - found.ended_ns) / NS


class Patience:
    """What is left of so many seconds, shared by all that wait."""

    def __init__(self, now_ns: Callable[[], int], seconds: float) -> None:
        self._now_ns = now_ns
        self._until_ns = now_ns() + round(seconds * NS)

    @property
    def left_s(self) -> float:
        """How long may still be waited."""
        return max(self._until_ns - self._now_ns(), 0) / NS

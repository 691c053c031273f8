"""Answers of the store for rules that look far back, worked out in a thread of their own: judging rules never waits for the store."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from watchpost.query.measures import Measured, Question
from watchpost.rules.history import refresh_ns
from watchpost.runtime.supervisor import tell
from watchpost.store.erasure import Erasure
from watchpost.store.readers import MeasureReader

_STALE = 3
"""An answer holds for so many times as long as rules are content with one: until the next is there."""


class BackgroundHistory:
    """Fulfils `watchpost.rules.history.History`: the last answer to the same question of another time, where it is recent enough."""

    def __init__(self, reader: MeasureReader, faults: tuple[type[Exception], ...]) -> None:
        """`faults` are what the reader raises while its database cannot be reached; a question that fails is asked again the next time."""
        self._reader = reader
        self._faults: tuple[type[Exception], ...] = (OSError, *faults)
        self._thread = ThreadPoolExecutor(1, "history")
        self._lock = threading.Lock()
        self._known: dict[Question, tuple[int, Measured]] = {}
        self._under_way: dict[Question, Future[None]] = {}
        self._erasing: set[str] = set()
        self._erased = 0

    def answer(self, question: Question) -> Measured | None:
        """What the store said of it no long time ago; None where it has not said anything yet."""
        if self._erasing:
            return None
        shape = msgspec.structs.replace(question, since_ns=0, until_ns=question.until_ns - question.since_ns)
        asked = self._under_way.get(shape)
        if asked is None or asked.done():
            self._under_way[shape] = self._thread.submit(self._ask, shape, question, self._erased)
        until_ns, found = self._known.get(shape, (0, None))
        longest_ns = _STALE * refresh_ns(shape.until_ns)
        return found if question.until_ns - longest_ns <= until_ns <= question.until_ns else None

    def close(self) -> None:
        """Ask nothing more."""
        self._thread.shutdown(cancel_futures=True)

    def erase(self, erasure: Erasure) -> None:
        """Say nothing from now on, until it is hidden: an answer could name what is to go."""
        self._erasing.add(erasure.id)

    def erased(self, erasure: Erasure) -> None:
        """It is hidden: ask everything anew."""
        with self._lock:
            self._erased += 1
            self._known.clear()
        self._erasing.discard(erasure.id)

    def _ask(self, shape: Question, question: Question, erased: int) -> None:
        try:
            found = self._reader.measured(question)
            with self._lock:
                if erased == self._erased:
                    self._known[shape] = question.until_ns, found
        except self._faults as error:
            tell("what a rule asked of the store was not answered", error)

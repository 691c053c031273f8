"""How far the flow has come, for those who wait until it has come somewhere."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future


class Progress:
    """The log sequence up to which all is applied. Thread-safe; nobody who waits asks a store."""

    def __init__(self, seq: int) -> None:
        self._lock = threading.Lock()
        self._seq = seq
        self._waiting: list[tuple[int, Future[None]]] = []

    def reach(self, seq: int) -> None:
        """All up to a log sequence is applied; it never goes back."""
        with self._lock:
            self._seq = seq
            there = [future for at, future in self._waiting if at <= seq]
            self._waiting = [(at, future) for at, future in self._waiting if at > seq]
        for future in there:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    async def passed(self, seq: int, timeout_s: float) -> bool:
        """Return true as soon as all up to a log sequence is applied, and false where that is not so in time."""
        arrival: Future[None] = Future()
        with self._lock:
            if self._seq >= seq:
                return True
            self._waiting.append((seq, arrival))
        try:
            await asyncio.wait_for(asyncio.wrap_future(arrival), timeout_s)
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting = [each for each in self._waiting if each[1] is not arrival]
        return True

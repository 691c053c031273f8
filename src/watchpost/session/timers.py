"""When sessions end by themselves, and when they are to be looked at again."""

from __future__ import annotations

import heapq

from watchpost.model.session import State

SessionRef = tuple[str, str]
"""Project and session id."""


class Timers:
    """The sessions that have not ended, each with its time; a session that is not among them has ended."""

    def __init__(self) -> None:
        self._open: dict[SessionRef, tuple[int, State]] = {}
        self._queue: list[tuple[int, SessionRef]] = []

    def set(self, ref: SessionRef, due_ns: int, state: State) -> None:
        """Let a session end at a time, instead of at any time set before."""
        held = self._open.get(ref)
        if held is None or held[0] != due_ns:
            heapq.heappush(self._queue, (due_ns, ref))
        self._open[ref] = (due_ns, state)

    def stop(self, ref: SessionRef) -> None:
        """The session ended or is no more."""
        self._open.pop(ref, None)

    def due(self, ref: SessionRef) -> int:
        """The time of a session; 0 if it has ended."""
        return self._open.get(ref, (0, "ended"))[0]

    def state(self, ref: SessionRef) -> State:
        """How a session stood when its time was set; ended if it has none."""
        return self._open.get(ref, (0, "ended"))[1]

    def ripe(self, now_ns: int) -> list[SessionRef]:
        """The sessions whose time has come, each until it is set anew or stopped."""
        ripe: dict[SessionRef, int] = {}
        while self._queue and self._queue[0][0] <= now_ns:
            due_ns, ref = heapq.heappop(self._queue)
            held = self._open.get(ref)
            if held is not None and held[0] == due_ns:
                ripe[ref] = due_ns
        for ref, due_ns in ripe.items():
            heapq.heappush(self._queue, (due_ns, ref))
        return list(ripe)

    def __len__(self) -> int:
        return len(self._open)

"""Moves the due notices of one channel, and decides after every try what becomes of the notice.

Notices of one conversation go out one after the other, in the order in which they were decided: none overtakes an earlier one that still
waits. None is dropped because a later one has come: a later one does not repeat which alerts ended before it, and a far end that never
saw the trigger ignores the resolve. Only when an earlier one is given up does the next take its turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from watchpost.alerting.notifier import Answer, Failed, Notifier, Sent, Throttled
from watchpost.model.notice import Due, Receipt

PAUSES_S: tuple[float, ...] = (
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
)
"""Seconds to wait after the first, second ... failed try. Source: Standard Webhooks 1.0.0."""

SPREAD = 0.1
"""Jitter lengthens a pause by at most this share of it, so that notices held up together do not return together."""

TRIES_AT_ONCE = 4

READ_AT_ONCE = 16
"""Due notices that are read from the outbox at a time; to ask it costs as much as to deliver one."""


class Outbox(Protocol):
    """The durable notices of all channels. May block; is called from threads, one notice never from two at once."""

    def due(self, channel: str, now_ns: int, limit: int) -> Sequence[Due]:
        """Of each conversation of a channel the oldest waiting notice, where its time has come; the oldest of them first."""
        ...

    def settle(self, receipt: Receipt) -> None:
        """Record how a try went; durable when it returns."""
        ...


def schedule(due: Due, answer: Answer, now_ns: int, jitter: float) -> Receipt:
    """What becomes of a notice after a try, at `now_ns`; `jitter` lies between 0 and 1.

    Ten tries over about 76 hours, fewer where a failure is permanent. A throttled notice waits as long as it was asked to,
    and no less than its schedule says, so that a receiver that is busy for an hour has not used up every try.
    """
    match answer:
        case Sent(detail, handle):
            return Receipt(due.notice.id, "delivered", detail, now_ns, handle=handle)
        case Failed(permanent=True, detail=detail):
            return Receipt(due.notice.id, "failed", detail, now_ns)
        case Failed(detail=detail):
            asked_s = 0.0
        case Throttled(asked_s, detail):
            pass
    if due.attempts >= len(PAUSES_S):
        return Receipt(due.notice.id, "failed", f"{detail}; given up after {due.attempts + 1} tries", now_ns)
    pause_s = max(asked_s, PAUSES_S[due.attempts]) * (1 + SPREAD * jitter)
    return Receipt(due.notice.id, "waiting", detail, now_ns, now_ns + round(pause_s * 1e9))


class Deliverer:
    """Delivers the notices of one channel, at most `TRIES_AT_ONCE` at a time, of each conversation one.

    While a channel that was too busy has asked to be left alone, none of its notices is tried. A notice is tried within `tick_s` of falling due, and at once after `nudge`. Each channel has its own deliverer, so a
    channel that hangs holds up only itself. What is tried was read from the outbox no longer than `tick_s` before. A crash between a try and its receipt leads to another try with the same
    notice id. What the outbox or a notifier raises ends `run` and is the supervisor's to see.
    """

    def __init__(
        self,
        channel: str,
        notifier: Notifier,
        outbox: Outbox,
        *,
        now_ns: Callable[[], int],
        jitter: Callable[[], float],
        tick_s: float = 1.0,
    ) -> None:
        self._channel = channel
        self._notifier = notifier
        self._outbox = outbox
        self._now_ns = now_ns
        self._jitter = jitter
        self._tick_s = tick_s
        self._wake = asyncio.Event()
        self._under_way: set[str] = set()
        self._read: deque[Due] = deque()
        self._read_ns = 0
        self._rests_until_ns = 0

    def nudge(self) -> None:
        """Say that the outbox has something new; to be called on the event loop's thread."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set, then let the tries under way end; cancelling does not wait for them."""
        self._under_way.clear()
        self._read.clear()
        async with asyncio.TaskGroup() as tries:
            while not stop.is_set():
                self._wake.clear()
                for due in await self._next():
                    self._under_way.add(due.notice.id)
                    tries.create_task(self._try(due))
                await self._rest(stop)

    async def _next(self) -> list[Due]:
        # Taken before the question: a try that is settled while the outbox answers must not be read as still waiting.
        held = frozenset(self._under_way)
        room, now_ns = TRIES_AT_ONCE - len(held), self._now_ns()
        if not room or now_ns < self._rests_until_ns:
            return []
        if not self._read or not 0 <= now_ns - self._read_ns < self._tick_s * 1e9:
            found = await asyncio.to_thread(self._outbox.due, self._channel, now_ns, READ_AT_ONCE)
            self._read = deque(due for due in found if due.notice.id not in held)
            self._read_ns = now_ns
        return [self._read.popleft() for _ in range(min(room, len(self._read)))]

    async def _try(self, due: Due) -> None:
        answer = await self._notifier.send(due.notice, due.handle)
        now_ns = self._now_ns()
        receipt = schedule(due, answer, now_ns, self._jitter())
        if isinstance(answer, Throttled):
            self._rests_until_ns = max(self._rests_until_ns, now_ns + round(answer.retry_after_s * 1e9))
        await asyncio.to_thread(self._outbox.settle, receipt)
        self._under_way.discard(due.notice.id)
        self._wake.set()

    async def _rest(self, stop: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._wake, stop)]
        try:
            await asyncio.wait(waits, timeout=self._tick_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

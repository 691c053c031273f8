"""What is durable and not yet applied: handed from the log to `react` in memory, and bounded by bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import cast

import msgspec

from watchpost.log.record import DELIVERY, Appended


class _Waiting(msgspec.Struct, frozen=True):
    seq: int
    payload: bytes


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What is asked of a delivery that waits, without making its spans."""

    received_ns: int
    parcels: msgspec.Raw


class Backlog:
    """Payloads of deliveries. Thread-safe. Bytes count from the moment they are durable until `applied` says that their batch is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._taken: deque[tuple[int, int]] = deque()
        self._since: deque[tuple[int, bytes]] = deque()
        self._bytes = 0

    def put(self, records: Sequence[Appended]) -> None:
        """Take what has just become durable, with the payload as the token; boundaries are the flow's own."""
        with self._lock:
            for record in records:
                if record.kind == DELIVERY:
                    self._waiting.append(_Waiting(record.seq, cast("bytes", record.token)))
                    self._bytes += record.size

    def take(self, most_bytes: int) -> list[tuple[int, bytes]]:
        """What waits, in log order, up to about so many bytes; empty if nothing does."""
        taken: list[tuple[int, bytes]] = []
        with self._lock:
            while self._waiting and most_bytes > 0:
                one = self._waiting.popleft()
                taken.append((one.seq, one.payload))
                self._taken.append((one.seq, len(one.payload)))
                most_bytes -= len(one.payload)
            if taken:
                self._since.append((taken[-1][0], taken[0][1]))
        return taken

    def applied(self, seq: int) -> None:
        """All up to a log sequence is applied."""
        with self._lock:
            while self._taken and self._taken[0][0] <= seq:
                self._bytes -= self._taken.popleft()[1]
            while self._since and self._since[0][0] <= seq:
                self._since.popleft()

    @property
    def bytes(self) -> int:
        """How far the log runs ahead of what is applied."""
        return self._bytes

    @property
    def oldest_received_ns(self) -> int:
        """When the oldest delivery that waits was received; 0 if none does."""
        with self._lock:
            oldest = self._waiting[0].payload if self._waiting else None
        return 0 if oldest is None else _received_ns(oldest)

    @property
    def unapplied_since_ns(self) -> int:
        """When the oldest delivery was received of which it is not known that it is applied; 0 if there is none."""
        with self._lock:
            oldest = self._since[0][1] if self._since else None
        return self.oldest_received_ns if oldest is None else _received_ns(oldest)


def _received_ns(payload: bytes) -> int:
    return msgspec.msgpack.decode(payload, type=_Head).received_ns

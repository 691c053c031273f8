"""What is durable and not yet applied: handed from the log to `react` in memory, and bounded by bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import cast

import msgspec

from watchpost.log.record import DELIVERY, Appended
from watchpost.model.telemetry import Delivery


class _Waiting(msgspec.Struct, frozen=True):
    seq: int
    size: int
    delivery: Delivery


class Backlog:
    """Thread-safe. Bytes count from the moment they are durable until `applied` says that their batch is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._taken: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def put(self, records: Sequence[Appended]) -> None:
        """Take what has just become durable; boundaries are the flow's own."""
        with self._lock:
            for record in records:
                if record.kind == DELIVERY:
                    self._waiting.append(_Waiting(record.seq, record.size, cast("Delivery", record.token)))
                    self._bytes += record.size

    def take(self, most_bytes: int) -> list[tuple[int, Delivery]]:
        """What waits, in log order, up to about so many bytes; empty if nothing does."""
        taken: list[tuple[int, Delivery]] = []
        with self._lock:
            while self._waiting and most_bytes > 0:
                one = self._waiting.popleft()
                taken.append((one.seq, one.delivery))
                self._taken.append((one.seq, one.size))
                most_bytes -= one.size
        return taken

    def applied(self, seq: int) -> None:
        """All up to a log sequence is applied."""
        with self._lock:
            while self._taken and self._taken[0][0] <= seq:
                self._bytes -= self._taken.popleft()[1]

    @property
    def bytes(self) -> int:
        """How far the log runs ahead of what is applied."""
        return self._bytes

    @property
    def oldest_received_ns(self) -> int:
        """When the oldest delivery that waits was received; 0 if none does."""
        with self._lock:
            return self._waiting[0].delivery.received_ns if self._waiting else 0

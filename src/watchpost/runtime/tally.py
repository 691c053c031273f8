"""Counts of what went through the flow since the process started."""

from __future__ import annotations

from watchpost.runtime.flag_tally import FlagTally
from watchpost.runtime.prepare import Prepared


class FlowTally:
    """Plain counters; each is written by one thread."""

    def __init__(self) -> None:
        self.accepted_spans = 0
        self.accepted_logs = 0
        self.accepted_points = 0
        self.rejected_spans = 0
        self.rejected_logs = 0
        self.rejected_points = 0
        self.put_off = 0
        self.batches = 0
        self.apply_ns = 0
        self.flags = FlagTally()

    def accept(self, prepared: Prepared, signal: str) -> None:
        """Count one request that was made durable."""
        self.accepted_spans += prepared.spans
        self.accepted_logs += prepared.logs
        self.accepted_points += prepared.points
        match signal:
            case "logs":
                self.rejected_logs += prepared.rejected
            case "metrics":
                self.rejected_points += prepared.rejected
            case _:
                self.rejected_spans += prepared.rejected

    def apply(self, took_ns: int) -> None:
        """Count one applied batch."""
        self.batches += 1
        self.apply_ns += took_ns

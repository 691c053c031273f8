"""Counts of what went through the flow since the process started."""

from __future__ import annotations

from watchpost.ingest.otlp import Decoded


class FlowTally:
    """Plain counters; each is written by one thread."""

    def __init__(self) -> None:
        self.accepted_spans = 0
        self.accepted_logs = 0
        self.rejected_spans = 0
        self.rejected_logs = 0
        self.batches = 0
        self.apply_ns = 0

    def accept(self, decoded: Decoded, signal: str) -> None:
        """Count one request that was made durable."""
        self.accepted_spans += sum(len(parcel.spans) for parcel in decoded.parcels)
        self.accepted_logs += sum(len(parcel.logs) for parcel in decoded.parcels)
        if signal == "traces":
            self.rejected_spans += decoded.rejected
        else:
            self.rejected_logs += decoded.rejected

    def apply(self, took_ns: int) -> None:
        """Count one applied batch."""
        self.batches += 1
        self.apply_ns += took_ns

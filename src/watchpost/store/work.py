"""The seam of the store through which the exposition follows what agents do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class WorkStep(msgspec.Struct, frozen=True, gc=False):
    """What the exposition counts of one step; fields as in `LedgerStep`."""

    trace_id: bytes
    start_ns: int
    dur_us: int | None
    kind: str
    model: str
    tool: str
    status: str
    in_tok: int | None
    out_tok: int | None
    cost_nano: int | None
    error_type: str = ""
    evaluator: str = ""
    label: str = ""


class WorkRow(msgspec.Struct, frozen=True):
    """As much of a `LedgerRow` as the exposition counts."""

    project: str
    slot: int
    session_id: str
    seq: int
    gone: bool
    workflow: str
    outcome: str
    steps: tuple[WorkStep, ...]


class TraceSpan(msgspec.Struct, frozen=True, gc=False):
    """From when to when a trace lasted, in Unix nanoseconds: its first start and its last end, evaluations left out."""

    start_ns: int
    end_ns: int


class WorkReader(Protocol):
    """What agents did, as it comes to be written."""

    def work(self, seq: int, slot: int) -> list[WorkRow]:
        """The current rows of slots from `slot` on whose `seq` is at least that given, gone ones too; the latest first."""
        ...

    def traces(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], TraceSpan]:
        """How long the given (project, trace id) pairs lasted; those without a span left are missing."""
        ...

    def active(self) -> dict[str, int]:
        """How many sessions of each workflow have not ended."""
        ...

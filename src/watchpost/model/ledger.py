"""What is counted of a session: its steps, slot by slot. Every measure is worked out from this, by the store as by rules."""

from __future__ import annotations

import msgspec


class LedgerStep(msgspec.Struct, frozen=True, gc=False):
    """One counted step.

    Times are Unix nanoseconds; `dur_us` is microseconds, None while running or where end precedes start; `first_us` is when the first token came. An evaluation has its `evaluator`, `score` and `label`.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    dur_us: int | None
    kind: str
    name: str
    agent: str
    model: str
    tool: str
    status: str
    error_type: str
    in_tok: int | None
    out_tok: int | None
    cost_nano: int | None
    flags: tuple[str, ...] = ()
    cached_tok: int | None = None
    reasoning_tok: int | None = None
    first_us: int | None = None
    prompt: str = ""
    evaluator: str = ""
    score: float | None = None
    label: str = ""


class LedgerRow(msgspec.Struct, frozen=True):
    """Everything counted for one session in one slot of ten minutes, by the start of its steps, in step order.

    The row of the greatest `seq` replaces all others of its project, slot and session; `gone` takes the slot out.
    `slot` is Unix seconds, a multiple of 600.
    """

    project: str
    slot: int
    session_id: str
    seq: int
    gone: bool
    workflow: str
    user_id: str
    outcome: str
    steps: tuple[LedgerStep, ...]
    service: str = ""
    org_id: str = ""
    feature: str = ""
    release: str = ""

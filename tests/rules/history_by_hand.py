"""Hand-made history: steps, sessions and flags at seconds after `START`, in slots as the ledger holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from watchpost.model.flag import Flag, flag_id
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Summary, Totals, session_key
from watchpost.rules.stretch import Told, in_order

SECOND = 10**9
MINUTE = 60 * SECOND
START_S = 1_790_000_400
START = START_S * SECOND
INTERVAL = 15 * SECOND


def step(
    at_s: float, took_s: float | None = 1.0, *, trace: str = "t", tool: str = "pay", status: str = "ok"
) -> LedgerStep:
    """One tool call."""
    start_ns = START + round(at_s * SECOND)
    took_us = None if took_s is None else round(took_s * 10**6)
    name = (trace.encode().ljust(16, b"\0"), start_ns.to_bytes(8, "big"), b"")
    return LedgerStep(*name, start_ns, took_us, "tool", tool, "", "", tool, status, "", None, None, None)


def rows(session: str, *steps: LedgerStep, workflow: str = "refunds") -> list[LedgerRow]:
    """The rows of a session."""
    slots = sorted({each.start_ns // SECOND // 600 * 600 for each in steps})
    return [
        LedgerRow(
            "p",
            slot,
            session,
            1,
            gone=False,
            workflow=workflow,
            user_id="",
            outcome="",
            steps=tuple(each for each in steps if each.start_ns // SECOND // 600 * 600 == slot),
        )
        for slot in slots
    ]


def session(name: str, since_s: float, until_s: float, **changed: object) -> Summary:
    """An ended session."""
    made = Summary(
        key=session_key("p", name),
        project="p",
        session_id=name,
        workflow="refunds",
        user_id="",
        state="ended",
        outcome="completed",
        revision=1,
        started_ns=START + round(since_s * SECOND),
        ended_ns=START + round(until_s * SECOND),
        received_ns=START,
        due_ns=0,
        totals=Totals(steps=1, cost_nano=10**8),
    )
    return msgspec.structs.replace(made, **changed)


def flag(at_s: float, of: str, *, kind: str = "LOOP_DETECTED", tool: str = "pay") -> Flag:
    """A confirmed flag."""
    name = f"{at_s}".encode().ljust(16, b"\0")
    return Flag(
        id=flag_id("p", kind, tool, name, b""),
        project="p",
        session_id=of,
        kind=kind,
        subject=tool,
        trace_id=name,
        span_id=b"",
        severity="high",
        state="confirmed",
        summary="looped",
        evidence={"tool": tool},
        at_ns=START + round(at_s * SECOND),
    )


def told(
    ledger: Iterable[LedgerRow] = (), sessions: Iterable[Summary] = (), flags: Iterable[Flag] = ()
) -> Iterator[Told]:
    """All of it in order."""
    return in_order(
        sorted(ledger, key=lambda row: row.slot),
        sorted(sessions, key=lambda each: each.started_ns),
        sorted(flags, key=lambda each: each.at_ns),
        interval_ns=INTERVAL,
    )

"""Writes numbered batches to an embedded store and says the number of each that returned; run as a program, to be killed.

Arguments: folder, first number, number after the last. At the end it prints what is stored.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.step import Reading
from watchpost.model.telemetry import LogLine
from watchpost.store.contracts import LedgerRow, LedgerStep, Member, StoredLog, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse

SPANS = 300
PROJECT = "kills"
NOW = 1_790_000_000_000_000_000


def trace(number: int) -> bytes:
    return number.to_bytes(16, "big")


def batch(number: int) -> TelemetryBatch:
    """The same batch whenever its number is asked for, over two days of reception and two years of slots."""
    spans = [n.to_bytes(8, "big") for n in range(SPANS)]
    readings = [
        Reading(
            PROJECT,
            trace(number),
            s,
            b"",
            number,
            NOW + n % 2 * 86_400 * 10**9,
            n,
            n + 1,
            "tool",
            "t",
            "ok",
            input=f"ORD-{n:07d} " + "x" * 500,
        )
        for n, s in enumerate(spans)
    ]
    steps = tuple(
        LedgerStep(trace(number), s, b"", 0, 1, "tool", "t", "", "", "", "ok", "", 1, 2, 3) for s in spans[:10]
    )
    session = f"s{number}"
    return TelemetryBatch(
        number,
        readings=readings,
        members=[Member(PROJECT, session, trace(number), number, live=True)],
        ledger=[
            LedgerRow(PROJECT, slot, session, number, gone=False, workflow="", user_id="", outcome="", steps=steps)
            for slot in (1_790_000_400, 600)
        ],
        sessions=[
            Summary(
                session_key(PROJECT, session), PROJECT, session, "", "", "ended", None, number, 0, 0, NOW, 0, Totals()
            )
        ],
        logs=[
            StoredLog(PROJECT, number, n, NOW, LogLine(NOW, 9, trace(number), spans[0], "", n, {})) for n in range(5)
        ],
    )


def stored(store: ClickHouse, last: int) -> dict[str, object]:
    numbers = range(1, last)
    summaries = [store.session(session_key(PROJECT, f"s{number}")) for number in numbers]
    return {
        "rows": {size.table: size.rows for size in store.sizes()},
        "spans": [len(store.readings([(PROJECT, trace(number))], 1 << 62)) for number in numbers],
        "members": len(store.members_of_traces([(PROJECT, trace(number)) for number in numbers])),
        "steps": [len(store.steps(summary, 0, 1000)) for summary in summaries if summary],
        "logs": [len(store.logs(PROJECT, trace(number), bytes(8), 1000)) for number in numbers],
    }


def main() -> None:
    folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    store = ClickHouse.open(f"chdb://{folder / 'db'}", folder / "tmp", "0.1.0")
    for number in range(first, last):
        store.write(batch(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps(stored(store, last)))
    store.close()


if __name__ == "__main__":
    main()

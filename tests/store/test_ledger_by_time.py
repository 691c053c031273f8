"""The ledger by time: the current row of each session and slot, by slot, however much is stored; and the sessions that stood in a stretch of time."""

from __future__ import annotations

import msgspec
import pytest

from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Summary, Totals, session_key
from watchpost.store.contracts import TelemetryBatch
from watchpost.store.engines import clickhouse_ledger
from watchpost.store.engines.clickhouse import ClickHouse

SECOND = 10**9
SLOT = 600
FIRST = 1_500_000_000 // SLOT * SLOT
"""Long before anything that other tests store, for these questions are about every project."""


def a_row(project: str, slot: int, session: str = "s", seq: int = 1, steps: int = 1, **changed: object) -> LedgerRow:
    at_ns = (FIRST + slot * SLOT) * SECOND
    made = tuple(
        LedgerStep(
            n.to_bytes(16, "big"), n.to_bytes(8, "big"), b"", at_ns + n, None if n == 2 else 5, "llm", "n", "a", "m", "", "ok", "", 1, None, 3,
            ("LOOP_DETECTED",) if n == 1 else (), 1, None, 7, "pr", "e", 0.5, "yes",
        )
        for n in range(steps)
    )  # fmt: skip
    row = LedgerRow(project, FIRST + slot * SLOT, session, seq, gone=not steps, workflow="w", user_id="u", outcome="completed", steps=made, service="svc", org_id="o", feature="f", release="r")  # fmt: skip
    return msgspec.structs.replace(row, **changed)


def a_session(project: str, name: str, since: int, until: int, revision: int = 1, **changed: object) -> Summary:
    started_ns, ended_ns = (FIRST + since) * SECOND, (FIRST + until) * SECOND
    made = Summary(session_key(project, name), project, name, "w", "", "ended", "completed", revision, started_ns, ended_ns, 1, 0, Totals(steps=1), success=True, breaches=("cost",))  # fmt: skip
    return msgspec.structs.replace(made, **changed)


def ns(slot: float) -> int:
    return round((FIRST + slot * SLOT) * SECOND)


@pytest.fixture(params=[50_000, 3])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Much, or next to nothing, read at once."""
    monkeypatch.setattr(clickhouse_ledger, "_AT_ONCE", request.param)
    monkeypatch.setattr(clickhouse_ledger, "_SESSIONS_AT_ONCE", request.param)
    return int(request.param)


def test_the_current_rows_of_a_stretch_are_told_by_slot_whole_and_each_once(
    telemetry: ClickHouse, project: str, number: int, at_once: int
) -> None:
    rows = [a_row(project, slot, f"s-{n}", steps=3) for slot in (4, 2, 3, 9) for n in range(3)]
    telemetry.write(TelemetryBatch(number, ledger=rows))
    newer = [a_row(project, 2, "s-1", 9, 2, workflow="other"), a_row(project, 3, "s-2", 9, 0)]
    telemetry.write(TelemetryBatch(number + 1, ledger=newer))
    found = [row for row in telemetry.rows_between(ns(2.5), ns(9)) if row.project == project]
    gone = (FIRST + 3 * SLOT, "s-2")
    left = [
        row for row in rows if FIRST + 2 * SLOT <= row.slot < FIRST + 9 * SLOT and (row.slot, row.session_id) != gone
    ]
    wanted = [newer[0] if (row.slot, row.session_id) == (newer[0].slot, "s-1") else row for row in left]
    assert found == sorted(wanted, key=lambda row: (row.slot, row.session_id))
    assert telemetry.steps_between(ns(2), ns(9)) >= sum(len(row.steps) for row in wanted)
    assert [row for row in telemetry.rows_between(ns(5), ns(8)) if row.project == project] == []
    assert at_once


def test_the_sessions_that_stood_in_a_stretch_are_told_by_their_beginning_as_they_are_now(
    telemetry: ClickHouse, project: str, number: int, at_once: int
) -> None:
    stored = [
        a_session(project, "before", 0, 599),
        a_session(project, "through", 100, 5000),
        a_session(project, "within", 700, 800),
        a_session(project, "again", 700, 900),
        a_session(project, "merged", 700, 900, moved_to="x"),
        a_session(project, "after", 1200, 1300),
        a_session(project, "grew", 10, 20),
        a_session(project, "shrank", 10, 2000),
    ]
    newer = [
        a_session(project, "grew", 10, 650, 2, outcome=None, state="running"),
        a_session(project, "shrank", 10, 20, 2),
    ]
    telemetry.write(TelemetryBatch(number, sessions=stored))
    telemetry.write(TelemetryBatch(number + 1, sessions=newer))
    found = [each for each in telemetry.sessions_between(ns(1), ns(2)) if each.project == project]
    assert found[0] == newer[0]
    assert [each.session_id for each in found[:2]] == ["grew", "through"]
    assert {each.session_id for each in found[2:]} == {"within", "again"}
    assert found[1] == stored[1]
    assert at_once

"""What the exposition asks of the ledger, in SQL: the rows written since it last asked, and never all of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from watchpost.store.engines.clickhouse_sql import fill
from watchpost.store.work import TraceSpan, WorkRow, WorkStep

_STEP = (
    "trace_id", "start_ns", "dur_us", "kind", "model", "tool", "status", "in_tok", "out_tok", "cost_nano", "error_type",
    "evaluator", "label",
)  # fmt: skip
_LISTS = ", ".join(f"`steps.{column}`" for column in _STEP)

# Rows that may be current are chosen by the narrow columns of the key first; the lists of steps are read of these alone.
_WORK = f"""
SELECT project, slot, session_id, seq, gone, workflow, outcome, {_LISTS} FROM ledger
PREWHERE slot >= :slot AND seq >= :seq
ORDER BY seq DESC LIMIT 1 BY project, slot, session_id"""  # noqa: S608 - names are ours, values are filled in

_TRACES = """
SELECT project, trace_id, min(start_ns), max(end_ns) FROM merge('^(spans|outlines)$')
WHERE project IN :projects AND trace_id IN :traces AND kind != 'evaluation' AND start_ns > 0
GROUP BY project, trace_id"""

ACTIVE = """
SELECT held.1 AS named, count() FROM (
  SELECT argMax((workflow, state, moved_to), revision) AS held FROM sessions
  WHERE key IN (SELECT key FROM sessions WHERE state != 'ended') GROUP BY key)
WHERE held.2 != 'ended' AND held.3 = '' GROUP BY named"""
"""The query behind `WorkReader.active`."""


def work_sql(seq: int, slot: int) -> str:
    """The query behind `WorkReader.work`."""
    return fill(_WORK, seq=seq, slot=slot)


def work_rows(rows: Iterable[Sequence[object]]) -> list[WorkRow]:
    """The answer to it."""
    return [_work_row(row) for row in rows]


def _work_row(row: Sequence[object]) -> WorkRow:
    project, slot, session_id, seq, gone, workflow, outcome, *lists = row
    steps = tuple([WorkStep(*step) for step in zip(*cast("list[list[object]]", lists), strict=True)])
    head = cast("tuple[str, int, str, int, int, str, str]", (project, slot, session_id, seq, gone, workflow, outcome))
    return WorkRow(*head[:4], bool(head[4]), *head[5:], steps)


def traces_sql(traces: Sequence[tuple[str, bytes]]) -> str:
    """The query behind `WorkReader.traces`."""
    projects = sorted({project for project, _ in traces})
    return fill(_TRACES, projects=projects, traces=[trace_id for _, trace_id in traces])


def trace_spans(
    rows: Iterable[Sequence[object]], wanted: Iterable[tuple[str, bytes]]
) -> dict[tuple[str, bytes], TraceSpan]:
    """The answer to it; traces of the same id in another project are left out."""
    asked = set(wanted)
    found = (cast("tuple[str, bytes, int, int]", row) for row in rows)
    return {
        (project, trace_id): TraceSpan(start, end)
        for project, trace_id, start, end in found
        if (project, trace_id) in asked
    }

"""Retention in ClickHouse: partitions are outlined, copied and dropped, on a handle of its own.

Every statement says which partition it speaks of by its id, such as `20261121-0`: day and tier. Nothing is ever written into a partition
and taken for a block that was written before, since what is held moves to and fro between two tiers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import pyarrow as pa

from watchpost.model.session import session_key
from watchpost.store.engines import clickhouse_rows as rows
from watchpost.store.engines.clickhouse_sql import fill
from watchpost.store.retention import (
    HELD,
    HELD_TOO,
    HOT,
    KEPT,
    Candidate,
    Gone,
    Partition,
    Reason,
    Sampled,
    Sorted,
    Usual,
)

Rows = Callable[[str], list[Sequence[object]]]
Command = Callable[[str], object]
Insert = Callable[[str, pa.Table], object]

_AT_ONCE = 10_000
"""Sessions asked of in one query."""

_SMALL = (
    "SETTINGS insert_deduplicate = 0, max_threads = 1, max_insert_threads = 1, min_insert_block_size_bytes = 16777216"
)
"""One core of the machine, and no block is taken for one that was written before. Copying 1.4 M spans takes less than 200 MB in blocks of 16 MiB, and more than 900 MB in blocks of 64."""

_PARTITIONS = """
SELECT table, partition_id, sum(bytes_on_disk) FROM system.parts
WHERE active AND database = currentDatabase() AND table IN ('spans', 'logs', 'metrics') GROUP BY table, partition_id"""

_TRACES = """
SELECT project, trace_id, session_id FROM (
  SELECT project, trace_id, session_id, argMax(live, seq) AS live FROM members_by_trace
  WHERE (project, trace_id) IN (
    SELECT project, trace_id FROM spans WHERE _partition_id = :partition
    UNION DISTINCT SELECT project, trace_id FROM logs WHERE _partition_id = :partition)
  GROUP BY project, trace_id, session_id)
WHERE live"""

# What fails or is judged was received no earlier than the oldest hot day, or was heeded when an earlier day was sorted.
_TOLD = """
SELECT project, session_id, max(failed), max(judged) FROM (
  SELECT project, trace_id, session_id, argMax(live, seq) AS live FROM members_by_trace
  WHERE (project, trace_id) IN (SELECT project, trace_id FROM spans WHERE {telling}) GROUP BY project, trace_id, session_id) AS m
INNER JOIN (
  SELECT project, trace_id, max(status = 'error') AS failed, max(kind = 'evaluation') AS judged FROM spans
  WHERE {telling} GROUP BY project, trace_id) AS told USING (project, trace_id)
WHERE live GROUP BY project, session_id"""
_TELLING = "tier = 0 AND ((status = 'error' AND kind != 'other') OR (kind = 'evaluation' AND name NOT IN :own))"

_SESSIONS = """
SELECT key, workflow, state, outcome, received_ns, greatest(ended_ns - started_ns, 0), tool_errors > 0 OR retries > 0, notEmpty(breaches)
FROM sessions WHERE key IN :keys ORDER BY revision DESC LIMIT 1 BY key"""

_USUAL = """
SELECT project, held.1 AS workflow, quantileExact({quantile})(held.2) FROM (
  SELECT any(project) AS project, argMax((workflow, ended_ns - started_ns, state, moved_to), revision) AS held
  FROM sessions WHERE received_ns >= :since GROUP BY key)
WHERE held.3 = 'ended' AND held.4 = '' GROUP BY project, workflow HAVING count() >= :least
SETTINGS optimize_aggregation_in_order = 1"""

_SAMPLED = """
SELECT key, project, session_id, decided_ns, kept, share, reason, gone FROM sampling
WHERE key IN :keys ORDER BY decided_ns DESC LIMIT 1 BY key"""

_OUTLINE = f"""
INSERT INTO outlines ({rows.OUTLINED_COLUMNS}) SELECT {rows.OUTLINED} FROM spans WHERE _partition_id = :partition {_SMALL}"""  # noqa: S608 - names are ours

_COPY = f"""
INSERT INTO {{table}} SELECT * REPLACE (toUInt8({{to}}) AS tier) FROM {{table}}
WHERE _partition_id = :partition AND ({{which}}) {_SMALL}"""  # noqa: S608 - names are ours

_SORTED = "(project, trace_id) IN (SELECT project, trace_id FROM sorting WHERE sorting.tier = {tier})"
_ALONE = """
  OR (project, trace_id) NOT IN (SELECT project, trace_id FROM members_by_trace
    WHERE (project, trace_id) IN (SELECT project, trace_id FROM logs WHERE _partition_id = :partition))"""
"""Log lines whose trace no session has."""


_ALONE_HERE: AbstractContextManager[object] = nullcontext()
"""Where nobody deletes meanwhile."""


class ClickHouseRetention:
    """`Stock`, `Sweep` and `SampledReader`. One thread at a time may sweep."""

    def __init__(
        self, query: Rows, command: Command, insert: Insert, moving: AbstractContextManager[object] = _ALONE_HERE
    ) -> None:
        """`query` answers with rows, `command` runs a statement, `insert` adds to a table; `moving` is held while rows move."""
        self._moving = moving
        self._query = query
        self._command = command
        self._insert = insert

    def partitions(self) -> list[Partition]:
        """See `Stock`."""
        found: list[Partition] = []
        for table, name, size in cast("list[tuple[str, str, int]]", self._query(_PARTITIONS)):
            day, _, tier = name.partition("-")
            found.append(Partition(table, int(day), int(tier or 0), size))
        return sorted(found, key=lambda each: (each.day, each.tier, each.table))

    def traces(self, day: int, tier: int) -> dict[tuple[str, bytes], str]:
        """See `Stock`."""
        found = cast("list[tuple[str, bytes, str]]", self._query(fill(_TRACES, partition=_id(day, tier))))
        return {(project, trace_id): session_id for project, trace_id, session_id in found}

    def candidates(
        self, sessions: Sequence[tuple[str, str]], usual: Usual | None, own: Sequence[str]
    ) -> list[Candidate]:
        """See `Stock`."""
        telling = fill(_TELLING, own=own)
        told = {(row[0], row[1]): row[2:] for row in self._query(_TOLD.format(telling=telling))}
        slow: dict[tuple[object, object], object] = {}
        if usual is not None:
            sql = fill(_USUAL.format(quantile=float(usual.quantile)), since=usual.since_ns, least=usual.least)
            slow = {(row[0], row[1]): row[2] for row in self._query(sql)}
        found: list[Candidate] = []
        for some in _parts(sessions):
            keys = {session_key(*ref): ref for ref in some}
            held = {row[0]: row for row in self._query(fill(_SESSIONS, keys=list(keys)))}
            before = self.sampled(list(keys))
            for key, ref in keys.items():
                _, workflow, state, outcome, received_ns, lasted_ns, errors, breached = held.get(key, _NO_SESSION)
                failed, judged = told.get(ref, (0, 0))
                values = (workflow, state, received_ns, lasted_ns, slow.get((ref[0], workflow), 0))
                is_bad = bool(failed or errors or outcome not in {"", "completed"})
                found.append(Candidate(*ref, *values, is_bad, bool(judged), bool(breached), before.get(key)))  # type: ignore[arg-type] # the columns stand in the order of the fields
        return found

    def sampled(self, keys: Sequence[str]) -> dict[str, Sampled]:
        """See `SampledReader`."""
        return sampled(self._query, keys)

    def record(self, decisions: Sequence[Sampled]) -> None:
        """See `Sweep`."""
        if not decisions:
            return
        columns = {
            "key": [session_key(d.project, d.session_id) for d in decisions],
            "project": [d.project for d in decisions],
            "session_id": [d.session_id for d in decisions],
            "decided_ns": pa.array([d.decided_ns for d in decisions], pa.int64()),
            "kept": pa.array([int(d.kept) for d in decisions], pa.uint8()),
            "share": pa.array([d.share for d in decisions], pa.float64()),
            "reason": [d.reason for d in decisions],
            "gone": [d.gone for d in decisions],
        }
        self._insert("sampling", pa.table(columns))

    def move(self, day: int, tier: int, sorted_: Sorted) -> None:
        """See `Sweep`."""
        with self._moving:
            self._move(day, tier, sorted_)

    def _move(self, day: int, tier: int, sorted_: Sorted) -> None:
        partition = _id(day, tier)
        held = HELD_TOO if tier == HELD else HELD
        if tier == HOT:
            self._command(fill(_OUTLINE, partition=partition))
        self._command("TRUNCATE TABLE sorting")
        for to, traces in ((KEPT, sorted_.kept), (held, sorted_.held)):
            for some in _parts(traces, 10 * _AT_ONCE):
                self._insert("sorting", _sorting(some, to))
        for table in ("spans", "logs"):
            alone = _ALONE if table == "logs" and tier == HOT else ""
            if sorted_.kept or alone:
                self._copy(table, partition, KEPT, _SORTED.format(tier=KEPT) + alone)
            if sorted_.held:
                self._copy(table, partition, held, _SORTED.format(tier=held))
            self._command(f"ALTER TABLE {table} DROP PARTITION ID '{partition}'")
        self._command("TRUNCATE TABLE sorting")

    def drop_metrics(self, day: int) -> None:
        """See `Sweep`."""
        self._command(f"ALTER TABLE metrics DROP PARTITION ID '{day:d}'")

    def _copy(self, table: str, partition: str, to: int, which: str) -> None:
        self._command(fill(_COPY.format(table=table, to=to, which=which), partition=partition))


def sampled(query: Rows, keys: Sequence[str]) -> dict[str, Sampled]:
    """See `SampledReader`."""
    return {str(row[0]): _sampled(row) for row in query(fill(_SAMPLED, keys=keys))} if keys else {}


_NO_SESSION = ("", "", "", "", 0, 0, 0, 0)


def _id(day: int, tier: int) -> str:
    return f"{day:d}-{tier:d}"


def _parts(
    values: Sequence[tuple[str, bytes]] | Sequence[tuple[str, str]], size: int = _AT_ONCE
) -> Iterator[Sequence[tuple[str, str]]]:
    return (cast("Sequence[tuple[str, str]]", values[start : start + size]) for start in range(0, len(values), size))


def _sorting(traces: Sequence[tuple[str, object]], tier: int) -> pa.Table:
    columns = {
        "project": [project for project, _ in traces],
        "trace_id": pa.array([trace_id for _, trace_id in traces], pa.binary(16)),
        "tier": pa.array([tier] * len(traces), pa.uint8()),
    }
    return pa.table(columns)


def _sampled(row: Sequence[object]) -> Sampled:
    _, project, session_id, decided_ns, kept, share, reason, gone = row
    head = cast("tuple[str, str, int]", (project, session_id, decided_ns))
    return Sampled(*head, bool(kept), float(cast("float", share)), cast("Reason", reason), cast("Gone", gone))

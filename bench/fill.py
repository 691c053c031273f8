"""Multiplies what a server has stored: copies of every ended session under new identities, until as many spans are there as wanted.

The engine copies its own rows, far past log and fold, at a hundred times the speed of the door. A copy is later named, and earlier by forty
minutes than the one before. Copies share their text but not their neighbours: every id is changed by a mask that looks random, so
that many sessions lie between two copies in a sorted table, and a span takes the room that it takes when it comes through the
door. Run, with no server on the folder, as `python fill.py --data DIR --spans N`; prints how many spans are stored then.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import clickhouse_connect

from watchpost.model.session import session_key
from watchpost.store.folder import DataFolder

_SHIFT_S = 2400
"""How much earlier a copy is: a multiple of the ledger's slot."""
_NS = 10**9

_PARENT = "if({0} = toFixedString('', 8), {0}, bitXor({0}, {1}))"
_FIRST = {
    "sessions": "state = 'ended' AND moved_to = ''",
    "members": "session_id IN (SELECT session_id FROM first_sessions)",
    "members_by_trace": "session_id IN (SELECT session_id FROM first_sessions)",
    "ledger": "session_id IN (SELECT session_id FROM first_sessions)",
    "spans": "trace_id IN (SELECT trace_id FROM first_members)",
}
"""Which rows are copied, in an order in which each can be asked for."""
_OWN = {
    "sessions": """
        transform(session_id, {names}, {keys}) AS key, session_id || '{suffix}' AS session_id,
        started_ns - {shift_ns} AS started_ns, ended_ns - {shift_ns} AS ended_ns, received_ns - {shift_ns} AS received_ns""",
    "members": "session_id || '{suffix}' AS session_id, bitXor(trace_id, {trace}) AS trace_id",
    "members_by_trace": "session_id || '{suffix}' AS session_id, bitXor(trace_id, {trace}) AS trace_id",
    "ledger": """
        slot - {shift_s} AS slot, session_id || '{suffix}' AS session_id,
        arrayMap(x -> bitXor(x, {trace}), `steps.trace_id`) AS `steps.trace_id`,
        arrayMap(x -> bitXor(x, {span}), `steps.span_id`) AS `steps.span_id`,
        arrayMap(x -> {parent_of_step}, `steps.parent_id`) AS `steps.parent_id`,
        arrayMap(x -> x - {shift_ns}, `steps.start_ns`) AS `steps.start_ns`""",
    "spans": """
        bitXor(trace_id, {trace}) AS trace_id, bitXor(span_id, {span}) AS span_id, {parent} AS parent_id,
        received_ns - {shift_ns} AS received_ns, start_ns - {shift_ns} AS start_ns,
        if(end_ns = 0, 0, end_ns - {shift_ns}) AS end_ns, if(own_session = '', '', own_session || '{suffix}') AS own_session""",
}
"""What a copy of a row has of its own."""


def _statements(copy: int, sessions: Sequence[tuple[str, str]]) -> list[str]:
    """The inserts of one copy of every row of the `first_` tables. `sessions` are projects and session ids."""
    mask = hashlib.blake2b(copy.to_bytes(8, "big"), digest_size=24).hexdigest()
    trace, span = f"toFixedString(unhex('{mask[:32]}'), 16)", f"toFixedString(unhex('{mask[32:]}'), 8)"
    suffix = f"-{copy}"
    values = {
        "names": [session_id for _, session_id in sessions],
        "keys": [session_key(project, session_id + suffix) for project, session_id in sessions],
        "suffix": suffix,
        "trace": trace,
        "span": span,
        "parent": _PARENT.format("parent_id", span),
        "parent_of_step": _PARENT.format("x", span),
        "shift_s": copy * _SHIFT_S,
        "shift_ns": copy * _SHIFT_S * _NS,
    }
    return [
        f"INSERT INTO {table} SELECT * REPLACE ({own.format(**values)}) FROM first_{table}"  # noqa: S608 - all of it is ours
        for table, own in _OWN.items()
    ]


def main() -> None:
    """Fill the folder of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--spans", type=int, required=True)
    asked = parser.parse_args()
    folder = DataFolder.open(asked.data)
    settings = {"max_query_size": 10_000_000, "optimize_on_insert": 0, "max_partitions_per_insert_block": 0}
    engine = clickhouse_connect.get_client(interface="chdb", path=str(folder.telemetry), settings=settings)
    for table, rows in _FIRST.items():
        engine.command(f"OPTIMIZE TABLE {table} FINAL")
        engine.command(f"CREATE TABLE first_{table} ENGINE = Memory AS SELECT * FROM {table} WHERE {rows}")  # noqa: S608 - all of it is ours
    found = engine.query("SELECT project, session_id FROM first_sessions").result_rows
    sessions = [(str(project), str(session_id)) for project, session_id in found]
    stored = int(str(engine.command("SELECT count() FROM spans")))
    first = int(str(engine.command("SELECT count() FROM first_spans")))
    copies = max(0, -(-(asked.spans - stored) // first))
    for copy in range(1, copies + 1):
        for statement in _statements(copy, sessions):
            engine.command(statement)
    for table in _FIRST:
        engine.command(f"DROP TABLE first_{table}")
    engine.close()
    folder.close()
    print(stored + copies * first)


if __name__ == "__main__":
    main()

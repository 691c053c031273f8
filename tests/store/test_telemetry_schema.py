"""Opening a telemetry store: an empty one, an older one, a newer one, one in use."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from watchpost.model.step import Reading
from watchpost.model.telemetry import MetricPoint
from watchpost.query.metrics import PointFilter
from watchpost.store.contracts import StoredMetric, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.clickhouse_schema import MIGRATIONS
from watchpost.store.versions import StoreNewerError

NEWEST = len(MIGRATIONS)
OLD = 5
"""A version from before steps carried what they are told apart by."""

_NAMES = (f"schema_{n}" for n in itertools.count())


@pytest.fixture
def database(front_dsn: str) -> tuple[str, Client]:
    """An empty database's address and a client in it."""
    name = next(_NAMES)
    clickhouse_connect.get_client(dsn=front_dsn).command(f"CREATE DATABASE {name}")
    return f"{front_dsn}/{name}", clickhouse_connect.get_client(dsn=front_dsn, database=name)


def test_a_store_can_be_opened_again(database: tuple[str, Client], tmp_path: Path) -> None:
    dsn, client = database
    for _ in range(2):
        ClickHouse.open(dsn, tmp_path, "0.1.0").close()
    versions = client.query("SELECT version, program FROM schema_version ORDER BY version").result_rows
    assert versions == [(version, "0.1.0") for version in range(1, NEWEST + 1)]


def test_a_schema_made_half_is_completed(database: tuple[str, Client], tmp_path: Path) -> None:
    dsn, client = database
    ClickHouse.open(dsn, tmp_path, "0.1.0").close()
    for table in ("schema_version", "logs", "ledger"):
        client.command(f"DROP TABLE {table}")
    store = ClickHouse.open(dsn, tmp_path, "0.1.0")
    assert store.logs("p", bytes(16), bytes(8), 1) == []
    store.close()


def test_a_store_from_before_metrics_were_kept_takes_them(database: tuple[str, Client], tmp_path: Path) -> None:
    dsn, client = database
    store = ClickHouse.open(dsn, tmp_path, "0.1.0")
    span = Reading("p", bytes(16), bytes(8), b"", 1, 0, 0, 0, "tool", "", "ok")
    store.write(TelemetryBatch(1, readings=[span]))
    store.close()
    client.command("DROP TABLE metrics")
    client.command("ALTER TABLE schema_version DELETE WHERE version >= 2", settings={"mutations_sync": 2})
    store = ClickHouse.open(dsn, tmp_path, "0.2.0")
    point = MetricPoint("tokens", "", "sum", "delta", True, {}, 0, 1, 5)  # noqa: FBT003 - OTLP's isMonotonic
    metric = StoredMetric(b"i" * 16, "p", 0, {}, "", point)
    store.write(TelemetryBatch(2, metrics=[metric]))
    assert store.points(PointFilter("tokens")) == [metric]
    assert store.reading("p", bytes(16), bytes(8)) is not None
    store.close()
    versions = client.query("SELECT version, program FROM schema_version ORDER BY version").result_rows
    assert versions == [(1, "0.1.0"), *((version, "0.2.0") for version in range(2, NEWEST + 1))]


def test_texts_stored_in_columns_of_their_own_are_read_as_ever(database: tuple[str, Client], tmp_path: Path) -> None:
    dsn, client = database
    store = ClickHouse.open(dsn, tmp_path, "0.1.0")
    older = Reading("p", bytes(16), b"older...", b"", 1, 0, 0, 0, "tool", "", "ok", input="asked", output="told")
    newer = msgspec.structs.replace(older, span_id=b"newer...")
    client.command(
        "INSERT INTO spans (project, span_id, ver, kind, status, input, output, rest) VALUES ('p', 'older...', 1, 'tool', 'ok', 'asked', 'told', '{}')"
    )
    store.write(TelemetryBatch(1, readings=[newer]))
    assert [store.reading("p", bytes(16), span_id) for span_id in (b"older...", b"newer...")] == [older, newer]
    found = store.readings([("p", bytes(16))], 1)
    assert sorted(found, key=lambda reading: reading.span_id) == [newer, older]
    store.close()


def test_what_was_counted_before_a_version_is_read_after_it(database: tuple[str, Client], tmp_path: Path) -> None:
    dsn, client = database
    for statement in itertools.chain(*MIGRATIONS[:OLD]):
        client.command(statement)
    client.command("CREATE TABLE schema_version (version UInt32, program String) ENGINE = MergeTree ORDER BY version")
    client.command(f"INSERT INTO schema_version SELECT number + 1, '0.1.0' FROM numbers({OLD})")  # noqa: S608 - a number of our own
    client.command(
        "INSERT INTO sessions (key, project, session_id, workflow, state, revision, steps) VALUES ('k', 'p', 's', 'w', 'ended', 1, 2)"
    )
    lists = {
        "trace_id": "'aaaaaaaaaaaaaaaa', 'aaaaaaaaaaaaaaaa'",
        "span_id": "'bbbbbbbb', 'cccccccc'",
        "parent_id": "'bbbbbbbb', 'bbbbbbbb'",
        "start_ns": "1, 2",
        "dur_us": "1, NULL",
        **dict.fromkeys(("kind", "name", "agent", "model", "tool", "status", "error_type"), "'x', 'y'"),
        **dict.fromkeys(("in_tok", "out_tok", "cost_nano"), "1, NULL"),
        "flags": "['F'], []",
    }
    names, values = ", ".join(f"`steps.{name}`" for name in lists), ", ".join(f"[{each}]" for each in lists.values())
    client.command(
        f"INSERT INTO ledger (project, slot, session_id, seq, workflow, {names}) VALUES ('p', 0, 's', 1, 'w', {values})"  # noqa: S608 - all of it stands above
    )
    store = ClickHouse.open(dsn, tmp_path, "0.2.0")
    summary = store.session("k")
    assert summary is not None
    assert (summary.totals.steps, summary.org_id, summary.release) == (2, "", "")
    steps = [row.step for row in store.steps(summary, 0, 10)]
    assert [(step.name, step.in_tok, step.flags) for step in steps] == [("x", 1, ("F",)), ("y", None, ())]
    assert [(step.cached_tok, step.first_us, step.score, step.label) for step in steps] == [(None, None, None, "")] * 2
    store.close()


def test_a_store_of_a_newer_program_is_refused(database: tuple[str, Client], tmp_path: Path) -> None:
    dsn, client = database
    ClickHouse.open(dsn, tmp_path, "0.1.0").close()
    client.command(f"INSERT INTO schema_version VALUES ({NEWEST + 1}, '0.9.0')")  # noqa: S608 - a number of our own
    with pytest.raises(StoreNewerError, match=rf"version {NEWEST + 1}.*watchpost 0\.1\.0.*up to {NEWEST}"):
        ClickHouse.open(dsn, tmp_path, "0.1.0")


def test_readers_see_every_batch_whose_write_returned_while_others_are_written(embedded_clickhouse: ClickHouse) -> None:
    traces = [b"beside" + n.to_bytes(10, "big") for n in range(8)]
    written: list[bytes] = []
    missed: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            returned = list(written)
            found = {
                r.trace_id for r in embedded_clickhouse.readings([("beside", trace) for trace in returned], 1 << 62)
            }
            missed.extend(set(returned) - found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number, trace in enumerate(traces):
        reading = Reading("beside", trace, bytes(8), b"", 1, 0, 0, 0, "tool", "", "ok")
        embedded_clickhouse.write(TelemetryBatch(10**15 + number, readings=[reading]))
        written.append(trace)
    done.set()
    for reader in readers:
        reader.join()
    assert missed == []

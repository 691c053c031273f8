"""Opening a telemetry store: an empty one, an older one, a newer one, one in use."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from watchpost.model.step import Reading
from watchpost.store.contracts import TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.versions import StoreNewerError

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
    assert client.query("SELECT version, program FROM schema_version").result_rows == [(1, "0.1.0")]


def test_a_schema_made_half_is_completed(database: tuple[str, Client], tmp_path: Path) -> None:
    dsn, client = database
    ClickHouse.open(dsn, tmp_path, "0.1.0").close()
    for table in ("schema_version", "logs", "ledger"):
        client.command(f"DROP TABLE {table}")
    store = ClickHouse.open(dsn, tmp_path, "0.1.0")
    assert store.logs("p", bytes(16), bytes(8), 1) == []
    store.close()


def test_a_store_of_a_newer_program_is_refused(database: tuple[str, Client], tmp_path: Path) -> None:
    dsn, client = database
    ClickHouse.open(dsn, tmp_path, "0.1.0").close()
    client.command("INSERT INTO schema_version VALUES (7, '0.9.0')")
    with pytest.raises(StoreNewerError, match=r"version 7.*watchpost 0\.1\.0.*up to 1"):
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

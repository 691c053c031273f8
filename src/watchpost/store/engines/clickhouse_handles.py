"""Handles on one ClickHouse, embedded or server: one to write with, several to read with.

Calls on one handle queue, calls on different handles run side by side; so readers never wait for the writer.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client


class EmbeddedLimits(msgspec.Struct, frozen=True):
    """Memory that the embedded engine may use, in bytes: all of it together, and its caches of marks and of index marks."""

    total: int = 1_000_000_000
    marks: int = 64_000_000
    index_marks: int = 16_000_000


class Handles:
    """A writer handle and a pool of reader handles. Safe for one writing thread and any number of reading threads."""

    def __init__(self, connect: Callable[[], Client], readers: int, restore: Callable[[], None]) -> None:
        self.writer = connect()
        self._connect = connect
        self.moving = threading.Lock()
        """Held by whoever copies rows to another partition, or deletes rows that might be on their way."""
        self._restore = restore
        self._others: list[Client] = []
        self._free: queue.LifoQueue[Client] = queue.LifoQueue()
        self._readers = [connect() for _ in range(readers)]
        for reader in self._readers:
            self._free.put(reader)

    @contextmanager
    def reader(self) -> Iterator[Client]:
        """A handle that no other thread uses meanwhile; waits while all are taken."""
        client = self._free.get()
        try:
            yield client
        finally:
            self._free.put(client)

    def rows(self, sql: str) -> list[Sequence[object]]:
        """The rows of one query."""
        with self.reader() as client:
            return cast("list[Sequence[object]]", client.query(sql).result_rows)

    def another(self) -> Client:
        """A handle for long work beside the others; closed with them."""
        self._others.append(self._connect())
        return self._others[-1]

    def close(self) -> None:
        """Close every handle; calling it again does nothing."""
        for client in (*self._readers, *self._others, self.writer):
            client.close()
        self._restore()


_TWO_THREADS = {"max_threads": 2, "max_threads_min_free_memory_per_thread": 0}
"""For a question. The engine itself would give it a thread for each GiB that is free, so never more than one under the limits it is opened with; in these, questions of two
threads on ten million spans have room. More threads would take more memory, whatever cores there are."""


_SOON_AGAIN = {
    "background_processing_pool_thread_sleep_seconds_if_nothing_to_do": 0.02,
    "background_processing_pool_task_sleep_seconds_when_no_work_random_part": 0.05,
}
"""Seconds until the engine looks again for room to merge or mutate a part. It has room for four: a mutation takes every part of its table, and with the engine's own
0.1 and up to 1 waits most of its time."""


def open_handles(dsn: str, folder: Path, limits: EmbeddedLimits, readers: int) -> Handles:
    """Connect to `chdb:///absolute/path` in this process, or to `clickhouse://host`.

    The embedded engine passes inserts through temporary files: until the handles are closed, all temporary files of this
    process stand in `folder`, which is emptied first, because a killed process leaves them behind.
    """
    settings = {
        "async_insert": 0,
        "max_query_size": 10_000_000,
        "max_partitions_per_insert_block": 0,
        "optimize_on_insert": 0,
    }
    if not dsn.startswith("chdb:"):

        def connect_server() -> Client:
            return clickhouse_connect.get_client(dsn=dsn, settings=settings, autogenerate_session_id=False)

        return Handles(connect_server, readers, lambda: None)

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    options = {
        "max_server_memory_usage": limits.total,
        "mark_cache_size": limits.marks,
        "index_mark_cache_size": limits.index_marks,
        "uncompressed_cache_size": 0,
    } | _SOON_AGAIN
    before, tempfile.tempdir = tempfile.tempdir, str(folder)

    def restore() -> None:
        tempfile.tempdir = before

    def connect_embedded() -> Client:
        # Not as dsn: a path may hold characters that mean something in an address.
        path = dsn.removeprefix("chdb://")
        return clickhouse_connect.get_client(
            interface="chdb", path=path, settings=settings | _TWO_THREADS, chdb_options=options
        )

    return Handles(connect_embedded, readers, restore)

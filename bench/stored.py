"""A server that holds much: memory, disk, pages of long sessions, and how soon it starts again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lab import Lab, Measured, bytes_on_disk, median, milliseconds, percentile
from load import Plan
from process import offer
from product import Watchpost
from spans import Shape, session_name

KEEPS_ALL = "[retention]\nenabled = false\n"
"""Settings of a server on days that are over, which would else sort them, and keep the traces of few."""
_TEXTS = 4
"""Groups of distinct text in a stock: few rows that are compressed together have the same text."""
_SETTLE_S = 10.0
_MANY = 10_000_000
_FILL = Path(__file__).with_name("fill.py")
_READS = 60
_MEBI = 1 << 20

_MERGE = """
import sys, clickhouse_connect, json
client = clickhouse_connect.get_client(dsn="chdb:///" + sys.argv[1])
ours = "active AND database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA')"
sizes = f"SELECT database || '.' || table, sum(bytes_on_disk), sum(rows) FROM system.parts WHERE {ours} GROUP BY 1"
left = client.query(sizes).result_rows
for table, _, _ in left:
    client.command(f"OPTIMIZE TABLE {table} FINAL")
print(json.dumps([left, client.query(sizes).result_rows]))
"""
"""Run apart, after the server has ended: one process at a time may hold an embedded database, and one process holds one."""


class Stock:
    """One data folder filled on first use and shared by the measurements of this room; the server runs only while asked to."""

    def __init__(self, lab: Lab) -> None:
        """Nothing happens until it is asked for."""
        self._lab = lab
        self._folder: Path | None = None
        self._server: Watchpost | None = None
        self.resident: dict[int, tuple[int, int]] = {}
        """Resident bytes, now and at most, by spans stored."""
        self.spans = 0
        """Spans in it."""

    def running(self) -> Watchpost:
        """The server on it, started if need be."""
        folder = self._filled()
        if self._server is None:
            self._server = self._lab.serve(folder)
        return self._server

    def folder(self) -> Path:
        """Its folder, with no server on it."""
        folder = self._filled()
        if self._server is not None:
            self._server.program.stop()
            self._server = None
        return folder

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.program.kill()
            self._server = None

    def _filled(self) -> Path:
        if self._folder is None:
            self.close()
            self.spans = 0
            folder = self._lab.new_folder("stock")
            self._server = self._lab.serve(folder)
            self._fill(self._server)
            self._folder = folder
        return self._folder

    def _fill(self, server: Watchpost) -> None:
        run = self._lab.run()
        for spans in self._lab.scale.stored:
            plan = Plan(
                port=server.port,
                run=run,
                spans=spans - self.spans,
                seconds=7200.0,
                templates=_TEXTS,
                first=self.spans // Shape().body_spans,
            )
            self.spans += offer(plan).spans
            server.wait_applied(self._lab.run(), timeout_s=7200.0)
            time.sleep(_SETTLE_S)
            self.resident[spans] = (server.program.resident(), server.program.resident_peak())


class Filled(Stock):
    """A stock of ten million spans: some that came through the door, multiplied in its database by `fill.py`."""

    def _filled(self) -> Path:
        if self._folder is None:
            folder = self._lab.new_folder("filled")
            (folder / "watchpost.toml").write_text(KEEPS_ALL)
            with self._lab.serve(folder) as server:
                offer(
                    Plan(
                        port=server.port,
                        run=self._lab.run(),
                        spans=_TEXTS * Shape().spans,
                        seconds=600.0,
                        templates=_TEXTS,
                    )
                )
                server.wait_applied(self._lab.run())
                server.wait_ended()
                server.program.stop()
            command = [sys.executable, str(_FILL), "--data", str(folder / "data"), "--spans", str(_MANY)]
            self.spans = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            self._folder = folder
        return self._folder


def large(lab: Lab, filled: Filled) -> Measured:
    """Start, memory and pages with very many spans stored."""
    started = start(lab, filled)
    server = filled.running()
    time.sleep(_SETTLE_S)
    idle = server.program.resident()
    read = pages(lab, filled)
    now, peak = server.program.resident(), server.program.resident_peak()
    numbers = {f"start_{name}": number for name, number in started.numbers.items()} | dict(read.numbers)
    numbers |= {"idle_mib": idle / _MEBI, "resident_mib": now / _MEBI, "peak_mib": peak / _MEBI}
    value = f"ready in {started.value}; {idle / _MEBI:,.0f} MiB idle, {now / _MEBI:,.0f} MiB after reading (peak {peak / _MEBI:,.0f}); pages {read.value}"
    return Measured(value, numbers, [f"{filled.spans:,} spans stored; API: 100 steps from anywhere in the session"])


def memory(lab: Lab, stock: Stock) -> Measured:
    """Resident memory after so many spans were taken in and have settled."""
    stock.running()
    numbers: dict[str, float] = {}
    for spans, (now, peak) in stock.resident.items():
        numbers |= {f"resident_mib_at_{spans}": now / _MEBI, f"peak_mib_at_{spans}": peak / _MEBI}
    value = ", ".join(
        f"{now / _MEBI:,.0f} MiB at {spans:,} spans (peak {peak / _MEBI:,.0f})"
        for spans, (now, peak) in stock.resident.items()
    )
    return Measured(value, numbers, [] if lab.scale.name == "full" else ["10 M spans are measured by the full run"])


def open_sessions(lab: Lab) -> Measured:
    """Resident memory with many sessions that never ended, beside the same server before."""
    folder = lab.new_folder("open")
    shape = Shape(sessions=min(1_000, lab.scale.open_sessions), rooted=False)
    with lab.serve(folder) as server:
        server.wait_applied(lab.run())
        time.sleep(_SETTLE_S)
        before = server.program.resident()
        offer(
            Plan(
                port=server.port, run=lab.run(), spans=lab.scale.open_sessions * shape.steps, seconds=300.0, shape=shape
            )
        )
        server.wait_applied(lab.run())
        time.sleep(_SETTLE_S)
        after, peak = server.program.resident(), server.program.resident_peak()
    lab.drop(folder)
    numbers = {
        "before_mib": before / _MEBI,
        "after_mib": after / _MEBI,
        "peak_mib": peak / _MEBI,
        "kb_per_session": (after - before) / lab.scale.open_sessions / 1000,
    }
    value = f"{after / _MEBI:,.0f} MiB with {lab.scale.open_sessions:,} open sessions of {shape.steps} steps"
    return Measured(
        value,
        numbers,
        [f"{before / _MEBI:,.0f} MiB before, peak {peak / _MEBI:,.0f} MiB; the inserts' own memory is in it"],
    )


def pages(lab: Lab, stock: Stock) -> Measured:
    """Long sessions, read through the API and as a page, with the stock stored beside them."""
    server = stock.running()
    numbers: dict[str, float] = {}
    lines = []
    for steps in lab.scale.long_sessions:
        run = lab.run()
        stock.spans += offer(
            Plan(
                port=server.port,
                run=run,
                spans=steps + 1,
                seconds=600.0,
                connections=1,
                shape=Shape(sessions=1, steps=steps),
            )
        ).spans
        server.wait_applied(lab.run())
        session = server.session(session_name(run, 0, 0))
        if session is None or session.totals.steps != steps:
            raise LookupError(f"a session of {steps} steps shows as {session}")
        for name, paths in (
            ("api", _steps_paths(session.key, steps)),
            ("page", (f"/sessions/{session.key}" for _ in range(_READS))),
        ):
            answers = [server.client.get(path) for path in paths]
            bad = [answer.status for answer in answers if answer.status != 200]
            seconds = [answer.seconds for answer in answers if answer.status == 200]
            numbers |= milliseconds(seconds, f"{name}_{steps}") | {
                f"{name}_{steps}_bytes": median([len(answer.body) for answer in answers]),
                f"{name}_{steps}_failed": len(bad),
            }
            lines.append(
                f"{name} of {steps:,} steps {1e3 * percentile(seconds, 0.95):.0f} ms"
                + (f" ({len(bad)} of {_READS} failed: {bad[0]})" if bad else "")
            )
    return Measured(
        "p95: " + ", ".join(lines),
        numbers,
        [f"{stock.spans:,} spans stored; API: 100 steps from anywhere in the session"],
    )


def _steps_paths(key: str, steps: int) -> Iterator[str]:
    return (f"/api/sessions/{key}/steps?after={number * steps // _READS}&limit=100" for number in range(_READS))


def start(lab: Lab, stock: Stock) -> Measured:
    """Start to ready on the stock, again and again."""
    folder = stock.folder()
    seconds, ends = [], []
    for _ in range(lab.scale.starts):
        with lab.serve(folder) as server:
            seconds.append(server.ready_s)
            ends.append(server.program.stop())
    numbers = {"median_s": median(seconds), "most_s": max(seconds), "end_median_s": median(ends)}
    return Measured(
        f"{median(seconds):.2f} s (most {max(seconds):.2f} s)",
        numbers,
        [f"{len(seconds)} starts on {stock.spans:,} spans; ends in {median(ends):.2f} s"],
    )


def disk(_: Lab, stock: Stock) -> Measured:
    """Bytes in the data folder per span, after the server has ended and every table was merged."""
    data = stock.folder() / "data"
    total = bytes_on_disk(data)
    others = total - bytes_on_disk(_database(data))
    left, merged = _tables(data)
    spans = stock.spans
    numbers = {f"merged_{table}_bytes_per_span": size / spans for table, size, _ in merged}
    numbers |= {f"left_{table}_bytes_per_span": size / spans for table, size, _ in left}
    numbers["merged_bytes_per_span"] = (sum(size for _, size, _ in merged) + others) / spans
    numbers["left_bytes_per_span"] = (sum(size for _, size, _ in left) + others) / spans
    numbers |= {"folder_bytes_per_span": total / spans, "log_and_state_bytes_per_span": others / spans}
    by_table = ", ".join(
        f"{table.rpartition('.')[2]} {size / spans:.0f}"
        for table, size, _ in sorted(merged, key=lambda row: -row[1])
        if size / spans >= 1
    )
    notes = [
        f"per table: {by_table}; log and state {others / spans:.0f}",
        f"active parts as the server left them, with log and state, {numbers['left_bytes_per_span']:.0f} B; the whole folder at that moment {numbers['folder_bytes_per_span']:.0f} B",
    ]
    return Measured(f"{numbers['merged_bytes_per_span']:.0f} B", numbers, notes)


def _database(data: Path) -> Path:
    """The folder of the embedded database: the one that holds `metadata` and `store`."""
    return next(found.parent for found in sorted(data.rglob("metadata")) if (found.parent / "store").is_dir())


def _tables(data: Path) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """Every table's name, bytes and rows of active parts, as left and after merging."""
    command = [sys.executable, "-c", _MERGE, str(_database(data))]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return msgspec.json.decode(printed, type=tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]])

"""What it costs to sort a day: decide of its sessions, outline its spans, copy what is kept, drop the rest.

A million spans, some of them through the door and the others copies of these by `fill.py`, most of whose sessions have nothing for which they
must be kept. The sweep runs in a process of its own, as `python retention.py --data DIR`, with no server on the folder, and prints what it took.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lab import Lab, Measured
from load import Plan
from process import offer
from spans import Shape
from watchpost.model.fact import Hold
from watchpost.runtime.retention import Surroundings, Sweeper, Terms, end_ns
from watchpost.runtime.sampling import Policy
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.sql import SqlState
from watchpost.store.folder import DataFolder
from watchpost.store.retention import Partition

_BENCH = Path(__file__).parent
_SPANS = 1_000_000
_TEXTS = 4
_DAY_NS = 86_400 * 10**9
_SHARE = 0.10


class Swept(msgspec.Struct, frozen=True):
    """What one sweep found and took."""

    spans: int
    sessions: int
    kept: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    before_bytes: int
    after_bytes: int
    outline_bytes: int


class _NoHolds:
    def holds(self) -> list[Hold]:
        return []


def retention(lab: Lab) -> Measured:
    """Cost and yield of sorting a million spans."""
    folder = lab.new_folder("retention")
    with lab.serve(folder) as server:
        offer(Plan(port=server.port, run=lab.run(), spans=_TEXTS * Shape().spans, seconds=600.0, templates=_TEXTS))
        server.wait_applied(lab.run())
        server.wait_ended()
        server.program.stop()
    data = str(folder / "data")
    _run(["fill.py", "--data", data, "--spans", str(_SPANS)])
    swept = msgspec.json.decode(_run(["retention.py", "--data", data]), type=Swept)
    lab.drop(folder)
    millions = swept.spans / 1e6
    numbers = {
        "cpu_s_per_million": swept.cpu_seconds / millions,
        "wall_s_per_million": swept.seconds / millions,
        "peak_mib": swept.peak_mib,
        "kept_share": swept.kept / swept.sessions,
        "bytes_per_span_before": swept.before_bytes / swept.spans,
        "bytes_per_span_after": swept.after_bytes / swept.spans,
        "outline_bytes_per_span": swept.outline_bytes / swept.spans,
    }
    value = f"{swept.cpu_seconds / millions:.1f} s of CPU per million spans"
    notes = [
        f"{swept.spans:,} spans of {swept.sessions:,} sessions, {swept.kept:,} kept; {swept.seconds / millions:.1f} s by the clock",
        f"{numbers['bytes_per_span_before']:.0f} B per span before, {numbers['bytes_per_span_after']:.0f} B after, of which outlines {numbers['outline_bytes_per_span']:.0f} B",
    ]
    return Measured(value, numbers, notes)


def _run(command: Sequence[str]) -> str:
    script = [sys.executable, str(_BENCH / command[0]), *command[1:]]
    return subprocess.run(script, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Sweep the folder of the command line, as of the day after the last one on which anything came."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    folder = DataFolder.open(parser.parse_args().data)
    store = ClickHouse.open(f"chdb://{folder.telemetry}", folder.tmp / "inserts", "bench")
    state = SqlState.open(f"sqlite:///{folder.state}", "bench")
    stock = store.retention()
    partitions = stock.partitions()
    now_ns = max(end_ns(partition.day) for partition in partitions) + _DAY_NS
    terms = Terms(_DAY_NS, 10_000 * _DAY_NS, 10_000 * _DAY_NS, 0.99, Policy(_SHARE, {}, _DAY_NS))
    around = Surroundings(state, _NoHolds(), store.session, lambda: 0, lambda: now_ns)
    sweeper = Sweeper(terms, stock, stock, around, ())
    spans = sum(size.rows for size in store.sizes() if size.table == "spans")
    before = _bytes(partitions)
    begun, cpu = time.perf_counter(), time.process_time()
    sweeper.sweep()
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    outlines = sum(size.bytes for size in store.sizes() if size.table == "outlines")
    tally = sweeper.tally
    swept = Swept(
        spans=spans,
        sessions=tally.kept + tally.dropped,
        kept=tally.kept,
        seconds=took,
        cpu_seconds=cpu,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        before_bytes=before,
        after_bytes=_bytes(stock.partitions()) + outlines,
        outline_bytes=outlines,
    )
    store.close()
    state.close()
    folder.close()
    sys.stdout.write(msgspec.json.encode(swept).decode())


def _bytes(partitions: Sequence[Partition]) -> int:
    return sum(partition.bytes for partition in partitions if partition.table != "metrics")


if __name__ == "__main__":
    main()

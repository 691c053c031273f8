"""The benchmark: `make bench`. Runs every measurement of a table against a server it starts, prints, and writes RESULTS.md.

Nothing is asserted: a number that misses its aim stands beside it. Everything started is stopped, every folder made is removed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
from playwright.sync_api import Error as BrowserError

from alerts import notice, outbox, ticks
from ingest import acknowledgement, cost, kill, throughput
from lab import FULL, QUICK, USUAL, Lab, Measured, Measurement, Scale
from pages import browser
from peers import MLFLOW, PHOENIX, NotInstalledError, measured, ours
from process import NotReadyError
from product import NeverAppliedError
from questions import questions
from report import Result, Results, machine, render
from retention import retention
from search import search
from stored import Filled, Stock, disk, large, memory, open_sessions, pages, start
from visible import flag

_BENCH = Path(__file__).parent
_DETECTORS = "\n## Detectors\n"
"""What `bench/detectors.py` measures has the end of RESULTS.md, which this leaves alone."""

_FAILURES = (
    NotReadyError,
    NeverAppliedError,
    NotInstalledError,
    OSError,
    LookupError,
    ValueError,
    subprocess.SubprocessError,
    msgspec.MsgspecError,
    BrowserError,
)


def table(stock: Stock, filled: Filled) -> tuple[Measurement, ...]:
    """What is measured, in order; the measurements of the stock share it, and `disk` merges it, so it comes last."""
    return (
        Measurement(
            "throughput",
            "durable ingest, one process, all detectors on",
            "spans/s",
            ">= 20,000 spans/s, nothing acknowledged lost",
            throughput,
        ),
        Measurement(
            "kill", "acknowledged steps after kill -9 under full load", "steps", "none lost, none counted twice", kill
        ),
        Measurement(
            "cost",
            "CPU per span against the floor (decode, Arrow, insert of the same payload in process)",
            "times",
            "<= 2 times",
            cost,
        ),
        Measurement(
            "acknowledgement",
            "acknowledgement at 20,000 spans/s while pages are read",
            "ms",
            "p99 < 20 ms",
            acknowledgement,
        ),
        Measurement("flag", "span received to flag visible beside 5,000 spans/s", "ms", "p99 < 1 s", flag),
        Measurement("notice", "span received to signed webhook of its flag's alert", "ms", "p99 < 1 s", notice),
        Measurement("outbox", "notices delivered", "notices/s", "a dead channel delays no other", outbox),
        Measurement(
            "memory", "server memory with spans stored", "MiB", "< 1.5 GB at 10 M spans", partial(memory, stock=stock)
        ),
        Measurement(
            "pages", "session page", "ms", "p95 < 200 ms at 1,000 steps; 10,000 usable", partial(pages, stock=stock)
        ),
        Measurement("start", "start to ready on an existing folder", "s", "< 3 s", partial(start, stock=stock)),
        Measurement(
            "disk", "disk per span of 1.4 kB of attributes, all kept", "B", "<= 250 B", partial(disk, stock=stock)
        ),
        Measurement("open", "server memory with open sessions", "MiB", "-", open_sessions),
        Measurement(
            "large",
            "10 M spans stored: start, memory, pages",
            "",
            "ready < 3 s, < 1.5 GB, p95 < 200 ms at 1,000 steps",
            partial(large, filled=filled),
        ),
        Measurement(
            "questions",
            "twenty questions of measures on 10 M spans",
            "ms",
            "p95 < 1 s",
            partial(questions, filled=filled),
        ),
        Measurement(
            "search",
            "finding sessions among 10 M spans",
            "ms",
            "p95 < 1 s",
            partial(search, filled=filled),
        ),
        Measurement(
            "browser",
            "pages in a browser, 10 M spans stored; timeline of 50,000 steps",
            "ms",
            ">= 50 frames/s",
            partial(browser, stock=filled),
        ),
        Measurement(
            "ticks", "200 rules on 10 M spans, a tick", "ms", "well under a second", partial(ticks, filled=filled)
        ),
        Measurement(
            "retention", "sorting a day of spans: decide, outline, copy, drop", "s per million", "-", retention
        ),
        Measurement("watchpost", "Watchpost as the peers are driven", "", "-", ours),
        Measurement("phoenix", "Phoenix, same load", "", "-", measured(PHOENIX)),
        Measurement("mlflow", "MLflow, same load", "", "-", measured(MLFLOW)),
    )


def _names(scale: Scale, stock: Stock, filled: Filled) -> set[str]:
    """What is measured when nothing is asked for by name: ten million spans take the full run's time."""
    return {measurement.name for measurement in table(stock, filled)} - (
        set() if scale is FULL else {"large", "questions", "search", "browser", "ticks"}
    )


def main() -> int:
    """Run what the command line asks for."""
    asked = arguments()
    scale: Scale = asked.scale
    out = _BENCH / "out"
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=out) as folder:
        lab = Lab(scale, Path(folder), asked.watchpost)
        with closing(Stock(lab)) as stock, closing(Filled(lab)) as filled:
            results = [
                carried_out(measurement, lab)
                for measurement in table(stock, filled)
                if measurement.name in (asked.only or _names(scale, stock, filled))
            ]
    written = Results(asked.date, scale.name, machine(), results)
    (out / f"{scale.name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=2))
    if not asked.only:
        page = _BENCH / "RESULTS.md"
        _, mark, detectors = page.read_text().partition(_DETECTORS)
        page.write_text(render(written) + mark + detectors)
    return 1 if any(result.measured is None for result in results) else 0


def carried_out(measurement: Measurement, lab: Lab) -> Result:
    """One measurement, printed as it ends; one that fails leaves the others to run."""
    print(f"{measurement.name}: {measurement.what} ...", flush=True)
    begun = time.perf_counter()
    measured_now: Measured | None = None
    failure = ""
    try:
        measured_now = measurement.function(lab)
    except _FAILURES as error:
        failure = f"{type(error).__name__}: {str(error)[-500:]}"
    took = time.perf_counter() - begun
    print(f"  {measured_now.value if measured_now else 'not measured: ' + failure} ({took:.0f} s)", flush=True)
    for note in measured_now.notes if measured_now else ():
        print(f"    {note}", flush=True)
    return Result(measurement.name, measurement.what, measurement.unit, measurement.aim, measured_now, failure, took)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__)
    sizes = asked.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="scale", action="store_const", const=QUICK, help="a few minutes, small numbers")
    sizes.add_argument("--full", dest="scale", action="store_const", const=FULL, help="also with 10 M spans stored")
    asked.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="only this measurement; may be repeated; RESULTS.md is left alone",
    )
    asked.add_argument(
        "--date",
        default=datetime.now(UTC).date().isoformat(),
        help="the date to stand in the results; today, in UTC, if not given",
    )
    asked.add_argument(
        "--watchpost", type=Path, default=Path(sys.executable).with_name("watchpost"), help="the program to measure"
    )
    asked.set_defaults(scale=USUAL)
    return asked.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())

"""What every measurement is given and gives back, and the arithmetic they share."""

from __future__ import annotations

import itertools
import math
import shutil
import stat
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from product import Watchpost

Number = int | float


class Scale(msgspec.Struct, frozen=True):
    """How much of everything. Times are seconds."""

    name: str
    rounds: int
    """Alternations of floor and product."""
    round_spans: int
    seconds: float
    """Length of each load."""
    kills: int
    stored: Sequence[int]
    """Spans stored when memory is read, ascending; pages are read at the last."""
    long_sessions: Sequence[int]
    """Steps of the sessions whose pages are read."""
    open_sessions: int
    starts: int
    peer_seconds: float


QUICK = Scale("quick", 2, 30_000, 12.0, 1, (100_000,), (1_000, 10_000), 2_000, 3, 15.0)
USUAL = Scale("default", 5, 100_000, 60.0, 3, (1_000_000,), (1_000, 10_000, 50_000), 10_000, 5, 60.0)
FULL = Scale("full", 7, 100_000, 60.0, 5, (1_000_000, 10_000_000), (1_000, 10_000, 50_000), 10_000, 5, 60.0)


class Measured(msgspec.Struct, frozen=True):
    """The result of one measurement: `value` is the line to read beside the aim, `numbers` everything behind it, `notes` what to know."""

    value: str
    numbers: Mapping[str, Number]
    notes: Sequence[str] = ()


class Lab:
    """The folders and the server of one run of the benchmark."""

    def __init__(self, scale: Scale, folder: Path, executable: Path) -> None:
        """Work in `folder`, which the caller removes, with the `watchpost` program `executable`."""
        self.scale = scale
        self.folder = folder
        self._executable = executable
        self._numbers = itertools.count(1)

    def run(self) -> int:
        """A number for a load, never given before in this run."""
        return next(self._numbers)

    def new_folder(self, name: str) -> Path:
        """An empty folder."""
        folder = self.folder / f"{name}-{self.run()}"
        folder.mkdir(parents=True)
        return folder

    def serve(self, folder: Path) -> Watchpost:
        """A server on the data kept in `folder`."""
        return Watchpost(self._executable, folder / "data")

    def drop(self, folder: Path) -> None:
        """Remove a folder of `new_folder`."""
        shutil.rmtree(folder)


class Measurement(msgspec.Struct, frozen=True):
    """One row of the table of results."""

    name: str
    what: str
    unit: str
    aim: str
    function: Callable[[Lab], Measured]


class Account(msgspec.Struct, frozen=True):
    """Acknowledged steps against the ones found."""

    acknowledged: int
    found: int
    lost: int
    """Acknowledged and not found."""
    surplus: int
    """Found beyond everything that was ever sent: counted twice."""


def account(acknowledged: Counter[str], sent: Counter[str], found: Mapping[str, int]) -> Account:
    """Compare per session, so that a step lost in one is not hidden by one counted twice in another."""
    return Account(
        acknowledged=acknowledged.total(),
        found=sum(found.get(session, 0) for session in sent),
        lost=sum(max(0, steps - found.get(session, 0)) for session, steps in acknowledged.items()),
        surplus=sum(max(0, found.get(session, 0) - steps) for session, steps in sent.items()),
    )


def bytes_on_disk(folder: Path) -> int:
    """What all files below `folder` take on disk; files that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            held = path.lstat()
        except FileNotFoundError:
            continue
        total += held.st_blocks * 512 if stat.S_ISREG(held.st_mode) else 0
    return total


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed; NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def milliseconds(values: Sequence[float], prefix: str) -> dict[str, float]:
    """p50, p95, p99 and the greatest of a list of seconds, in milliseconds."""
    named = {f"{prefix}_p{share}_ms": 1e3 * percentile(values, share / 100) for share in (50, 95, 99)}
    return named | {f"{prefix}_max_ms": 1e3 * max(values, default=float("nan")), f"{prefix}_count": len(values)}

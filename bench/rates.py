"""Shares with their uncertainty, and the sheet on which every measurement of a detector puts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from real_runs import Run
from watchpost.rules.precision import wilson


class Rate(msgspec.Struct, frozen=True):
    """So many `hits` among `n` of what `what` says."""

    what: str
    hits: int
    n: int

    @property
    def percent(self) -> tuple[float, float, float]:
        """The share and its 95 % Wilson interval, in per cent; `n` may be 0."""
        low, high = wilson(self.hits, self.n)
        return 100 * self.hits / self.n if self.n else 0.0, 100 * low, 100 * high

    @property
    def cells(self) -> str:
        """What was counted, the share, and its interval, as cells of a table."""
        share, low, high = self.percent
        return f"{self.hits:,} of {self.n:,} | {share:.1f} | [{low:.1f}, {high:.1f}]"


class Sheet(msgspec.Struct, frozen=True):
    """What was measured of one detector.

    `false`: flagged sessions that went well, of which the first row sums the detector up. `found`: injected faults that were found.
    `beside`: whatever else was counted. `figures`: what is no share, each by what it is.
    """

    detector: str
    false: Sequence[Rate]
    found: Sequence[Rate] = ()
    beside: Sequence[Rate] = ()
    figures: Mapping[str, float] = {}


def pooled(what: str, rates: Iterable[Rate]) -> Rate:
    """Rates of different runs as one."""
    held = list(rates)
    return Rate(what, sum(rate.hits for rate in held), sum(rate.n for rate in held))


def by_file(found: Sequence[Run], flagged: Sequence[bool], *, succeeded: bool) -> list[Rate]:
    """The flagged among the runs that went well, or that failed: all of them, then by file. `flagged` has one place for each run."""
    word = "successful" if succeeded else "failed"
    counted = [
        (run.file, is_flagged) for run, is_flagged in zip(found, flagged, strict=True) if run.succeeded is succeeded
    ]
    rows = [Rate(f"all, {word}", sum(is_flagged for _, is_flagged in counted), len(counted))]
    for file in sorted({file for file, _ in counted}):
        of = [is_flagged for name, is_flagged in counted if name == file]
        rows.append(Rate(f"{file}, {word}", sum(of), len(of)))
    return rows

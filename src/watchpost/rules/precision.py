"""How often the flags of a detector are right by what people said of them, and which detectors may not page any more."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from watchpost.query.flags import VerdictCount

_Z = 1.959963984540054
"""The normal quantile of 0.975: intervals hold the truth in 95 of 100 cases."""


class PrecisionSettings(msgspec.Struct, frozen=True):
    """When a detector stops paging: its precision is below `least`, or below that of its kind in `kinds`, and it has this many `verdicts`."""

    least: float = 0.5
    verdicts: int = 10
    kinds: Mapping[str, float] = {}

    def needs(self, kind: str) -> float:
        """The least precision of a kind of flag."""
        return self.kinds.get(kind, self.least)


class Tally(msgspec.Struct, frozen=True):
    """Flags that were confirmed and dismissed."""

    confirmed: int = 0
    dismissed: int = 0

    @property
    def verdicts(self) -> int:
        """How many flags have a verdict."""
        return self.confirmed + self.dismissed

    @property
    def precision(self) -> float | None:
        """The share of them that was confirmed; None of none."""
        return self.confirmed / self.verdicts if self.verdicts else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson score interval of the precision; 0 to 1 of none."""
        return wilson(self.confirmed, self.verdicts)

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.confirmed + other.confirmed, self.dismissed + other.dismissed)


class Standing(msgspec.Struct, frozen=True):
    """How a detector stands: what it was judged by, whether that is of one tool's `own`, and the precision it needs."""

    tally: Tally
    is_own: bool
    needs: float
    is_muted: bool

    @property
    def reason(self) -> str:
        """That it does not page, and why; empty where it does."""
        if not self.is_muted:
            return ""
        low, high = self.tally.interval
        return (
            f"stopped paging: precision {self.tally.precision or 0.0:.2f} [{low:.2f}, {high:.2f}] "
            f"of {self.tally.verdicts} verdicts, needs {self.needs:g}"
        )


class Row(msgspec.Struct, frozen=True):
    """One kind of flag in one project: all of it, and by tool."""

    project: str
    kind: str
    tally: Tally
    others: Standing
    """Of the tools that have too few verdicts to be judged by their own."""
    tools: Mapping[str, tuple[Tally, Standing]]
    """By tool, empty for flags about none: its verdicts, and how it stands."""


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (E. B. Wilson, 1927); 0 to 1 where `n` is 0."""
    if not n:
        return 0.0, 1.0
    share, square = successes / n, _Z * _Z / n
    middle = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    return (0.0 if not successes else middle - half), (1.0 if successes == n else middle + half)


class Precision:
    """Counts verdicts and says who is muted.

    A tool with enough verdicts of its own is judged by them; all others of the same kind and project are judged together. So one tool
    that a detector does not understand is muted alone, and a detector that is wrong everywhere is muted though no tool has enough verdicts.
    """

    def __init__(self, settings: PrecisionSettings, counts: Iterable[VerdictCount] = ()) -> None:
        self._settings = settings
        self._tallies: dict[tuple[str, str], dict[str, Tally]] = defaultdict(dict)
        for count in counts:
            self.add(count)

    def add(self, count: VerdictCount) -> None:
        """Count more verdicts, or, by negative numbers, fewer."""
        tools = self._tallies[count.project, count.kind]
        tools[count.tool] = tools.get(count.tool, Tally()) + Tally(count.confirmed, count.dismissed)

    def standing(self, project: str, kind: str, tool: str) -> Standing:
        """How a detector stands in a project where it flags a tool."""
        tools = self._tallies.get((project, kind), {})
        own = tools.get(tool, Tally())
        return self._judged(kind, own, is_own=True) if self._is_enough(own) else self._others(kind, tools)

    def rows(self, project: str = "") -> list[Row]:
        """Every kind that has verdicts, by project and kind; an empty `project` is every project."""
        return [
            Row(
                at,
                kind,
                sum(tools.values(), Tally()),
                self._others(kind, tools),
                {tool: (tally, self.standing(at, kind, tool)) for tool, tally in sorted(tools.items())},
            )
            for (at, kind), tools in sorted(self._tallies.items())
            if project in {"", at}
        ]

    def _others(self, kind: str, tools: Mapping[str, Tally]) -> Standing:
        few = (tally for tally in tools.values() if not self._is_enough(tally))
        return self._judged(kind, sum(few, Tally()), is_own=False)

    def _is_enough(self, tally: Tally) -> bool:
        return tally.verdicts >= self._settings.verdicts

    def _judged(self, kind: str, tally: Tally, *, is_own: bool) -> Standing:
        needs = self._settings.needs(kind)
        return Standing(tally, is_own, needs, self._is_enough(tally) and tally.interval[1] < needs)

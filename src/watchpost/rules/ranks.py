"""A multiset of integers that tells its quantiles exactly, while values come and go.

Values stand in sorted runs by their leading eight bits, so that a run spans less than a hundredth of its values: adding and removing touch one
run, and a quantile counts over runs and looks into one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort


class Ranks:
    """Nothing at first."""

    __slots__ = ("_places", "_runs", "_total")

    def __init__(self) -> None:
        self._runs: dict[int, array[int]] = {}
        self._places: list[int] = []
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def add(self, value: int) -> None:
        """Put a value in, once more where it is there already."""
        place = _place(value)
        run = self._runs.get(place)
        if run is None:
            self._runs[place] = array("q", (value,))
            insort(self._places, place)
        else:
            insort(run, value)
        self._total += 1

    def remove(self, value: int) -> None:
        """Take a value out once; it is there."""
        place = _place(value)
        run = self._runs[place]
        del run[bisect_left(run, value)]
        if not run:
            del self._runs[place]
            del self._places[bisect_left(self._places, place)]
        self._total -= 1

    def quantile(self, thousandths: int) -> int:
        """The smallest value that at least that share of all values do not exceed; there is at least one value."""
        rank = max(-(-thousandths * self._total // 1000), 1)
        for place in self._places:
            run = self._runs[place]
            if rank <= len(run):
                return run[rank - 1]
            rank -= len(run)
        raise ValueError("there is no value")


def _place(value: int) -> int:
    """Runs are in the order of the values in them."""
    if value < 0:
        return -1 - _place(-1 - value)
    shift = max(value.bit_length() - 8, 0)
    return (shift << 8) | (value >> shift)

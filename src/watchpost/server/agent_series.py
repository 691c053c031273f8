"""Series of numbers for the exposition: which label sets there are, how often each was met, and what has been shown of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

UNKNOWN = "unknown"
"""The value of a label that nothing was reported for."""

OTHER = "other"
"""The value of the labels of all label sets that found no place."""

LABEL_SETS = 500
"""How many label sets a family tells apart; of any more, all numbers stand under `other`."""

LABEL_CHARS = 200
"""How much of a label's value is shown."""

_MET = 4 * LABEL_SETS
"""How many values as they come are known to make which label set."""

FOLDED_KNOWN = 100_000
"""How many of the label sets without a place are told apart, to count them."""


class Exemplar(msgspec.Struct, frozen=True, gc=False):
    """One observation: its value, when it was made in Unix nanoseconds, its trace, and the key of its session."""

    at_ns: int
    value: float
    trace_id: bytes
    session_key: str


class Shape(msgspec.Struct, frozen=True):
    """The numbers of one label set: `counts` plain ones, and a histogram of microseconds with these upper bounds in seconds, or none."""

    counts: int
    bounds: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Plain counts, one for each bucket, one for what is above all bounds, and the sum."""
        return self.counts + (len(self.bounds) + 2 if self.bounds else 0)


class Buckets(msgspec.Struct, frozen=True):
    """A histogram as it is shown: observations at or below each bound, in all, and their sum in seconds."""

    at_or_below: tuple[int, ...]
    count: int
    sum: float
    exemplars: tuple[Exemplar | None, ...]


class Family:
    """The label sets of one shape, each with its numbers, which may fall; what is shown of them never does.

    A label set is found by `place`, a number of it by its place plus its offset; `sum` is that of the sum. What stands at a place is written by `add` alone.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.sum = shape.size - 1
        self._bounds_us = [round(bound * 1e6) for bound in shape.bounds]
        self._places: dict[tuple[str, ...], int] = {}
        self._met: dict[tuple[str, ...], int] = {}
        self._values: list[int] = []
        self._shown: list[int] = []
        self._exemplars: dict[int, Exemplar] = {}
        self._folded: set[int] = set()

    def place(self, *values: str) -> int:
        """Where the numbers begin of the label set that these values make; it is given a place, or that of `other`, if it has none."""
        found = self._met.get(values)
        if found is None:
            found = self._place(labels_of(values))
            if len(self._met) < _MET:
                self._met[values] = found
        return found

    def _place(self, labels: tuple[str, ...]) -> int:
        found = self._places.get(labels)
        if found is not None:
            return found
        if len(self._places) >= LABEL_SETS and labels != (others := (OTHER,) * len(labels)):
            if len(self._folded) < FOLDED_KNOWN:
                self._folded.add(hash(labels))
            return self._place(others)
        place = self._places[labels] = len(self._values)
        self._values += [0] * self._shape.size
        self._shown += [0] * self._shape.size
        return place

    def bucket(self, duration_us: int) -> int:
        """The offset of the bucket that a duration falls into."""
        return self._shape.counts + bisect_left(self._bounds_us, duration_us)

    @property
    def folded(self) -> int:
        """How many label sets were met that found no place; counted up to a hundred thousand."""
        return len(self._folded)

    def places(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """Each label set and where its numbers begin."""
        return iter(self._places.items())

    def add(self, changes: Mapping[int, int], sign: int) -> None:
        """Add amounts, by the places they go to, or with a sign of -1 take them back."""
        for at, amount in changes.items():
            self._values[at] += sign * amount

    def met(self, at: int, at_ns: int, value: float, *, trace_id: bytes, session_key: str) -> None:
        """Keep the latest observation of what is counted at a place."""
        before = self._exemplars.get(at)
        if before is None or at_ns > before.at_ns:
            self._exemplars[at] = Exemplar(at_ns, value, trace_id, session_key)

    def unmeet(self, session_keys: Collection[str]) -> None:
        """Show no observation of these sessions any more."""
        for at in [at for at, met in self._exemplars.items() if met.session_key in session_keys]:
            del self._exemplars[at]

    def begin(self) -> None:
        """Count from here: all numbers become 0, and may fall below; label sets stay."""
        self._values = [0] * len(self._values)
        self._exemplars.clear()

    def counts(self, offset: int) -> Iterator[tuple[tuple[str, ...], int, Exemplar | None]]:
        """Of each label set a plain count, the greatest that it has been, and an example of what it counts."""
        for labels, place in self._places.items():
            yield labels, self._show(place + offset, self._values[place + offset]), self._exemplars.get(place + offset)

    def histograms(self) -> Iterator[tuple[tuple[str, ...], Buckets]]:
        """Of each label set its histogram, each number of it the greatest that it has been."""
        first, size = self._shape.counts, self._shape.size
        for labels, place in self._places.items():
            met, shown = 0, []
            for at in range(place + first, place + size - 1):
                met += self._values[at]
                shown.append(self._show(at, met))
            total = self._show(place + size - 1, self._values[place + size - 1])
            exemplars = tuple([self._exemplars.get(at) for at in range(place + first, place + size - 1)])
            yield labels, Buckets(tuple(shown[:-1]), shown[-1], total / 1e6, exemplars)

    def _show(self, at: int, value: int) -> int:
        shown = self._shown[at]
        if value > shown:
            shown = self._shown[at] = value
        return shown


def labels_of(values: Sequence[str]) -> tuple[str, ...]:
    """Label values as they are shown: none is empty or overlong, and all can be written in UTF-8."""
    return tuple([_shown(value) if value else UNKNOWN for value in values])


def _shown(value: str) -> str:
    if len(value) > LABEL_CHARS:
        value = value[: LABEL_CHARS - 1] + "…"
    return value if value.isascii() else value.encode("utf-8", "replace").decode()

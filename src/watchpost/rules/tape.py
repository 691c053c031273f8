"""One measure, filtered and grouped, over time: cells of fifteen seconds, and the windows of rules that move over them."""

from __future__ import annotations

from collections.abc import Iterable

from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary
from watchpost.query.measures import MOST_GROUPS, Cell, Dimension, Group, Measure
from watchpost.rules.counting import attribute, is_of_row
from watchpost.rules.tally import CellTally, Piece, Shape, WindowTally

OTHERS = "(others)"
"""Stands in every dimension of the group that holds all beyond the first `MOST_GROUPS` of a project."""

Filters = tuple[tuple[Dimension, tuple[str, ...]], ...]


class Window:
    """What the last `cells` cells before the tape's place come to, by group; moved by the tape."""

    __slots__ = ("cells", "groups")

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.groups: dict[Group, WindowTally] = {}


class Tape:
    """Takes pieces in and out in any order of time, and moves its windows forward.

    What a window comes to is exact at every multiple of `CELL_NS`: as if all that was ever taken and not taken back were counted anew.
    """

    def __init__(self, measure: Measure, filters: Filters, by: tuple[Dimension, ...]) -> None:
        self.measure = measure
        self.shape = Shape(measure.formula)
        self.windows: dict[int, Window] = {}
        self.is_crowded = False
        self.by = by
        self._cells: dict[int, dict[Group, CellTally]] = {}
        self._groups: dict[str, dict[Group, int]] = {}
        self._known: dict[Group, Group] = {}
        self._end: int | None = None
        self._longest = 0
        self.filters = filters
        self._row_filters = tuple((attribute(name), frozenset(values)) for name, values in filters if is_of_row(name))

    def passes(self, row: LedgerRow | Summary) -> bool:
        """Whether what all steps of a session have passes the filters."""
        return all((getattr(row, name) or "") in values for name, values in self._row_filters)

    def window(self, cells: int) -> Window:
        """The window of so many cells; the same for everyone who asks. Ask before anything is taken."""
        self._longest = max(self._longest, cells)
        return self.windows.setdefault(cells, Window(cells))

    def add(self, pieces: Iterable[Piece], session: str, sign: int = 1) -> None:
        """Take in what a session adds, or take it back."""
        end, shape = self._end, self.shape
        for piece in pieces:
            number, group = piece[0], piece[1]
            if end is not None and number < end - self._longest:
                continue
            cells = self._cells.get(number)
            if cells is None:
                if sign < 0:
                    continue
                cells = self._cells[number] = {}
            tally = cells.get(group)
            if tally is None:
                tally = cells[group] = CellTally()
                self._enter(group)
            tally.take(piece, session, shape, sign)
            if tally.is_empty:
                del cells[group]
                self._leave(group)
            if end is None or number >= end:
                continue
            for window in self.windows.values():
                if end - window.cells <= number:
                    self._shift(window, group, piece, session, sign)

    def settle(self, group: Group) -> Group:
        """The group that counts, one object for all that is equal to it: itself, or, where a project has too many, that of all others."""
        known = self._known.get(group)
        if known is not None:
            return known
        live = self._groups.get(group[0])
        if live is None or len(live) < MOST_GROUPS or len(group) == 1:
            return group
        self.is_crowded = True
        return (group[0], *[OTHERS] * (len(group) - 1))

    def move(self, end: int) -> None:
        """Let every window end before cell `end`. Going back forgets what already left the longest."""
        before = self._end
        self._end = end
        for window in self.windows.values():
            first, last = end - window.cells, end
            if before is None or not before <= end < before + window.cells:
                window.groups.clear()
                self._enter_window(window, first, last)
                continue
            self._enter_window(window, before, last)
            for number in range(before - window.cells, first):
                for group, tally in self._cells.get(number, {}).items():
                    _shift_cell(window, group, tally, -1)
        self._forget(end - self._longest, 0 if before is None else end - before)

    def clear(self) -> None:
        """Begin anew."""
        self._cells.clear()
        self._groups.clear()
        self._known.clear()
        self._end = None
        self.is_crowded = False
        for window in self.windows.values():
            window.groups.clear()

    def cell(self, window: Window, group: Group, quantile: int, step: int | None = None) -> Cell | None:
        """What a window comes to for a group, as that step of a question; None where nothing fits."""
        tally = window.groups.get(group)
        return None if tally is None else tally.cell(group, step, self.shape, quantile)

    def examples(self, window: Window, group: Group, most: int) -> list[str]:
        """Sessions that stand above the line, the latest first."""
        found: dict[str, None] = {}
        end = self._end or 0
        for number in sorted(self._held(end - window.cells, end), reverse=True):
            tally = self._cells[number].get(group)
            if tally is not None:
                found |= dict.fromkeys(reversed(tally.examples))
            if len(found) >= most:
                break
        return list(found)[:most]

    def _held(self, first: int, last: int) -> list[int]:
        if last - first < len(self._cells):
            return [number for number in range(first, last) if number in self._cells]
        return [number for number in self._cells if first <= number < last]

    def _forget(self, last: int, moved: int) -> None:
        """Let go what lies before a cell, of which all but so many are gone already."""
        numbers = range(last - moved, last) if 0 < moved < len(self._cells) else [n for n in self._cells if n < last]
        for number in numbers:
            for group in self._cells.pop(number, {}):
                self._leave(group)

    def _enter_window(self, window: Window, first: int, last: int) -> None:
        for number in self._held(first, last):
            for group, tally in self._cells[number].items():
                _shift_cell(window, group, tally, 1)

    def _shift(self, window: Window, group: Group, piece: Piece, session: str, sign: int) -> None:
        tally = window.groups.get(group)
        if tally is None:
            tally = window.groups[group] = WindowTally()
        tally.take(piece, session, self.shape, sign)
        if tally.is_empty:
            del window.groups[group]

    def _enter(self, group: Group) -> None:
        live = self._groups.setdefault(group[0], {})
        live[group] = live.get(group, 0) + 1
        self._known.setdefault(group, group)

    def _leave(self, group: Group) -> None:
        live = self._groups[group[0]]
        live[group] -= 1
        if not live[group]:
            del live[group]
            del self._known[group]
            self.is_crowded = self.is_crowded and len(live) >= MOST_GROUPS


def _shift_cell(window: Window, group: Group, cell: CellTally, sign: int) -> None:
    tally = window.groups.get(group)
    if tally is None:
        tally = window.groups[group] = WindowTally()
    tally.shift(cell, sign)
    if tally.is_empty:
        del window.groups[group]

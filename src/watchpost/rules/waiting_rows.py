"""Rows of the ledger that are yet to be counted.

A row is told again with everything that comes of its session, up to twice a second, and windows are looked at every fifteen: of rows that replace
one another only the last is worth counting.
"""

from __future__ import annotations

from collections.abc import Iterator

from watchpost.model.ledger import LedgerRow

MOST_STEPS = 5_000
"""So many steps wait at most, and so many rows: to count them for the rules that come with Watchpost takes some twenty milliseconds."""


class WaitingRows:
    """The last row told of each project, slot and session, in the order in which they were told."""

    def __init__(self, most: int = MOST_STEPS) -> None:
        self._most = most
        self._rows: dict[tuple[str, int, str], LedgerRow] = {}
        self._steps = 0

    def put(self, row: LedgerRow) -> None:
        """Let a row wait, in place of the one before it."""
        place = row.project, row.slot, row.session_id
        before = self._rows.pop(place, None)
        self._rows[place] = row
        self._steps += len(row.steps) - (len(before.steps) if before is not None else 0)

    def surplus(self) -> Iterator[LedgerRow]:
        """Take out those that are more than may wait, first those that nothing was told of for the longest."""
        while self._steps > self._most or len(self._rows) > self._most:
            yield self._pop()

    def all(self) -> Iterator[LedgerRow]:
        """Take out all of them."""
        while self._rows:
            yield self._pop()

    def _pop(self) -> LedgerRow:
        row = self._rows.pop(next(iter(self._rows)))
        self._steps -= len(row.steps)
        return row

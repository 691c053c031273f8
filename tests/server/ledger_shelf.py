"""A LedgerReader over rows and sessions in lists."""

from __future__ import annotations

from collections.abc import Iterator

from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary

_SECOND_NS = 10**9


class LedgerShelf:
    """LedgerReader; `size` is how many steps it says are stored beside those that are."""

    def __init__(self) -> None:
        self.rows: list[LedgerRow] = []
        self.summaries: list[Summary] = []
        self.size = 0

    def steps_between(self, since_ns: int, until_ns: int) -> int:
        return self.size + sum(len(row.steps) for row in self.rows_between(since_ns, until_ns))

    def rows_between(self, since_ns: int, until_ns: int) -> Iterator[LedgerRow]:
        first = since_ns // _SECOND_NS // 600 * 600
        found = [row for row in self.rows if first <= row.slot < until_ns / _SECOND_NS and not row.gone]
        return iter(sorted(found, key=lambda row: row.slot))

    def sessions_between(self, since_ns: int, until_ns: int) -> Iterator[Summary]:
        found = [each for each in self.summaries if each.started_ns < until_ns and each.ended_ns >= since_ns]
        return iter(sorted(found, key=lambda each: each.started_ns))

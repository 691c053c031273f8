"""A WorkReader over a list."""

from __future__ import annotations

from collections.abc import Sequence

from watchpost.store.work import TraceSpan, WorkRow


class WorkBook:
    """Rows as they were written, one after another; of those of one slot of a session the last holds."""

    def __init__(self) -> None:
        self.rows: list[WorkRow] = []
        self.lasted: dict[tuple[str, bytes], TraceSpan] = {}
        self.running: dict[str, int] = {}
        self.read = 0

    def work(self, seq: int, slot: int) -> list[WorkRow]:
        current = {(row.project, row.slot, row.session_id): row for row in self.rows}
        found = [row for row in current.values() if row.seq >= seq and row.slot >= slot]
        self.read += len(found)
        return found

    def traces(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], TraceSpan]:
        return {trace: self.lasted[trace] for trace in wanted if trace in self.lasted}

    def active(self) -> dict[str, int]:
        return self.running

"""A history out of rows that are at hand: what scenarios and back-tests ask in the store's place."""

from __future__ import annotations

from collections.abc import Iterable

from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary
from watchpost.query.measures import Measured, Question
from watchpost.rules.memory import Memory
from watchpost.rules.tally import CELL_NS
from watchpost.rules.tape import Tape

_NEVER_FULL = 1 << 62


class Recollection:
    """Answers from all rows it was told of, the latest of a session and slot in place of those before; knows no samples of Watchpost itself."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int], LedgerRow] = {}
        self._sessions: dict[str, Summary] = {}

    def tell(self, ledger: Iterable[LedgerRow], sessions: Iterable[Summary]) -> None:
        """Remember more rows."""
        self._rows.update(((row.project, row.session_id, row.slot), row) for row in ledger)
        self._sessions.update((session.key, session) for session in sessions)

    def answer(self, question: Question) -> Measured:
        """What a store would say that holds the same, of a window and steps that are multiples of `CELL_NS`; every group is told apart."""
        step_ns = question.step_ns or question.until_ns - question.since_ns
        if question.since_ns % CELL_NS or question.until_ns % CELL_NS or step_ns % CELL_NS:
            raise ValueError(f"windows and steps are multiples of {CELL_NS}")
        by = question.by[1:] if question.by[:1] == ("project",) else question.by
        tape = Tape(question.measure, question.filters, by)
        window = tape.window(step_ns // CELL_NS)
        memory = Memory([tape], since_ns=0, most=_NEVER_FULL)
        for row in self._rows.values():
            memory.take_row(row)
        for session in self._sessions.values():
            memory.take_session(session)
        cells = []
        groups = set()
        for number, since_ns in enumerate(range(question.since_ns, question.until_ns, step_ns)):
            tape.move((since_ns + step_ns) // CELL_NS)
            for group in window.groups:
                groups.add(group)
                cell = tape.cell(window, group, question.quantile, number if question.step_ns else None)
                if cell is not None:
                    cells.append(cell)
        return Measured(len(groups), cells)

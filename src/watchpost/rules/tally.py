"""What steps or sessions of one group come to, in a cell of time and in a window of many cells."""

from __future__ import annotations

from watchpost.query.measures import Cell, Distinct, Formula, Group, Quantile, Ratio
from watchpost.rules.ranks import Ranks

EXAMPLES = 5
"""Sessions that an alert names."""

CELL_NS = 15 * 10**9
"""Windows begin and end at multiples of this since 1970, and are multiples of it."""

Piece = tuple[int, Group, int, int, int, int, tuple[int, ...]]
"""What one session adds to one cell and group: the number of the cell, the group, over, per, how many, how many untold, and the values of a quantile."""


class Shape:
    """Which parts of a formula are counts of sessions, and whether its values must be kept in order."""

    __slots__ = ("over_is_sessions", "per_is_sessions", "ranked")

    def __init__(self, formula: Formula) -> None:
        over = formula.over if isinstance(formula, Ratio) else formula
        self.over_is_sessions = isinstance(over, Distinct)
        self.per_is_sessions = isinstance(formula, Ratio) and isinstance(formula.per, Distinct)
        self.ranked = isinstance(formula, Quantile)


_NO_EXAMPLES: tuple[str, ...] = ()


class CellTally:
    """One cell. A session adds to it once, for a cell never spans two slots of the ledger."""

    __slots__ = ("counted", "examples", "over", "over_sessions", "per", "per_sessions", "untold", "values")

    def __init__(self) -> None:
        self.over = self.per = self.counted = self.untold = 0
        self.over_sessions: set[str] | None = None
        self.per_sessions: set[str] | None = None
        self.values: dict[str, tuple[int, ...]] | None = None
        self.examples = _NO_EXAMPLES

    def take(self, piece: Piece, session: str, shape: Shape, sign: int) -> None:
        """Add what a session contributes, or, with a sign of -1, take it away."""
        _, _, over, per, counted, untold, values = piece
        self.over += sign * over
        self.per += sign * per
        self.counted += sign * counted
        self.untold += sign * untold
        if sign < 0:
            if self.over_sessions is not None:
                self.over_sessions.discard(session)
            if self.per_sessions is not None:
                self.per_sessions.discard(session)
            if session in self.examples:
                self.examples = tuple(each for each in self.examples if each != session)
            if self.values is not None:
                self.values.pop(session, None)
            return
        if shape.over_is_sessions and over:
            self.over_sessions = self.over_sessions or set()
            self.over_sessions.add(session)
        if shape.per_is_sessions and per:
            self.per_sessions = self.per_sessions or set()
            self.per_sessions.add(session)
        if values:
            self.values = self.values or {}
            self.values[session] = values
        if over and len(self.examples) < EXAMPLES and session not in self.examples:
            self.examples = (*self.examples, session)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of it."""
        return not (self.counted or self.untold)


class WindowTally:
    """All cells of a window."""

    __slots__ = ("counted", "over", "over_sessions", "per", "per_sessions", "ranks", "untold")

    def __init__(self) -> None:
        self.over = self.per = self.counted = self.untold = 0
        self.over_sessions: dict[str, int] = {}
        self.per_sessions: dict[str, int] = {}
        self.ranks = Ranks()

    def take(self, piece: Piece, session: str, shape: Shape, sign: int) -> None:
        """Add what a session contributes to one of the cells, or take it away."""
        _, _, over, per, counted, untold, values = piece
        self.over += sign * over
        self.per += sign * per
        self.counted += sign * counted
        self.untold += sign * untold
        if shape.over_is_sessions and over:
            _refer(self.over_sessions, session, sign)
        if shape.per_is_sessions and per:
            _refer(self.per_sessions, session, sign)
        self._rank(values, sign)

    def shift(self, cell: CellTally, sign: int) -> None:
        """Let a whole cell come into the window, or leave it."""
        self.over += sign * cell.over
        self.per += sign * cell.per
        self.counted += sign * cell.counted
        self.untold += sign * cell.untold
        for session in cell.over_sessions or ():
            _refer(self.over_sessions, session, sign)
        for session in cell.per_sessions or ():
            _refer(self.per_sessions, session, sign)
        if cell.values is not None:
            for values in cell.values.values():
                self._rank(values, sign)

    def cell(self, group: Group, step: int | None, shape: Shape, quantile: int) -> Cell:
        """What the store would answer for the same window; `sessions` only where sessions are counted."""
        over = len(self.over_sessions) if shape.over_is_sessions else self.over
        if shape.ranked:
            over = self.ranks.quantile(quantile) if len(self.ranks) else 0
        per = len(self.per_sessions) if shape.per_is_sessions else self.per
        return Cell(group, step, len(self.over_sessions), self.counted, self.untold, over, per)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of it."""
        return not (self.counted or self.untold)

    def _rank(self, values: tuple[int, ...], sign: int) -> None:
        change = self.ranks.add if sign > 0 else self.ranks.remove
        for value in values:
            change(value)


def _refer(sessions: dict[str, int], session: str, sign: int) -> None:
    left = sessions.get(session, 0) + sign
    if left:
        sessions[session] = left
    else:
        del sessions[session]

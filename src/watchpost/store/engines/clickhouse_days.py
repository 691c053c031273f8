"""Days of the ledger that were added up once, taken from memory until one of their rows is written again.

What steps add up to in a day stays the same until a row of one of its slots is written: for a late span, a session that is folded anew, or an
erasure. So the sums of each day that a question needs are kept with the number of the latest change they know of, and a question over weeks
reads only the days that changed. Only sums can be put together so: no quantile, and not how many sessions contributed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import msgspec

from watchpost.query.measures import (
    MOST_GROUPS,
    VERSION_DIMENSIONS,
    Cell,
    Count,
    Formula,
    Group,
    Mean,
    Measured,
    Question,
    Ratio,
    Sum,
)
from watchpost.store.engines.clickhouse_measures import is_derived

_NS = 10**9
_SLOT_S = 600
_HALF_NS = 1800 * _NS
DAY_NS = 48 * _HALF_NS

MOST_CELLS = 100_000
"""Sums of all days that are kept, some 200 bytes each; the day that was asked for longest ago goes first."""

_TOLD_APART = 400
"""Days of a question with more groups are not kept: it is answered from the ledger, every time."""

_MOST_CROWDED = 1_000
"""Questions with too many groups that are remembered."""

_LEAST_DAYS, _MOST_DAYS = 2, 400
"""Of a question about fewer or more whole days nothing is kept."""

_WHOLE = -1
"""Stands for the step of what is of the whole window."""

_Numbers = tuple[int, int, int, int]
"""How many counted, how many did not tell, and the two integers of the formula."""


class Changes:
    """Which slots of the ledger were written, and by which change of all. Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._everything = 0
        self._slots: dict[int, int] = {}

    @property
    def number(self) -> int:
        """Of the latest change."""
        return self._number

    def wrote(self, slots: Iterable[int]) -> None:
        """Rows of these slots, in Unix seconds, were written; to be said once they are there."""
        with self._lock:
            self._number += 1
            self._slots |= dict.fromkeys(slots, self._number)

    def rewrote(self) -> None:
        """Any row may be another."""
        with self._lock:
            self._number += 1
            self._everything = self._number
            self._slots.clear()

    def any_since(self, number: int, first: int, end: int) -> bool:
        """Whether a row of a slot in [`first`, `end`) was written by a later change than this one."""
        with self._lock:
            changed = (self._slots.get(slot, 0) for slot in range(first, end, _SLOT_S))
            return self._everything > number or any(each > number for each in changed)


class _Day(msgspec.Struct, frozen=True):
    """What a day adds up to, as of a change. The step of a cell is the half hour since 1970 with which it begins."""

    number: int
    cells: Sequence[Cell]


class KeptDays:
    """Answers from days where a question is put together of them. Safe for any number of threads."""

    def __init__(self, ask: Callable[[Question], Measured], changes: Changes) -> None:
        """`ask` answers any question from the ledger."""
        self._ask = ask
        self._changes = changes
        self._lock = threading.Lock()
        self._adding = threading.Lock()
        self._days: OrderedDict[Question, _Day] = OrderedDict()
        self._cells = 0
        self._crowded: set[Question] = set()

    def keeps(self, question: Question) -> bool:
        """Whether days are kept for a question."""
        whole = (question.until_ns - question.since_ns) // DAY_NS
        if not (_LEAST_DAYS <= whole <= _MOST_DAYS and _adds_up(question)):
            return False
        with self._lock:
            return _alike(question) not in self._crowded

    def measured(self, question: Question) -> Measured:
        """What `MeasureReader.measured` answers, number by number."""
        if not self.keeps(question):
            return self._ask(question)
        whole = (question.until_ns - question.since_ns) // DAY_NS
        days = [_part(question, number, number + 1) for number in range(whole)]
        rest = msgspec.structs.replace(_part(question, whole, whole), until_ns=question.until_ns)
        cells = self._known(days)
        if cells is None:
            with self._adding:  # whoever asks for the same days meanwhile finds them
                cells = self._known(days)
                cells = self._added_up(days) if cells is None else cells
        now = self._of(rest) if rest.until_ns > rest.since_ns else []
        if cells is None or now is None:
            with self._lock:
                if len(self._crowded) >= _MOST_CROWDED:
                    self._crowded.clear()
                self._crowded.add(_alike(question))
            return self._ask(question)
        return _put_together(question, [*cells, *now])

    def _known(self, days: Sequence[Question]) -> list[Cell] | None:
        """The cells of these days, if all are kept and as they were."""
        with self._lock:
            if any(self._is_stale(day) for day in days):
                return None
            for day in days:
                self._days.move_to_end(day)
            return [cell for day in days for cell in self._days[day].cells]

    def _is_stale(self, day: Question) -> bool:
        kept = self._days.get(day)
        return kept is None or self._changes.any_since(kept.number, day.since_ns // _NS, day.until_ns // _NS)

    def _added_up(self, days: Sequence[Question]) -> list[Cell] | None:
        """The cells of these days, with stale ones that follow one another asked for together; None where there are too many groups."""
        with self._lock:
            found = {day: self._days[day] for day in days if not self._is_stale(day)}
        for is_known, run in groupby(days, found.__contains__):
            if is_known:
                continue
            missing = list(run)
            number = self._changes.number
            cells = self._of(msgspec.structs.replace(missing[0], until_ns=missing[-1].until_ns))
            if cells is None:
                return None
            for day in missing:
                first, end = day.since_ns // _HALF_NS, day.until_ns // _HALF_NS
                found[day] = _Day(number, [cell for cell in cells if first <= (cell.step or 0) < end])
        self._keep(found)
        return [cell for day in days for cell in found[day].cells]

    def _keep(self, found: dict[Question, _Day]) -> None:
        with self._lock:
            for day, held in found.items():
                before = self._days.pop(day, None)
                self._days[day] = held
                self._cells += len(held.cells) - (len(before.cells) if before else 0)
            while self._cells > MOST_CELLS:
                _, gone = self._days.popitem(last=False)
                self._cells -= len(gone.cells)

    def _of(self, part: Question) -> list[Cell] | None:
        """The cells of a part by half hours since 1970; None where there are too many groups to be kept."""
        found = self._ask(part)
        if found.groups > part.top:
            return None
        first = part.since_ns // _HALF_NS
        halves = part.step_ns // _HALF_NS
        return [
            msgspec.structs.replace(cell, step=first + cell.step * halves)
            for cell in found.cells
            if cell.step is not None
        ]


def _adds_up(question: Question) -> bool:
    """Whether the answer is a sum of what is told of days, or of half hours where nothing is grouped by."""
    dimensions = {*question.by, *(name for name, _ in question.filters)}
    return (
        question.measure.of in {"step", "flag"}
        and not question.tells_sessions
        and _is_sum(question.measure.formula)
        and not is_derived(question)
        and dimensions.isdisjoint(VERSION_DIMENSIONS)
        and question.since_ns % _HALF_NS == 0
        and question.step_ns % (DAY_NS if question.by else _HALF_NS) == 0
    )


def _is_sum(formula: Formula) -> bool:
    match formula:
        case Count() | Sum() | Mean():
            return True
        case Ratio(over, per):
            return _is_sum(over) and _is_sum(per)
        case _:
            return False


def _alike(question: Question) -> Question:
    """The same of any time."""
    return _part(msgspec.structs.replace(question, since_ns=0), 0, 0)


def _part(question: Question, first: int, end: int) -> Question:
    """The question of the days from one until before another, counted from its beginning."""
    return msgspec.structs.replace(
        question,
        since_ns=question.since_ns + first * DAY_NS,
        until_ns=question.since_ns + end * DAY_NS,
        step_ns=DAY_NS if question.by else _HALF_NS,
        quantile=0,
        top=_TOLD_APART if question.by else MOST_GROUPS,
        shown=None,
    )


def _put_together(question: Question, cells: Sequence[Cell]) -> Measured:
    """The answer, of cells by half hours since 1970."""
    places = _places(question, cells)
    sums: dict[tuple[int, int], _Numbers] = {}
    for cell in cells:
        at = min(places[cell.group], question.top + 1)
        sums[at, _WHOLE] = _plus(sums.get((at, _WHOLE)), cell)
        if question.step_ns and cell.step is not None:
            step = (cell.step * _HALF_NS - question.since_ns) // question.step_ns
            sums[at, step] = _plus(sums.get((at, step)), cell)
    named = {at: group for group, at in places.items() if at <= question.top}
    told = [
        Cell(named.get(at), None if step == _WHOLE else step, 0, *numbers)
        for (at, step), numbers in sorted(sums.items())
    ]
    return Measured(max(places.values(), default=0), told)


def _places(question: Question, cells: Sequence[Cell]) -> dict[Group | None, int]:
    """The place of each group, from 1: the one of the greatest value first, or as they are to be shown."""
    totals: dict[Group | None, _Numbers] = {}
    for cell in cells:
        totals[cell.group] = _plus(totals.get(cell.group), cell)
    if question.shown is not None:
        places = {group: place for place, group in enumerate(question.shown, 1)}
        return {group: places.get(group or (), question.top + 1) for group in totals}
    formula = question.measure.formula
    order = sorted(totals, key=lambda group: (*_rank(formula, totals[group]), group or ()))
    return {group: place for place, group in enumerate(order, 1)}


def _rank(formula: Formula, numbers: _Numbers) -> tuple[bool, float]:
    """What puts the greatest value first, and what has none last."""
    counted, untold, over, per = numbers
    if isinstance(formula, Mean | Ratio):
        return (False, -over / per) if per else (True, 0.0)
    if isinstance(formula, Sum) and untold and not counted:
        return True, 0.0
    return False, -over


def _plus(numbers: _Numbers | None, cell: Cell) -> _Numbers:
    counted, untold, over, per = numbers or (0, 0, 0, 0)
    return counted + cell.counted, untold + cell.untold, over + cell.over, per + cell.per

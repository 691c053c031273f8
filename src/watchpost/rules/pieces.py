"""From rows and summaries to what they add to tapes. What no tape cares for is passed over by a look at its mark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

import msgspec

from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Summary
from watchpost.query.measures import RETRIED_WITHIN_NS, Count, Distinct, Group, Mean, Quantile, Sum, Where
from watchpost.rules.counting import (
    STEP_VALUES,
    Counted,
    Part,
    attribute,
    counts_session,
    counts_step,
    is_billed_by_kind,
    is_of_row,
    parts_of,
    step_takes,
)
from watchpost.rules.tally import CELL_NS, Piece
from watchpost.rules.tape import Tape

Calls = Mapping[str, LedgerStep]
"""The last call of each tool."""

_Place = tuple[int, Group]
"""The number of a cell, and a group."""

Pieces = Mapping[Tape, Mapping[_Place, Piece]]
"""What a row or a session adds, by tape, cell and group."""

_MARK = ("kind", "status", "error_type", "flags")
_MOST_PLANS = 4096
_MOST_MARKS = 65_536


_Amount = tuple[int, int, int, int, tuple[int, ...]]
"""What steps of one group and cell add: a part, and the values of a quantile."""

_Adds = Callable[[LedgerRow, Sequence[LedgerStep]], _Amount | None]
"""What steps of a row with the same mark add, None where none of them takes part."""


class _StepReader:
    """How one tape reads steps, or the flags at them."""

    __slots__ = (
        "counts",
        "filters",
        "flags",
        "group",
        "is_of_flags",
        "is_plain",
        "is_sure",
        "key",
        "may_count",
        "tape",
        "value",
        "wheres",
    )

    def __init__(self, tape: Tape) -> None:
        formula = tape.measure.formula
        filters = _passing(tape, of_row=False)
        own = [attribute(name) for name in tape.by if name != "flag" and not is_of_row(name)]
        self.tape = tape
        self.counts = counts_step(formula)
        self.value = STEP_VALUES[formula.field] if isinstance(formula, Sum | Mean | Quantile) else None
        self.is_of_flags = tape.measure.of == "flag"
        self.wheres = [part.where for part in parts_of(formula)]
        self.filters = tuple(each for each in filters if each[0] != "flag")
        self.flags = next((values for name, values in filters if name == "flag"), None)
        self.group = _group_of(tape)
        self.key: Callable[[LedgerStep], object] | None = attrgetter(*own) if own else None
        self.is_plain = not self.is_of_flags and len(own) == len(tape.by) == 1
        self.is_sure = all(isinstance(part, Count | Distinct) for part in parts_of(formula)) or self.value is not None
        self.may_count = [(step_takes(_of_mark(where)), where.billed) for where in self.wheres]

    def passes(self, row: LedgerRow) -> bool:
        """Whether any step of a row can count."""
        return self.tape.passes(row)

    def adds_of(self, one: Counted) -> _Adds | None:
        """How steps with the same mark as this one are read; None where they add nothing."""
        if any(getattr(one.step, name) not in values for name, values in self.filters):
            return None
        billed = is_billed_by_kind(one.step.kind)
        if not any(may(one) for may, must in self.may_count if not must or billed is not False):
            return None
        if self.is_of_flags and not one.step.flags:
            return None
        asks = any(where.told or where.untold or (where.billed and billed is None) for where in self.wheres)
        if asks or not self.is_sure:
            return _asked(self.counts, retried=one.retried, ranked=self.tape.shape.ranked)
        if self.value is not None:
            return _told(self.value, int(isinstance(self.tape.measure.formula, Mean)), ranked=self.tape.shape.ranked)
        part = self.counts(one)
        return None if part is None else _alike(part)

    def batches(
        self, row: LedgerRow, steps: Sequence[LedgerStep], known: dict[Tape, Sequence[Group]]
    ) -> Iterable[tuple[Sequence[Group], Sequence[LedgerStep]]]:
        """Steps with the same mark by the groups in which they count: one, or of flags one for each kind at them. `known` are the groups that are the same for all of a row."""
        if self.key is None and not self.is_of_flags:
            groups = known.get(self.tape)
            if groups is None:
                groups = known[self.tape] = self._groups(row, steps[0])
            return ((groups, steps),)
        if self.key is None or len(steps) == 1:
            return ((self._groups(row, steps[0]), steps),)
        split: dict[object, list[LedgerStep]] = {}
        for step in steps:
            split.setdefault(self.key(step), []).append(step)
        if self.is_plain:
            return [(((row.project, str(key)),), batch) for key, batch in split.items()]
        return [(self._groups(row, batch[0]), batch) for batch in split.values()]

    def _groups(self, row: LedgerRow, step: LedgerStep) -> Sequence[Group]:
        one = Counted(step, row)
        if not self.is_of_flags:
            return (self.group(one, ""),)
        return [self.group(one, flag) for flag in sorted(set(step.flags)) if self.flags is None or flag in self.flags]


class _Marked:
    """What steps with one mark add, by reader."""

    __slots__ = ("additions",)

    def __init__(self, additions: Sequence[tuple[_StepReader, _Adds]]) -> None:
        self.additions = additions


class StepPieces:
    """Reads rows of the ledger for all tapes of steps and flags.

    What decides whether a step counts is its mark: kind, status, type of error, flags, label, and what some tape filters by. Readers are asked once for each
    mark, and those that care read the steps of a row with the same mark and cell at once, so that steps cost little more than being told apart.
    """

    def __init__(self, tapes: Iterable[Tape]) -> None:
        self._readers = [_StepReader(tape) for tape in tapes if tape.measure.of in {"step", "flag"}]
        wheres = [where for reader in self._readers for where in reader.wheres]
        self.looks_back = any(where.retried for where in wheres)
        rows = {name for reader in self._readers for name, _ in _passing(reader.tape, of_row=True)}
        if any(where.outcomes for where in wheres):
            rows.add("outcome")
        self._title: Callable[[LedgerRow], object] = attrgetter("project", *sorted(rows))
        filtered = {name for reader in self._readers for name, _ in reader.filters}
        if any(where.labels for where in wheres):
            filtered.add("label")
        self._mark: Callable[[LedgerStep], object] = attrgetter(*_MARK, *sorted(filtered - {*_MARK}))
        self._plans: dict[object, dict[object, _Marked]] = {}
        self._marks = 0

    def read(self, row: LedgerRow, before: Calls) -> Pieces:
        """What a row adds. `before` are the calls of the session in the slot before."""
        amounts: dict[Tape, dict[_Place, _Amount]] = {}
        known: dict[Tape, Sequence[Group]] = {}
        for (number, marked), steps in self._told_apart(row, before).items():
            for reader, adds in marked.additions:
                held = amounts.setdefault(reader.tape, {})
                for groups, batch in reader.batches(row, steps, known):
                    amount = adds(row, batch)
                    if amount is not None:
                        for group in groups:
                            place = number, group
                            held[place] = _sum(held[place], amount) if place in held else amount
        return {tape: _settled(tape, held) for tape, held in amounts.items() if held}

    def _told_apart(self, row: LedgerRow, before: Calls) -> Mapping[tuple[int, _Marked], Sequence[LedgerStep]]:
        """The steps that count, by cell and mark."""
        found: dict[tuple[int, _Marked], list[LedgerStep]] = {}
        retried = _retried(row.steps, before) if self.looks_back else frozenset()
        plan, mark_of = self._plan(row), self._mark
        for step in row.steps:
            is_retried = bool(retried) and (step.trace_id, step.span_id) in retried
            mark = (mark_of(step), True) if is_retried else mark_of(step)
            marked = plan.get(mark)
            if marked is None:
                marked = self._marked(plan, mark, Counted(step, row, retried=is_retried))
            if marked.additions:
                cell = step.start_ns // CELL_NS, marked
                held = found.get(cell)
                if held is None:
                    found[cell] = [step]
                else:
                    held.append(step)
        return found

    def _plan(self, row: LedgerRow) -> dict[object, _Marked]:
        """What steps add by their mark, of rows that are alike in what is filtered by."""
        title = self._title(row)
        plan = self._plans.get(title)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[title] = {}
        return plan

    def _marked(self, plan: dict[object, _Marked], mark: object, one: Counted) -> _Marked:
        if self._marks >= _MOST_MARKS:
            self._plans.clear()
            plan.clear()
            self._marks = 0
        self._marks += 1
        readers = [reader for reader in self._readers if reader.passes(one.row)]
        found = [(reader, adds) for reader in readers if (adds := reader.adds_of(one)) is not None]
        plan[mark] = _Marked(found)
        return plan[mark]


class SessionPieces:
    """Reads summaries of sessions for all tapes of sessions."""

    def __init__(self, tapes: Iterable[Tape]) -> None:
        self._readers = [
            (tape, counts_session(tape.measure.formula), [attribute(name) for name in tape.by])
            for tape in tapes
            if tape.measure.of == "session"
        ]

    def read(self, session: Summary) -> Pieces:
        """What a session adds: nothing until it ended, or once it was merged away."""
        found: dict[Tape, Mapping[_Place, Piece]] = {}
        if session.state != "ended" or session.moved_to:
            return found
        for tape, counts, names in self._readers:
            if tape.passes(session):
                part = counts(session)
                if part is not None:
                    group = tape.settle((session.project, *[getattr(session, name) or "" for name in names]))
                    values = (part[0],) if tape.shape.ranked and part[2] else ()
                    number = session.ended_ns // CELL_NS
                    found[tape] = {(number, group): (number, group, *part, values)}
        return found


def calls_of(steps: Iterable[LedgerStep]) -> Calls:
    """The last call of each tool among some steps."""
    return {step.tool: step for step in sorted((s for s in steps if s.kind == "tool"), key=_order)}


def _of_mark(where: Where) -> Where:
    """What of a condition the mark of a step decides."""
    return msgspec.structs.replace(where, told=(), untold=(), billed=False)


def _alike(part: Part) -> _Adds:
    """Steps of which each adds the same."""
    over, per, counted, untold = part

    def adds(_: LedgerRow, steps: Sequence[LedgerStep]) -> _Amount:
        times = len(steps)
        return over * times, per * times, counted * times, untold * times, ()

    return adds


def _told(value: Callable[[LedgerStep], int | None], per: int, *, ranked: bool) -> _Adds:
    """Steps of which each adds its value, where it tells one."""

    def adds(_: LedgerRow, steps: Sequence[LedgerStep]) -> _Amount:
        told = [each for step in steps if (each := value(step)) is not None]
        over = sum(told)
        return over, per * len(told), len(told), len(steps) - len(told), tuple(told) if ranked else ()

    return adds


def _asked(counts: Callable[[Counted], Part | None], *, retried: bool, ranked: bool) -> _Adds:
    """Steps of which each must be looked at."""

    def adds(row: LedgerRow, steps: Sequence[LedgerStep]) -> _Amount | None:
        parts = [part for step in steps if (part := counts(Counted(step, row, retried=retried))) is not None]
        if not parts:
            return None
        over, per, counted, untold = map(sum, zip(*parts, strict=True))
        return over, per, counted, untold, tuple(part[0] for part in parts if part[2]) if ranked else ()

    return adds


def _sum(one: _Amount, other: _Amount) -> _Amount:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3], one[4] + other[4]


def _settled(tape: Tape, amounts: Mapping[_Place, _Amount]) -> Mapping[_Place, Piece]:
    """Pieces of the groups that count."""
    pieces: dict[_Place, Piece] = {}
    for (number, group), amount in amounts.items():
        settled = tape.settle(group)
        held = pieces.get((number, settled))
        pieces[number, settled] = (number, settled, *(amount if held is None else _sum(held[2:], amount)))
    return pieces


def _retried(steps: Iterable[LedgerStep], before: Calls) -> frozenset[tuple[bytes, bytes]]:
    """Which of the steps are calls of a tool whose call before failed and began not long ago."""
    last = dict(before)
    found = []
    for step in sorted((s for s in steps if s.kind == "tool"), key=_order):
        earlier = last.get(step.tool)
        if earlier is not None and earlier.status == "error" and step.start_ns - earlier.start_ns <= RETRIED_WITHIN_NS:
            found.append((step.trace_id, step.span_id))
        last[step.tool] = step
    return frozenset(found)


def _order(step: LedgerStep) -> tuple[int, bytes, bytes]:
    return step.start_ns, step.trace_id, step.span_id


def _passing(tape: Tape, *, of_row: bool) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((attribute(name), frozenset(values)) for name, values in tape.filters if is_of_row(name) is of_row)


def _group_of(tape: Tape) -> Callable[[Counted, str], Group]:
    names = [(is_of_row(name), name == "flag", attribute(name)) for name in tape.by]
    if not names:
        return lambda one, _: (one.row.project,)

    def group(one: Counted, flag: str) -> Group:
        return (
            one.row.project,
            *[flag if is_flag else getattr(one.row if is_row else one.step, name) for is_row, is_flag, name in names],
        )

    return group

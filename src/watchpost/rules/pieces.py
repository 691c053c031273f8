"""From rows and summaries to what they add to tapes. What no tape cares for is passed over by a look at its mark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Literal

import msgspec

from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Summary
from watchpost.query.measures import RETRIED_WITHIN_NS, Count, Distinct, Group
from watchpost.rules.counting import (
    Counted,
    Part,
    attribute,
    counts_session,
    counts_step,
    is_of_row,
    parts_of,
    step_takes,
)
from watchpost.rules.tally import CELL_NS, Piece
from watchpost.rules.tape import Tape

Calls = Mapping[str, LedgerStep]
"""The last call of each tool."""

_Place = tuple[int, int, Group]
"""The number of a reader, that of a cell, and a group."""

Pieces = Mapping[Tape, Mapping[tuple[int, Group], Piece]]
"""What a row or a session adds, by tape, cell and group."""

_MARK = ("kind", "status", "error_type", "flags")
_MOST_PLANS = 4096
_MOST_MARKS = 65_536


class _StepReader:
    """How one tape reads steps, or the flags at them.

    `is_fixed` says that steps with the same mark add the same, but for the group: nothing is counted but them.
    """

    __slots__ = (
        "by_row",
        "counts",
        "filters",
        "flags",
        "group",
        "is_fixed",
        "is_of_flags",
        "may_count",
        "ranked",
        "tape",
        "wheres",
    )

    def __init__(self, tape: Tape) -> None:
        parts = parts_of(tape.measure.formula)
        filters = _passing(tape, of_row=False)
        self.tape = tape
        self.counts = counts_step(tape.measure.formula)
        self.ranked = tape.shape.ranked
        self.is_of_flags = tape.measure.of == "flag"
        self.wheres = [part.where for part in parts]
        self.filters = tuple(each for each in filters if each[0] != "flag")
        self.flags = next((values for name, values in filters if name == "flag"), None)
        self.group = _group_of(tape)
        self.by_row = not self.is_of_flags and all(is_of_row(name) for name in tape.by)
        marked = [msgspec.structs.replace(where, told=(), untold=(), billed=False) for where in self.wheres]
        self.is_fixed = marked == self.wheres and all(isinstance(part, Count | Distinct) for part in parts)
        self.may_count = [step_takes(where) for where in marked]

    def passes(self, row: LedgerRow) -> bool:
        """Whether any step of a row can count."""
        return self.tape.passes(row)

    def adds(self, one: Counted) -> Part | Literal["ask"] | None:
        """What every step with the same mark adds, None for nothing; whether it must be asked for each."""
        if any(getattr(one.step, name) not in values for name, values in self.filters):
            return None
        if not any(may(one) for may in self.may_count) or (self.is_of_flags and not one.step.flags):
            return None
        return self.counts(one) if self.is_fixed else "ask"

    def groups(self, one: Counted) -> Iterable[Group]:
        """The groups a step counts in: one, or of flags one for each kind at it."""
        if not self.is_of_flags:
            return (self.group(one, ""),)
        flags = sorted(set(one.step.flags))
        return [self.group(one, flag) for flag in flags if self.flags is None or flag in self.flags]


Additions = Sequence[tuple[int, _StepReader, Part | None]]
"""What a step with a mark adds, by the number of the reader; None where the reader must be asked."""


class StepPieces:
    """Reads rows of the ledger for all tapes of steps and flags.

    What decides whether a step counts is its mark: kind, status, type of error, flags, label, and what some tape filters by. Readers are asked once for each
    mark, so that steps cost no more than the tapes that count them.
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
        self._plans: dict[object, dict[object, Additions]] = {}
        self._marks = 0

    def read(self, row: LedgerRow, before: Calls) -> Pieces:
        """What a row adds. `before` are the calls of the session in the slot before."""
        sums: dict[_Place, list[int]] = {}
        values: dict[_Place, list[int]] = {}
        retried = _retried(row.steps, before) if self.looks_back else frozenset()
        plan = self._plan(row)
        groups: dict[int, Iterable[Group]] = {}
        numbers: dict[int, int] = {}
        for step in row.steps:
            is_retried = bool(retried) and (step.trace_id, step.span_id) in retried
            mark = (self._mark(step), is_retried)
            additions = plan.get(mark)
            if additions is None:
                additions = self._marked(plan, mark, Counted(step, row, retried=is_retried))
            if not additions:
                continue
            one = Counted(step, row, retried=is_retried)
            number = numbers.setdefault(step.start_ns // CELL_NS, step.start_ns // CELL_NS)
            for place, reader, fixed in additions:
                part = fixed or reader.counts(one)
                if part is None:
                    continue
                known = groups.get(place)
                if known is None:
                    known = reader.groups(one)
                    if reader.by_row:
                        groups[place] = known
                for group in known:
                    _sum(sums, (place, number, group), part)
                    if reader.ranked and part[2]:
                        values.setdefault((place, number, group), []).append(part[0])
        return self._pieces(sums, values)

    def _pieces(self, sums: Mapping[_Place, list[int]], values: Mapping[_Place, list[int]]) -> Pieces:
        found: dict[Tape, dict[tuple[int, Group], Piece]] = {}
        for key, (over, per, counted, untold) in sums.items():
            tape = self._readers[key[0]].tape
            group = tape.settle(key[2])
            piece = (key[1], group, over, per, counted, untold, tuple(values.get(key, ())))
            _add(found.setdefault(tape, {}), piece)
        return found

    def _plan(self, row: LedgerRow) -> dict[object, Additions]:
        """What steps add by their mark, of rows that are alike in what is filtered by."""
        title = self._title(row)
        plan = self._plans.get(title)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[title] = {}
        return plan

    def _marked(self, plan: dict[object, Additions], mark: object, one: Counted) -> Additions:
        if self._marks >= _MOST_MARKS:
            self._plans.clear()
            plan.clear()
            self._marks = 0
        self._marks += 1
        found = []
        for place, reader in enumerate(self._readers):
            if reader.passes(one.row):
                part = reader.adds(one)
                if part is not None:
                    found.append((place, reader, None if part == "ask" else part))
        plan[mark] = found
        return found


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
        found: dict[Tape, dict[tuple[int, Group], Piece]] = {}
        if session.state != "ended" or session.moved_to:
            return found
        for tape, counts, names in self._readers:
            if tape.passes(session):
                part = counts(session)
                if part is not None:
                    group = tape.settle((session.project, *[getattr(session, name) or "" for name in names]))
                    values = (part[0],) if tape.shape.ranked and part[2] else ()
                    _add(found.setdefault(tape, {}), (session.ended_ns // CELL_NS, group, *part, values))
        return found


def calls_of(steps: Iterable[LedgerStep]) -> Calls:
    """The last call of each tool among some steps."""
    return {step.tool: step for step in sorted((s for s in steps if s.kind == "tool"), key=_order)}


def _sum(sums: dict[_Place, list[int]], place: _Place, part: Part) -> None:
    held = sums.get(place)
    if held is None:
        sums[place] = [*part]
        return
    held[0] += part[0]
    held[1] += part[1]
    held[2] += part[2]
    held[3] += part[3]


def _add(pieces: dict[tuple[int, Group], Piece], piece: Piece) -> None:
    number, group, over, per, counted, untold, values = piece
    held = pieces.get((number, group))
    if held is not None:
        piece = (number, group, held[2] + over, held[3] + per, held[4] + counted, held[5] + untold, held[6] + values)
    pieces[number, group] = piece


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

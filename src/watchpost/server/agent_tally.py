"""What agents did since the process started, kept up with the ledger row by row.

Of every session of the last hours it is remembered what each of its ledger rows came to, so that a row that is written anew is counted
as the difference. Nothing is read twice but rows that changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from watchpost.model.session import session_key
from watchpost.server.agent_series import Family, Shape
from watchpost.store.work import TraceSpan, WorkRow, WorkStep

RUN_BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
LLM_BOUNDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
TOOL_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)

CALLS, ERRORS, INPUT, OUTPUT = 0, 1, 2, 3
"""Offsets of plain counts: of model calls all four, of tool calls the first two."""

ENDED, COMPLETED = 0, 1
"""Offsets of plain counts of sessions."""

SLOT_S = 600
HELD_S = 2 * 3600
"""For how long after a session's last step began changes to it are counted."""

HELD_SESSIONS = 20_000
"""How many sessions are remembered; where there were more, those of the oldest slots are forgotten sooner, but not of the last two."""

WINDOW_S = 3600
"""The time over which shares are taken, in whole slots, the one under way besides."""

SETTLE_NS = 60 * 10**9
"""How long after its end a step of a running session is counted: the name of its workflow often comes with its last span."""

Ref = tuple[str, str]
"""A session: its project and its id."""


class _Part(msgspec.Struct, gc=False):
    """One trace of a session in one slot: its steps' first start and last end, whether one of them runs, whether any is no evaluation."""

    start_ns: int
    end_ns: int
    running: bool
    worked: bool


class _Row(msgspec.Struct):
    """What one ledger row came to: by family, and of each trace in it."""

    seq: int
    workflow: str
    outcome: str
    llm: dict[int, int] = {}
    tool: dict[int, int] = {}
    cost: dict[int, int] = {}
    failed: dict[int, int] = {}
    judged: dict[int, int] = {}
    parts: dict[bytes, _Part] = {}


class _Session(msgspec.Struct):
    """The rows of a session by slot, and what its runs and it came to; `done` stands in the window of slot `done_slot`."""

    rows: dict[int, _Row]
    runs: dict[int, int] = {}
    done: dict[int, int] = {}
    done_slot: int = 0


class AgentTally:
    """All numbers of the agent families. Not safe for threads: one takes and reads at a time."""

    def __init__(self) -> None:
        self.llm = Family(Shape(4, LLM_BOUNDS))
        self.tool = Family(Shape(2, TOOL_BOUNDS))
        self.cost = Family(Shape(1))
        self.run = Family(Shape(1, RUN_BOUNDS))
        self.spend = Family(Shape(1))
        self.failed = Family(Shape(1))
        self.judged = Family(Shape(1))
        self._done = Family(Shape(2))
        self._sessions: dict[Ref, _Session] = {}
        self._unsettled: dict[tuple[Ref, int], WorkRow] = {}
        self._tools_by_slot: dict[int, dict[int, int]] = {}
        self._done_by_slot: dict[int, dict[int, int]] = {}
        self._floor = 0
        self._names: dict[Ref, Ref] = {}

    def first(self, now_ns: int) -> int:
        """The first slot of which rows are to be taken."""
        return max(first_slot(now_ns), self._floor)

    def take(self, rows: Iterable[WorkRow], now_ns: int) -> set[Ref]:
        """Count the current rows, and what has settled meanwhile; the sessions in which something may have ended.

        `count_runs` is to be called with these.
        """
        changed, self._unsettled = self._unsettled, {}
        for row in rows:
            ref = (row.project, row.session_id)
            ref = self._names.get(ref, ref)
            if self._seq_of(ref, row.slot) != row.seq:
                changed[ref, row.slot] = row
        for (ref, slot), row in changed.items():
            self._replace(ref, slot, None if row.gone or not row.steps else self._read(ref, row, now_ns))
        return {ref for ref, _ in changed}

    def ended(self, refs: Iterable[Ref]) -> list[tuple[str, bytes]]:
        """The runs that have ended in these sessions, as pairs of project and trace id."""
        return [
            (ref[0], trace_id)
            for ref in refs
            if ref in self._sessions
            for trace_id in _ended_runs(self._sessions[ref], _parts(self._sessions[ref]))
        ]

    def count_runs(self, refs: Iterable[Ref], lasted: Mapping[tuple[str, bytes], TraceSpan]) -> None:
        """Count the runs of these sessions anew; a run of which nothing is said in `lasted` lasted from its first step to its last."""
        for ref in refs:
            session = self._sessions.get(ref)
            if session is None:
                continue
            self.run.add(session.runs, -1)
            _move(self._done_by_slot, session.done_slot, session.done, -1)
            session.runs, session.done = self._count_runs(ref, session, lasted)
            session.done_slot = max(session.rows, default=0)
            self.run.add(session.runs, 1)
            _move(self._done_by_slot, session.done_slot, session.done, 1)
            if not session.rows:
                del self._sessions[ref]

    def begin(self) -> None:
        """Count from here on: what was taken so far is known, and is no news. Shares over the window keep it."""
        for family in (self.llm, self.tool, self.cost, self.run, self.spend, self.failed, self.judged):
            family.begin()

    def forget(self, now_ns: int) -> None:
        """Let go of sessions whose last step began too long ago."""
        self._floor = max(self._floor, self._crowded_out(now_ns))
        first = self.first(now_ns)
        for ref in [ref for ref, session in self._sessions.items() if max(session.rows) < first]:
            for slot in self._sessions.pop(ref).rows:
                self._unsettled.pop((ref, slot), None)
        for by_slot in (self._tools_by_slot, self._done_by_slot):
            for slot in [slot for slot in by_slot if slot < first]:
                del by_slot[slot]

    def rename(self, names: Mapping[Ref, Ref]) -> None:
        """Take rows of these sessions, then and from now on, for those of the others; no example names them any more."""
        self._names.update(names)
        for old, new in names.items():
            if (session := self._sessions.pop(old, None)) is not None:
                self._sessions[new] = session
        self._unsettled = {(names.get(ref, ref), slot): row for (ref, slot), row in self._unsettled.items()}
        self._unmeet(names)

    def renamed(self, names: Mapping[Ref, Ref]) -> None:
        """The rows have changed: what comes by the old names is of other sessions."""
        for old in names:
            self._names.pop(old, None)
        self._unmeet(names.values())

    def _unmeet(self, refs: Iterable[Ref]) -> None:
        keys = {session_key(*ref) for ref in refs}
        for family in (self.llm, self.tool, self.run, self.failed, self.judged):
            family.unmeet(keys)

    def tool_errors(self, now_ns: int) -> Iterator[tuple[tuple[str, ...], float]]:
        """Of each tool the share of calls that failed, among those that began within the window; tools without calls are left out."""
        return _shares(self.tool, self._tools_by_slot, now_ns)

    def completed(self, now_ns: int) -> Iterator[tuple[tuple[str, ...], float]]:
        """Of each workflow the share of sessions that ended as completed, among those that ended and whose last step began within the window."""
        return _shares(self._done, self._done_by_slot, now_ns)

    def _seq_of(self, ref: Ref, slot: int) -> int | None:
        """The `seq` of the row that is counted; None where none is."""
        session = self._sessions.get(ref)
        return session.rows[slot].seq if session is not None and slot in session.rows else None

    def _crowded_out(self, now_ns: int) -> int:
        """The slot from which on no more sessions end than may be remembered; 0 where all of them may."""
        if len(self._sessions) <= HELD_SESSIONS:
            return 0
        last_slots = sorted(max(session.rows) for session in self._sessions.values())
        return min(last_slots[-HELD_SESSIONS] + SLOT_S, first_slot(now_ns, SLOT_S))

    def _replace(self, ref: Ref, slot: int, new: _Row | None) -> None:
        session = self._sessions.get(ref)
        if session is None:
            if new is None:
                return
            session = self._sessions[ref] = _Session({})
        old = session.rows.pop(slot, None)
        for row, sign in ((old, -1), (new, 1)):
            if row is None:
                continue
            self.llm.add(row.llm, sign)
            self.tool.add(row.tool, sign)
            self.cost.add(row.cost, sign)
            self.failed.add(row.failed, sign)
            self.judged.add(row.judged, sign)
            self.spend.add(self._spent(row), sign)
            _move(self._tools_by_slot, slot, row.tool, sign)
        if new is not None:
            session.rows[slot] = new

    def _spent(self, row: _Row) -> dict[int, int]:
        return {self.spend.place(row.workflow): sum(row.cost.values())} if row.cost else {}

    def _read(self, ref: Ref, row: WorkRow, now_ns: int) -> _Row:
        read = _Row(row.seq, row.workflow, row.outcome)
        key = session_key(*ref)
        settled = sys.maxsize if row.outcome else now_ns - SETTLE_NS
        for step in row.steps:
            end_ns = step.start_ns + 1000 * (step.dur_us or 0)
            _extend(read.parts, step, end_ns)
            if step.status == "running":
                continue
            if end_ns > settled:
                self._unsettled[ref, row.slot] = row
                continue
            if step.cost_nano is not None:
                _bump(read.cost, self.cost.place(step.model, row.workflow), max(step.cost_nano, 0))
            if step.status == "error":
                place = self.failed.place(step.error_type, step.kind, row.workflow)
                _bump(read.failed, place, 1)
                self.failed.met(place, end_ns, 1.0, trace_id=step.trace_id, session_key=key)
            if step.kind == "llm":
                place = self.llm.place(step.model, row.workflow)
                _bump(read.llm, place + INPUT, max(step.in_tok or 0, 0))
                _bump(read.llm, place + OUTPUT, max(step.out_tok or 0, 0))
                _observe(self.llm, read.llm, place, step, end_ns=end_ns, key=key)
            elif step.kind == "tool":
                place = self.tool.place(step.tool, row.workflow)
                _observe(self.tool, read.tool, place, step, end_ns=end_ns, key=key)
            elif step.kind == "evaluation":
                place = self.judged.place(step.evaluator, step.label, row.workflow)
                _bump(read.judged, place, 1)
                self.judged.met(place, end_ns, 1.0, trace_id=step.trace_id, session_key=key)
        return read

    def _count_runs(
        self, ref: Ref, session: _Session, lasted: Mapping[tuple[str, bytes], TraceSpan]
    ) -> tuple[dict[int, int], dict[int, int]]:
        runs: dict[int, int] = {}
        done: dict[int, int] = {}
        if not session.rows:
            return runs, done
        latest = session.rows[max(session.rows)]
        if latest.outcome:
            place = self._done.place(latest.workflow)
            done = {place + ENDED: 1, place + COMPLETED: int(latest.outcome == "completed")}
        place, key = self.run.place(latest.workflow), session_key(*ref)
        parts = _parts(session)
        for trace_id in _ended_runs(session, parts):
            told, part = lasted.get((ref[0], trace_id)), parts[trace_id]
            start_ns, end_ns = (told.start_ns, told.end_ns) if told else (part.start_ns, part.end_ns)
            took_us = max(end_ns - start_ns, 0) // 1000
            bucket = place + self.run.bucket(took_us)
            _bump(runs, place, 1)
            _bump(runs, bucket, 1)
            _bump(runs, place + self.run.sum, took_us)
            self.run.met(bucket, max(start_ns, end_ns), took_us / 1e6, trace_id=trace_id, session_key=key)
        return runs, done


def first_slot(now_ns: int, back_s: int = HELD_S) -> int:
    """The slot of so long ago."""
    return (now_ns // 10**9 - back_s) // SLOT_S * SLOT_S


def _observe(family: Family, into: dict[int, int], place: int, step: WorkStep, *, end_ns: int, key: str) -> None:
    """Count a call of a model or a tool."""
    _bump(into, place + CALLS, 1)
    if step.status == "error":
        _bump(into, place + ERRORS, 1)
        family.met(place + ERRORS, end_ns, 1.0, trace_id=step.trace_id, session_key=key)
    if step.dur_us is not None and step.dur_us >= 0:
        bucket = place + family.bucket(step.dur_us)
        _bump(into, bucket, 1)
        _bump(into, place + family.sum, step.dur_us)
        family.met(bucket, end_ns, step.dur_us / 1e6, trace_id=step.trace_id, session_key=key)


def _ended_runs(session: _Session, parts: Mapping[bytes, _Part]) -> list[bytes]:
    """The traces that are over: all of a session that has ended, else those with no step under way that another came after.

    A trace of evaluations alone is no run.
    """
    runs = {trace_id: part for trace_id, part in parts.items() if part.worked}
    if not runs or session.rows[max(session.rows)].outcome:
        return list(runs)
    last = max(part.start_ns for part in runs.values())
    return [
        trace_id for trace_id, part in runs.items() if not part.running and part.end_ns <= last and part.start_ns < last
    ]


def _parts(session: _Session) -> dict[bytes, _Part]:
    """The traces of a session over all its slots."""
    if len(session.rows) == 1:
        return next(iter(session.rows.values())).parts
    whole: dict[bytes, _Part] = {}
    for row in session.rows.values():
        for trace_id, part in row.parts.items():
            before = whole.get(trace_id, part)
            whole[trace_id] = _Part(
                min(before.start_ns, part.start_ns),
                max(before.end_ns, part.end_ns),
                before.running or part.running,
                before.worked or part.worked,
            )
    return whole


def _extend(parts: dict[bytes, _Part], step: WorkStep, end_ns: int) -> None:
    """Let a trace reach over a step; evaluations, made of a run later, stand aside."""
    part = parts.get(step.trace_id)
    if part is None:
        part = parts[step.trace_id] = _Part(step.start_ns, end_ns, running=False, worked=False)
    if step.kind == "evaluation":
        return
    if not part.worked:
        part.start_ns, part.end_ns, part.worked = step.start_ns, end_ns, True
    part.start_ns = min(part.start_ns, step.start_ns)
    part.end_ns = max(part.end_ns, end_ns)
    part.running = part.running or step.status == "running"


def _bump(into: dict[int, int], at: int, amount: int) -> None:
    into[at] = into.get(at, 0) + amount


def _move(by_slot: dict[int, dict[int, int]], slot: int, changes: Mapping[int, int], sign: int) -> None:
    if changes:
        amounts = by_slot.setdefault(slot, {})
        for at, amount in changes.items():
            _bump(amounts, at, sign * amount)


def _shares(
    family: Family, by_slot: Mapping[int, Mapping[int, int]], now_ns: int
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Of each label set the second of its counts for each of the first."""
    since = first_slot(now_ns, WINDOW_S)
    window = [amounts for slot, amounts in by_slot.items() if slot >= since]
    for labels, place in family.places():
        if whole := sum(amounts.get(place, 0) for amounts in window):
            yield labels, sum(amounts.get(place + 1, 0) for amounts in window) / whole

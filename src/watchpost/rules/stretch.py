"""A stretch of history in the order in which it became known, out of what the store holds of it now.

The store holds how things stand now, and not when it was told of them. So that is taken to have been so, with what it leaves out:

- A step became known at the first judgement after it ended; one that still runs when it began. How late spans came in is not known any more. A row of the ledger is told again
  with each further judgement by which one of its steps had ended; its workflow, release and outcome are those that it has now.
- A session ran from its first step until nothing more of it came for as long as makes one end; then it is known with the totals that it has now. While it ran, its totals are taken
  to be unknown. Of several runs in one session the later ones make it reopened, which is not running.
- A flag was told of at its own time, as it stands now.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import count
from operator import itemgetter

import msgspec

from watchpost.model.flag import Flag
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Summary, Totals

_NEVER = 1 << 62
_SECOND_NS = 10**9

_BEGINS, _ENDS, _IS_QUIET, _ROW, _FLAG = range(5)
"""What happens, in the order in which it does at one time."""

Key = tuple[str, str]


class Quietness(msgspec.Struct, frozen=True):
    """When a run counts as over: for so long nothing of it came, with its traces ended, and without."""

    ended_ns: int = 30 * _SECOND_NS
    open_ns: int = 600 * _SECOND_NS


class Told(msgspec.Struct, frozen=True):
    """What became known at one time."""

    at_ns: int
    rows: tuple[LedgerRow, ...] = ()
    sessions: tuple[Summary, ...] = ()
    flags: tuple[Flag, ...] = ()


def in_order(
    rows: Iterable[LedgerRow],
    sessions: Iterable[Summary],
    flags: Iterable[Flag],
    *,
    interval_ns: int,
    quiet: Quietness | None = None,
) -> Iterator[Told]:
    """All of it by time. Rows come by slot, sessions by `started_ns`, flags by `at_ns`; little more than one slot is held at once. `interval_ns` is that of judgements."""
    order = _Order(interval_ns, quiet or Quietness())
    items: Iterator[tuple[int, LedgerRow | Summary | Flag]] = heapq.merge(
        ((row.slot * _SECOND_NS, row) for row in rows),
        ((session.started_ns or session.ended_ns, session) for session in sessions),
        ((flag.at_ns, flag) for flag in flags),
        key=itemgetter(0),
    )
    for at_ns, item in items:
        yield from order.before(at_ns)
        order.enter(item)
    yield from order.before(_NEVER)


class _Steps:
    """What the rows of a session have told of its runs; `is_over` once the first one is."""

    __slots__ = ("busy_ns", "is_over", "traces")

    def __init__(self, busy_ns: int) -> None:
        self.busy_ns = busy_ns
        self.traces: set[bytes] = set()
        self.is_over = False


class _Silence(msgspec.Struct, frozen=True):
    """The first run of a session is over, if nothing came of it since a time; or for certain, where that is 0."""

    key: Key
    since_ns: int = 0


class _Order:
    """Holds what is to become known, until all before it has come in."""

    def __init__(self, interval_ns: int, quiet: Quietness) -> None:
        self._interval_ns = interval_ns
        self._quiet = quiet
        self._heap: list[tuple[int, int, int, object]] = []
        self._number = count()
        self._steps: dict[Key, _Steps] = {}
        self._running: dict[Key, Summary] = {}

    def enter(self, item: LedgerRow | Summary | Flag) -> None:
        """Take in one row, session or flag."""
        match item:
            case LedgerRow():
                self._enter_row(item)
            case Summary(moved_to=""):
                self._put(item.started_ns or item.ended_ns, _BEGINS, item)
                self._put(item.ended_ns + (self._quiet.ended_ns if item.state == "ended" else 0), _ENDS, item)
            case Flag():
                self._put(item.at_ns, _FLAG, item)

    def before(self, at_ns: int) -> Iterator[Told]:
        """What became known so long before a time that nothing which is still to come in can change it."""
        while self._heap and self._heap[0][0] < at_ns - self._quiet.open_ns:
            moment_ns = self._heap[0][0]
            rows: list[LedgerRow] = []
            sessions: dict[str, Summary] = {}
            flags: list[Flag] = []
            while self._heap and self._heap[0][0] == moment_ns:
                _, what, _, item = heapq.heappop(self._heap)
                match item:
                    case LedgerRow():
                        rows.append(self._row_at(item, moment_ns))
                    case Flag():
                        flags.append(item)
                        if (known := self._running.get((item.project, item.session_id))) is not None:
                            sessions[known.key] = known
                    case _:
                        for session in self._session_changes(what, item):
                            sessions[session.key] = session
            if rows or sessions or flags:
                yield Told(moment_ns, tuple(rows), tuple(sessions.values()), tuple(flags))

    def _put(self, at_ns: int, what: int, item: object) -> None:
        heapq.heappush(self._heap, (at_ns, what, next(self._number), item))

    def _enter_row(self, row: LedgerRow) -> None:
        if row.gone:
            return
        for at_ns in {self._known_ns(step) for step in row.steps}:
            self._put(at_ns, _ROW, row)
        key = row.project, row.session_id
        for step in sorted(row.steps, key=lambda each: each.start_ns):
            steps = self._steps.setdefault(key, _Steps(step.start_ns))
            patience_ns = self._quiet.open_ns if step.trace_id in steps.traces else self._quiet.ended_ns
            if step.start_ns > steps.busy_ns + patience_ns and not steps.is_over:
                steps.is_over = True
                self._put(steps.busy_ns + self._quiet.ended_ns, _IS_QUIET, _Silence(key))
            steps.traces.add(step.trace_id)
            steps.busy_ns = max(steps.busy_ns, _end_ns(step))
        if not self._steps[key].is_over:
            busy_ns = self._steps[key].busy_ns
            self._put(busy_ns + self._quiet.ended_ns, _IS_QUIET, _Silence(key, busy_ns))

    def _session_changes(self, what: int, item: object) -> Iterator[Summary]:
        """How a session stands after something happened to it; nothing where that is as before."""
        match item:
            case Summary() if what == _BEGINS:
                session = _unfinished(item, reopened=False)
                self._running[item.project, item.session_id] = session
                yield session
            case Summary():
                if item.state == "ended":
                    self._running.pop((item.project, item.session_id), None)
                    self._steps.pop((item.project, item.session_id), None)
                yield item
            case _Silence(key, since_ns):
                steps = self._steps.get(key)
                if since_ns and steps is not None and steps.busy_ns == since_ns and not steps.is_over:
                    steps.is_over = True
                    yield from self._pause(key)
                elif not since_ns:
                    yield from self._pause(key)

    def _pause(self, key: Key) -> Iterator[Summary]:
        held = self._running.get(key)
        if held is not None and held.state == "running":
            self._running[key] = _unfinished(held, reopened=True)
            yield self._running[key]

    def _known_ns(self, step: LedgerStep) -> int:
        return -(-_end_ns(step) // self._interval_ns) * self._interval_ns

    def _row_at(self, row: LedgerRow, at_ns: int) -> LedgerRow:
        return msgspec.structs.replace(row, steps=tuple(each for each in row.steps if self._known_ns(each) <= at_ns))


def _end_ns(step: LedgerStep) -> int:
    return step.start_ns + (step.dur_us or 0) * 1000


def _unfinished(session: Summary, *, reopened: bool) -> Summary:
    """How a session stood before it ended."""
    return msgspec.structs.replace(
        session,
        state="reopened" if reopened else "running",
        outcome=None,
        totals=Totals(),
        success=None,
        breaches=(),
        within=(),
        unchecked=(),
    )

"""The sessions held in memory: a cache of the fold, filled from readings, settled batch by batch, emptied by budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from watchpost.model.session import Summary
from watchpost.model.step import Reading
from watchpost.session.delegation import note_delegations
from watchpost.session.hosts import Hosts
from watchpost.session.node import Node
from watchpost.session.outcome import outcome
from watchpost.session.session import Quiet, Session, slot_of
from watchpost.session.timers import SessionRef, Timers
from watchpost.session.trace import Trace

TraceRef = tuple[str, bytes]
"""Project and trace id."""


class Move(msgspec.Struct, frozen=True):
    """A trace came to a session, or left it."""

    project: str
    session_id: str
    trace_id: bytes
    live: bool


class Settled(msgspec.Struct, frozen=True):
    """What one settling changed: the sessions in the order in which they came or ended, those that nothing of an agent is left in with the key that took it, and the moves.

    `reminded` are the sessions in which nothing changed, but which somebody wanted to look at by now.
    """

    changed: tuple[Session, ...]
    moved_to: dict[str, str]
    moves: tuple[Move, ...]
    reminded: tuple[Session, ...] = ()


class Sessions:
    """Every session held is held whole: with all its traces, and every trace with all its spans.

    Whoever adds readings first lets the store fill in what is not held: the traces `unknown` names and the sessions `wanted`
    names, again and again until nothing more is wanted, then `restored`.
    """

    def __init__(self, quiet: Quiet) -> None:
        self._quiet = quiet
        self._traces: dict[TraceRef, Trace] = {}
        self._sessions: dict[SessionRef, Session] = {}
        self._dirty: dict[TraceRef, Trace] = {}
        self._loading: list[Trace] = []
        self._loaded: list[SessionRef] = []
        self._clock = Timers()
        self._reminders = Timers()
        self._hosts = Hosts()
        self._held_bytes = 0

    def unknown(self, refs: Iterable[TraceRef]) -> list[TraceRef]:
        """Those of these traces that are not held."""
        return [ref for ref in set(refs) if ref not in self._traces]

    def wanted(self, readings: Iterable[Reading]) -> list[SessionRef]:
        """The sessions that these readings, their traces and the traces being loaded lead to, and that are not held.

        A trace of which nothing is known yet stands under its own id only if no reading names a session for it.
        """
        refs: set[SessionRef] = set()
        touched: set[TraceRef] = set()
        named: set[TraceRef] = set()
        for reading in readings:
            ref = (reading.project, reading.trace_id)
            touched.add(ref)
            if reading.own_session:
                named.add(ref)
                refs.add((reading.project, reading.own_session))
        held = [trace for ref in touched if (trace := self._traces.get(ref)) is not None]
        for trace in {id(trace): trace for trace in (*held, *self._loading)}.values():
            if trace.nodes or (trace.project, trace.trace_id) not in named:
                refs.update((trace.project, session_id) for session_id in trace.sessions())
        return [ref for ref in refs if ref not in self._sessions]

    def load(self, traces: Iterable[TraceRef], sessions: Iterable[SessionRef], readings: Iterable[Reading]) -> None:
        """Hold these traces with the readings the store has of them, and these sessions."""
        for session_ref in sessions:
            self._sessions[session_ref] = Session(*session_ref)
            self._loaded.append(session_ref)
        for trace_ref in traces:
            trace = self._traces[trace_ref] = Trace(*trace_ref)
            self._loading.append(trace)
        for reading in readings:
            self._traces[reading.project, reading.trace_id].add(reading)

    def restored(self) -> None:
        """All that was loaded is whole: put it together as it was settled before."""
        for trace in self._loading:
            if trace.nodes:
                self._hosts.note(trace)
        for trace in self._loading:
            if trace.nodes:
                self._settle_trace(trace)
        for ref in self._loaded:
            session = self._sessions[ref]
            session.slots.clear()
            session.state = self._clock.state(ref) if session.traces and not session.is_awaited else "running"
            session.outcome = outcome(session) if session.state == "ended" else None
        self._loading.clear()
        self._loaded.clear()

    def add(self, reading: Reading) -> None:
        """Take one new reading of a trace that is held."""
        ref = (reading.project, reading.trace_id)
        trace = self._traces[ref]
        if trace.add(reading):
            self._dirty[ref] = trace
        elif trace.nodes[reading.span_id].end_ns == 0:
            self._dirty[ref] = trace  # a heartbeat says nothing new, but puts off the end

    def settle(self, revision: int, now_ns: int) -> Settled:
        """Bring every session up to date with what was added, and end those whose time has come."""
        changed: dict[SessionRef, Session] = {}
        moves: list[Move] = []
        left: dict[SessionRef, SessionRef] = {}
        stirred: set[SessionRef] = set()
        waiting = list(self._dirty.values())[::-1]
        while waiting:
            trace = waiting.pop()
            before = trace.session_id
            led = self._hosts.note(trace)
            after = self._settle_trace(trace)
            if before and before != after.session_id:
                led += self._hosts.followers(trace)
            waiting += [each for each in led if each.touched or self._home(each) != each.session_id]
            changed[after.project, after.session_id] = after
            if trace.stirred or (before != after.session_id and not trace.is_remark):
                stirred |= {(after.project, after.session_id), (after.project, before)}
            trace.stirred = False
            if before != after.session_id:
                moves.append(Move(trace.project, after.session_id, trace.trace_id, live=True))
            if before and before != after.session_id:
                moves.append(Move(trace.project, before, trace.trace_id, live=False))
                changed[trace.project, before] = self._sessions[trace.project, before]
                if after.is_agentic or (trace.project, before) not in left:
                    left[trace.project, before] = (after.project, after.session_id)
        self._dirty.clear()
        for ref, session in changed.items():
            session.revision = revision
            if ref in stirred or session.state != "ended":
                self._reopen(ref, session)
        for session in self._end(now_ns, revision):
            changed[session.project, session.session_id] = session
        moved_to = {
            changed[ref].key: changed[to].key
            for ref, to in left.items()
            if changed[to].is_agentic and not changed[ref].is_agentic
        }
        return Settled(tuple(changed.values()), moved_to, tuple(moves), self._remind(changed, now_ns))

    def find(self, ref: SessionRef) -> Session | None:
        """A session, if it is held."""
        return self._sessions.get(ref)

    def wake(self, summary: Summary) -> None:
        """Remember that a session that need not be held ends when it is due."""
        state = "running" if summary.state == "ended" else summary.state
        self._clock.set((summary.project, summary.session_id), summary.due_ns, state)

    def remind(self, times: Iterable[tuple[SessionRef, int]]) -> None:
        """Have each of these sessions looked at once more at a time, instead of at any time given before; 0 is never."""
        for ref, at_ns in times:
            if at_ns:
                self._reminders.set(ref, at_ns, "running")
            else:
                self._reminders.stop(ref)

    def ripe(self, now_ns: int) -> list[SessionRef]:
        """The sessions that are not held and whose time has come: to be loaded before the next settling."""
        due = {*self._clock.ripe(now_ns), *self._reminders.ripe(now_ns)}
        return [ref for ref in due if ref not in self._sessions]

    def is_ripe(self, now_ns: int) -> bool:
        """Whether the time of any session, held or not, has come."""
        return bool(self._clock.ripe(now_ns) or self._reminders.ripe(now_ns))

    def due_ns(self, session: Session) -> int:
        """When a session ends by itself; 0 if it has."""
        return self._clock.due((session.project, session.session_id))

    def evict(self, budget_bytes: int, stored_revision: int) -> list[Session]:
        """Let go of ended and then of long unchanged sessions until the rest fits the budget.

        To be called when all that was added is settled; what changed after `stored_revision` is not in the store yet and stays.
        """
        if self._held_bytes <= budget_bytes:
            return []
        gone: list[Session] = []
        for session in sorted(self._sessions.values(), key=lambda s: (s.state != "ended", s.revision)):
            if self._held_bytes <= budget_bytes:
                break
            if session.revision > stored_revision:
                continue
            self._held_bytes -= sum(trace.weight for trace in session.traces.values())
            gone.append(session)
            del self._sessions[session.project, session.session_id]
            for trace in session.traces.values():
                del self._traces[session.project, trace.trace_id]
                self._hosts.forget(trace)
        return gone

    def is_away(self, ref: SessionRef) -> bool:
        """Whether a session has not ended and is not held."""
        return bool(self._clock.due(ref)) and ref not in self._sessions

    def erase(self, refs: Iterable[SessionRef], revision: int) -> tuple[list[Session], list[Session]]:
        """Let go of these sessions and of all that was to be done about them: those that were held, and of these those that ran, which end with it."""
        gone: list[Session] = []
        ended: list[Session] = []
        for ref in refs:
            self._reminders.stop(ref)
            runs = bool(self._clock.due(ref))
            self._clock.stop(ref)
            session = self._sessions.pop(ref, None)
            if session is None:
                continue
            gone.append(session)
            if runs:
                session.state, session.outcome, session.revision = "ended", outcome(session), revision
                ended.append(session)
            self._held_bytes -= sum(trace.weight for trace in session.traces.values())
            for trace in session.traces.values():
                del self._traces[session.project, trace.trace_id]
                self._hosts.forget(trace)
        return gone, ended

    @property
    def open_count(self) -> int:
        """Sessions that have not ended, held or not."""
        return len(self._clock)

    @property
    def held_bytes(self) -> int:
        """About what all held sessions take in memory."""
        return self._held_bytes

    @property
    def held(self) -> Sequence[Session]:
        """The sessions in memory."""
        return tuple(self._sessions.values())

    def _home(self, trace: Trace) -> str:
        """The session that a trace belongs to: what follows another trace belongs where that one does."""
        host = self._hosts.of(trace)
        return trace.session() if host is None else host.session()

    def _settle_trace(self, trace: Trace) -> Session:
        session = self._sessions[trace.project, self._home(trace)]
        note_delegations(trace)
        if trace.session_id != session.session_id:
            self._leave(trace)
            trace.session_id = session.session_id
            session.traces[trace.trace_id] = trace
            session.rename()
            touched: Iterable[bytes] = trace.nodes
        else:
            touched = trace.touched
        for span_id in touched:
            node = trace.nodes[span_id]
            for other, twin in self._pair(session, trace, node):
                self._place(session, session.traces[other], twin)
            self._place(session, trace, node)
        for span_id in trace.retitled:
            session.slots.update(slot_of(node.start_ns) for node in trace.beneath(span_id) if node.counted)
        if trace.claimed:
            session.rename()
        self._held_bytes += trace.held_bytes - trace.weight
        trace.weight = trace.held_bytes
        trace.claimed = False
        trace.touched.clear()
        trace.retitled.clear()
        return session

    @staticmethod
    def _pair(session: Session, trace: Trace, node: Node) -> Iterable[tuple[bytes, Node]]:
        """Put a call that carries an id among its twins; those of them whose standing may have changed."""
        known = trace.twinned.get(node.span_id)
        key = (node.kind, node.call) if node.call and node.counted else None
        if key is None and known is None:
            return ()
        if key is not None and (known is None or known == key):
            trace.twinned[node.span_id] = key
            return session.twins.put(trace.trace_id, node)
        affected = session.twins.take(trace.trace_id, *(known or ("", "")), node.span_id)
        del trace.twinned[node.span_id]
        if key is None:
            return affected
        trace.twinned[node.span_id] = key
        return (*affected, *session.twins.put(trace.trace_id, node))

    @staticmethod
    def _place(session: Session, trace: Trace, node: Node) -> None:
        """Let the step of a node stand in the session if it counts, and only then."""
        counted = node.counted and (node.span_id not in trace.twinned or session.twins.counts(node))
        old, new = trace.placed.get(node.span_id), node.step if counted else None
        if old is new:
            return
        if old is not None:
            session.remove(old)
            del trace.placed[node.span_id]
        if new is not None:
            session.place(new)
            trace.placed[node.span_id] = new

    def _leave(self, trace: Trace) -> None:
        if not trace.session_id:
            return
        session = self._sessions[trace.project, trace.session_id]
        for step in trace.placed.values():
            session.remove(step)
        trace.placed.clear()
        del session.traces[trace.trace_id]
        session.rename()
        twinned = list(trace.twinned.items())
        trace.twinned.clear()
        for span_id, key in twinned:
            for other, twin in session.twins.take(trace.trace_id, *key, span_id):
                if other != trace.trace_id:
                    self._place(session, session.traces[other], twin)

    def _reopen(self, ref: SessionRef, session: Session) -> None:
        """Let a session in which something happened run on; what is only said of it afterwards changes nothing."""
        if not session.traces or session.is_awaited:
            self._clock.stop(ref)
            session.state, session.outcome = "running", None
            return
        if session.state == "ended":
            session.state = "reopened"
            session.outcome = None
        self._clock.set(ref, session.due_ns(self._quiet), session.state)

    def _remind(self, changed: Mapping[SessionRef, Session], now_ns: int) -> tuple[Session, ...]:
        """The sessions to be looked at by now, beside those that are looked at anyway."""
        due = self._reminders.ripe(now_ns)
        for ref in due:
            self._reminders.stop(ref)
        return tuple(session for ref in due if ref not in changed and (session := self._sessions.get(ref)) is not None)

    def _end(self, now_ns: int, revision: int) -> list[Session]:
        ended: list[Session] = []
        for ref in self._clock.ripe(now_ns):
            session = self._sessions[ref]
            self._clock.stop(ref)
            session.state = "ended"
            session.outcome = outcome(session)
            session.revision = revision
            ended.append(session)
        return ended

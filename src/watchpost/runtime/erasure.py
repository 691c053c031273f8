"""Erasing sessions and users: what leaves memory with the batch in which it was asked for, and what is then taken out of the stores.

An erasure takes effect at the end of its batch: all that came up to there goes, and what comes afterwards under the same names begins
a session of its own. The sessions are looked up before anything is written, and written down with the batch; only then does anything
go, so that a crash between any two writes leaves what is needed to go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from watchpost.log.log import Log
from watchpost.model.fact import Erase
from watchpost.model.session import Summary, session_key
from watchpost.model.step import FEEDBACK_SCOPE, Reading
from watchpost.session.session import Session
from watchpost.store.contracts import FoldSource, Member
from watchpost.store.erasure import (
    Erasure,
    ErasureLog,
    Ref,
    TelemetryEraser,
    Traced,
    TraceRef,
    erasure_id,
    keyed_digest,
)

PURGE_S = 15.0
"""How often it is looked whether something can be freed; the engine keeps replaced files for eight minutes anyway."""


_BY = "watchpost.feedback.by"


class _Rest(msgspec.Struct, frozen=True):
    attributes: dict[str, object] = {}


_ATTRIBUTES = msgspec.json.Decoder(_Rest)


class Asked(msgspec.Struct, frozen=True):
    """An erasure somebody asked for, the log sequence of its delivery, and what the stores have of it."""

    seq: int
    fact: Erase
    stored: Traced


Find = Callable[[str, str, str], Traced]
"""What the stores have of a project's session, or of a user; see `TelemetryEraser.find`."""


class Erasures:
    """Erasures on their way from the log to the stores: which sessions they are about, and that these are not read from the stores again."""

    def __init__(self, find: Find = lambda *_: Traced(), secret: bytes = b"") -> None:
        """`secret` keys the digests of ids."""
        self._find = find
        self._secret = secret
        self._forgetful: list[Callable[[Erasure], None]] = []
        self._going: dict[int, tuple[frozenset[Ref], frozenset[TraceRef]]] = {}
        self._said: dict[int, set[tuple[str, TraceRef]]] = {}

    def tell(self, settled: Callable[[Erasure], None]) -> None:
        """Call this as soon as it is settled what is to be erased, in the thread that reacts, which nothing is taken out of the stores before."""
        self._forgetful.append(settled)

    def over(self, source: FoldSource) -> FoldSource:
        """A source without what is on its way out."""
        return _WithoutGoing(source, self._going)

    def take(self, facts: Iterable[tuple[int, Erase]]) -> list[Asked]:
        """Look up what the stores have of them."""
        return [Asked(seq, fact, self._find(fact.project, fact.session_id, fact.user_id)) for seq, fact in facts]

    def hear(self, number: int, readings: Iterable[Reading]) -> None:
        """Know by whom feedback is that came with a batch, until it stands in the stores."""
        said = {
            (by, (reading.project, reading.trace_id))
            for reading in readings
            if reading.scope == FEEDBACK_SCOPE
            and isinstance(by := _ATTRIBUTES.decode(reading.rest).attributes.get(_BY), str)
        }
        if said:
            self._said[number] = said

    def settle(
        self, number: int, asked: Sequence[Asked], held: Iterable[Session], moved_to: Mapping[str, str]
    ) -> list[Erasure]:
        """What is to be erased with a batch, with the sessions that memory alone knows to be meant.

        A session that is meant by several is the first one's.
        """
        if not asked:
            return []
        by_key = {session.key: session for session in held}
        taken: set[Ref] = set()
        erasures: list[Erasure] = []
        for each in asked:
            refs = {
                *each.stored.sessions,
                *(_ref(session) for session in by_key.values() if self._is_meant(session, each.fact)),
            }
            keys = {session_key(*ref) for ref in refs}
            merged = {key for pair in moved_to.items() if keys.intersection(pair) for key in pair}
            refs |= {_ref(by_key[key]) for key in merged if key in by_key}
            refs -= taken
            taken |= refs
            traces = set(each.stored.traces)
            traces |= {
                (session.project, trace)
                for session in by_key.values()
                if _ref(session) in refs
                for trace in session.traces
            }
            fact, found = each.fact, Traced(tuple(sorted(refs)), tuple(sorted(traces)))
            erasures.append(
                Erasure(
                    erasure_id(fact.nonce),
                    each.seq,
                    fact.project,
                    fact.session_id,
                    fact.user_id,
                    fact.by,
                    fact.reason,
                    fact.at_ns,
                    fact.nonce,
                    found,
                    keyed_digest(self._secret, fact.user_id or fact.session_id),
                )
            )
        for settled in self._forgetful:
            for erasure in erasures:
                settled(erasure)
        gone = [erasure.found for erasure in erasures]
        self._going[number] = (
            frozenset(ref for found in gone for ref in found.sessions),
            frozenset(trace for found in gone for trace in found.traces),
        )
        return erasures

    def stored(self, number: int) -> None:
        """All batches up to this one are applied, so that what they erased is not in the stores any more."""
        for batch in [batch for batch in self._going if batch <= number]:
            del self._going[batch]
        for batch in [batch for batch in self._said if batch <= number]:
            del self._said[batch]

    def _is_meant(self, session: Session, fact: Erase) -> bool:
        """Whether a session is the one, or a span of it names the user, or it never came and the user said something of it."""
        if fact.project and session.project != fact.project:
            return False
        if fact.session_id:
            return session.session_id == fact.session_id
        if session.is_awaited:
            said = {ref for held in self._said.values() for by, ref in held if by == fact.user_id}
            if any((session.project, trace_id) in said for trace_id in session.traces):
                return True
        return any(node.user_id == fact.user_id for trace in session.traces.values() for node in trace.nodes.values())


class _WithoutGoing:
    """A `FoldSource` in which sessions and traces that are going are not any more."""

    def __init__(self, source: FoldSource, going: Mapping[int, tuple[frozenset[Ref], frozenset[TraceRef]]]) -> None:
        self._source = source
        self._going = going

    def members_of_traces(self, traces: Sequence[TraceRef]) -> list[Member]:
        return self._left(self._source.members_of_traces(traces))

    def members_of_sessions(self, sessions: Sequence[Ref]) -> list[Member]:
        return self._left(self._source.members_of_sessions(sessions))

    def readings(self, traces: Sequence[TraceRef], upto: int) -> list[Reading]:
        left = [ref for ref in traces if not any(ref in gone for _, gone in self._going.values())]
        return self._source.readings(left, upto) if left else []

    def open_sessions(self, applied: int) -> list[Summary]:
        return self._source.open_sessions(applied)

    def _left(self, members: list[Member]) -> list[Member]:
        if not self._going:
            return members
        refs = {ref for gone, _ in self._going.values() for ref in gone}
        traces = {trace for _, gone in self._going.values() for trace in gone}
        return [m for m in members if (m.project, m.session_id) not in refs and (m.project, m.trace_id) not in traces]


class Eraser:
    """Takes what is asked for out of the stores: at once so that nobody finds it, then, bit by bit, from the disk."""

    def __init__(
        self,
        telemetry: TelemetryEraser,
        state: ErasureLog,
        log: Log,
        secret: bytes,
        now_ns: Callable[[], int],
    ) -> None:
        self._telemetry = telemetry
        self._state = state
        self._log = log
        self._secret = secret
        self._now_ns = now_ns
        self._forgetful: list[tuple[Callable[[Erasure], None], Callable[[Erasure], None] | None]] = []
        self._hidden = 0
        self._freed: tuple[int, int] | None = None
        self._is_clean = False

    def tell(self, before: Callable[[Erasure], None], after: Callable[[Erasure], None] | None = None) -> None:
        """Call this too before something is taken out, and that afterwards: of what holds in memory what it was told."""
        self._forgetful.append((before, after))

    def hide(self) -> None:
        """Hide all that is asked for, in the thread that writes; what a crash cut short is taken up.

        The log begins a new segment, so that what is erased goes with what was applied so far, and does not wait for more.
        """
        for erasure in self._state.unhidden():
            for before, _ in self._forgetful:
                before(erasure)
            if not erasure.copied:
                self._state.copied(erasure, self._telemetry.copy(erasure))
            self._telemetry.conceal(erasure)
            keys = [session_key(*ref) for ref in erasure.found.sessions]
            self._state.hide(erasure, [keyed_digest(self._secret, key) for key in keys], self._now_ns())
            for _, after in self._forgetful:
                if after is not None:
                    after(erasure)
            self._hidden += 1
            self._is_clean = False
        if not self._state.is_done():
            self._log.seal()

    def purge(self) -> bool:
        """Free what can be freed now; whether nothing is left to be. In one thread at a time, which may be another than that of `hide`."""
        if self._is_clean:
            return True
        hidden, upto_seq = self._hidden, self._log.first_seq
        kept_from_ns = self._telemetry.purge()
        if self._freed is None or self._freed[0] != hidden:
            self._freed = (hidden, self._now_ns())
        is_clean = kept_from_ns > self._freed[1] and self._state.purge(upto_seq, self._now_ns())
        self._is_clean = is_clean and hidden == self._hidden
        return self._is_clean

    async def run(self, stop: asyncio.Event) -> None:
        """Purge whenever there is something to, until `stop` is set."""
        while not stop.is_set():
            await asyncio.to_thread(self.purge)
            try:
                await asyncio.wait_for(stop.wait(), PURGE_S)
            except TimeoutError:
                continue


def _ref(session: Session) -> Ref:
    return session.project, session.session_id

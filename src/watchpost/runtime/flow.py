"""The product on one page.

accept(request)    decode, redact, append to the log, acknowledge         returning means durable
react(batch)       in log order: sessions, steps, flags, rules, notices   decides only
apply(reaction)    telemetry, then flags, notices and cursor at once      safe twice
perform(outbox)    deliver notices                                        from the durable outbox, until each is settled

A batch has a number, an end and a time, and these are in the log before anything of it is applied: after a crash `react` takes the
same batches again from the cursor on, and writing a batch again leaves one copy.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from watchpost.detect.context_drift import Checkpoint
from watchpost.ingest.request import Accepted, OtlpRequest, OverloadedError
from watchpost.log.faults import LogBusyError, LogClosedError, LogFullError, LogWriteError
from watchpost.log.log import Log
from watchpost.log.record import BATCH_BOUNDARY, DELIVERY, Appended
from watchpost.model.fact import Fact
from watchpost.model.telemetry import Delivery, Parcel
from watchpost.runtime.backlog import Backlog
from watchpost.runtime.decoder import Decoder
from watchpost.runtime.progress import Progress
from watchpost.runtime.react import Reaction, Reactor
from watchpost.runtime.supervisor import Supervisor
from watchpost.runtime.tally import FlowTally
from watchpost.store.contracts import TelemetryWriter
from watchpost.store.state import StateWriter

RETRY_AFTER_S = 5


class Pace(msgspec.Struct, frozen=True):
    """How the flow breathes: time between batches, bytes a batch may hold, bytes the log may run ahead, bytes folds may hold."""

    batch_s: float = 0.5
    batch_bytes: int = 64 << 20
    lag_bytes: int = 256 << 20
    fold_bytes: int = 256 << 20


class Boundary(msgspec.Struct, frozen=True, array_like=True):
    """The end of a batch, as the log keeps it: its number, its last delivery and its time."""

    number: int
    upto: int
    now_ns: int


class Flow:
    """From a request to everything that follows from it. One thread reacts, one applies; any number accept."""

    def __init__(
        self,
        *,
        log: Log,
        backlog: Backlog,
        decoder: Decoder,
        reactor: Reactor,
        telemetry: TelemetryWriter,
        state: StateWriter,
        now_ns: Callable[[], int],
        nudge: Callable[[], None],
        look: Callable[[Sequence[Checkpoint]], None],
        erase: Callable[[], None] = lambda: None,
        closing: Callable[[], None] = lambda: None,
        tell: Callable[[Reaction], None] = lambda _: None,
        pace: Pace,
        supervisor: Supervisor,
    ) -> None:
        self._log = log
        self._backlog = backlog
        self._decoder = decoder
        self._reactor = reactor
        self._telemetry = telemetry
        self._state = state
        self._now_ns = now_ns
        self._nudge = nudge
        self._look = look
        self._erase = erase
        self._closing = closing
        self._tell = tell
        self._pace = pace
        self._applying = ThreadPoolExecutor(1, "apply")
        self._cursor = state.cursor()
        self._number, self._seq = self._cursor.batch, self._cursor.seq
        self._deliveries = msgspec.msgpack.Decoder(Delivery)
        self._applied = self._number
        self._progress = Progress(self._seq)
        self._spent: dict[int, int] = {}
        self._replayed = False
        self.supervisor = supervisor
        self.tally = FlowTally()

    async def accept(self, request: OtlpRequest) -> Accepted:
        """Make a request durable, or raise `RefusedError`, or `OverloadedError` where the same may succeed later.

        Nothing is taken before the log has been replayed: what is new must stand behind what is old.
        """
        try:
            self._admit()
            prepared = await self._decoder.prepare(request, self._now_ns())
            if prepared.payload:
                await self._append(prepared.payload)
        except OverloadedError:
            self.tally.put_off += 1
            raise
        self.tally.accept(prepared, request.signal)
        return Accepted(prepared.rejected, prepared.reasons)

    async def note(self, facts: Sequence[Fact]) -> int:
        """Make what people said durable, for `react` to heed in the order of the log; its log sequence. Raises `OverloadedError` as `accept` does."""
        self._admit()
        return await self._append(msgspec.msgpack.encode(Delivery(self._now_ns(), (), tuple(facts))))

    async def report(self, parcel: Parcel) -> int:
        """Make telemetry of our own durable, as if it had come in; its log sequence. Raises `OverloadedError` as `accept` does."""
        self._admit()
        return await self._append(msgspec.msgpack.encode(Delivery(self._now_ns(), (parcel,))))

    async def settled(self, seq: int, timeout_s: float) -> bool:
        """Return true as soon as all up to a log sequence stands in the stores, and false where that is not so in time."""
        return await self._progress.passed(seq, timeout_s)

    def run(self) -> None:
        """React and apply until `stop`: first what the log holds from before, then what comes in."""
        with self.supervisor.watching("react"):
            self._replay()
            self.supervisor.ready = True
            applying: Future[None] | None = None
            while not self.supervisor.stopping.wait(self._pace.batch_s):
                if (reaction := self._react_to_waiting(self._now_ns())) is not None:
                    if applying is not None:
                        applying.result()
                    applying = self._applying.submit(self._apply, reaction)
                    self._reactor.evict(self._pace.fold_bytes, self._applied)
            if applying is not None:
                applying.result()

    def catch_up(self, now_ns: int) -> None:
        """Without `run`: react to all that waits, in the log too, as of a time, and apply it, before returning."""
        self._replay()
        while (reaction := self._react_to_waiting(now_ns)) is not None:
            self._apply(reaction)
            self._reactor.evict(self._pace.fold_bytes, self._applied)

    @property
    def log_bytes(self) -> int:
        """What the log takes on disk."""
        return self._log.size_bytes

    def stop(self) -> None:
        """Let `run` return once the batch in hand is applied. What waits stays in the log and is taken up at the next start."""
        self.supervisor.stopping.set()

    def close(self) -> None:
        """After `run` returned: let go of the decoder, the threads and the log."""
        self._decoder.close()
        self._closing()
        self._applying.shutdown()
        self._log.close()

    def _admit(self) -> None:
        if not self._replayed:
            raise OverloadedError("starting: what the log holds is being taken up", 1)
        if self._backlog.bytes > self._pace.lag_bytes:
            raise OverloadedError("more is waiting to be processed than the configured limit", RETRY_AFTER_S)

    async def _append(self, payload: bytes) -> int:
        """Append a delivery in MessagePack to the log."""
        try:
            return await asyncio.wrap_future(self._log.append(DELIVERY, payload, payload))
        except (LogBusyError, LogFullError, LogWriteError, LogClosedError) as error:
            raise OverloadedError(str(error), RETRY_AFTER_S) from error

    def _react_to_waiting(self, now_ns: int) -> Reaction | None:
        payloads = self._backlog.take(self._pace.batch_bytes)
        if not payloads and not self._reactor.is_ripe(now_ns):
            return None
        boundary = Boundary(self._number + 1, payloads[-1][0] if payloads else self._seq, now_ns)
        encoded = msgspec.msgpack.encode(boundary)
        seq = self.supervisor.insist("log", lambda: self._log.append(BATCH_BOUNDARY, encoded).result())
        if seq == boundary.upto + 1:
            self._spent[boundary.number] = seq  # nothing stands between the batch and its end: both can go at once
        return self._react(boundary, payloads)

    def _react(self, boundary: Boundary, payloads: Sequence[tuple[int, bytes]]) -> Reaction:
        self._number, self._seq = boundary.number, boundary.upto
        deliveries = ((seq, self._deliveries.decode(payload)) for seq, payload in payloads)
        return self._reactor.react(boundary.number, deliveries, boundary.now_ns)

    def _apply(self, reaction: Reaction) -> None:
        started_ns = self._now_ns()
        self.supervisor.insist("telemetry store", lambda: self._telemetry.write(reaction.telemetry))
        self.supervisor.insist("state store", lambda: self._state.commit(reaction.state))
        if reaction.state.erasures:
            self.supervisor.insist("erasure", self._erase)
        cursor = reaction.state.cursor
        spent = self._spent.pop(cursor.batch, cursor.seq)
        self._applied = cursor.batch
        self._backlog.applied(cursor.seq)
        self._progress.reach(cursor.seq)
        self.tally.apply(self._now_ns() - started_ns)
        self.tally.flags.count(reaction.state.flags, reaction.telemetry.sessions)
        if reaction.state.notices:
            self._nudge()
        self._look(reaction.checkpoints)
        self._tell(reaction)
        self.supervisor.insist("log", lambda: self._log.release(spent))

    def _replay(self) -> None:
        """Once: take what the log holds beyond the cursor, batches that were cut as they were cut, the rest as if it came in now."""
        if self._replayed:
            return
        boundaries = deque(
            boundary
            for record in self._log.read(self._cursor.seq)
            if record.kind == BATCH_BOUNDARY
            and (boundary := msgspec.msgpack.decode(record.payload, type=Boundary)).number > self._number
        )
        batch: list[tuple[int, bytes]] = []
        for record in self._log.read(self._cursor.seq):
            if record.kind != DELIVERY:
                continue
            while boundaries and record.seq > boundaries[0].upto:
                self._apply(self._react(boundaries.popleft(), batch))
                batch = []
            if boundaries:
                batch.append((record.seq, record.payload))
            else:
                self._backlog.put([Appended(record.seq, DELIVERY, len(record.payload), record.payload)])
        for boundary in boundaries:
            self._apply(self._react(boundary, batch))
            batch = []
        if not self._backlog.bytes:
            self.supervisor.insist("log", lambda: self._log.release(self._log.next_seq - 1))
        self._replayed = True

"""What is kept and for how long: an hourly sweep that sorts what was received on a day, and lets the rest go by whole partitions.

Contents of spans stay for all sessions until `hot_ns` after the end of the day on which they were received, then for kept sessions until `trace_ns`
after it, and for those that are held, or still go on, until they are not. What is counted stays for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from watchpost.detect.context_drift import MEASURED
from watchpost.model.session import Summary, session_key
from watchpost.runtime.sampling import Known, Policy, decide, goes_on
from watchpost.runtime.supervisor import tell
from watchpost.store.retention import (
    HELD,
    HOT,
    Candidate,
    Partition,
    Sampled,
    Sorted,
    Stock,
    Sweep,
    Usual,
)
from watchpost.store.state import FlagReader, HoldReader

EVERY_S = 3600.0
"""How often it is looked what is due."""

SOON_S = 30.0
"""How soon it is looked again where the flow had not caught up, or the store failed."""

USUAL_NS = 7 * 86400 * 10**9
USUAL_LEAST = 100
"""What is slow is told by so many sessions at least, ended within this time."""

_SLACK_NS = 3600 * 10**9
"""How long before anything that is not applied yet a day must have ended."""

_HOUR_NS = 3600 * 10**9
_DAY_NS = 24 * _HOUR_NS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Terms(msgspec.Struct, frozen=True):
    """How long things stay after the end of the day on which they came, in nanoseconds; `quantile` above which a session is slow, 0 for none is."""

    hot_ns: int
    trace_ns: int
    metrics_ns: int
    quantile: float
    policy: Policy


class Due(msgspec.Struct, frozen=True):
    """A day of reception that is to be sorted for the first time, of whose kept part no more is to stay than must, or whose metrics may go."""

    action: Literal["sort", "expire", "drop_metrics"]
    day: int
    tier: int = HOT


class Surroundings(msgspec.Struct, frozen=True):
    """What the sweep asks of the rest. `behind_ns` is when the oldest delivery not yet applied was received, 0 if none waits; None before that is known."""

    flags: FlagReader
    holds: HoldReader
    session: Callable[[str], Summary | None]
    behind_ns: Callable[[], int | None]
    now_ns: Callable[[], int]


class RetentionNumbers(msgspec.Struct, frozen=True):
    """Counts since the process started: sweeps done and failed, sessions kept and not as they were sorted, bytes freed; and when the last sweep was done."""

    sweeps: int = 0
    failures: int = 0
    kept: int = 0
    dropped: int = 0
    freed_bytes: int = 0
    last_ns: int = 0


def plan(partitions: Iterable[Partition], terms: Terms, now_ns: int) -> list[Due]:
    """What is due at a time, the oldest day first."""
    due: set[Due] = set()
    for partition in partitions:
        since_ns = now_ns - end_ns(partition.day)
        if partition.table == "metrics":
            due |= {Due("drop_metrics", partition.day)} if since_ns >= terms.metrics_ns else set()
        elif partition.tier == HOT:
            due |= {Due("sort", partition.day)} if since_ns >= terms.hot_ns else set()
        elif since_ns >= terms.trace_ns:
            due.add(Due("expire", partition.day, partition.tier))
    return sorted(due, key=lambda each: (each.day, each.action, each.tier))


def end_ns(day: int) -> int:
    """When a day, as YYYYMMDD, ended, in Unix nanoseconds."""
    begin = datetime(day // 10000, day // 100 % 100, day % 100, tzinfo=UTC)
    return (begin + timedelta(days=1) - _EPOCH) // timedelta(microseconds=1) * 1000


class Sweeper:
    """Does what is due. All of it may be cut short anywhere, and is done again by the next sweep."""

    def __init__(
        self,
        terms: Terms,
        stock: Stock,
        sweep: Sweep,
        around: Surroundings,
        faults: tuple[type[Exception], ...],
    ) -> None:
        """`faults` are what the stores raise where they cannot be reached or have no room: another try is made later."""
        self._terms = terms
        self._stock = stock
        self._sweep = sweep
        self._around = around
        self._faults = faults
        self._stopping = False
        self.tally = RetentionNumbers()

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep now and every hour until `stop` is set."""
        while not stop.is_set():
            work = asyncio.create_task(asyncio.to_thread(self._try))
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
            self._stopping = stop.is_set()
            done = await work
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped, EVERY_S if done else SOON_S)
        self._stopping = False

    def sweep(self) -> bool:
        """Do all that is due now; false where something is that must wait until the flow has caught up."""
        now_ns, behind_ns = self._around.now_ns(), self._around.behind_ns()
        if behind_ns is None:
            return False
        due = plan(self._stock.partitions(), self._terms, now_ns)
        safe = [each for each in due if not behind_ns or end_ns(each.day) + _SLACK_NS <= behind_ns]
        held = self._held() if safe else ()
        for each in safe:
            if self._stopping:
                return False
            match each.action:
                case "sort":
                    self._sort(each.day, held, now_ns)
                case "expire":
                    self._expire(each.day, each.tier, held, now_ns)
                case "drop_metrics":
                    before = self._bytes(each.day)
                    self._sweep.drop_metrics(each.day)
                    self._count(freed_bytes=before - self._bytes(each.day))
        self._count(sweeps=1, last_ns=now_ns - self.tally.last_ns)
        return len(safe) == len(due)

    def _try(self) -> bool:
        try:
            return self.sweep()
        except self._faults as error:
            self._count(failures=1)
            tell("retention", error)
            return False

    def _sort(self, day: int, held: Collection[tuple[str, str]], now_ns: int) -> None:
        """Decide of every session that has something in a hot day, and let go of those that are not kept."""
        before = self._bytes(day)
        traces = self._stock.traces(day, HOT)
        refs = _sessions(traces)
        flagged = {(f.project, f.session_id) for f in self._around.flags.flags(refs) if f.state != "withdrawn"}
        quantile = self._terms.quantile
        usual = Usual(quantile, now_ns - USUAL_NS, USUAL_LEAST) if quantile else None
        known = Known(held, flagged)
        candidates = self._stock.candidates(refs, usual, (MEASURED,))
        decisions = [decide(one, self._terms.policy, known, now_ns) for one in candidates]
        self._sweep.record([new for new, old in zip(decisions, candidates, strict=True) if new != old.before])
        kept = {(one.project, one.session_id) for one in decisions if one.kept}
        self._sweep.move(day, HOT, _sorted(traces, kept - set(held), kept & set(held)))
        self._count(kept=len(kept), dropped=len(decisions) - len(kept), freed_bytes=before - self._bytes(day))

    def _expire(self, day: int, tier: int, held: Collection[tuple[str, str]], now_ns: int) -> None:
        """Let go of what was kept of a day, less the sessions that are held or go on."""
        before = self._bytes(day)
        traces = self._stock.traces(day, tier)
        candidates = self._stock.candidates(_sessions(traces), None, (MEASURED,))
        policy = self._terms.policy
        stay = {_ref(one) for one in candidates if _ref(one) in held or goes_on(one, policy, now_ns)}
        leaving = [one for one in candidates if _ref(one) not in stay]
        if tier >= HELD and candidates and not leaving:
            return
        self._sweep.record([self._expired(one, now_ns) for one in leaving])
        self._sweep.move(day, tier, _sorted(traces, (), stay))
        self._count(freed_bytes=before - self._bytes(day))

    def _expired(self, session: Candidate, now_ns: int) -> Sampled:
        share = self._terms.policy.shares.get(session.workflow, self._terms.policy.share)
        kept = session.before or Sampled(*_ref(session), now_ns, kept=True, share=share, reason="sampled")
        return msgspec.structs.replace(kept, decided_ns=now_ns, gone=kept.gone or "expired")

    def _held(self) -> set[tuple[str, str]]:
        """The sessions that are held, and those that took their traces."""
        held = {(hold.project, hold.session_id) for hold in self._around.holds.holds()}
        for ref in tuple(held):
            summary = self._around.session(session_key(*ref))
            while summary is not None and summary.moved_to:
                summary = self._around.session(summary.moved_to)
            held |= {(summary.project, summary.session_id)} if summary is not None else set()
        return held

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self.tally, name) + count for name, count in more.items()}
        self.tally = msgspec.structs.replace(self.tally, **counts)

    def _bytes(self, day: int) -> int:
        return sum(partition.bytes for partition in self._stock.partitions() if partition.day == day)


def _ref(session: Candidate) -> tuple[str, str]:
    return session.project, session.session_id


def _sessions(traces: dict[tuple[str, bytes], str]) -> list[tuple[str, str]]:
    return sorted({(project, session_id) for (project, _), session_id in traces.items()})


def _sorted(
    traces: dict[tuple[str, bytes], str], kept: Collection[tuple[str, str]], held: Collection[tuple[str, str]]
) -> Sorted:
    def of(sessions: Collection[tuple[str, str]]) -> Sequence[tuple[str, bytes]]:
        return [trace for trace, session_id in traces.items() if (trace[0], session_id) in sessions]

    return Sorted(of(kept), of(held))

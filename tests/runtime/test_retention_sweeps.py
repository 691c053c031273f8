"""When a sweep is made, what it leaves alone, and what it does where a store fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from watchpost.model.fact import Hold
from watchpost.model.flag import Flag
from watchpost.runtime.retention import Surroundings, Sweeper, Terms, end_ns
from watchpost.runtime.sampling import Policy
from watchpost.store.retention import Candidate, Partition, Sampled, Sorted, Usual

DAY_NS = 86_400 * 10**9
TERMS = Terms(DAY_NS, 7 * DAY_NS, 30 * DAY_NS, 0.0, Policy(0.5, {}, DAY_NS))
DAYS = (20261101, 20261102)


class BrokenError(Exception):
    """The store cannot be reached."""


class Store:
    """Two hot days without a session; what is moved is gone. Fails as often as it is told to."""

    def __init__(self) -> None:
        self.days = list(DAYS)
        self.broken = 0

    def partitions(self) -> list[Partition]:
        if self.broken:
            self.broken -= 1
            raise BrokenError
        return [Partition("spans", day, 0, 1) for day in self.days]

    def traces(self, day: int, tier: int) -> dict[tuple[str, bytes], str]:
        assert (day in self.days, tier) == (True, 0)
        return {}

    def candidates(
        self, sessions: Sequence[tuple[str, str]], usual: Usual | None, own: Sequence[str]
    ) -> list[Candidate]:
        assert (list(sessions), usual) == ([], None)
        assert own
        return []

    def record(self, decisions: Sequence[Sampled]) -> None:
        assert not decisions

    def move(self, day: int, tier: int, sorted_: Sorted) -> None:
        assert (tier, sorted_) == (0, Sorted([], []))
        self.days.remove(day)

    def drop_metrics(self, day: int) -> None:
        raise NotImplementedError(day)

    def flags(self, sessions: Sequence[tuple[str, str]]) -> list[Flag]:
        assert not sessions
        return []

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        raise NotImplementedError(traces)

    def holds(self) -> list[Hold]:
        return []


def a_sweeper(store: Store, behind_ns: int | None) -> Sweeper:
    now_ns = end_ns(DAYS[1]) + 2 * DAY_NS
    around = Surroundings(store, store, lambda _: None, lambda: behind_ns, lambda: now_ns)
    return Sweeper(TERMS, store, store, around, (BrokenError,))


def test_nothing_is_swept_before_the_log_was_taken_up() -> None:
    store = Store()
    assert not a_sweeper(store, None).sweep()
    assert store.days == list(DAYS)


def test_a_day_of_which_something_may_still_come_to_be_written_is_left_alone() -> None:
    store = Store()
    assert not a_sweeper(store, end_ns(DAYS[0]) + DAY_NS).sweep()
    assert store.days == [DAYS[1]]
    assert a_sweeper(store, 0).sweep()
    assert store.days == []


def test_a_sweep_that_a_store_cut_short_is_counted_and_the_loop_ends_when_told() -> None:
    store = Store()
    store.broken = 1
    sweeper = a_sweeper(store, 0)

    async def until_it_failed() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(sweeper.run(stop))
        while not sweeper.tally.failures:  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(0.01)
        stop.set()
        await running

    asyncio.run(until_it_failed())
    assert (sweeper.tally.failures, sweeper.tally.sweeps, store.days) == (1, 0, list(DAYS))
    assert sweeper.sweep()
    assert (sweeper.tally.sweeps, sweeper.tally.last_ns, store.days) == (1, end_ns(DAYS[1]) + 2 * DAY_NS, [])

"""Whatever order, repetition, batching, forgetting and dying: what `react` leaves in the stores is what the spans say."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_store import CutShortError, MemoryStore
from world import SECOND, Ending, Spec, span_id, span_of, trace_id, truth

from watchpost.detect.context_drift import ContextDriftSettings
from watchpost.detect.detector import Make
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.ingest.price import Pricing
from watchpost.model.session import session_key
from watchpost.model.telemetry import Delivery, Parcel
from watchpost.rules.precision import PrecisionSettings
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.judge import Judge
from watchpost.runtime.react import Reactor
from watchpost.runtime.releases import Releases
from watchpost.runtime.reviews import Reviews
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions

LOOPS = LoopSettings(cycle_rounds=0, unchanged=0, turns=0)


@dataclasses.dataclass(frozen=True)
class Arrival:
    """One span as it comes in: which, whether ended, and what happens after it: to how many bytes memory shrinks, where death strikes."""

    spec: Spec
    ended: bool
    cut: bool
    forget: int | None
    die_after: int | None


@st.composite
def specs(draw: st.DrawFn) -> list[Spec]:
    """A few traces of a few spans; parents come before their children in number, but may be missing."""
    return [
        Spec(
            trace,
            span,
            draw(st.sampled_from([None, *range(span), 99])) if span else None,
            draw(st.sampled_from(["llm", "tool", "tool", "agent", "chain"])),
            draw(st.integers(0, 3)) * 400,
            draw(st.sampled_from(["", "", "a", "b", trace_id(0).hex()])),
            draw(st.sampled_from(["get", "put"])),
            draw(st.integers(1, 2)),
            draw(st.sampled_from([None, 0, 7])),
            draw(st.booleans()),
        )
        for trace in range(draw(st.integers(1, 3)))
        for span in range(draw(st.integers(1, 6)))
    ]


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Every spec ends at least once, in any order; some start before, some come twice."""
    world = draw(specs())
    started = [(spec, False) for spec in world if draw(st.booleans())]
    again = [(spec, True) for spec in world if draw(st.booleans())]
    order = draw(st.permutations([*started, *((spec, True) for spec in world), *again]))
    return [
        Arrival(
            spec,
            ended,
            draw(st.booleans()),
            draw(st.sampled_from([None, None, 0, 2000, 5000])),
            draw(st.sampled_from([None, None, 0, 1, 2, 3, 4])),
        )
        for spec, ended in order
    ]


class Machine:
    """React and apply over memory stores, with a log that survives."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.log: list[tuple[int, Delivery]] = []
        self.cuts: list[tuple[int, int, int]] = []
        self.now_ns = 0
        self.reactor = self._start()

    def _start(self) -> Reactor:
        sessions = Sessions(Quiet(30 * SECOND, 600 * SECOND))
        cursor = self.store.cursor()
        for summary in self.store.open_sessions(cursor.batch):
            sessions.wake(summary)
        reviews = Reviews(PrecisionSettings(), self.store)
        judge = Judge((Make(lambda _: LoopDetector(LOOPS)),), KnowledgeBase({}), self.store, reviews.are_dismissed)
        return Reactor(
            sessions,
            pricing=Pricing(),
            judge=judge,
            checkpoints=Checkpoints(ContextDriftSettings()),
            appraisal=Appraisal(),
            reviews=reviews,
            releases=Releases(self.store),
            source=self.store,
            seq=cursor.seq,
        )

    def take(self, arrival: Arrival) -> None:
        self.now_ns += SECOND
        parcel = Parcel("p", {"service.name": "s"}, "", spans=(span_of(arrival.spec, ended=arrival.ended),))
        self.log.append((len(self.log) + 1, Delivery(self.now_ns, (parcel,))))
        if arrival.cut:
            self.cut(arrival.die_after)
        if arrival.cut and arrival.forget is not None:
            self.reactor.evict(arrival.forget, self.store.cursor().batch)

    def cut(self, die_after: int | None) -> None:
        self.cuts.append((len(self.cuts) + 1, len(self.log), self.now_ns))
        self.store.survive = die_after
        try:
            self._apply(*self.cuts[-1])
        except CutShortError:
            self.store.survive = None
            self.reactor = self._start()
            self._apply(*self.cuts[-1])
        self.store.survive = None

    def _apply(self, number: int, upto: int, now_ns: int) -> None:
        after = self.store.cursor().seq
        reaction = self.reactor.react(number, self.log[after:upto], now_ns)
        self.store.write(reaction.telemetry)
        self.store.commit(reaction.state)


def outcome_of(machine: Machine) -> dict[str, Ending]:
    """What stands in the stores, in the words of the truth."""
    store = machine.store
    endings: dict[str, Ending] = {}
    for summary in store.summaries.values():
        if summary.moved_to:
            assert not any(row.steps for row in store.ledger.values() if row.session_id == summary.session_id)
            continue
        rows = sorted(
            (row for row in store.ledger.values() if row.session_id == summary.session_id), key=lambda row: row.slot
        )
        steps = [step for row in rows for step in row.steps]
        totals = summary.totals
        assert totals.steps == len(steps)
        assert summary.state == "ended"
        assert all(row.outcome == summary.outcome for row in rows if not row.gone)
        endings[summary.session_id] = Ending(
            summary.session_id,
            frozenset(_number(m.trace_id) for m in store.members_of_sessions([("p", summary.session_id)])),
            tuple((_number(step.trace_id), _span(step.span_id), step.kind) for step in steps),
            totals.llm_calls,
            totals.tool_calls,
            totals.tool_errors,
            totals.input_tokens,
            frozenset(
                (_number(flag.trace_id), _span(flag.span_id))
                for flag in store.flags.values()
                if flag.state == "confirmed" and flag.session_id == summary.session_id
            ),
        )
    return endings


def _number(trace: bytes) -> int:
    return int.from_bytes(trace, "big") - 1


def _span(span: bytes) -> int:
    return (int.from_bytes(span, "big") & 0xFFFFFFFF) - 1


def run(arriving: Sequence[Arrival]) -> Machine:
    machine = Machine()
    for arrival in arriving:
        machine.take(arrival)
    machine.cut(None)
    machine.now_ns += 3600 * SECOND
    machine.cut(None)
    return machine


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrivals())
def test_sessions_ledger_and_flags_are_what_the_spans_say(arriving: list[Arrival]) -> None:
    machine = run(arriving)
    assert outcome_of(machine) == truth({arrival.spec for arrival in arriving})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrivals())
def test_a_session_that_lost_its_traces_says_where_they_went(arriving: list[Arrival]) -> None:
    machine = run(arriving)
    live = {session_key("p", session_id) for session_id in truth({arrival.spec for arrival in arriving})}
    for summary in machine.store.summaries.values():
        if summary.moved_to:
            assert summary.key not in live
            assert summary.moved_to in machine.store.summaries


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrivals())
def test_dying_and_forgetting_change_nothing_that_is_written(arriving: list[Arrival]) -> None:
    tried, calm = Machine(), Machine()
    for arrival in arriving:
        tried.take(arrival)
        calm.take(dataclasses.replace(arrival, forget=None, die_after=None))
        assert_same(tried, calm)
    for machine in (tried, calm):
        machine.now_ns += 3600 * SECOND
        machine.cut(arriving[0].die_after if machine is tried else None)
    assert_same(tried, calm)


def assert_same(tried: Machine, calm: Machine) -> None:
    for one, other in zip(tried.store.content(), calm.store.content(), strict=True):
        assert one == other


@pytest.mark.parametrize("die_after", range(5))
def test_a_flag_is_raised_though_the_process_died_while_its_batch_was_written(die_after: int) -> None:
    machine = Machine()
    for span in range(3):
        call = Spec(0, span, None, "tool", span, tool="get", argument=1)
        last = span == 2
        machine.take(Arrival(call, ended=True, cut=True, forget=None, die_after=die_after if last else None))
    assert [flag.span_id for flag in machine.store.flags.values()] == [span_id(0, 2)]

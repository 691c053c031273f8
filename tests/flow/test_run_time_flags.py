"""Runs that take too long and agents that fall silent: seen though nothing comes, and the same whatever was held in memory."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from memory_store import MemoryStore
from world import BASE, SECOND, Spec, span_id, span_of, trace_id

from watchpost.detect.context_drift import ContextDriftSettings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.run_time import RunTimeSettings
from watchpost.ingest.price import Pricing
from watchpost.model.flag import Flag
from watchpost.model.knowledge import Lesson, Norm
from watchpost.model.telemetry import Delivery, Parcel
from watchpost.rules.precision import PrecisionSettings
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.judge import Judge
from watchpost.runtime.react import Reactor
from watchpost.runtime.releases import Releases
from watchpost.runtime.reviews import Reviews
from watchpost.runtime.run_watch import RunWatch
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions

QUIET = Quiet(30 * SECOND, 3600 * SECOND)
"""An idle time that leaves a run time to be stuck."""

ROOT = Spec(0, 0, None, "agent", 0, "chat")
CALL = Spec(0, 1, 0, "tool", 0, "chat", "get", 1)
USUAL = Lesson("p", "norm", "workflow_seconds agent 0", 1, "learnt", Norm(500, 10.0, 30.0, 40.0), 1)


class Machine:
    """React and apply over a memory store, by a clock that begins with the world's."""

    def __init__(self, settings: RunTimeSettings | None = None, known: Sequence[Lesson] = ()) -> None:
        self.store = MemoryStore()
        self.settings = settings or RunTimeSettings()
        self.known = known
        self.log: list[tuple[int, Delivery]] = []
        self.number = 0
        self.reactor = self._start()

    def _start(self) -> Reactor:
        sessions = Sessions(QUIET)
        cursor = self.store.cursor()
        awake = self.store.open_sessions(cursor.batch)
        for summary in awake:
            sessions.wake(summary)
        reviews = Reviews(PrecisionSettings(), self.store)
        runs = RunWatch(self.settings, QUIET)
        judge = Judge((), KnowledgeBase({}, self.known), self.store, reviews.are_dismissed, runs)
        sessions.remind(judge.first_looks(awake))
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

    def at(self, second: float, *came: tuple[Spec, bool]) -> list[Flag]:
        """One batch at a second of the world, with spans that ended or only began; the flags that it changed."""
        now_ns = BASE + int(second * SECOND)
        for spec, ended in came:
            span = span_of(spec, ended=ended)
            if spec.kind == "evaluation":
                span.attributes["watchpost.step.kind"] = "evaluation"
            parcel = Parcel("p", {"service.name": "s"}, "", spans=(span,))
            self.log.append((len(self.log) + 1, Delivery(now_ns, (parcel,))))
        self.number += 1
        reaction = self.reactor.react(self.number, self.log[self.store.cursor().seq :], now_ns)
        self.store.write(reaction.telemetry)
        self.store.commit(reaction.state)
        return list(reaction.state.flags)

    def forget(self) -> None:
        self.reactor.evict(0, self.number)

    def die(self) -> None:
        self.reactor = self._start()

    @property
    def standing(self) -> list[tuple[str, int, int]]:
        """The kind, trace and span of every flag that stands."""
        return sorted(
            (flag.kind, int.from_bytes(flag.trace_id, "big") - 1, (int.from_bytes(flag.span_id, "big") & 0xFFFF) - 1)
            for flag in self.store.flags.values()
            if flag.state != "withdrawn"
        )


def test_a_run_that_goes_on_is_flagged_once_at_its_first_step_though_nothing_comes() -> None:
    machine = Machine()
    machine.at(1, (ROOT, False), (CALL, True))
    assert not machine.reactor.is_ripe(BASE + 600 * SECOND)
    assert machine.reactor.is_ripe(BASE + 600 * SECOND + 1)
    (flag,) = machine.at(601)
    assert (flag.kind, flag.severity, flag.state, flag.span_id) == (
        "STUCK_RUN",
        "critical",
        "confirmed",
        span_id(0, 1),
    )
    assert flag.evidence["reason"] == "still_running"
    assert not machine.reactor.is_ripe(BASE + 900 * SECOND)
    assert machine.at(900) == []
    assert machine.at(1000, (CALL, True), (ROOT, False)) == []


@pytest.mark.parametrize("lost", ["nothing", "memory", "process"])
def test_a_stuck_run_is_seen_at_the_same_moment_whatever_was_lost_before(lost: str) -> None:
    machine, calm = Machine(known=[USUAL]), Machine(known=[USUAL])
    for each in (machine, calm):
        each.at(1, (ROOT, False), (CALL, True))
    if lost == "memory":
        machine.forget()
    if lost == "process":
        machine.die()
    for second in (100, 119, 121, 122):
        assert machine.reactor.is_ripe(BASE + second * SECOND) == calm.reactor.is_ripe(BASE + second * SECOND)
        assert machine.at(second) == calm.at(second)
        assert machine.store.content() == calm.store.content()
    assert machine.standing == [("STUCK_RUN", 0, 1)]


def test_the_same_run_is_not_flagged_again_after_a_restart() -> None:
    machine = Machine()
    machine.at(1, (ROOT, False), (CALL, True))
    assert len(machine.at(601)) == 1
    machine.die()
    assert machine.at(700) == []
    assert machine.standing == [("STUCK_RUN", 0, 1)]


def test_a_late_end_that_shows_that_it_took_less_withdraws_the_flag() -> None:
    machine = Machine()
    machine.at(1, (ROOT, False), (CALL, True))
    machine.at(601)
    (flag,) = machine.at(900, (ROOT, True))
    assert (flag.kind, flag.state) == ("STUCK_RUN", "withdrawn")
    assert machine.standing == []


def test_a_run_that_took_too_long_stays_flagged_once_it_ended() -> None:
    machine = Machine()
    late = Spec(0, 2, 0, "tool", 700, "chat", "get", 2)
    machine.at(1, (ROOT, False), (CALL, True))
    machine.at(702, (late, True))
    (flag,) = machine.at(703, (ROOT, True))
    assert flag.evidence["reason"] == "took_too_long"
    assert flag.evidence["value"] == 700.5
    machine.at(5000)
    assert machine.standing == [("STUCK_RUN", 0, 1)]


def test_a_conversation_whose_runs_were_short_is_not_stuck_while_its_user_is_away() -> None:
    machine = Machine()
    machine.at(1, (ROOT, True), (CALL, True))
    next_day = Spec(1, 0, None, "agent", 80_000, "chat")
    machine.at(80_001, (next_day, False), (Spec(1, 1, 0, "tool", 80_000, "chat", "get", 2), True))
    machine.at(80_500)
    assert machine.standing == []
    machine.at(80_602)
    assert machine.standing == [("STUCK_RUN", 1, 1)]


def test_a_workflow_that_is_known_to_be_quick_is_stuck_earlier_and_a_declared_one_as_declared() -> None:
    for settings, known, moment in (
        (RunTimeSettings(), [USUAL], 120),
        (RunTimeSettings(times=0), [USUAL], 600),
        (RunTimeSettings(least_seconds=200), [USUAL], 200),
        (RunTimeSettings(observations=501), [USUAL], 600),
        (RunTimeSettings(limits={"agent*": 1800}), [USUAL], 1800),
        (RunTimeSettings(seconds=0), [], None),
        (RunTimeSettings(limits={"*": 0}), [USUAL], None),
    ):
        machine = Machine(settings, known)
        machine.at(1, (ROOT, False), (CALL, True))
        moments = [second for second in (120, 200, 600, 1800) if machine.at(second + 1)]
        assert moments == ([moment] if moment else [])


def test_an_agent_that_fell_silent_is_flagged_at_its_last_step_once_the_session_ended() -> None:
    machine = Machine(RunTimeSettings(seconds=0))
    last = Spec(0, 2, 0, "llm", 5, "chat")
    machine.at(6, (CALL, True), (last, True))
    assert machine.at(3000) == []
    (flag,) = machine.at(3700)
    assert (flag.kind, flag.state, flag.span_id) == ("SILENT_AGENT", "confirmed", span_id(0, 2))
    assert flag.evidence["reason"] == "root_never_seen"
    (flag,) = machine.at(4000, (ROOT, True))
    assert (flag.kind, flag.state) == ("SILENT_AGENT", "withdrawn")
    machine.at(9000)
    assert machine.standing == []


def test_a_session_that_ended_in_silence_is_not_stuck_by_what_is_said_of_it_later() -> None:
    machine = Machine(RunTimeSettings(seconds=7200))
    machine.at(1, (ROOT, False), (CALL, True))
    machine.at(3700)
    assert machine.standing == [("SILENT_AGENT", 0, 1)]
    assert machine.at(9000, (Spec(0, 3, 0, "evaluation", 5, "chat"), True)) == []
    assert machine.standing == [("SILENT_AGENT", 0, 1)]


def test_a_run_of_which_only_the_caller_is_not_seen_is_not_silent() -> None:
    machine = Machine()
    called = Spec(0, 0, 99, "agent", 0, "chat")
    machine.at(1, (called, True), (CALL, True))
    machine.at(9000)
    assert machine.standing == []


def world_of(chance: random.Random) -> list[Spec]:
    """A few runs whose spans lie minutes apart; a root may be missing."""
    world: list[Spec] = []
    for trace in range(chance.randint(1, 3)):
        begun = chance.choice((0, 50, 4000))
        rooted = chance.random() < 0.7
        if rooted:
            world.append(Spec(trace, 0, None, "agent", begun, "chat"))
        world += [
            Spec(
                trace,
                number,
                0,
                chance.choice(("tool", "llm")),
                begun + chance.choice((0, 90, 400, 700)),
                "chat",
                "get",
                number,
            )
            for number in range(1, chance.randint(2, 5))
        ]
    return world


def truth(world: Sequence[Spec]) -> list[tuple[str, int, int]]:
    """Which runs took longer than ten minutes, and whether the last one never ended; worked out from the specs alone."""
    flags: list[tuple[str, int, int]] = []
    traces = sorted({spec.trace for spec in world})
    for trace in traces:
        spans = [spec for spec in world if spec.trace == trace]
        steps = sorted((spec for spec in spans if spec.kind != "agent"), key=lambda spec: (spec.start_s, spec.span))
        began, ended = min(spec.start_s for spec in spans), max(spec.start_s for spec in spans) + 0.5
        if ended - began > 600:
            flags.append(("STUCK_RUN", trace, steps[0].span))
        began_all = [(min(spec.start_s for spec in world if spec.trace == each), trace_id(each)) for each in traces]
        if (began, trace_id(trace)) == max(began_all) and not any(spec.kind == "agent" for spec in spans):
            flags.append(("SILENT_AGENT", trace, steps[-1].span))
    return sorted(flags)


@pytest.mark.parametrize("block", range(4))
def test_what_stands_in_the_end_is_what_the_spans_say_however_they_came(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        chance = random.Random(seed)
        world = world_of(chance)
        came = [(spec, True) for spec in world] + [(spec, False) for spec in world if chance.random() < 0.6]
        chance.shuffle(came)
        machine, second = Machine(), 0.0
        while came:
            second += chance.choice((1, 40, 700, 4000))
            machine.at(second, *(came.pop() for _ in range(min(len(came), chance.randint(1, 4)))))
            if chance.random() < 0.3:
                chance.choice((machine.forget, machine.die))()
        machine.at(second + 100_000)
        assert machine.standing == truth(world), f"seed {seed}"

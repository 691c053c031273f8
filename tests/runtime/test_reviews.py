"""What people say of flags, from the log to what follows from it: who is told, what is learnt, and the same after a crash."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from watchpost.alerting.dispatch import Dispatcher
from watchpost.alerting.route_file import read_routing
from watchpost.detect.context_drift import ContextDriftSettings
from watchpost.detect.detector import Make
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.ingest.price import Pricing
from watchpost.model.fact import Verdict, VerdictKind
from watchpost.model.flag import Flag
from watchpost.model.knowledge import Content
from watchpost.model.telemetry import Attributes, Delivery, Parcel, Span
from watchpost.rules.engine import RuleEngine
from watchpost.rules.precision import PrecisionSettings
from watchpost.rules.rule_file import read_rules
from watchpost.runtime.alarms import Alarms
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.judge import Judge
from watchpost.runtime.react import Reaction, Reactor
from watchpost.runtime.releases import Releases
from watchpost.runtime.reviews import Reviews
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions

sys.path.append(str(Path(__file__).parents[1] / "flow"))
from memory_store import CutShortError, MemoryStore

SECOND = 10**9
BASE = 1_790_000_000 * SECOND
FEW = PrecisionSettings(least=0.5, verdicts=4)
RULES = read_rules("""
rules:
  - name: Anomaly
    flag: any
    by: [session, flag, tool, severity]
    window: 1d
    above: 0
    severity: info
    owner: team-agents
    runbook: https://runbooks.example/anomalies
""").rules
ROUTES = read_routing("route: {channels: [ops], group_by: ['...'], group_wait: 0s, repeat_interval: 30d}", ["ops"]).root


class Classroom:
    """Remembers the sessions that it was taught, by their first argument, as `Learner` promises; publishes nothing."""

    def __init__(self) -> None:
        self.sound: list[str] = []
        self.unsound: list[str] = []

    def learn(self, session: Ended) -> Iterable[str]:
        (self.sound if session.sound else self.unsound).append(session.steps[0].tool)
        return ()

    def load(self, name: str, body: bytes) -> None:
        raise AssertionError(name, body)

    def draft(self, name: str) -> bytes:
        raise AssertionError(name)

    def content(self, name: str, held: Content | None) -> Content | None:
        raise AssertionError(name, held)


class Machine:
    """React and apply over stores in memory, batch by batch, with a log that survives."""

    def __init__(self, settings: PrecisionSettings = FEW) -> None:
        self.store = MemoryStore()
        self.log: list[tuple[int, Delivery]] = []
        self.ends: list[tuple[int, int]] = []
        self.now_ns = BASE
        self.settings = settings
        self.classroom = Classroom()
        self.restart()

    def restart(self) -> None:
        """As a new process would."""
        sessions = Sessions(Quiet(30 * SECOND, 600 * SECOND))
        cursor = self.store.cursor()
        for summary in self.store.open_sessions(cursor.batch):
            sessions.wake(summary)
        reviews = Reviews(self.settings, self.store)
        knowledge = KnowledgeBase({"lesson": lambda: self.classroom})
        engine = RuleEngine(RULES)
        heeded = [flag for flag in self.store.flags.values() if not reviews.is_muted(flag)]
        engine.fill((), self.store.summaries.values(), heeded, self.now_ns)
        self.reactor = Reactor(
            sessions,
            pricing=Pricing(),
            judge=Judge((Make(lambda _: LoopDetector(LoopSettings())),), knowledge, self.store, reviews.are_dismissed),
            checkpoints=Checkpoints(ContextDriftSettings()),
            appraisal=Appraisal(),
            alarms=Alarms(engine, Dispatcher(ROUTES), self.store.alerting, self.now_ns),
            reviews=reviews,
            releases=Releases(self.store),
            source=self.store,
            seq=cursor.seq,
        )

    def batch(self, *deliveries: Delivery, seconds: int = 1) -> Reaction:
        """One batch of deliveries, applied."""
        self.now_ns += seconds * SECOND
        self.log += [(len(self.log) + 1 + place, each) for place, each in enumerate(deliveries)]
        self.ends.append((len(self.log), self.now_ns))
        return self.replay(len(self.ends))

    def replay(self, number: int) -> Reaction:
        """A batch of the log, as it was cut, applied."""
        start = self.ends[number - 2][0] if number > 1 else 0
        upto, now_ns = self.ends[number - 1]
        reaction = self.reactor.react(number, self.log[start:upto], now_ns)
        self.store.write(reaction.telemetry)
        self.store.commit(reaction.state)
        return reaction

    def loop(self, name: int, tool: str = "search", *, ended: bool = True) -> Flag:
        """A session that calls a tool three times alike, and ends; its flag."""
        spans = [tool_call(name, number, tool) for number in range(3)]
        spans.append(agent(name, ended=ended))
        self.batch(Delivery(self.now_ns, (Parcel("p", {}, "", spans=tuple(spans)),)))
        self.quiet()
        return next(flag for flag in self.store.flags.values() if flag.trace_id == trace(name))

    def quiet(self) -> None:
        """Long enough for every session to end."""
        self.batch(seconds=3600)

    def say(self, *said: tuple[Flag, VerdictKind]) -> Reaction:
        """Verdicts about flags, in one delivery."""
        facts = tuple(Verdict(flag.id, verdict, "ann", "", self.now_ns) for flag, verdict in said)
        return self.batch(Delivery(self.now_ns, (), facts))

    def told(self) -> list[str]:
        """The tools that somebody was told of, in order."""
        return [notice.event.tool for notice in self.store.notices.values() if notice.action == "trigger"]


def trace(name: int) -> bytes:
    return (name + 1).to_bytes(16, "big")


def span(name: int, number: int, attributes: Attributes, *, ended: bool = True) -> Span:
    start = BASE + (name * 100 + number) * SECOND
    parent = b"" if number == 99 else (name * 1000 + 99).to_bytes(8, "big")
    identity = (name * 1000 + number).to_bytes(8, "big")
    return Span(trace(name), identity, parent, "call", start, start + SECOND if ended else 0, 1, 0, "", attributes)


def tool_call(name: int, number: int, tool: str) -> Span:
    attributes: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool,
        "gen_ai.tool.call.arguments": '{"order": "A1"}',
        "gen_ai.conversation.id": f"s{name}",
    }
    return span(name, number, attributes)


def agent(name: int, *, ended: bool) -> Span:
    return span(name, 99, {"gen_ai.operation.name": "invoke_agent"}, ended=ended)


def test_a_detector_that_is_dismissed_too_often_tells_nobody_and_goes_on_flagging() -> None:
    machine = Machine()
    flags = [machine.loop(name) for name in range(4)]
    machine.say(*((flag, "dismiss") for flag in flags[:3]))
    machine.loop(4)
    assert len(machine.told()) == 5
    machine.say((flags[3], "dismiss"))
    quiet = machine.loop(5)
    assert (quiet.state, len(machine.told())) == ("confirmed", 5)


def test_it_tells_again_once_it_is_right_more_often() -> None:
    machine = Machine()
    flags = [machine.loop(name) for name in range(8)]
    machine.say(*((flag, "dismiss") for flag in flags[:4]))
    machine.loop(8)
    assert len(machine.told()) == 8
    machine.say(*((flag, "confirm") for flag in flags[4:]))
    machine.loop(9)
    assert len(machine.told()) == 9


def test_a_verdict_that_is_taken_back_counts_no_more() -> None:
    machine = Machine()
    flags = [machine.loop(name) for name in range(4)]
    machine.say(*((flag, "dismiss") for flag in flags))
    machine.say((flags[0], "confirm"), (flags[0], "dismiss"), (flags[0], "confirm"))
    machine.loop(4)
    assert len(machine.told()) == 5
    counts = machine.store.verdict_counts("")
    assert (sum(one.confirmed for one in counts), sum(one.dismissed for one in counts)) == (1, 3)


@pytest.mark.parametrize("restart", [False, True])
def test_a_flag_that_is_dismissed_again_and_again_counts_once(*, restart: bool) -> None:
    machine = Machine()
    flag = machine.loop(0)
    again: tuple[Flag, VerdictKind] = (flag, "dismiss")
    machine.say(again, again, again, again)
    for _ in range(4):
        if restart:
            machine.restart()
        machine.say((flag, "dismiss"))
    machine.loop(1)
    assert len(machine.told()) == 2


def test_only_the_tool_that_a_detector_is_wrong_about_is_muted() -> None:
    machine = Machine()
    machine.say(*((machine.loop(name), "dismiss") for name in range(4)))
    machine.loop(4, "pay")
    machine.loop(5, "search")
    assert machine.told() == ["search"] * 4 + ["pay"]


def test_a_verdict_and_the_flags_of_its_batch_are_judged_in_this_order() -> None:
    machine = Machine()
    flags = [machine.loop(name) for name in range(4)]
    spans = (*(tool_call(9, number, "search") for number in range(3)), agent(9, ended=True))
    facts = tuple(Verdict(flag.id, "dismiss", "", "", 1) for flag in flags)
    machine.batch(Delivery(machine.now_ns, (Parcel("p", {}, "", spans=spans),)), Delivery(2, (), facts))
    assert (len(machine.store.flags), len(machine.told())) == (5, 4)


def test_a_new_setting_tells_again() -> None:
    machine = Machine()
    machine.say(*((machine.loop(name), "dismiss") for name in range(4)))
    machine.settings = PrecisionSettings(least=0.5, verdicts=4, kinds={"LOOP_DETECTED": 0.0})
    machine.restart()
    machine.loop(4)
    assert len(machine.told()) == 5


def test_a_restart_remembers_who_is_muted() -> None:
    machine = Machine()
    machine.say(*((machine.loop(name), "dismiss") for name in range(4)))
    machine.restart()
    machine.loop(4)
    assert len(machine.told()) == 4


@pytest.mark.parametrize("survive", range(5))
def test_a_batch_of_verdicts_that_a_crash_cut_short_leaves_the_same(survive: int) -> None:
    def run(*, crash: bool) -> MemoryStore:
        machine = Machine()
        flags = [machine.loop(name) for name in range(4)]
        machine.say(*((flag, "dismiss") for flag in flags[:3]))
        spans = (*(tool_call(9, number, "search") for number in range(3)), agent(9, ended=True))
        if crash:
            machine.store.survive = survive
        said = Delivery(3, (), (Verdict(flags[3].id, "dismiss", "", "", 3), Verdict(flags[0].id, "confirm", "", "", 4)))
        try:
            machine.batch(Delivery(machine.now_ns, (Parcel("p", {}, "", spans=spans),)), said)
            assert not crash
        except CutShortError:
            machine.store.survive = None
            machine.restart()
            machine.replay(len(machine.ends))
        machine.quiet()
        return machine.store

    whole, cut = run(crash=False), run(crash=True)
    assert cut.content() == whole.content()
    assert len(cut.given) == 5


def test_the_same_batch_applied_twice_leaves_each_verdict_once() -> None:
    machine = Machine()
    flag = machine.loop(0)
    machine.say((flag, "dismiss"))
    machine.restart()
    machine.replay(len(machine.ends))
    assert [verdict.verdict for verdict in machine.store.verdicts([flag.id])] == ["dismiss"]


def test_a_verdict_about_a_flag_that_is_not_there_changes_nothing() -> None:
    machine = Machine()
    flag = msgspec.structs.replace(machine.loop(0), id="nobody")
    machine.say((flag, "dismiss"))
    assert machine.store.given == {}
    assert machine.store.cursor().seq == len(machine.log)


def test_a_session_whose_flags_were_dismissed_before_it_ended_teaches() -> None:
    machine = Machine()
    spans = [tool_call(0, number, "search") for number in range(3)]
    machine.batch(Delivery(machine.now_ns, (Parcel("p", {}, "", spans=(*spans, agent(0, ended=True))),)))
    (flag,) = machine.store.flags.values()
    machine.say((flag, "dismiss"))
    assert machine.classroom.sound == machine.classroom.unsound == []
    machine.quiet()
    assert (machine.classroom.sound, machine.classroom.unsound) == (["search"], [])


@pytest.mark.parametrize("forget", [False, True])
def test_a_session_whose_flags_were_dismissed_after_it_ended_teaches_then_and_once(*, forget: bool) -> None:
    machine = Machine()
    flag = machine.loop(0)
    other = machine.loop(1)
    assert (machine.classroom.sound, machine.classroom.unsound) == ([], ["search", "search"])
    if forget:
        machine.reactor.evict(0, len(machine.ends))
    machine.say((flag, "confirm"))
    assert machine.classroom.sound == []
    machine.say((flag, "dismiss"))
    assert machine.classroom.sound == ["search"]
    machine.say((flag, "confirm"))
    machine.restart()
    machine.say((flag, "dismiss"))
    assert machine.classroom.sound == ["search"]
    assert machine.store.pinned["p", "s0"].sound
    assert not machine.store.pinned["p", other.session_id].sound


def test_a_session_with_a_flag_that_was_not_dismissed_teaches_nothing() -> None:
    machine = Machine()
    calls = [tool_call(0, number, tool) for number, tool in enumerate(["search"] * 3 + ["pay"] * 3)]
    machine.batch(Delivery(machine.now_ns, (Parcel("p", {}, "", spans=(*calls, agent(0, ended=True))),)))
    machine.quiet()
    one, other = machine.store.flags.values()
    machine.say((one, "dismiss"))
    assert machine.classroom.sound == []
    machine.say((other, "dismiss"))
    assert machine.classroom.sound == ["search"]


def test_a_session_that_failed_teaches_nothing_though_its_flags_were_dismissed() -> None:
    machine = Machine()
    spans = [tool_call(0, number, "search") for number in range(3)]
    failed = msgspec.structs.replace(agent(0, ended=True), status=2)
    machine.batch(Delivery(machine.now_ns, (Parcel("p", {}, "", spans=(*spans, failed)),)))
    machine.quiet()
    (summary,) = machine.store.summaries.values()
    assert summary.outcome not in {None, "completed"}
    (flag,) = machine.store.flags.values()
    machine.say((flag, "dismiss"))
    assert (machine.classroom.sound, machine.classroom.unsound) == ([], ["search"])


def test_a_dismissal_rewrites_nothing_of_a_session_that_ended() -> None:
    machine = Machine()
    flag = machine.loop(0)
    before: Mapping[str, object] = dict(machine.store.summaries)
    machine.reactor.evict(0, len(machine.ends))
    reaction = machine.say((flag, "dismiss"))
    telemetry: Sequence[object] = [reaction.telemetry.sessions, reaction.telemetry.ledger, reaction.telemetry.readings]
    assert not any(telemetry)
    assert (list(reaction.state.flags), dict(machine.store.summaries)) == ([], before)

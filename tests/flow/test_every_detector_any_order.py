"""With every detector on, and knowledge pinned: what is flagged in the end does not depend on how the spans came in."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from memory_store import MemoryStore
from talkative_world import Said, chat, session, span_said
from world import BASE, SECOND

from watchpost.detect.catalogue import makes
from watchpost.detect.context_drift import ContextDriftSettings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.run_time import RunTimeSettings
from watchpost.detect.sla import Sla, sla_makes
from watchpost.ingest.price import Pricing
from watchpost.model.flag import Flag
from watchpost.model.knowledge import Contract, Field, IdFormat, Lesson, Norm
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

LATER_S = 5000
"""Everything comes so long after it happened that what never ended has lasted too long whenever it is last heard of."""

QUIET = Quiet(30 * SECOND, 600 * SECOND)

ORDER = Contract(
    {
        "": Field(("object",), required=True, seen=50),
        "order_id": Field(("string",), required=True, seen=50),
        "income": Field(("integer",), required=True, seen=50),
        "as_of": Field(("string",), required=True, seen=50),
    },
    responses=50,
    sessions=20,
)
KNOWN = (
    Lesson("p", "contract", "get_order", 1, "learnt", ORDER, 1),
    Lesson("p", "id_format", "order", 2, "learnt", IdFormat("ORD-[0-9]{6}", ("order_id",), 50), 1),
    Lesson("p", "norm", "tool_seconds get_order", 3, "learnt", Norm(500, 0.1, 0.5, 1.0), 1),
    Lesson("p", "norm", "workflow_seconds triage", 4, "learnt", Norm(500, 5.0, 20.0, 30.0), 1),
)

ON: dict[str, dict[str, object]] = {
    "budget": {"limits": [{"workflow": "*", "tokens": 100_000}]},
    "stale_data": {"max_age": {"get_*": "1h"}},
    "context_drift": {"method": "lexical"},
}
"""What is off by default, switched on."""

SLAS = (Sla("*", 300_000_000, 60_000, 10_000_000),)


class Machine:
    """React and apply over memory stores. Knowledge stays as it is: this is about order, not about learning."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.now_ns = BASE + LATER_S * SECOND
        self.number = 0
        self.log: list[tuple[int, Delivery]] = []
        self.reactor = self._start()

    def _start(self) -> Reactor:
        sessions = Sessions(QUIET)
        cursor = self.store.cursor()
        awake = self.store.open_sessions(cursor.batch)
        for summary in awake:
            sessions.wake(summary)
        reviews = Reviews(PrecisionSettings(), self.store)
        runs = RunWatch(RunTimeSettings(), QUIET, SLAS)
        judge = Judge((*makes(ON), *sla_makes(SLAS)), KnowledgeBase({}, KNOWN), self.store, reviews.are_dismissed, runs)
        sessions.remind(judge.first_looks(awake))
        return Reactor(
            sessions,
            pricing=Pricing(),
            judge=judge,
            checkpoints=Checkpoints(ContextDriftSettings()),
            appraisal=Appraisal((), SLAS),
            reviews=reviews,
            releases=Releases(self.store),
            source=self.store,
            seq=cursor.seq,
        )

    def take(self, arrived: Sequence[tuple[Said, bool]], seconds: int) -> None:
        self.now_ns += seconds * SECOND
        for said, ended in arrived:
            parcel = Parcel("p", {"service.name": "s"}, "", spans=(span_said(said, ended=ended),))
            self.log.append((len(self.log) + 1, Delivery(self.now_ns, (parcel,))))
        self.number += 1
        after = self.store.cursor().seq
        reaction = self.reactor.react(self.number, self.log[after:], self.now_ns)
        self.store.write(reaction.telemetry)
        self.store.commit(reaction.state)

    def forget(self, *, die: bool) -> None:
        if die:
            self.reactor = self._start()
        else:
            self.reactor.evict(0, self.number)

    def standing(self) -> list[Flag]:
        """The flags that hold in the end, as they are read."""
        flags = [_timeless(flag) for flag in self.store.flags.values() if flag.state != "withdrawn"]
        return sorted(flags, key=lambda flag: flag.id)


def _timeless(flag: Flag) -> Flag:
    """A flag without what it says of how long a run lasted that never ended: that depends on when it was last heard of."""
    return (
        msgspec.structs.replace(flag, summary="", evidence={}) if flag.kind in {"STUCK_RUN", "SILENT_AGENT"} else flag
    )


def in_order(world: Sequence[Said]) -> list[Flag]:
    machine = Machine(MemoryStore())
    machine.take([(said, True) for said in world], 1)
    machine.take([], 3600)
    return machine.standing()


def in_disorder(world: Sequence[Said], rng: random.Random) -> list[Flag]:
    machine = Machine(MemoryStore())
    came = [(said, True) for said in world]
    came += [(said, rng.random() < 0.5) for said in world if rng.random() < 0.6]
    rng.shuffle(came)
    while came:
        machine.take([came.pop() for _ in range(min(len(came), rng.randint(1, 6)))], rng.choice([1, 1, 1, 40, 700]))
        if rng.random() < 0.3:
            machine.forget(die=rng.random() < 0.5)
    machine.take([], 3600)
    return machine.standing()


def drawn(seed: int) -> tuple[list[Said], random.Random]:
    rng = random.Random(seed)
    return [said for trace in range(rng.randint(1, 3)) for said in session(rng, trace)], rng


@pytest.mark.parametrize("block", range(10))
def test_what_is_flagged_in_the_end_does_not_depend_on_the_order_of_arrival(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        world, rng = drawn(seed)
        expected = [msgspec.structs.asdict(flag) for flag in in_order(world)]
        found = [msgspec.structs.asdict(flag) for flag in in_disorder(world, rng)]
        assert found == expected, f"seed {seed}"


def test_these_worlds_make_every_detector_speak() -> None:
    kinds = {flag.kind for seed in range(200) for flag in in_order(drawn(seed)[0])}
    assert kinds == SPEAKING


def test_what_people_say_in_prompts_alone_is_found_in_any_order() -> None:
    kinds: set[str] = set()
    for seed in range(60):
        rng = random.Random(seed)
        world = chat(rng, rng.randint(2, 5))
        expected = [msgspec.structs.asdict(flag) for flag in in_order(world)]
        assert [msgspec.structs.asdict(flag) for flag in in_disorder(world, rng)] == expected, f"seed {seed}"
        kinds |= {str(flag["kind"]) for flag in expected}
    assert kinds >= {"ESCALATED", "USER_CORRECTED", "USER_REPHRASED"}


SPEAKING = {
    "BUDGET_WARNING",
    "ABANDONED",
    "CONTEXT_DRIFT",
    "ESCALATED",
    "SLA_BREACHED",
    "USER_CORRECTED",
    "USER_REPHRASED",
    "EMPTY_RESULT",
    "ENTITY_HALLUCINATION",
    "HANDOFF_PING_PONG",
    "INVALID_OUTPUT",
    "LATENCY_OUTLIER",
    "LOOP_DETECTED",
    "PROMPT_INJECTION",
    "REFUSAL",
    "RETRY_STORM",
    "SILENT_AGENT",
    "STALE_DATA",
    "STUCK_RUN",
    "TOOL_SCHEMA_DRIFT",
    "UNKNOWN_TOOL",
}

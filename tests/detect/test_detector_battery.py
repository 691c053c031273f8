"""What every detector promises. A new detector is one more row of `DETECTORS`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.detect.budget import Budget, BudgetDetector, BudgetSettings
from watchpost.detect.detector import Detector, Make, Refutation, Surroundings
from watchpost.detect.empty_result import EmptyResultDetector, EmptyResultSettings
from watchpost.detect.hallucination import HallucinationDetector, HallucinationSettings
from watchpost.detect.injection import InjectionDetector, InjectionSettings
from watchpost.detect.invalid_output import InvalidOutputDetector, InvalidOutputSettings
from watchpost.detect.latency import LatencyDetector, LatencySettings
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.detect.ping_pong import PingPongDetector, PingPongSettings
from watchpost.detect.refusal import RefusalDetector, RefusalSettings, Wording
from watchpost.detect.retry_storm import RetryStormDetector, RetryStormSettings
from watchpost.detect.run import DetectorRun
from watchpost.detect.schema_drift import SchemaDriftDetector, SchemaDriftSettings, guards
from watchpost.detect.sequence import SequenceDetector
from watchpost.detect.sequence_pattern import OwnSequence
from watchpost.detect.sequence_text import parse
from watchpost.detect.stale_data import StaleDataDetector, StaleDataSettings
from watchpost.detect.unknown_tool import UnknownToolDetector, UnknownToolSettings
from watchpost.model.flag import SEVERITIES, Finding
from watchpost.model.knowledge import Contract, Field, Knowledge, Lesson, Norm
from watchpost.model.step import Status, Step, StepKind, Tokens
from watchpost_core.mentions import mentions

if TYPE_CHECKING:
    from _typeshed import TraceFunction

ENGLISH = Wording(RefusalSettings(languages=("en",)))
QUICK = Knowledge(
    1,
    [
        Lesson("default", "norm", f"{name}", 1, "learnt", Norm(500, 1e-10, 1e-10, 1e-10), 0)
        for name in ("tool_seconds get", "model_seconds m")
    ],
)

CONTRACT = Contract({"": Field(("object",), required=True), "id": Field(("string",), required=True)})


def the_same_of_every_tool(tool: str) -> Contract:
    del tool
    return CONTRACT


EVERYTHING = """
    2 times step (id as x) then step without tool set (id = x) between within 50 steps
    then tool get|poll_it|search (id != x) without tool set failed before
"""
MISSING = "step get|one|other|to_* at the end without tool set without handoff"

DETECTORS: dict[str, Callable[[], Detector]] = {
    "loop": lambda: LoopDetector(LoopSettings()),
    "loop with every limit low": lambda: LoopDetector(
        LoopSettings(repeats=1, cycle_rounds=2, unchanged=1, calls_per_turn=2, turns=1, polling={"poll*": 2})
    ),
    "loop by cycle and result alone": lambda: LoopDetector(LoopSettings(repeats=0, unchanged=2, cycle_rounds=2)),
    "budget": lambda: BudgetDetector(
        BudgetSettings((Budget(tokens=100_000, cost_usd=Decimal("0.1")),)), Surroundings()
    ),
    "hallucination": lambda: HallucinationDetector(HallucinationSettings(), Surroundings()),
    "hallucination by a format": lambda: HallucinationDetector(
        HallucinationSettings(formats={"order": r"A\d+"}), Surroundings()
    ),
    "retry storm": lambda: RetryStormDetector(RetryStormSettings(failures=2)),
    "ping pong": lambda: PingPongDetector(PingPongSettings()),
    "stale data": lambda: StaleDataDetector(StaleDataSettings(max_age={"*": "1s"})),
    "invalid output": lambda: InvalidOutputDetector(InvalidOutputSettings(refused=1), Surroundings()),
    "invalid output where it must be JSON": lambda: InvalidOutputDetector(
        InvalidOutputSettings(json=("*",)), Surroundings()
    ),
    "refusal": lambda: RefusalDetector(ENGLISH),
    "empty result": lambda: EmptyResultDetector(EmptyResultSettings(repeats=2), Surroundings()),
    "unknown tool": lambda: UnknownToolDetector(UnknownToolSettings(tools=("get", "poll_*")), Surroundings()),
    "latency": lambda: LatencyDetector(LatencySettings(least_seconds=0, observations=1), Surroundings(knowledge=QUICK)),
    "schema drift": lambda: SchemaDriftDetector(
        SchemaDriftSettings(), Surroundings(), the_same_of_every_tool, guards()
    ),
    "injection": lambda: InjectionDetector(InjectionSettings()),
    "sequence": lambda: SequenceDetector(OwnSequence("OWN", "warning", "it happened", parse(EVERYTHING))),
    "sequence that asks for the end": lambda: SequenceDetector(
        OwnSequence("OWN", "info", "it is missing", parse(MISSING))
    ),
}

SECOND_NS = 1_000_000_000
UNREPORTED = Tokens()

FORGETFUL = [make for name, make in DETECTORS.items() if name.startswith(("refusal", "invalid output"))]
"""Those that look at each step by itself, or remember only what none of the long sessions holds."""

untimed = settings(deadline=None, max_examples=50)
"""Half of the usual: there are many detectors, and what holds one of them to a promise is the same code for all."""

every_detector = pytest.mark.parametrize("make", DETECTORS.values(), ids=DETECTORS.keys())


def a_step(
    number: int,
    kind: StepKind,
    tool: str = "",
    arguments: str = "",
    result: str = "",
    *,
    status: Status = "ok",
    agent: str = "",
    tokens: Tokens = UNREPORTED,
    given: str = "",
) -> Step:
    """A step a second; `given` is what went into a model call."""
    return Step(
        trace_id=bytes(16),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=number * SECOND_NS,
        end_ns=number * SECOND_NS + 1,
        kind=kind,
        name=tool,
        agent=agent,
        model="m" if kind == "llm" else "",
        tool=tool,
        status=status,
        error_type="tool_timeout" if kind == "tool" and status == "error" else "",
        tokens=tokens,
        cost_nano=None if tokens.input is None else tokens.input * 1_000,
        arguments=arguments,
        result=result,
        asked=1 if tokens.output else None,
        mentioned=mentions(given[:1000]),
        informed=given != "",
    )


KINDS: tuple[StepKind, ...] = ("llm", "llm", "tool", "tool", "tool", "human", "handoff", "retrieval", "state")
STATUSES: tuple[Status, ...] = ("ok", "error", "running")
LIKELY = ('{"id": 1}', '{"id": 2}', '{"q": "the same long words here"}', '{"q": "the same long word here"}', "{}", "")
REWORDED = ('{"q": "other"}', '{"ask": "a third way to put it"}', '{"find": "quite another question"}', "{}")
HOSTILE = (
    "\ud800", '{"a": "\\ud800"}', "[" * 100_000, "{" * 5_000, "1" * 50_000, "a1 " * 20_000, "\0", "null", "None",
    "NaN", "1e999", '"', "\u2028\U0001f980", '{"a":1,"a":2}', " ", '{"n": 1' + "0" * 5_000 + "}",
)  # fmt: skip

texts = st.one_of(st.sampled_from(LIKELY), st.sampled_from(LIKELY), st.sampled_from(HOSTILE), st.text(max_size=40))
counts = st.none() | st.integers(0, 60_000) | st.just(2**62)
tools = st.one_of(st.sampled_from(("get", "set", "poll_it")), st.text(max_size=5), st.just("x" * 10_000))


@st.composite
def sessions(draw: st.DrawFn) -> list[Step]:
    count = draw(st.integers(0, 30))
    kinds, statuses = st.sampled_from(KINDS), st.sampled_from(STATUSES)
    return [
        a_step(
            number,
            draw(kinds),
            draw(tools),
            draw(texts),
            draw(texts),
            status=draw(statuses),
            agent=draw(tools),
            tokens=Tokens(draw(counts), draw(counts)),
            given=draw(texts),
        )
        for number in range(count)
    ]


@st.composite
def likely_sessions(draw: st.DrawFn) -> list[Step]:
    """Few different calls, so that loops are common."""
    count = draw(st.integers(0, 25))
    kinds: st.SearchStrategy[StepKind] = st.sampled_from(("tool", "tool", "tool", "human", "llm", "handoff"))
    names, results = st.sampled_from(("get", "get", "set", "poll_it")), st.sampled_from(("r", "s", "[]", '{"id": 2}'))
    arguments, agents = st.sampled_from(LIKELY[:4] + REWORDED), st.sampled_from(("one", "other"))
    statuses: st.SearchStrategy[Status] = st.sampled_from(("ok", "ok", "error", "unknown"))
    return [
        a_step(
            number,
            draw(kinds),
            draw(names),
            draw(arguments),
            draw(results),
            status=draw(statuses),
            agent=draw(agents),
            tokens=draw(st.sampled_from((Tokens(), Tokens(100, 10), Tokens(20_000, 500)))),
            given=draw(arguments),
        )
        for number in range(count)
    ]


def see(detector: Detector, steps: Sequence[Step], first: int = 0) -> list[tuple[int, Finding | Refutation]]:
    """Show a detector those of the steps it asks for, the first of which has the place `first` in its session."""
    return [
        (place, finding)
        for place, step in enumerate(steps, start=first)
        if step.kind in detector.kinds
        for finding in detector.see(place, step)
    ]


HERE = Surroundings()


def made(make: Callable[[], Detector]) -> Make:
    return Make(lambda _: make())


def fresh_pass(make: Callable[[], Detector], steps: list[Step]) -> list[tuple[int, Finding]]:
    """What a new detector finds in the steps and does not refute again."""
    found: list[tuple[int, Finding]] = []
    for place, said in see(make(), steps):
        if isinstance(said, Finding):
            found.append((place, said))
        else:
            found.remove((said.place, said.finding))
    return found


@every_detector
@untimed
@given(steps=sessions())
def test_any_step_is_taken_and_what_is_found_can_be_stored_and_shown(
    make: Callable[[], Detector], steps: list[Step]
) -> None:
    for _, finding in fresh_pass(make, steps):
        stored = msgspec.json.encode(finding)
        assert len(stored) < 16_000
        assert msgspec.json.decode(stored, type=Finding) == finding
        assert finding.kind
        assert finding.subject
        assert finding.summary
        assert finding.severity in SEVERITIES


@every_detector
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_in_a_loop_can_be_stored(make: Callable[[], Detector], text: str) -> None:
    steps = [a_step(number, "tool", text[:500], text, text) for number in range(6)]
    for _, finding in fresh_pass(make, steps):
        assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding


@every_detector
@untimed
@given(steps=sessions() | likely_sessions())
def test_the_same_steps_give_the_same_findings(make: Callable[[], Detector], steps: list[Step]) -> None:
    again = [msgspec.structs.replace(step) for step in steps]
    assert fresh_pass(make, steps) == fresh_pass(make, again)


@every_detector
@untimed
@given(steps=sessions() | likely_sessions(), other=likely_sessions(), data=st.data())
def test_rewinding_leaves_a_detector_as_it_was(
    make: Callable[[], Detector], steps: list[Step], other: list[Step], data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, len(steps)), label="kept")
    detector = make()
    see(detector, [*steps, *other])
    detector.rewind(kept)
    expected = [said for said in see(make(), [*steps[:kept], *other]) if said[0] >= kept]
    assert see(detector, other, kept) == expected


@every_detector
@untimed
@given(versions=st.lists(likely_sessions(), max_size=6), data=st.data())
def test_findings_of_a_changing_session_are_those_of_one_pass_over_it(
    make: Callable[[], Detector], versions: list[list[Step]], data: st.DataObject
) -> None:
    run = DetectorRun([made(make), made(DETECTORS["loop"])], HERE)
    steps: list[Step] = []
    for changed in versions:
        unchanged = data.draw(st.integers(0, len(steps)), label="unchanged")
        steps = [*steps[:unchanged], *changed]
        run.update(steps, unchanged, HERE)
        both = [*fresh_pass(make, steps), *fresh_pass(DETECTORS["loop"], steps)]
        assert list(run.findings) == sorted(both, key=lambda found: found[0])


def words(number: int) -> str:
    """A different text without digits for each number, far from its neighbours."""
    return "".join(chr(ord("a") + (number * 7919 >> 3 * place) % 26) for place in range(30))


LONG_SESSIONS: dict[str, Callable[[int], Step]] = {
    "one call for ever": lambda n: a_step(n, "tool", "get", '{"id": 1}', "pending"),
    "always another id": lambda n: a_step(n, "tool", "get", f'{{"id": {n}}}', f"result {n}"),
    "always other words": lambda n: a_step(n, "tool", "search", f'{{"q": "{words(n)}"}}', "found"),
    "always another tool": lambda n: a_step(n, "tool", f"tool_{n}", "{}", "ok"),
    "two calls by turns": lambda n: a_step(n, "tool", "get" if n % 2 else "set", '{"id": 1}', f"{n}"),
    "always nothing, as of long ago": lambda n: a_step(
        n, "tool", "get", f'{{"id": {n}}}', '{"results": [], "as_of": "1970-01-01T00:00:00Z"}'
    ),
    "turns without calls": lambda n: a_step(n, "human" if n % 2 else "llm"),
    "one failing call for ever": lambda n: a_step(n, "tool", "get", f'{{"id": {n}}}', "busy", status="error"),
    "model calls": lambda n: a_step(
        n, "llm", "", "", f"Order A{n} is due. {words(n)}", tokens=Tokens(n, 10), given=f"order A{n}"
    ),
    "handoffs by turns": lambda n: a_step(
        n, "handoff", "to_other" if n % 2 else "to_one", agent=("one", "other")[n % 2]
    ),
}
every_long_session = pytest.mark.parametrize("step_at", LONG_SESSIONS.values(), ids=LONG_SESSIONS.keys())


def instructions(detector: Detector, steps: list[Step], first: int) -> int:
    """How many Python instructions the detector takes for the steps."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> TraceFunction:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()  # what is collected meanwhile may have a finalizer of its own
    sys.settrace(trace)
    try:
        for place, step in enumerate(steps, start=first):
            if step.kind in detector.kinds:
                detector.see(place, step)
    finally:
        sys.settrace(before)
        gc.enable()
    return count


@every_detector
def test_a_detector_looks_at_a_kind_of_step_of_these_sessions(make: Callable[[], Detector]) -> None:
    assert make().kinds & {step_at(0).kind for step_at in LONG_SESSIONS.values()}


@every_detector
@every_long_session
def test_a_step_costs_the_same_however_long_the_session_is(
    make: Callable[[], Detector], step_at: Callable[[int], Step]
) -> None:
    detector, steps = make(), [step_at(number) for number in range(3_100)]
    see(detector, steps[:100])
    early = instructions(detector, steps[100:200], 100)
    see(detector, steps[200:3_000], 200)
    late = instructions(detector, steps[3_000:], 3_000)
    assert late <= early * 1.1


def reachable(root: object) -> Iterator[object]:
    """Everything the object keeps alive, itself included, without code and classes."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        yield each
        waiting.extend(gc.get_referents(each))
        if isinstance(each, msgspec.Struct):  # those that the collector does not track have no referents to it
            waiting.extend(getattr(each, field) for field in each.__struct_fields__)


def held_bytes(detector: Detector) -> int:
    return sum(sys.getsizeof(each) for each in reachable(detector))


@every_detector
@every_long_session
def test_what_is_held_grows_by_little_with_each_step(
    make: Callable[[], Detector], step_at: Callable[[int], Step]
) -> None:
    detector = make()
    see(detector, [step_at(number) for number in range(2_000)])
    assert held_bytes(detector) / 2_000 < 2_000
    copied_with_each_step = [each for each in reachable(detector) if isinstance(each, str | bytes | tuple | frozenset)]
    assert max(map(sys.getsizeof, copied_with_each_step)) < 4_000


@every_detector
def test_a_huge_step_is_not_held(make: Callable[[], Detector]) -> None:
    detector = make()
    for number in range(20):
        huge = f"{number} " + "word and 12345 " * 20_000
        for place, kind in enumerate(KINDS[-7:], start=7 * number):
            see(detector, [a_step(number, kind, "t" * 300_000, huge, huge, agent="a" * 300_000)], place)
    assert held_bytes(detector) < 7 * 20 * 5_000


@every_detector
def test_rewinding_everything_holds_nothing(make: Callable[[], Detector]) -> None:
    detector = make()
    empty = sum(1 for _ in reachable(detector))
    for count, step_at in enumerate(LONG_SESSIONS.values()):
        see(detector, [step_at(number) for number in range(200)], 200 * count)
    assert sum(1 for _ in reachable(detector)) > empty or make in FORGETFUL
    detector.rewind(0)
    assert sum(1 for _ in reachable(detector)) == empty


@untimed
@given(unchanged=st.integers(-2, 6))
def test_an_update_that_claims_more_unchanged_steps_than_there_are_is_refused(unchanged: int) -> None:
    run = DetectorRun([made(DETECTORS["loop"])], HERE)
    steps = [LONG_SESSIONS["one call for ever"](number) for number in range(5)]
    run.update(steps[:4], 0, HERE)
    if 0 <= unchanged <= 3:
        run.update(steps[:3], unchanged, HERE)
        assert [position for position, _ in run.findings] == [2]
        return
    with pytest.raises(ValueError, match="unchanged"):
        run.update(steps[:3], unchanged, HERE)

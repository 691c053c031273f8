"""What every detector promises. A new detector is one more row of `DETECTORS`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.detect.detector import Detector
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.detect.run import DetectorRun
from watchpost.model.flag import SEVERITIES, Finding
from watchpost.model.step import Status, Step, StepKind, Tokens

if TYPE_CHECKING:
    from _typeshed import TraceFunction

DETECTORS: dict[str, Callable[[], Detector]] = {
    "loop": lambda: LoopDetector(LoopSettings()),
    "loop with every limit low": lambda: LoopDetector(
        LoopSettings(repeats=1, cycle_rounds=2, unchanged=1, calls_per_turn=2, turns=1, polling={"poll*": 2})
    ),
    "loop by cycle and result alone": lambda: LoopDetector(LoopSettings(repeats=0, unchanged=2, cycle_rounds=2)),
}

untimed = settings(deadline=None)
every_detector = pytest.mark.parametrize("make", DETECTORS.values(), ids=DETECTORS.keys())


def a_step(
    number: int, kind: StepKind, tool: str = "", arguments: str = "", result: str = "", *, status: Status = "ok"
) -> Step:
    return Step(
        trace_id=bytes(16),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=number,
        end_ns=number + 1,
        kind=kind,
        name=tool,
        agent="",
        model="",
        tool=tool,
        status=status,
        error_type="",
        tokens=Tokens(),
        cost_nano=None,
        arguments=arguments,
        result=result,
    )


KINDS: tuple[StepKind, ...] = ("llm", "tool", "tool", "tool", "human", "handoff", "retrieval")
STATUSES: tuple[Status, ...] = ("ok", "error", "running")
LIKELY = ('{"id": 1}', '{"id": 2}', '{"q": "the same long words here"}', '{"q": "the same long word here"}', "{}", "")
REWORDED = ('{"q": "other"}', '{"ask": "a third way to put it"}', '{"find": "quite another question"}', "{}")
HOSTILE = (
    "\ud800", '{"a": "\\ud800"}', "[" * 100_000, "{" * 5_000, "1" * 50_000, "a1 " * 20_000, "\0", "null", "None",
    "NaN", "1e999", '"', "\u2028\U0001f980", '{"a":1,"a":2}', " ", '{"n": 1' + "0" * 5_000 + "}",
)  # fmt: skip

texts = st.one_of(st.sampled_from(LIKELY), st.sampled_from(LIKELY), st.sampled_from(HOSTILE), st.text(max_size=40))
tools = st.one_of(st.sampled_from(("get", "set", "poll_it")), st.text(max_size=5), st.just("x" * 10_000))


@st.composite
def sessions(draw: st.DrawFn) -> list[Step]:
    count = draw(st.integers(0, 30))
    kinds, statuses = st.sampled_from(KINDS), st.sampled_from(STATUSES)
    return [
        a_step(number, draw(kinds), draw(tools), draw(texts), draw(texts), status=draw(statuses))
        for number in range(count)
    ]


@st.composite
def likely_sessions(draw: st.DrawFn) -> list[Step]:
    """Few different calls, so that loops are common."""
    count = draw(st.integers(0, 25))
    kinds: st.SearchStrategy[StepKind] = st.sampled_from(("tool", "tool", "tool", "human", "llm"))
    names, results = st.sampled_from(("get", "get", "set", "poll_it")), st.sampled_from(("r", "s", "[]"))
    arguments = st.sampled_from(LIKELY[:4] + REWORDED)
    return [a_step(number, draw(kinds), draw(names), draw(arguments), draw(results)) for number in range(count)]


def fresh_pass(make: Callable[[], Detector], steps: list[Step]) -> list[tuple[int, Finding]]:
    detector = make()
    return [(position, finding) for position, step in enumerate(steps) for finding in detector.see(step)]


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
    for step in [*steps, *other]:
        detector.see(step)
    detector.rewind(kept)
    expected = [finding for position, finding in fresh_pass(make, [*steps[:kept], *other]) if position >= kept]
    assert [finding for step in other for finding in detector.see(step)] == expected


@every_detector
@untimed
@given(versions=st.lists(likely_sessions(), max_size=6), data=st.data())
def test_findings_of_a_changing_session_are_those_of_one_pass_over_it(
    make: Callable[[], Detector], versions: list[list[Step]], data: st.DataObject
) -> None:
    run = DetectorRun([make, DETECTORS["loop"]])
    steps: list[Step] = []
    for changed in versions:
        unchanged = data.draw(st.integers(0, len(steps)), label="unchanged")
        steps = [*steps[:unchanged], *changed]
        run.update(steps, unchanged)
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
    "turns without calls": lambda n: a_step(n, "human" if n % 2 else "llm"),
}
every_long_session = pytest.mark.parametrize("step_at", LONG_SESSIONS.values(), ids=LONG_SESSIONS.keys())


def instructions(detector: Detector, steps: list[Step]) -> int:
    """How many Python instructions the detector takes for the steps."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> TraceFunction:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for step in steps:
            detector.see(step)
    finally:
        sys.settrace(before)
    return count


@every_detector
@every_long_session
def test_a_step_costs_the_same_however_long_the_session_is(
    make: Callable[[], Detector], step_at: Callable[[int], Step]
) -> None:
    detector = make()
    for number in range(100):
        detector.see(step_at(number))
    early = instructions(detector, [step_at(number) for number in range(100, 200)])
    for number in range(200, 3_000):
        detector.see(step_at(number))
    late = instructions(detector, [step_at(number) for number in range(3_000, 3_100)])
    assert early > 0
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
    for number in range(2_000):
        detector.see(step_at(number))
    assert held_bytes(detector) / 2_000 < 2_000
    copied_with_each_step = [each for each in reachable(detector) if isinstance(each, str | bytes | tuple | frozenset)]
    assert max(map(sys.getsizeof, copied_with_each_step)) < 4_000


@every_detector
def test_a_huge_step_is_not_held(make: Callable[[], Detector]) -> None:
    detector = make()
    for number in range(20):
        huge = f"{number} " + "word and 12345 " * 20_000
        detector.see(a_step(number, "tool", "t" * 300_000, huge, huge))
    assert held_bytes(detector) < 20 * 5_000


@every_detector
def test_rewinding_everything_holds_nothing(make: Callable[[], Detector]) -> None:
    detector = make()
    empty = sum(1 for _ in reachable(detector))
    for step_at in LONG_SESSIONS.values():
        for number in range(200):
            detector.see(step_at(number))
    assert sum(1 for _ in reachable(detector)) > empty
    detector.rewind(0)
    assert sum(1 for _ in reachable(detector)) == empty


@untimed
@given(unchanged=st.integers(-2, 6))
def test_an_update_that_claims_more_unchanged_steps_than_there_are_is_refused(unchanged: int) -> None:
    run = DetectorRun([DETECTORS["loop"]])
    steps = [LONG_SESSIONS["one call for ever"](number) for number in range(5)]
    run.update(steps[:4], 0)
    if 0 <= unchanged <= 3:
        run.update(steps[:3], unchanged)
        assert [position for position, _ in run.findings] == [2]
        return
    with pytest.raises(ValueError, match="unchanged"):
        run.update(steps[:3], unchanged)

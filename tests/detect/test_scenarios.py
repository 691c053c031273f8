"""Every text scenario holds, in whatever order its steps arrive; a broken one says which line is wrong."""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.detect import sequence_text
from watchpost.detect.catalogue import CATALOGUE, DetectorSettingsError, makes
from watchpost.detect.run import DetectorRun
from watchpost.detect.scenario import Scenario, ScenarioError, differences, judge, parse
from watchpost.model.flag import Finding
from watchpost.model.step import Tokens
from watchpost_core.mentions import digest, unpacked

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.txt"))


def found_when_steps_arrive(scenario: Scenario, order: Sequence[int]) -> Sequence[tuple[int, Finding]]:
    surroundings = scenario.surroundings()
    run = DetectorRun(scenario.detectors(), surroundings)
    arrived: list[int] = []
    for position in order:
        insort(arrived, position)
        run.update([scenario.steps[each] for each in arrived], arrived.index(position), surroundings)
    return run.findings


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_holds(path: Path) -> None:
    scenario = parse(path.read_text())
    differing = differences(scenario, judge(scenario))
    assert not differing, f"{path.name}\n" + "\n".join(differing)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_holds_in_any_order_of_arrival(path: Path) -> None:
    scenario = parse(path.read_text())
    places = range(len(scenario.steps))
    for order in (
        places[::-1],
        [*places[1::2], *places[::2]],
        [*places[len(places) // 2 :], *places[: len(places) // 2]],
    ):
        differing = differences(scenario, found_when_steps_arrive(scenario, order))
        assert not differing, f"{path.name}, arriving as {list(order)}\n" + "\n".join(differing)


LINES = (
    "step 1 llm",
    "step 1 tool get {",
    'step 1 tool get "a',
    "step 1 llm tokens 1/",
    "set loop.repeats",
    "expect nothing",
)


def holds(mentioned: bytes, token: str) -> bool:
    return digest(token) in unpacked(mentioned)


LOOPING = """step 1-3 tool get_order {"order_id": "4711"} -> {"status": "pending"}\n"""


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        (
            "expect nothing",
            "unexpected: LOOP_DETECTED at step 3 about get_order because alike_calls: get_order called 3 times",
        ),
        ("expect LOOP_DETECTED at step 2 about get_order", "missing: LOOP_DETECTED at step 2 about get_order"),
        ("expect LOOP_DETECTED at step 3 about refund", "missing: LOOP_DETECTED at step 3 about refund"),
        (
            "expect LOOP_DETECTED at step 3 about get_order because cycle",
            "missing: LOOP_DETECTED at step 3 about get_order because cycle",
        ),
        ("expect BUDGET_WARNING at step 3 about get_order", "missing: BUDGET_WARNING at step 3 about get_order"),
    ],
)
def test_what_differs_is_said_in_words(expected: str, difference: str) -> None:
    scenario = parse(LOOPING + expected)
    differing = differences(scenario, judge(scenario))
    assert any(line.startswith(difference) for line in differing), differing


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("step 2 llm\nexpect nothing", r"line 1: the next step is 1, not 2"),
        ("step 1 llm\n\nstep 1 llm\nexpect nothing", r"line 3: the next step is 2, not 1"),
        ("step 1 dream\nexpect nothing", r"line 1: no kind of step is called 'dream'"),
        ("# a comment\nstap 1 llm\nexpect nothing", r"line 2: a line begins with"),
        ("step one llm\nexpect nothing", r"line 1: write step NUMBER"),
        ('step 1 tool get {"a": \nexpect nothing', r"line 1: the arguments of get are no JSON"),
        ("step 1 tool\nexpect nothing", r"line 1: the line ends where the name after 'tool'"),
        ("step 1 llm {}\nexpect nothing", r"line 1: nothing goes into a step of kind llm"),
        ("step 1 tool get {} => 1\nexpect nothing", r"line 1: '=>' is none of ->, says"),
        ("step 1 tool get {} ->\nexpect nothing", r"line 1: the line ends where the result"),
        ("step 1 llm tokens many\nexpect nothing", r"line 1: write tokens INPUT/OUTPUT"),
        ("step 1 llm cost much\nexpect nothing", r"line 1: write cost USD"),
        ("step 1 llm asks two\nexpect nothing", r"line 1: write asks NUMBER"),
        ("step 1 llm took long\nexpect nothing", r"line 1: write a duration such as 200ms"),
        ("step 1 tool get type oops\nexpect nothing", r"line 1: no type of error is called 'oops'"),
        ("step 1 llm\nexpect LOOP_DETECTED at step 2 about get", r"line 2: there is no step 2"),
        ("step 1 llm\nexpect something", r"line 2: write expect KIND"),
        ("step 1 llm", r"line 1: the scenario expects neither"),
        ("step 1 llm\nexpect nothing\nexpect LOOP_DETECTED at step 1 about get", r"line 3: .* also nothing"),
        ("set patience 3\nexpect nothing", r"line 1: write set SECTION.FIELD VALUE"),
        ("set patience.loss 3\nexpect nothing", r"line 1: there is no section 'patience'"),
        ("set loop.patience 3\nexpect nothing", r"line 1: loop has no setting 'patience'"),
        ('set loop.repeats {"often\nexpect nothing', r"line 1: .* is neither JSON nor one word"),
        ("set loop.repeats often\nstep 1 llm\nexpect nothing", r"line 1: loop: .* `\$.repeats`"),
        ("set loop.cycle_rounds 1\nstep 1 llm\nexpect nothing", r"line 1: loop: cycle_rounds must be at least 2"),
        ("know get {}\nexpect nothing", r"line 1: write know tool NAME"),
        ("session learn\nknow tool get {}\nexpect nothing", r"line 2: know stands outside"),
        ("session learn often\nexpect nothing", r"line 1: write session learn"),
        ("step 1 llm\nsession learn\nexpect nothing", r"line 2: sessions to learn from stand above"),
        ("session learn\nstep 1 llm\nexpect LOOP_DETECTED at step 1", r"line 3: .* after session judge"),
        ("session learn x2\nstep 1 llm\nsession judge\nstep 2 llm\nexpect nothing", r"line 4: the next step is 1"),
    ],
)
def test_a_broken_scenario_names_the_line(text: str, complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        parse(text)


def test_a_step_is_what_its_line_says() -> None:
    person, model, call, handoff, late = parse(
        'step 1 human "Where is my money?" by carla\n'
        'step 2 llm given "order 4711" says "I look\\nit up." tokens 1200/? cost 0.002 asks 1 model m-1 took 4s\n'
        'step 3 tool get {"id": "4711"} -> error "timed out" type tool_timeout refused\n'
        'step 4 handoff billing "please" running\nstep 5 state "You are a clerk." after 2m\nexpect nothing'
    ).steps
    assert (person.kind, person.result, person.agent, person.arguments) == ("human", "Where is my money?", "carla", "")
    assert (model.result, model.model, model.asked, model.cost_nano) == ("I look\nit up.", "m-1", 1, 2_000_000)
    assert (model.tokens, model.informed, model.end_ns - model.start_ns) == (Tokens(1200, None), True, 4_000_000_000)
    assert holds(model.mentioned, "4711")
    assert not holds(model.mentioned, "4712")
    assert (call.tool, call.arguments, call.result, call.error) == ("get", '{"id": "4711"}', "timed out", "timed out")
    assert (call.status, call.error_type, call.ran) == ("error", "tool_timeout", False)
    assert call.start_ns - model.end_ns == 1_000_000_000
    assert (handoff.tool, handoff.arguments, handoff.status, handoff.end_ns) == ("billing", "please", "running", 0)
    assert (late.result, late.start_ns - handoff.start_ns) == ("You are a clerk.", 120_000_000_000)


def test_sessions_before_are_learnt_from_with_ids_of_their_own() -> None:
    scenario = parse(
        'workflow refunds\nknow tool get_order {"id": "A$session"} x2\n'
        'session learn x2 unsound\nstep 1-2 tool find {"id": "B$session"} -> {"n": $step}\n'
        "session judge\nstep 1 llm\nexpect nothing"
    )
    told = [
        (session.workflow, session.sound, [step.arguments + step.result for step in session.steps])
        for session in scenario.earlier
    ]
    assert told == [
        ("refunds", True, ['{}{"id": "A1"}']),
        ("refunds", True, ['{}{"id": "A2"}']),
        ("refunds", False, ['{"id": "B3"}{"n": 1}', '{"id": "B3"}{"n": 2}']),
        ("refunds", False, ['{"id": "B4"}{"n": 1}', '{"id": "B4"}{"n": 2}']),
    ]
    assert [step.kind for step in scenario.steps] == ["llm"]
    assert scenario.surroundings().workflow == "refunds"


@settings(deadline=None)
@given(st.lists(st.sampled_from(LINES) | st.text(max_size=30), max_size=6))
def test_any_text_is_a_scenario_or_an_error_that_names_a_line(lines: list[str]) -> None:
    try:
        parse("\n".join(lines))
    except ScenarioError as error:
        assert re.match(r"line \d+: ", str(error))  # noqa: PT017  # both ends are well


def test_there_are_scenarios() -> None:
    assert SCENARIOS


def test_the_scenario_and_the_sequences_that_the_documentation_shows_are_true() -> None:
    page = (Path(__file__).parents[2] / "docs" / "detectors.md").read_text()
    (shown,) = re.findall(r"^```text\n(workflow .*?)^```$", page, re.MULTILINE | re.DOTALL)
    scenario = parse(shown)
    assert differences(scenario, judge(scenario)) == []
    table = page.partition("| you want | write |")[2].partition("###")[0]
    patterns = re.findall(r"\| `(.+)` \|$", table, re.MULTILINE)
    assert len(patterns) == 7
    for pattern in patterns:
        assert sequence_text.parse(pattern)


@pytest.mark.parametrize("section", [row.section for row in CATALOGUE])
def test_a_setting_that_a_detector_does_not_have_is_refused_by_name(section: str) -> None:
    with pytest.raises(DetectorSettingsError, match=f"{section}: there is no setting 'patience'"):
        makes({section: {"patience": 3}})

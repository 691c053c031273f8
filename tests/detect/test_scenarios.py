"""Every text scenario holds, in whatever order its steps arrive; a broken one says which line is wrong."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from pathlib import Path

import pytest
from scenario_text import Scenario, ScenarioError, differences, parse

from watchpost.detect.loop import LoopDetector
from watchpost.detect.run import DetectorRun
from watchpost.model.flag import Finding

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.txt"))


def found_when_steps_arrive(scenario: Scenario, order: Sequence[int]) -> Sequence[tuple[int, Finding]]:
    run = DetectorRun([lambda: LoopDetector(scenario.settings)])
    arrived: list[int] = []
    for position in order:
        insort(arrived, position)
        run.update([scenario.steps[each] for each in arrived], arrived.index(position))
    return run.findings


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_holds(path: Path) -> None:
    scenario = parse(path.read_text())
    differing = differences(scenario, found_when_steps_arrive(scenario, range(len(scenario.steps))))
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


LOOPING = """step 1-3 tool get_order {"order_id": "4711"} -> {"status": "pending"}\n"""


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        ("expect nothing", "unexpected: LOOP_DETECTED at step 3 about get_order: get_order called 3 times"),
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
    differing = differences(scenario, found_when_steps_arrive(scenario, range(len(scenario.steps))))
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
        ("step 1 tool\nexpect nothing", r"line 1: write tool NAME"),
        ("step 1 llm\nexpect LOOP_DETECTED at step 2 about get", r"line 2: there is no step 2"),
        ("step 1 llm\nexpect something", r"line 2: write expect KIND"),
        ("step 1 llm", r"line 1: the scenario expects neither"),
        ("step 1 llm\nexpect nothing\nexpect LOOP_DETECTED at step 1 about get", r"line 3: .* also nothing"),
        ("set patience 3\nexpect nothing", r"line 1: there is no setting 'patience'"),
        ("set repeats often\nexpect nothing", r"line 1: 'often' is no number"),
        ("set cycle_rounds 1\nstep 1 llm\nexpect nothing", r"line 3: cycle_rounds must be at least 2"),
    ],
)
def test_a_broken_scenario_names_the_line(text: str, complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        parse(text)


def test_there_are_scenarios() -> None:
    assert SCENARIOS

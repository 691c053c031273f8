"""Every text scenario of rules holds; a broken one says which line is wrong; every shipped rule fires in one and is silent in the healthy one."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.query.catalogue import MEASURES
from watchpost.rules.pack import runbook, shipped
from watchpost.rules.scenario import differences
from watchpost.rules.scenario_text import ScenarioError, parse

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios_rules").glob("*.txt"))
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in SCENARIOS}


@pytest.mark.parametrize("name", TEXTS)
def test_scenario_holds(name: str) -> None:
    assert differences(parse(TEXTS[name])) == []


@pytest.mark.parametrize("rule", [rule.name for rule in shipped().rules])
def test_every_shipped_rule_fires_in_a_scenario_and_is_among_those_that_stay_silent_in_the_healthy_one(
    rule: str,
) -> None:
    fires = re.compile(rf"expect {rule} firing")
    assert any(fires.search(text) for text in TEXTS.values())
    assert any(rule in line.split() for line in TEXTS["healthy"].splitlines() if line.startswith("shipped "))


def test_the_rules_of_the_sources_are_shipped_by_name_condition_and_duration() -> None:
    rules = {rule.name: rule for rule in shipped().rules}
    found = {
        name: (msgspec.to_builtins(rules[name].test), rules[name].for_ns // 10**9, rules[name].severity)
        for name in (
            "AgentWorkflowSlowResponse",
            "AgentLLMHighErrorRate",
            "AgentTokenBudgetExceeded",
            "AgentToolHighFailureRate",
            "AgentWorkflowStuck",
        )
    }
    above = {"type": "limit", "how": "above"}
    assert found == {
        "AgentWorkflowSlowResponse": (above | {"value": 30.0}, 300, "warning"),
        "AgentLLMHighErrorRate": (above | {"value": 0.05}, 180, "critical"),
        "AgentTokenBudgetExceeded": (above | {"value": 1_000_000.0}, 60, "warning"),
        "AgentToolHighFailureRate": (above | {"value": 0.1}, 300, "critical"),
        "AgentWorkflowStuck": (above | {"value": 600.0}, 600, "critical"),
    }


def test_every_runbook_says_what_it_means_what_to_look_at_what_to_press_and_when_to_stop() -> None:
    for rule in shipped().rules:
        text = runbook(rule.runbook)
        assert text is not None, rule.runbook
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["What it means", "Look first", "What to press", "When to stop"], rule.runbook


def test_runbooks_ask_for_measures_that_there_are() -> None:
    texts = [runbook(rule.runbook) or "" for rule in shipped().rules]
    asked = {name for text in texts for name in re.findall(r"(?:watchpost measures|/api/measures/)\s?(\w+)", text)}
    assert asked
    assert asked - set(MEASURES) == set()


def test_the_scenario_on_the_page_holds() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    (shown,) = [
        block for block in re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if " expect " in block
    ]
    assert differences(parse(shown)) == []


LOOPS = """
shipped AgentLooping
at 1m: flag LOOP_DETECTED tool=get
at 1m expect AgentLooping firing {tool=get} value 1
"""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("firing {tool=get} value 1", "firing {tool=get} value 2"), "found AgentLooping firing {tool=get} value 1"),
        (("AgentLooping firing {tool=get} value 1", "nothing"), "found AgentLooping firing {tool=get} value 1"),
        (("firing {tool=get}", "resolved {tool=get}"), "found AgentLooping firing"),
        (("{tool=get} value 1", "{tool=set}"), "found nothing"),
        (("at 1m: flag", "at 2m: flag"), "found nothing"),
    ],
)
def test_what_is_not_as_expected_is_told_with_its_line(change: tuple[str, str], told: str) -> None:
    assert differences(parse(LOOPS)) == []
    (difference,) = differences(parse(LOOPS.replace(*change)))
    assert difference.startswith("line 4: at 1m expect")
    assert told in difference


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("at 1x: tool a", 2),
        ("from 2m to 1m every 1s: tool a", 2),
        ("from 0m to 1m every 0s: tool a", 2),
        ("at 1m: walk a", 2),
        ("at 1m: tool a colour=red", 2),
        ("at 1m: tool a took=5USD", 2),
        ("at 1m: session a gone", 2),
        ("at 1m: flag", 2),
        ('at 1m: tool "a', 2),
        ("shipped Nobody", 2),
        ("at 1m expect firing or so", 2),
        ("at 1m expect AgentLooping firing value many", 2),
        ("anything else", 2),
    ],
)
def test_a_line_that_cannot_be_read_is_told(line: str, number: int) -> None:
    with pytest.raises(ScenarioError, match=f"^line {number}: "):
        parse(f"shipped AgentLooping\n{line}\nat 1m expect nothing\n")


@given(st.text(alphabet="atx 0129ms:{}=expctnohigfrum\n", max_size=200))
def test_any_text_is_a_scenario_or_refused(text: str) -> None:
    with contextlib.suppress(ScenarioError):
        parse(text)

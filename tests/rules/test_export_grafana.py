"""What is exported for Grafana beside the dashboard itself: thresholds of rules, and where examples lead."""

from __future__ import annotations

import msgspec
import yaml

from watchpost.rules.grafana import agents_dashboard, datasources
from watchpost.rules.pack import shipped
from watchpost.rules.rule import Limit, Rule


def lines(dashboard: dict[str, object]) -> dict[str, float]:
    """By the title of a panel, where it draws a line."""
    panels = dashboard["panels"]
    assert isinstance(panels, list)
    found = {}
    for panel in panels:
        steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
        if len(steps) > 1:
            found[panel["title"]] = steps[1]["value"]
    return found


def threshold(name: str) -> float:
    (rule,) = (rule for rule in shipped().rules if rule.name == name)
    assert isinstance(rule.test, Limit)
    return rule.test.value


def test_panels_draw_the_thresholds_of_the_shipped_rules() -> None:
    assert lines(agents_dashboard()) == {
        "Failed model calls": threshold("AgentLLMHighErrorRate"),
        "Tokens": threshold("AgentTokenBudgetExceeded"),
        "Failed tool calls": threshold("AgentToolHighFailureRate"),
        "Runs, 95th percentile": threshold("AgentWorkflowSlowResponse"),
    }


def test_a_changed_rule_moves_its_line_and_a_missing_one_draws_none() -> None:
    def changed(rule: Rule) -> Rule:
        return msgspec.structs.replace(rule, test=Limit("above", 0.5))

    rules = [changed(rule) for rule in shipped().rules if rule.name == "AgentLLMHighErrorRate"]
    assert lines(agents_dashboard(rules)) == {"Failed model calls": 0.5}


def test_examples_lead_to_the_trace_and_to_the_session() -> None:
    read = yaml.safe_load(datasources("https://watchpost.example/"))
    prometheus, tempo = read["datasources"]
    trace, session = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    assert (trace["name"], trace["datasourceUid"]) == ("trace_id", tempo["uid"])
    # Grafana reads $$ as a dollar, and a single one as a variable of the environment
    assert session == {
        "name": "session",
        "url": "https://watchpost.example/sessions/$${__value.raw}",
        "urlDisplayLabel": "Session in Watchpost",
    }

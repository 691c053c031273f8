"""Rules exported to Prometheus: promtool takes them, its tests hold, and what cannot be said there is named and left out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Dimension
from watchpost.rules import promql
from watchpost.rules.pack import shipped
from watchpost.rules.prometheus import (
    RULES_FILE,
    TESTS_FILE,
    PrometheusRules,
    prometheus_rules,
    rules_file,
    write_yaml,
)
from watchpost.rules.promql import BY_ERROR_TYPE, FLAGS, SOURCES, Counter, Share
from watchpost.rules.promtool import unit_tests
from watchpost.rules.rule import (
    Comparison,
    FlagDimension,
    Limit,
    OfFlags,
    OfMeasure,
    OfSession,
    Rule,
    RuleSet,
    Spread,
    Times,
)
from watchpost.rules.rule_file import read_rules
from watchpost.server import agent_tally

sys.path.append(str(Path(__file__).parents[1] / "live"))
from foreign_server import may_be_missing, program

pytestmark = pytest.mark.skipif(may_be_missing("prometheus"), reason="there is no Prometheus to be had")

DOCUMENTED = Path(__file__).parents[2] / "docs" / "prometheus.md"
MINUTE = 60 * 10**9
SLO = """
slos:
  - name: ToolsWork
    bad: tool_error_rate
    by: [tool]
    where: {workflow: [refunds, "a|b"]}
    objective: 99 %
    window: 30d
    at_least_count: 20
    owner: me
    runbook: https://runbooks.example/a
    labels: {team: "{{ braces }}"}
"""


def promtool(folder: Path, *arguments: str) -> str:
    """What promtool says; it must be content."""
    done = subprocess.run(
        [program("promtool") or "promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def taken(folder: Path, rules: PrometheusRules) -> None:
    """Let promtool check the rules and run their tests."""
    (folder / RULES_FILE).write_text(rules_file(rules), encoding="utf-8")
    (folder / TESTS_FILE).write_text(unit_tests(rules), encoding="utf-8")
    assert "SUCCESS" in promtool(folder, "check", "rules", RULES_FILE)
    assert "SUCCESS" in promtool(folder, "test", "rules", TESTS_FILE)


def claims_of(rules: PrometheusRules) -> list[str]:
    """What each test claims."""
    return re.findall(r"^- name: (.*)$", unit_tests(rules), re.MULTILINE)


def flags(name: str, how: Comparison, value: float, **more: object) -> Rule:
    """A rule on loops of each workflow within half an hour."""
    rule = Rule(name, OfFlags(("LOOP_DETECTED",), (), ("workflow",)), Limit(how, value), 30 * MINUTE, "high", "me", "r")
    return msgspec.structs.replace(rule, **more)


def test_promtool_takes_the_shipped_rules_and_each_fires_and_is_silent_as_its_tests_claim(tmp_path: Path) -> None:
    rules = prometheus_rules(shipped())
    assert {each.rule.name for each in rules.exported} >= {
        "AgentWorkflowSlowResponse", "AgentLLMHighErrorRate", "AgentToolHighFailureRate", "AgentTokenBudgetExceeded",
        "AgentDailySpendExceeded", "AgentCostPerRequestDoubled", "AgentWentSilent", "AgentMakesUpIds", "AgentLooping",
        "AgentToolSchemaDrift", "AgentInjectionOnHighRiskTool", "AgentInfrastructureErrors", "AgentToolErrorsFrequent",
        "AgentModelMisbehaves", "AgentPolicyViolations",
    }  # fmt: skip
    claims = [f"{each.rule.name} {what}" for each in rules.exported for what in ("fires", "is silent")]
    assert claims_of(rules) == claims
    taken(tmp_path, rules)


def test_every_rule_is_either_exported_or_named_with_a_reason() -> None:
    rules = prometheus_rules(shipped())
    text = rules_file(rules)
    named = [each.rule.name for each in rules.exported] + [each.rule for each in rules.left_out]
    assert sorted(named) == sorted(rule.name for rule in shipped().rules)
    for each in rules.left_out:
        assert f"# Not here: {each.rule}: {each.reason}\n" in text
        assert f"alert: {each.rule}\n" not in text


def test_the_shipped_rules_that_are_left_out_are_documented_with_their_reasons() -> None:
    page = (DOCUMENTED.parent / "exporting-alerts.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(Agent\w+)` \| (.*?) \|$", page, re.MULTILINE)
    assert documented == [(each.rule, each.reason) for each in prometheus_rules(shipped()).left_out]


@pytest.mark.parametrize("kind", ["bad", "good"])
def test_promtool_takes_an_objective_as_recording_rules_and_two_alerts(tmp_path: Path, kind: str) -> None:
    rules = prometheus_rules(read_rules(SLO.replace("bad:", f"{kind}:")))
    assert claims_of(rules) == [
        "ToolsWorkBurnsFast fires", "ToolsWorkBurnsFast is silent", "ToolsWorkBurnsSlowly fires", "ToolsWorkBurnsSlowly is silent",
    ]  # fmt: skip
    text = rules_file(rules)
    windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
    assert all(text.count(f"record: slo:sli_error:ratio_rate{window}\n") == 1 for window in windows)
    taken(tmp_path, rules)


KINDS = st.sampled_from(["LOOP_DETECTED", "STUCK_RUN", "X"])
NAMES = st.text(min_size=0, max_size=250)
COMPARISONS: st.SearchStrategy[Comparison] = st.sampled_from(["above", "at_least", "below", "at_most"])
WINDOWS = st.sampled_from([1, 2, 5, 15, 60])


@st.composite
def rules_on_measures(draw: st.DrawFn, number: int) -> Rule:
    name = draw(st.sampled_from(sorted(SOURCES)))
    measure, source = MEASURES[name], SOURCES[name]
    dimensions = sorted((source.per if isinstance(source, Share) else source.of).labels)
    where = draw(st.dictionaries(st.sampled_from(dimensions), st.lists(NAMES, min_size=1, max_size=3), max_size=2))
    by = draw(st.lists(st.sampled_from(dimensions), unique=True, max_size=2))
    window_ns = draw(WINDOWS) * MINUTE
    ceiling = 1.0 if measure.unit == "share" else 100.0
    test = draw(
        st.one_of(
            st.builds(Limit, COMPARISONS, st.floats(0, ceiling).map(lambda value: round(value, 3))),
            st.builds(Times, st.sampled_from([0.3, 0.9, 1.5, 20.0]), st.just(7 * window_ns)),
            st.builds(Spread, st.sampled_from([0.5, 2.0]), st.just(7 * window_ns), st.booleans()),
        )
    )
    return Rule(
        f"Rule{number}",
        OfMeasure(
            measure,
            tuple((cast("Dimension", key), tuple(values)) for key, values in where.items()),
            tuple(cast("Dimension", name) for name in by),
        ),
        test,
        window_ns,
        "warning",
        owner=draw(st.text(min_size=1, max_size=9)),
        runbook=draw(st.text(min_size=1, max_size=9)),
        for_ns=draw(st.sampled_from([0, 30, 300])) * 10**9,
        keep_firing_ns=draw(st.sampled_from([0, 120])) * 10**9,
        at_least_count=draw(st.sampled_from([0, 0, 1, 30])),
        labels=draw(st.dictionaries(st.sampled_from(["team", "zone_2"]), st.text(max_size=9), max_size=2)),
    )


@st.composite
def rules_on_flags(draw: st.DrawFn, number: int) -> Rule:
    where = draw(
        st.dictionaries(
            st.sampled_from(["workflow", "severity", "flag", "tool"]), st.lists(NAMES, min_size=1), max_size=1
        )
    )
    return flags(
        f"Rule{number}",
        draw(st.sampled_from(["above", "at_least"])),
        float(draw(st.integers(0, 50))),
        subject=OfFlags(
            tuple(draw(st.lists(KINDS, max_size=2))) if "flag" not in where else (),
            tuple((cast("FlagDimension", key), tuple(values)) for key, values in where.items()),
            tuple(draw(st.lists(st.sampled_from(["workflow", "severity", "flag", "tool"]), unique=True))),
        ),
        window_ns=draw(WINDOWS) * MINUTE,
        at_least_count=draw(st.integers(0, 9)),
    )


@st.composite
def rules_on_types(draw: st.DrawFn, number: int) -> Rule:
    name = draw(st.sampled_from(sorted(BY_ERROR_TYPE)))
    types = tuple(draw(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=3)))
    by = tuple(
        cast("Dimension", each) for each in draw(st.lists(st.sampled_from(["workflow", "error_type"]), unique=True))
    )
    subject = OfMeasure(MEASURES[name], (("error_type", types),), by)
    window_ns = draw(WINDOWS) * MINUTE
    return flags(
        f"Rule{number}", draw(COMPARISONS), float(draw(st.integers(0, 50))), subject=subject, window_ns=window_ns
    )


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    return RuleSet(
        tuple(
            draw(st.one_of(rules_on_measures(number), rules_on_flags(number), rules_on_types(number)))
            for number in range(4)
        )
    )


@example(rules=RuleSet((flags("R", "above", 1, labels={"team": "a\x85b\u2028c\nd"}),)))
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rules=rule_sets())
def test_promtool_takes_whatever_rules_are_exported(tmp_path: Path, rules: RuleSet) -> None:
    exported = prometheus_rules(rules)
    if exported.exported:
        taken(tmp_path, exported)


def test_the_tests_fail_for_another_threshold(tmp_path: Path) -> None:
    rules = prometheus_rules(RuleSet((flags("Loops", "at_least", 3),)))
    taken(tmp_path, rules)
    for other in (">= 100", ">= 1"):
        text = rules_file(rules)
        assert ">= 3\n" in text
        (tmp_path / RULES_FILE).write_text(text.replace(">= 3\n", f"{other}\n"), encoding="utf-8")
        with pytest.raises(AssertionError, match="FAILED"):
            promtool(tmp_path, "test", "rules", TESTS_FILE)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (flags("R", "above", 0, subject=OfSession(MEASURES["cost_per_session_usd"], "session")), "single sessions"),
        (flags("R", "above", 0, subject=OfFlags(("LOOP_DETECTED",), (), ("session",))), "no label for session"),
        (flags("R", "above", 0, subject=OfMeasure(MEASURES["steps"])), "steps that did not fail"),
        (flags("R", "above", 0, subject=OfMeasure(MEASURES["steps"], (), ("error_type",))), "steps that did not fail"),
        (flags("R", "above", 0, subject=OfMeasure(MEASURES["steps"], (("error_type", ("x", "")),))), "steps that did not fail"),
        (flags("R", "above", 0, subject=OfMeasure(MEASURES["llm_errors"], (("model", ("a",)),), ("error_type",))), "no label for model"),
        (flags("R", "above", 0, subject=OfMeasure(MEASURES["loop_session_share"])), "sessions are not told apart"),
        (flags("R", "above", 0, subject=OfFlags((), (("service", ("a",)),))), "no label for service"),
        (flags("R", "above", 0, subject=OfMeasure(MEASURES["sessions"])), "counts runs"),
        (flags("R", "above", 0, subject=OfMeasure(MEASURES["score_mean"])), "scores may be negative"),
        (flags("R", "above", 0, subject=OfMeasure(MEASURES["tokens"]), at_least_count=5), "at_least_count"),
        (flags("R", "above", 200, subject=OfMeasure(MEASURES["workflow_duration_seconds"])), "buckets of its metric end at 120 s"),
        (flags("R", "above", 1, subject=OfMeasure(MEASURES["llm_error_rate"])), "never gets there"),
        (flags("R", "above", 1, subject=OfMeasure(MEASURES["cost_per_session_usd"])), "only its change"),
        (flags("R", "below", 0.9, subject=OfMeasure(MEASURES["completion_rate"], (), ("workflow",))), "over the last hour"),
        (flags("R", "above", 0, share_of_sessions=0.1), "what share of them"),
        (flags("R", "above", 0, no_data="fire"), "without data"),
        (flags("R", "above", 0, window_ns=30 * 10**9), "too few scrapes"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_left_out_with_the_reason(rule: Rule, reason: str) -> None:
    exported = prometheus_rules(RuleSet((rule,)))
    assert exported.exported == ()
    assert [each.rule for each in exported.left_out] == ["R"]
    assert reason in exported.left_out[0].reason


def test_every_metric_label_and_bucket_that_is_asked_for_is_exposed() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE)
    labels = {name: set(re.findall(r"`(\w+)`", cell)) for name, cell, _ in rows}
    counters: list[Counter] = [FLAGS.of]
    for source in (*SOURCES.values(), *BY_ERROR_TYPE.values()):
        counters += [source.over, source.per] if isinstance(source, Share) else [source.of]
    for counter in counters:
        assert {*counter.labels.values(), *dict(counter.fixed)} <= labels[counter.metric], counter
    assert (promql.RUN_BOUNDS, promql.LLM_BOUNDS, promql.TOOL_BOUNDS) == (
        agent_tally.RUN_BOUNDS,
        agent_tally.LLM_BOUNDS,
        agent_tally.TOOL_BOUNDS,
    )


LOOPS = 'agent_flags_total{kind="LOOP_DETECTED", severity="high", workflow="w", job="j", instance="i"}'
UP = 'up{job="j", instance="i"}'


@pytest.mark.parametrize(
    ("series", "fires"),
    [
        ({LOOPS: "_x40 1x10", UP: "1x50"}, True),
        ({LOOPS: "_x40 7x10", UP: "_x40 1x10"}, False),
        ({LOOPS: "5x40 _x2 1x8", UP: "1x50"}, True),
        ({LOOPS: "5x50", UP: "1x50"}, False),
        ({LOOPS: "5x40 6x10", UP: "1x50"}, True),
    ],
    ids=["the first flag", "Prometheus is new", "Watchpost began anew", "none for long", "one more"],
)
def test_a_single_flag_is_seen_and_old_ones_are_not(tmp_path: Path, series: dict[str, str], *, fires: bool) -> None:
    assert fired(tmp_path, flags("R", "above", 0), series, "49m") == fires


@pytest.mark.parametrize(("workflow", "fires"), [("a.b", True), ("refunds", True), ("axb", False), ("refund", False)])
def test_any_of_several_values_counts_and_nothing_like_them(tmp_path: Path, workflow: str, *, fires: bool) -> None:
    subject = OfFlags(("LOOP_DETECTED",), (("workflow", ("a.b", "refunds")),))
    series = {LOOPS.replace('"w"', f'"{workflow}"'): "0x20 1x20"}
    assert fired(tmp_path, flags("R", "above", 0, subject=subject), series, "30m") == fires


@pytest.mark.parametrize(("how", "count", "fires"), [("above", 10, False), ("above", 11, True), ("at_least", 10, True)])
def test_flags_are_counted_to_the_last_one(tmp_path: Path, how: Comparison, count: int, *, fires: bool) -> None:
    series = {LOOPS: f"3x20 4+1x{count - 1} {3 + count}x25", UP: "1x80"}
    assert fired(tmp_path, flags("R", how, 10), series, "40m") == fires


def fired(folder: Path, rule: Rule, series: dict[str, str], at: str) -> bool:
    """Whether the exported rule fires at a time on series that are scraped each minute."""
    rules = prometheus_rules(RuleSet((rule,)))
    (folder / RULES_FILE).write_text(rules_file(rules), encoding="utf-8")
    expected = {"expr": f'count(ALERTS{{alertname="{rule.name}"}}) or vector(0)', "eval_time": at}
    for value in (1, 0):
        test = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [expected | {"exp_samples": [{"labels": "{}", "value": value}]}],
        }
        document = {"rule_files": [RULES_FILE], "evaluation_interval": "1m", "tests": [test]}
        (folder / "one.yml").write_text(write_yaml(document), encoding="utf-8")
        done = subprocess.run(
            [program("promtool") or "promtool", "test", "rules", "one.yml"],
            cwd=folder,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            return bool(value)
    raise AssertionError(done.stdout + done.stderr)


def test_an_alert_says_what_the_rule_says(tmp_path: Path) -> None:
    rule = Rule(
        "Failing",
        OfMeasure(MEASURES["tool_error_rate"], (("workflow", ("{{ w }}",)),), ("tool",)),
        Limit("above", 0.1),
        5 * MINUTE,
        "critical",
        "team {{ braces }}",
        "https://runbooks.example/{{tools}}",
        summary="{tool} fails in {value} of its calls, {{not}} {threshold}",
        labels={"team": "a {{ b }}"},
    )
    (tmp_path / RULES_FILE).write_text(rules_file(prometheus_rules(RuleSet((rule,)))), encoding="utf-8")
    labels = 'tool="get\\"it", workflow="{{ w }}"'
    said = {
        "exp_labels": {"tool": 'get"it', "severity": "critical", "owner": "team {{ braces }}", "team": "a {{ b }}", "rate": "yes"},
        "exp_annotations": {
            "summary": 'get"it fails in 25% of its calls, {not} 10 %',
            "description": "tool_error_rate where workflow is {{ w }}, by tool: above 10 %, over 5m. It is 25%.",
            "runbook_url": "https://runbooks.example/{{tools}}",
        },
    }  # fmt: skip
    test = {
        "interval": "15s",
        "input_series": [
            {"series": f"agent_tool_errors_total{{{labels}}}", "values": "0+1x40"},
            {"series": f"agent_tool_calls_total{{{labels}}}", "values": "0+4x40"},
        ],
        "alert_rule_test": [{"eval_time": "8m", "alertname": "Failing", "exp_alerts": [said]}],
    }
    (tmp_path / "one.yml").write_text(write_yaml({"rule_files": [RULES_FILE], "tests": [test]}), encoding="utf-8")
    assert "SUCCESS" in promtool(tmp_path, "test", "rules", "one.yml")

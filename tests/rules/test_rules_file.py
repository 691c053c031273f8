"""Rule files are read whole or refused whole: every fault with its line, column, field and reason."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.route_file import read_routing
from watchpost.rules.event import labels_of
from watchpost.rules.rule import Burn, Limit, OfFlags, OfMeasure, OfSession, Spread, Times
from watchpost.rules.rule_body import RULE_FIELDS
from watchpost.rules.rule_fields import RuleFileError
from watchpost.rules.rule_file import Known, read_rule_files, read_rules
from watchpost.rules.slo import burn_windows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
SECOND = 10**9

GOOD = """\
rules:
  - name: Failing
    measure: tool_error_rate
    where: {workflow: [refunds, ""], tool: pay}
    by: [tool]
    window: 5m
    above: 10 %
    for: 2m
    keep_firing_for: 10m
    no_data: hold
    at_least_count: 20
    share_of_sessions: 5 %
    severity: critical
    owner: team-agents
    runbook: https://runbooks.example/tools
    summary: "{tool} fails in {value}"
    labels: {team: payments}
"""


def faults(text: str, known: Known | None = None) -> list[tuple[int, int, str, str]]:
    with pytest.raises(RuleFileError) as caught:
        read_rules(text, "r.yaml", known)
    return [(fault.line, fault.column, fault.field, fault.reason) for fault in caught.value.faults]


def test_a_rule_says_what_it_was_written_to_say() -> None:
    (rule,) = read_rules(GOOD).rules
    assert isinstance(rule.subject, OfMeasure)
    assert (rule.subject.measure.name, rule.subject.by) == ("tool_error_rate", ("tool",))
    assert rule.subject.where == (("workflow", ("refunds", "")), ("tool", ("pay",)))
    assert rule.test == Limit("above", 0.1)
    assert (rule.window_ns, rule.for_ns, rule.keep_firing_ns) == (300 * SECOND, 120 * SECOND, 600 * SECOND)
    assert (rule.no_data, rule.at_least_count, rule.share_of_sessions) == ("hold", 20, 0.05)
    assert (rule.severity, rule.owner, rule.labels) == ("critical", "team-agents", {"team": "payments"})


def test_a_rule_that_says_nothing_but_that_something_may_be_wrong_is_refused_for_all_that_it_lacks() -> None:
    found = faults("rules:\n  - name: Weak\n    summary: something may be wrong with AI quality\n")
    assert {field for _, _, field, _ in found} == {"measure", "above", "window", "severity", "owner", "runbook"}
    assert {(line, column) for line, column, _, _ in found} == {(2, 5)}


@pytest.mark.parametrize("field", ["name", "measure", "window", "above", "severity", "owner", "runbook"])
def test_each_field_that_is_needed_is_missed(field: str) -> None:
    text = re.sub(rf"    {field}: .*\n", "", GOOD) if field != "name" else GOOD.replace("name: Failing", "name:")
    assert field in {name for _, _, name, _ in faults(text)}


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("tool_error_rate", "tool_eror_rate", "measure", "did you mean 'tool_error_rate'?"),
        ("workflow:", "workfow:", "where.workfow", "did you mean 'workflow'?"),
        ("by: [tool]", "by: [tol]", "by", "did you mean 'tool'?"),
        ("by: [tool]", "by: [project]", "by", "is in every group anyway"),
        ("by: [tool]", "by: [tool, tool]", "by", "stands twice"),
        ("by: [tool]", "by: [tool, agent, model, status]", "by", "at most 3"),
        ("10 %", "30s", "above", "is not in share"),
        ("10 %", "10", "above", "more than all of it"),
        ("10 %", "-1 %", "above", "below 0"),
        ("10 %", "many", "above", "is not in share"),
        ("window: 5m", "window: 0m", "window", "must be longer than 0"),
        ("window: 5m", "window: 20s", "window", "must be a multiple of 15s"),
        ("window: 5m", "window: 400d", "window", "is longer than 90d"),
        ("window: 5m", "window: soon", "window", "is no duration"),
        ("for: 2m", "for: ever", "for", "is no duration"),
        ("above: 10 %", "above: 10 %\n    below: 5 %", "below", "stands beside above"),
        ("above: 10 %", "frequency: 10 in 5m", "window", "stands in frequency already"),
        ("no_data: hold", "no_data: maybe", "no_data", "is none of ok, fire, hold"),
        ("at_least_count: 20", "at_least_count: 2.5", "at_least_count", "no whole number"),
        ("severity: critical", "severity: grave", "severity", "is none of critical"),
        ("https://runbooks.example/tools", "../x.md", "runbook", "neither an address nor a file beside"),
        ("{tool} fails", "{agent} fails", "summary", "{agent} is none of"),
        ("{tool} fails", "{tool.x} fails", "summary", "is none of"),
        ("{tool} fails", "{tool!r} fails", "summary", "is none of"),
        ("{tool} fails", "{tool fails", "summary", "braces"),
        ("team: payments", "Team: payments", "labels.Team", "lower-case"),
        ("team: payments", "severity: x", "labels.severity", "have anyway"),
        ("team: payments", "tool: x", "labels.tool", "have anyway"),
        ("owner: team-agents", "owner: a\n    owner: b", "owner", "stands twice"),
        ("owner: team-agents", "owner: []", "owner", "must be a text"),
        ("by: [tool]", "by: {a: b}", "by", "must be one word or a list of words"),
        ("window: 5m", "window: 5m\n    quantile: p95", "quantile", "is no quantile"),
        ("window: 5m", "window: 5m\n    each: session", "measure", "is no number of a single session"),
        ("window: 5m", "window: 5m\n    colour: red", "colour", "there is no such field"),
        ("window: 5m", "window: 5m\n    flag: [LOOP_DETECTED]", "flag", "not both"),
        ("above: 10 %", "baseline: {times: 0, over: 7d}", "times", "must be more than 0"),
        ("above: 10 %", "baseline: {times: 2}", "over", "is missing"),
        ("above: 10 %", "baseline: {times: 2, z_score: 3, over: 7d}", "times", "give one of"),
        ("above: 10 %", "baseline: {z_score: 3, over: 7d}", "over", "must hold 5 to 1500 windows"),
        ("above: 10 %", "baseline: {times: 2, over: 1m}", "over", "must be from the window"),
        ("above: 10 %", "baseline: 2", "baseline", "must be a table"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_the_place_field_and_reason(old: str, new: str, field: str, reason: str) -> None:
    assert GOOD.count(old) == 1 or old in {"tool_error_rate", "10 %"}
    found = faults(GOOD.replace(old, new))
    lines = GOOD.replace(old, new).splitlines()
    assert [line for line, _, name, why in found if name == field and reason in why] != [], found
    for line, column, _, _ in found:
        assert 1 <= line <= len(lines) + 1
        assert 1 <= column <= 200


def test_the_place_of_a_fault_is_that_of_the_value() -> None:
    assert faults(GOOD.replace("10 %", "30s"))[0][:2] == (7, 12)
    assert faults(GOOD.replace("workflow:", "workfow:"))[0][:2] == (4, 13)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("flag: [loop]\n    above: 0", "flag"),
        ("flag: [NOBODY]\n    above: 0", "flag"),
        ("flag: [LOOP_DETECTED]\n    below: 3", "below"),
        ("flag: [LOOP_DETECTED]\n    baseline: {times: 2, over: 7d}", "baseline"),
        ("flag: [LOOP_DETECTED]\n    above: 0\n    by: [model]", "by"),
        ("flag: [LOOP_DETECTED]\n    above: 0\n    no_data: fire", "no_data"),
        ("measure: cost_per_session_usd\n    each: always\n    above: 1 USD", "each"),
        ("measure: cost_per_session_usd\n    each: session\n    below: 1 USD", "below"),
        ("measure: cost_per_session_usd\n    each: session\n    above: 1 USD\n    by: [workflow]", "by"),
        ("measure: cost_per_session_usd\n    each: session\n    above: 1 USD\n    where: {tool: x}", "where.tool"),
    ],
)
def test_flags_and_single_sessions_take_what_makes_sense_of_them(body: str, field: str) -> None:
    text = f"rules:\n  - name: R\n    {body}\n    window: 1h\n    severity: high\n    owner: me\n    runbook: https://x.example\n"
    assert field in {name for _, _, name, _ in faults(text, Known(flags=("LOOP_DETECTED",)))}


@pytest.mark.parametrize(
    ("flag", "by", "fault"),
    [
        ("any", "[session, flag, tool, severity]", None),
        ("[any]", "[]", None),
        ("[any, LOOP_DETECTED]", "[tool]", "there is no flag 'any'"),
        ("any", "[session, flag, tool, severity, workflow]", "at most 4"),
    ],
)
def test_flags_of_any_kind_are_asked_for_by_one_word_and_told_apart_by_up_to_four_dimensions(
    flag: str, by: str, fault: str | None
) -> None:
    by = "" if by == "[]" else f"    by: {by}\n"
    text = f"rules:\n  - name: R\n    flag: {flag}\n{by}    window: 1h\n    above: 0\n    severity: high\n    owner: me\n    runbook: https://x.example\n"
    if fault is None:
        (rule,) = read_rules(text, "r.yaml", Known(flags=("LOOP_DETECTED",))).rules
        assert isinstance(rule.subject, OfFlags)
        assert rule.subject.kinds == ()
    else:
        assert [why for *_, why in faults(text, Known(flags=("LOOP_DETECTED",))) if fault in why] != []


def test_frequency_baselines_flags_and_single_sessions_are_read() -> None:
    end = "    severity: high\n    owner: me\n    runbook: https://x.example\n"
    bodies = [
        "flag: LOOP_DETECTED\n    frequency: 10 in 5m\n",
        "measure: cost_per_session_usd\n    each: session\n    window: 1h\n    above: 0.50 USD\n",
        "measure: tokens\n    window: 1h\n    baseline: {times: 2, over: 7d}\n",
        "measure: score_mean\n    window: 1h\n    baseline: {shift: 2, over: 7d}\n",
        "measure: tool_duration_seconds\n    quantile: p99.9\n    window: 1h\n    at_least: 500ms\n",
    ]
    text = "rules:\n" + "".join(f"  - name: R{n}\n    {body}{end}" for n, body in enumerate(bodies))
    flags, session, times, shift, slow = read_rules(text).rules
    assert isinstance(flags.subject, OfFlags)
    assert (flags.test, flags.window_ns) == (Limit("at_least", 10.0), 300 * SECOND)
    assert isinstance(session.subject, OfSession)
    assert session.test == Limit("above", 0.5)
    assert times.test == Times(2.0, 7 * 86_400 * SECOND)
    assert shift.test == Spread(2.0, 7 * 86_400 * SECOND, both=True)
    assert isinstance(slow.subject, OfMeasure)
    assert (slow.test, slow.subject.quantile) == (Limit("at_least", 0.5), 999)


def test_two_rules_of_one_name_are_refused_also_in_two_files() -> None:
    with pytest.raises(RuleFileError, match="give each rule its own name"):
        read_rule_files({"a.yaml": GOOD, "b.yaml": GOOD})


def test_all_faults_of_all_files_are_told_in_order() -> None:
    broken = GOOD.replace("10 %", "30s").replace("for: 2m", "for: x").replace("Failing", "Other")
    with pytest.raises(RuleFileError) as caught:
        read_rule_files({"b.yaml": broken, "a.yaml": "rules: 3\n"})
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [("a.yaml", 1), ("b.yaml", 7), ("b.yaml", 8)]


def test_a_runbook_beside_the_rules_must_be_there() -> None:
    text = GOOD.replace("https://runbooks.example/tools", "runbooks/tools.md")
    assert len(read_rules(text, known=Known(has_runbook=lambda name: name == "runbooks/tools.md")).rules) == 1
    assert faults(text, Known(has_runbook=lambda _: False))[0][2] == "runbook"


@pytest.mark.parametrize(
    "text",
    [
        "", "3", "[]", "rules: [3]", "rules: {a: b}", "a: &x [1]\nb: *x", "rules:\n\t- a", "? [a]\n: b", "rules: " + "[" * 60 + "]" * 60,
        "groups: [a]", "rules: [\x00]", "%YAML 9.9\n---\na: b", "a: b\n---\nc: d", "x" * 1_000_001,
    ],
)  # fmt: skip
def test_what_is_no_rule_file_is_refused(text: str) -> None:
    assert faults(text) != []


@given(st.text(alphabet="rules: -{}[]\n&*!#|>'\"abc0?,", max_size=120))
def test_any_text_is_a_rule_file_or_refused(text: str) -> None:
    with contextlib.suppress(RuleFileError):
        read_rules(text)


SLO = """\
slos:
  - name: RefundsComplete
    good: completion_rate
    objective: 99 %
    window: {window}
    at_least_count: 20
    owner: me
    runbook: https://runbooks.example/slo
"""


@pytest.mark.parametrize(
    ("window", "factors"),
    [
        ("30d", [14.4, 6.0, 3.0, 1.0]),
        ("28d", [13.44, 5.6, 2.8, 28 / 30]),
        ("7d", [13.44, 5.6, 2.8, 3.5 / 3]),
    ],
)
def test_an_objective_stands_for_two_rules_of_two_pairs_of_windows(window: str, factors: list[float]) -> None:
    found = read_rules(SLO.format(window=window))
    (slo,) = found.slos
    assert (slo.objective, slo.budget, slo.is_good) == (0.99, 0.01, True)
    assert [pair.factor for pair in burn_windows(slo.window_ns)] == pytest.approx(factors)
    fast, slow = found.rules
    assert (fast.name, fast.severity, slow.name, slow.severity) == (
        "RefundsCompleteBurnsFast", "critical", "RefundsCompleteBurnsSlowly", "warning",
    )  # fmt: skip
    hours = [
        [(pair.long_ns / 3.6e12, pair.short_ns / 3.6e12) for pair in rule.test.pairs]
        for rule in (fast, slow)
        if isinstance(rule.test, Burn)
    ]
    assert hours == [[(1, 1 / 12), (6, 0.5)], [(24, 2), (72, 6)]]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("99 %", "100 %", "objective"),
        ("99 %", "0 %", "objective"),
        ("window: 30d", "window: 9d", "window"),
        ("completion_rate", "sessions", "good"),
        ("good: completion_rate", "good: completion_rate\n    bad: timeout_rate", "good"),
        ("    at_least_count: 20\n", "", "at_least_count"),
    ],
)
def test_an_objective_without_a_budget_a_share_or_a_least_count_is_refused(old: str, new: str, field: str) -> None:
    assert field in {name for _, _, name, _ in faults(SLO.format(window="30d").replace(old, new))}


def test_the_page_explains_every_field_and_its_rules_can_be_read() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [field for field in RULE_FIELDS if f"`{field}`" not in page] == []
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 2
    routes = [block for block in blocks if block.startswith("route:")]
    for block in blocks:
        assert block in routes or read_rules(block).rules


def test_what_stood_in_the_settings_is_said_by_the_rule_and_the_route_that_the_page_shows_instead() -> None:
    _, _, page = PAGE.read_text(encoding="utf-8").partition("## Rules that stood in the settings\n")
    rules, routes = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[:2]
    (rule,) = read_rules(rules).rules
    group = ("p", "s", "LOOP_DETECTED", "pay", "critical")
    labels = labels_of(rule, group)
    assert (labels["severity"], labels["service"]) == ("critical", "shop")
    (route,) = read_routing(routes, ["ops"]).root.find(labels)
    assert (route.channels, route.group_wait_ns, route.group_labels(labels)) == (("ops",), 0, labels)

"""Rules in words."""

from __future__ import annotations

import pytest

from watchpost.rules.rule_file import read_rules
from watchpost.rules.words import in_words

REST = "severity: high, owner: me, runbook: https://runbooks.example/a, window: 5m"


@pytest.mark.parametrize(
    ("said", "looks_at", "condition"),
    [
        (
            "measure: tool_error_rate, by: [tool], where: {workflow: [a, b]}, above: 10 %, at_least_count: 10",
            "tool_error_rate where workflow is a or b, by tool",
            "above 10 %, of at least 10",
        ),
        (
            "measure: workflow_duration_seconds, quantile: p99.9, at_least: 30s",
            "p99.9 of workflow_duration_seconds",
            "at least 30 s",
        ),
        ("measure: cost_usd, by: [model], below: 0.5", "cost_usd, by model", "below 0.5 USD"),
        (
            "flag: [LOOP_DETECTED, STUCK_RUN], at_least: 3, share_of_sessions: 5 %",
            "flags LOOP_DETECTED or STUCK_RUN",
            "at least 3, in at least 5 % of the sessions",
        ),
        (
            "measure: steps, where: {workflow: [a, b, c, d, '']}, at_most: 0",
            "steps where workflow is a or b or c or 2 more",
            "at most 0",
        ),
        ("measure: steps, where: {workflow: ['']}, above: 1", "steps where workflow is (none)", "above 1"),
        (
            "measure: cost_per_session_usd, each: running, above: 0.50 USD",
            "cost_per_session_usd of each running session",
            "above 0.5 USD",
        ),
        ("measure: tokens, baseline: {times: 2, over: 7d}", "tokens", "more than 2 times that of the 7d before"),
        ("measure: tokens, baseline: {times: 0.5, over: 7d}", "tokens", "less than 0.5 times that of the 7d before"),
        (
            "measure: score_mean, baseline: {shift: 2, over: 1h}",
            "score_mean",
            "more than 2 standard deviations from the mean of the windows of the 1h before",
        ),
        (
            "measure: score_mean, baseline: {z_score: 3, over: 1h}",
            "score_mean",
            "more than 3 standard deviations above the mean of the windows of the 1h before",
        ),
    ],
)
def test_a_rule_is_told_as_a_person_would(said: str, looks_at: str, condition: str) -> None:
    (rule,) = read_rules(f"rules: [{{name: R, {said}, {REST}}}]").rules
    assert in_words(rule) == (looks_at, condition)


def test_an_objective_is_told_by_how_many_errors_are_too_many() -> None:
    text = (
        "slos: [{name: S, bad: tool_error_rate, objective: 99 %, window: 30d, at_least_count: 20, owner: me, "
        "runbook: https://runbooks.example/a}]"
    )
    fast, slow = read_rules(text).rules
    assert in_words(fast)[1] == "more errors than 14.4 % over 1h and 5m or 6 % over 6h and 30m, of at least 20"
    assert in_words(slow)[1] == "more errors than 3 % over 1d and 2h or 1 % over 3d and 6h, of at least 20"

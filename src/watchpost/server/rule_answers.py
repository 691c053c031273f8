"""Rules as API, CLI and pages tell them: in words, and how many of their alerts stand how."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from watchpost.model.flag import Severity
from watchpost.rules.rule import Rule
from watchpost.rules.words import in_words


class RuleAnswer(msgspec.Struct, frozen=True):
    """One rule at work, and how many of its groups are pending and fire. `looks_at` and `condition` are words for people."""

    name: str
    severity: Severity
    owner: str
    runbook: str
    looks_at: str
    condition: str
    window_seconds: float
    for_seconds: float
    labels: dict[str, str]
    pending: int
    firing: int


class RulesAnswer(msgspec.Struct, frozen=True):
    """Every rule at work, by name."""

    rules: list[RuleAnswer]


def rule_answer(rule: Rule, standing: Mapping[tuple[str, str], int]) -> RuleAnswer:
    """A rule in words; `standing` says how many alerts of which rule are in which state."""
    looks_at, condition = in_words(rule)
    return RuleAnswer(
        rule.name,
        rule.severity,
        rule.owner,
        rule.runbook,
        looks_at,
        condition,
        rule.window_ns / 1e9,
        rule.for_ns / 1e9,
        rule.labels,
        standing.get((rule.name, "pending"), 0),
        standing.get((rule.name, "firing"), 0),
    )

"""Rules one by one: what one asks in words, its text, and where it is looked at; and the runbooks that alerts name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from watchpost.query.measures import Unit
from watchpost.rules.event import unit_of
from watchpost.rules.rule import Rule
from watchpost.rules.rule_text import RuleText
from watchpost.server.alerts import state_name
from watchpost.server.problem import NotFoundError
from watchpost.server.rule_answers import RuleAnswer, rule_answer
from watchpost.server.rule_figure import RuleFigure, figure_of
from watchpost.store.alerts import AlertMemory


class LookedAt(msgspec.Struct, frozen=True):
    """The measure that a rule looks at: what `/api/measures/{measure}` is asked by these parameters, in steps of its window, is what it sees."""

    measure: str
    parameters: list[tuple[str, str]]
    step_seconds: float
    threshold: float | None


class RuleDetail(msgspec.Struct, frozen=True):
    """One rule with its text. `unit` is that of its values; `looks_at_measure` is null of a rule that looks at sessions one by one, `runbook_text` empty where it is an address."""

    rule: RuleAnswer
    unit: Unit
    file: str
    line: int
    text: str
    runbook_text: str
    looks_at_measure: LookedAt | None


class RuleBook:
    """Answers what each rule is. It reads the state store and blocks; call it from a worker thread."""

    def __init__(
        self,
        rules: Sequence[Rule],
        memory: AlertMemory,
        texts: Mapping[str, RuleText] | None = None,
        runbooks: Mapping[str, str] | None = None,
    ) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._memory = memory
        self._texts = texts or {}
        self._runbooks = runbooks or {}

    def one(self, name: str) -> RuleDetail:
        """One rule; raises `NotFoundError`."""
        if (rule := self._rules.get(name)) is None:
            raise NotFoundError(f"no rule {name}")
        standing: Counter[tuple[str, str]] = Counter(
            (alert.rule, state_name(alert)) for alert in self._memory.standing()
        )
        stands = self._text_of(rule)
        return RuleDetail(
            rule_answer(rule, standing),
            unit_of(rule.subject),
            stands.file,
            stands.line,
            stands.text,
            self._runbooks.get(rule.runbook, ""),
            _looked_at(figure_of(rule)),
        )

    def figure(self, name: str, labels: Mapping[str, str] | None = None) -> RuleFigure | None:
        """What the rule of this name looks at, as `figure_of` says it; None also where there is no such rule any more."""
        rule = self._rules.get(name)
        return None if rule is None else figure_of(rule, labels)

    def words(self, name: str) -> RuleAnswer | None:
        """The rule of this name in words, whatever stands of it; None where there is none any more."""
        rule = self._rules.get(name)
        return None if rule is None else rule_answer(rule, {})

    def unit(self, name: str) -> Unit | None:
        """The unit of its values."""
        rule = self._rules.get(name)
        return None if rule is None else unit_of(rule.subject)

    def runbook(self, name: str) -> str:
        """The Markdown of a runbook by the name that alerts give it; empty where it is an address or not known."""
        return self._runbooks.get(name, "")

    def _text_of(self, rule: Rule) -> RuleText:
        """Its own text, or that of the objective that it stands for."""
        found = self._texts.get(rule.name) or self._texts.get(rule.labels.get("slo", ""))
        return found or RuleText("", 0, "")


def _looked_at(figure: RuleFigure | None) -> LookedAt | None:
    if figure is None:
        return None
    return LookedAt(figure.measure.name, list(figure.parameters), figure.step_ns / 1e9, figure.threshold)

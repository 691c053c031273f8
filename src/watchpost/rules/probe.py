"""What the groups of a rule come to over a stretch of history, whether or not that is beyond its threshold: thresholds are tried on it."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from watchpost.model.alert import Alert, Firing
from watchpost.model.session import Summary
from watchpost.query.measures import PER_UNIT, Group, Mean, Quantile
from watchpost.rules.counting import SESSION_FIELDS, attribute, session_takes
from watchpost.rules.event import group_of
from watchpost.rules.rule import Limit, OfSession, Rule
from watchpost.rules.session_watch import field_of


class Series(msgspec.Struct, frozen=True):
    """What a group came to, at each judgement at which there was something to judge by, in order; of a session one number, when it was last known."""

    times: array[int]
    values: array[float]


Values = Mapping[Group, Series]

_BEYOND = 1e30
"""No value of any measure is as great."""


class Probes:
    """Collects the values of every rule that has a threshold.

    `rules` are to be judged beside the rules themselves: they hold for every value, so that their alerts tell it. Values take part where the
    other conditions of the rule hold: enough behind them, and enough sessions affected.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._probed = {_name(rule): (rule, _probe(rule)) for rule in rules if _is_probed(rule)}
        self._single = [_Single(rule, rule.subject) for rule in rules if isinstance(rule.subject, OfSession)]
        self._found: dict[str, dict[Group, Series]] = defaultdict(dict)

    @property
    def rules(self) -> list[Rule]:
        """What is to be judged."""
        return [probe for _, probe in self._probed.values()]

    def hear(self, now_ns: int, alerts: Iterable[Alert]) -> None:
        """Take how alerts stand at a judgement."""
        for alert in alerts:
            probed = self._probed.get(alert.rule)
            if probed is None or not isinstance(alert.state, Firing) or alert.state.held_ns != now_ns:
                continue
            rule, probe = probed
            group = group_of(probe, alert.project, alert.labels)
            if group is not None:
                self._add(rule.name, group, now_ns, alert.event.value)

    def take(self, now_ns: int, sessions: Iterable[Summary]) -> None:
        """Take how sessions stand now."""
        for session in sessions:
            for single in self._single:
                number = single.number(session, now_ns)
                if number is not None:
                    self._add(single.rule.name, (session.project, session.key), now_ns, number)

    def values(self, rule: Rule) -> Values | None:
        """By group; None for a rule without a threshold."""
        return self._found.get(rule.name, {}) if isinstance(rule.test, Limit) else None

    def _add(self, rule: str, group: Group, at_ns: int, value: float) -> None:
        series = self._found[rule].setdefault(group, Series(array("q"), array("d")))
        if series.times and series.times[-1] == at_ns:
            series.values[-1] = value
        else:
            series.times.append(at_ns)
            series.values.append(value)


class _Single:
    """A rule on single sessions: the number of each once it is known for good, or that of one that ran when it ran no more."""

    def __init__(self, rule: Rule, subject: OfSession) -> None:
        self.rule = rule
        self._each = subject.each
        self._where = tuple((attribute(name), frozenset(values)) for name, values in subject.where)
        self._field = field_of(subject)
        formula = subject.measure.formula
        self._takes = session_takes(formula.where) if isinstance(formula, Mean | Quantile) else None
        self._running: set[str] = set()

    def number(self, session: Summary, now_ns: int) -> float | None:
        if any((getattr(session, name) or "") not in values for name, values in self._where):
            return None
        if self._each == "running":
            return self._ran(session, now_ns)
        if session.state != "ended" or (self._takes is not None and not self._takes(session)):
            return None
        number = SESSION_FIELDS[self._field](session)
        return None if number is None else number / PER_UNIT.get(self._field, 1)

    def _ran(self, session: Summary, now_ns: int) -> float | None:
        if session.state == "running":
            self._running.add(session.key)
        elif session.key in self._running and self._field == "duration":
            self._running.discard(session.key)
            return (now_ns - session.started_ns) / 10**9
        return None


def _is_probed(rule: Rule) -> bool:
    return isinstance(rule.test, Limit) and not isinstance(rule.subject, OfSession)


def _name(rule: Rule) -> str:
    """The name of its probe, which no rule of a file can have."""
    return f"{rule.name} values"


def _probe(rule: Rule) -> Rule:
    is_above = isinstance(rule.test, Limit) and rule.test.how in {"above", "at_least"}
    return msgspec.structs.replace(
        rule,
        name=_name(rule),
        test=Limit("above" if is_above else "below", -_BEYOND if is_above else _BEYOND),
        for_ns=0,
        keep_firing_ns=0,
        no_data="ok",
        summary=" ",
    )

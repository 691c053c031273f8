"""Which rules tell too much, by the history of their alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from watchpost.alerting.labels import labels_of
from watchpost.alerting.silence import Silences
from watchpost.model.alert import Firing, Resolved
from watchpost.query.alerts import AlertFilter
from watchpost.rules.noise import Fired, review
from watchpost.rules.rule import Rule
from watchpost.server.answers import moment
from watchpost.server.backtest import window_of
from watchpost.server.backtest_answers import ReviewAnswer, rule_review
from watchpost.server.days import Days
from watchpost.store.alerts import AlertMemory, AlertReader, StandingAlert

MOST_CHANGES = 2_000
"""Changes of one alert that are looked at."""

_PAGE = 200


class RuleReviews:
    """Reviews rules. It reads the state store and blocks; call it from a worker thread."""

    def __init__(
        self, reader: AlertReader, memory: AlertMemory, rules: Sequence[Rule], now_ns: Callable[[], int], days: Days
    ) -> None:
        self._reader = reader
        self._memory = memory
        self._rules = rules
        self._now_ns = now_ns
        self._days = days

    def answer(self, since: str, until: str) -> ReviewAnswer:
        """What became of all that fired in a stretch of time. Raises `ParameterError` for one that is none."""
        now_ns = self._now_ns()
        since_ns, until_ns = window_of(since, until, now_ns, self._days)
        if not until:
            until_ns = now_ns  # what fired a moment ago is what somebody looks for
        found = review(self._fired(since_ns, until_ns), self._rules, until_ns - since_ns)
        told = {each.rule for each in found}
        silent = sorted(rule.name for rule in self._rules if rule.name not in told)
        return ReviewAnswer(moment(since_ns), moment(until_ns), [rule_review(each) for each in found], silent)

    def _fired(self, since_ns: int, until_ns: int) -> Iterator[Fired]:
        silences = Silences(self._memory.silences(since_ns))
        for alert_id in self._changed(since_ns):
            history = self._reader.alert_history(alert_id, MOST_CHANGES)
            acknowledged = [each.at_ns for each in self._reader.acknowledged(alert_id)]
            for each in _episodes(history):
                ends_ns = each.resolved_ns or until_ns
                if not since_ns <= each.fired_ns < until_ns:
                    continue
                yield msgspec.structs.replace(
                    each,
                    acknowledged=any(each.fired_ns <= at_ns <= ends_ns for at_ns in acknowledged),
                    silenced=bool(silences.silencing(labels_of(history[0].alert), each.fired_ns)),
                )

    def _changed(self, since_ns: int) -> Iterator[str]:
        """Every alert that changed since a time."""
        wanted = AlertFilter(limit=_PAGE)
        while page := self._reader.alerts(wanted):
            for each in page:
                if each.changed_ns < since_ns:
                    return
                yield each.alert.id
            wanted = msgspec.structs.replace(wanted, before=(page[-1].changed_ns, page[-1].alert.id))


def _episodes(history: Sequence[StandingAlert]) -> Iterator[Fired]:
    """Each time that an alert fired, by its last change."""
    found: dict[int, Fired] = {}
    for each in reversed(history):
        alert = each.alert
        match alert.state:
            case Firing(fired_ns=fired_ns):
                resolved_ns = 0
            case Resolved(fired_ns=fired_ns, resolved_ns=resolved_ns):
                pass
            case _:
                continue
        value = found[fired_ns].value if fired_ns in found else alert.event.value
        found[fired_ns] = Fired(
            alert.rule,
            fired_ns,
            resolved_ns,
            value,
            acknowledged=False,
            silenced=False,
            flapped="flapping" in alert.labels,
        )
    yield from found.values()

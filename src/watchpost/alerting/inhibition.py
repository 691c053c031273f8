"""An alert that makes others pointless: while the source fires, nobody is told of its targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from watchpost.alerting.labels import PROJECT_LABEL
from watchpost.alerting.matcher import Matcher, all_match


class Inhibition(msgspec.Struct, frozen=True):
    """Alerts that `target` matches are held back while an alert that `source` matches fires and has the same values of the labels `equal`.

    A label that both lack is equal. Alerts of another project are not held back. An alert that both sides match is not inhibited by another of which that is true, so none inhibits itself.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()


class _Sources:
    """The firing alerts that one rule's source side matches, by their values of `equal`."""

    def __init__(self, rule: Inhibition) -> None:
        self._rule = rule
        self._one_sided: dict[tuple[str, ...], set[str]] = {}
        self._two_sided: dict[tuple[str, ...], set[str]] = {}

    def _place(self, labels: Mapping[str, str]) -> dict[tuple[str, ...], set[str]]:
        return self._two_sided if all_match(self._rule.target, labels) else self._one_sided

    def _values(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in (PROJECT_LABEL, *self._rule.equal))

    def add(self, alert_id: str, labels: Mapping[str, str]) -> None:
        if all_match(self._rule.source, labels):
            self._place(labels).setdefault(self._values(labels), set()).add(alert_id)

    def discard(self, alert_id: str, labels: Mapping[str, str]) -> None:
        place, values = self._place(labels), self._values(labels)
        ids = place.get(values, set())
        ids.discard(alert_id)
        if not ids:
            place.pop(values, None)

    def inhibit(self, labels: Mapping[str, str]) -> bool:
        if not all_match(self._rule.target, labels):
            return False
        values = self._values(labels)
        return values in self._one_sided or (values in self._two_sided and not all_match(self._rule.source, labels))

    def inhibiting(self, labels: Mapping[str, str]) -> set[str]:
        if not self.inhibit(labels):
            return set()
        values = self._values(labels)
        two_sided = set() if all_match(self._rule.source, labels) else self._two_sided.get(values, set())
        return self._one_sided.get(values, set()) | two_sided


class Inhibitor:
    """Knows which alerts fire, and says which others they hold back; the cost of asking does not grow with the number of alerts."""

    def __init__(self, rules: Iterable[Inhibition]) -> None:
        self._sources = [_Sources(rule) for rule in rules]

    def fires(self, alert_id: str, labels: Mapping[str, str]) -> None:
        """An alert fires; saying so twice makes no difference."""
        for sources in self._sources:
            sources.add(alert_id, labels)

    def ends(self, alert_id: str, labels: Mapping[str, str]) -> None:
        """An alert does not fire any more."""
        for sources in self._sources:
            sources.discard(alert_id, labels)

    def inhibits(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is held back now."""
        return any(sources.inhibit(labels) for sources in self._sources)

    def inhibiting(self, labels: Mapping[str, str]) -> list[str]:
        """The ids of all alerts that hold one with these labels back now, sorted."""
        return sorted(set().union(*(sources.inhibiting(labels) for sources in self._sources)))

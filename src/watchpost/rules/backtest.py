"""What rules would have told over a stretch of history: when each alert would have been pending, fired and been resolved.

The engine is the one that judges live; time is that of the history. What went before the stretch is told to it too, as far as windows reach,
so that an alert which fires at the beginning of the stretch is known to have fired earlier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from watchpost.model.alert import Alert, Firing, Resolved
from watchpost.rules.engine import RuleEngine
from watchpost.rules.history import History
from watchpost.rules.probe import Probes, Values
from watchpost.rules.rule import Rule
from watchpost.rules.source import LONGEST_HELD_NS
from watchpost.rules.standing import Changes
from watchpost.rules.stretch import Told
from watchpost.rules.tally import CELL_NS

_DAY_NS = 24 * 3600 * 10**9


class Span(msgspec.Struct, frozen=True):
    """What is replayed, [`since_ns`, `until_ns`), and from when on history is told, which is earlier by as much as windows reach."""

    since_ns: int
    until_ns: int
    told_ns: int

    @property
    def days(self) -> float:
        """How long that is."""
        return (self.until_ns - self.since_ns) / _DAY_NS


class Episode(msgspec.Struct, frozen=True):
    """One time that an alert would have fired; `pending_ns` is since when its condition held, `resolved_ns` 0 where it still fired at the end. `value` is that at which it fired."""

    rule: str
    project: str
    labels: dict[str, str]
    pending_ns: int
    fired_ns: int
    resolved_ns: int
    value: float
    threshold: float
    summary: str
    sessions: Sequence[str] = ()


class Replayed(msgspec.Struct, frozen=True):
    """What one rule would have told; `lapsed` is how often something was pending and did not fire. `values` are there where they were asked for."""

    rule: Rule
    episodes: tuple[Episode, ...]
    lapsed: int
    firing_ns: int
    alerts_a_day: float
    share: float
    """Of the time, during which the rule would have told of anything."""
    values: Values | None = None


def span_of(rules: Iterable[Rule], since_ns: int, until_ns: int) -> Span:
    """The span to replay and to be told of."""
    reach_ns = max((min(rule.window_ns, LONGEST_HELD_NS) + rule.for_ns for rule in rules), default=0)
    return Span(since_ns, until_ns, max(0, since_ns - reach_ns) // CELL_NS * CELL_NS)


def replay(
    rules: Sequence[Rule],
    told: Iterable[Told],
    history: History | None,
    span: Span,
    *,
    interval_ns: int = CELL_NS,
    with_values: bool = False,
) -> list[Replayed]:
    """What each rule would have told. `told` begins at `span.told_ns`; baselines, and windows that are never held in memory, are asked of `history`.

    Windows of up to a day reach back to where `told` begins and are whole from `span.since_ns` on.
    """
    probes = Probes(rules if with_values else ())
    engine = RuleEngine([*rules, *probes.rules], history, interval_ns=interval_ns)
    record = _Record(span)
    for now_ns, changes, each in _live(engine, told, span):
        record.hear(now_ns, changes)
        if with_values and now_ns >= span.since_ns:
            probes.hear(now_ns, engine.states())
        if with_values and each is not None:
            probes.take(now_ns, each.sessions)
    return [record.of(rule, probes.values(rule) if with_values else None) for rule in rules]


def _live(engine: RuleEngine, told: Iterable[Told], span: Span) -> Iterator[tuple[int, Changes, Told | None]]:
    """Every judgement up to the end, with what became known at it."""
    for each in told:
        if each.at_ns >= span.until_ns:
            break
        if each.at_ns >= span.told_ns:
            yield from _judged(engine, span.told_ns, each.at_ns - 1)
        engine.take(each.rows, each.sessions, each.flags)
        at_ns = max(each.at_ns, span.told_ns)
        changes = engine.tick(at_ns) if each.flags or each.sessions else Changes()
        yield at_ns, changes, each
    yield from _judged(engine, span.told_ns, span.until_ns)


def _judged(engine: RuleEngine, since_ns: int, until_ns: int) -> Iterator[tuple[int, Changes, None]]:
    while (due_ns := max(engine.due_ns(), since_ns)) <= until_ns:
        yield due_ns, engine.tick(due_ns), None


class _Record:
    """What was told, rule by rule."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._open: dict[str, Episode] = {}
        self._over: dict[str, list[Episode]] = defaultdict(list)
        self._rule_of: dict[str, str] = {}
        self._lapsed: dict[str, int] = defaultdict(int)

    def hear(self, now_ns: int, changes: Changes) -> None:
        """Take what one judgement changed."""
        for alert in changes.alerts:
            self._rule_of[alert.id] = alert.rule
            match alert.state:
                case Firing() as state:
                    self._open[alert.id] = episode_of(alert, state)
                case Resolved(resolved_ns=resolved_ns) if alert.id in self._open:
                    episode = self._open.pop(alert.id)
                    self._close(msgspec.structs.replace(episode, resolved_ns=resolved_ns))
                case _:
                    pass
        if now_ns >= self._span.since_ns:
            for lapsed in changes.lapsed:
                self._lapsed[self._rule_of[lapsed]] += 1

    def of(self, rule: Rule, values: Values | None) -> Replayed:
        """All of one rule, in the order in which it fired."""
        ongoing = [episode for episode in self._open.values() if episode.rule == rule.name]
        episodes = sorted([*self._over[rule.name], *ongoing], key=_order)
        fired = sum(each.fired_ns >= self._span.since_ns for each in episodes)
        firing_ns = total_ns(((each.fired_ns, each.resolved_ns) for each in episodes), self._span)
        share = firing_ns / (self._span.until_ns - self._span.since_ns)
        return Replayed(
            rule, tuple(episodes), self._lapsed[rule.name], firing_ns, fired / self._span.days, share, values
        )

    def _close(self, episode: Episode) -> None:
        if episode.resolved_ns > self._span.since_ns:
            self._over[episode.rule].append(episode)


def _order(episode: Episode) -> tuple[int, str, list[tuple[str, str]]]:
    return episode.fired_ns, episode.project, sorted(episode.labels.items())


def total_ns(spans: Iterable[tuple[int, int]], within: Span) -> int:
    """How long any of these spans lasts within another, each moment counted once; an end of 0 is none."""
    total, covered_ns = 0, within.since_ns
    for since_ns, until_ns in sorted(spans):
        end_ns = min(until_ns or within.until_ns, within.until_ns)
        total += max(0, end_ns - max(since_ns, covered_ns))
        covered_ns = max(covered_ns, end_ns)
    return total


def episode_of(alert: Alert, state: Firing) -> Episode:
    """The episode of an alert that fires now."""
    event = alert.event
    return Episode(
        alert.rule,
        alert.project,
        alert.labels,
        state.since_ns,
        state.fired_ns,
        0,
        event.value,
        event.threshold,
        event.summary,
        tuple(event.sessions),
    )

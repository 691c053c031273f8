"""Which threshold a rule should have, by what its groups came to over a stretch of history: the whole curve, and the point on it that is proposed.

Each threshold that is tried is judged by the same states as live, `for`, keep-firing and damping included. A group that is not told of at a judgement has nothing
to be judged by, and what `no_data` would make of that is left out.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from watchpost.model.alert import Firing, Resolved
from watchpost.query.measures import Group
from watchpost.rules.backtest import Episode, Replayed, Span, episode_of, total_ns
from watchpost.rules.event import Look, Verdict
from watchpost.rules.probe import Series
from watchpost.rules.rule import Comparison, Limit, OfSession, Rule
from watchpost.rules.standing import Damping, Standings
from watchpost.rules.tally import CELL_NS
from watchpost.rules.truth import Incident

ALERTS_A_WEEK = 1.0
"""How many alerts of a rule a week are little enough where nobody labelled incidents."""

MOST_SHARE = 0.1
"""What fires for more than this share of the time, and for more than twice as long as anything was wrong, tells nothing and is not proposed."""

_WEEK_NS = 7 * 24 * 3600 * 10**9
_SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0)
_STEPS = 10
_MOST = 30
"""Thresholds that are tried."""

_COMPARE: Mapping[Comparison, Callable[[float, float], bool]] = {
    "above": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}


class Point(msgspec.Struct, frozen=True):
    """What one threshold would have given: alerts a week, the share of the time during which any fired, the incidents found, and the alerts that none of them explains."""

    threshold: float
    alerts: int
    alerts_a_week: float
    share: float
    caught: int
    others: int


class Proposal(msgspec.Struct, frozen=True):
    """The curve of a rule, from the least threshold to the greatest; `proposed` is None where no point is good enough, and `reason` says why it is this one."""

    rule: str
    current: float
    incidents: int
    curve: tuple[Point, ...]
    proposed: float | None
    reason: str


def propose(
    replayed: Replayed,
    incidents: Sequence[Incident],
    span: Span,
    *,
    alerts_a_week: float = ALERTS_A_WEEK,
    interval_ns: int = CELL_NS,
) -> Proposal | None:
    """The curve and the proposal of a rule that was replayed with its values; None for one without a threshold, or without any value."""
    rule = replayed.rule
    if not isinstance(rule.test, Limit) or not replayed.values:
        return None
    mine = [each for each in incidents if each.concerns(rule.name)]
    curve = tuple(
        _point(_with(rule, rule.test, threshold), replayed, mine, span, interval_ns)
        for threshold in _candidates(rule.test, replayed, mine)
    )
    wrong = total_ns(((each.since_ns, each.until_ns) for each in mine), span) / (span.until_ns - span.since_ns)
    telling = [point for point in curve if point.share <= max(MOST_SHARE, 2 * wrong)]
    proposed, reason = _best(telling, mine, alerts_a_week, is_above=rule.test.how in {"above", "at_least"})
    return Proposal(rule.name, rule.test.value, len(mine), curve, proposed, reason)


def _with(rule: Rule, test: Limit, threshold: float) -> Rule:
    return msgspec.structs.replace(rule, test=Limit(test.how, threshold), no_data="ok")


def _candidates(test: Limit, replayed: Replayed, incidents: Sequence[Incident]) -> list[float]:
    """Thresholds worth trying: what the rule has, and quantiles of the values, of those that differ, and of those during incidents."""
    every = sorted(value for series in (replayed.values or {}).values() for value in series.values)
    found = {test.value} | {_short(every[min(int(share * len(every)), len(every) - 1)], test) for share in _SHARES}
    distinct = sorted(set(every))
    found |= {_short(distinct[round(n * (len(distinct) - 1) / _STEPS)], test) for n in range(_STEPS + 1)}
    for incident in incidents:
        during = sorted(
            value
            for group, series in (replayed.values or {}).items()
            for at_ns, value in zip(series.times, series.values, strict=True)
            if incident.since_ns <= at_ns < incident.until_ns and _is_of(replayed.rule, group, incident)
        )
        if during:
            found |= {_short(during[int(share * (len(during) - 1))], test) for share in (0.1, 0.5, 0.9)}
    ordered = sorted(found)
    if len(ordered) <= _MOST:
        return ordered
    kept = {ordered[round(n * (len(ordered) - 1) / (_MOST - 1))] for n in range(_MOST)}
    return sorted(kept | {test.value})


def _is_of(rule: Rule, group: Group, incident: Incident) -> bool:
    if not incident.workflow or isinstance(rule.subject, OfSession) or "workflow" not in rule.subject.by:
        return True
    return group[1 + rule.subject.by.index("workflow")] == incident.workflow


def _short(value: float, test: Limit) -> float:
    """A number that people can read, to three digits, on the side from which the value still counts."""
    if not value or not math.isfinite(value):
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    is_above = test.how in {"above", "at_least"}
    rounded = (math.floor if is_above else math.ceil)(round(value / unit, 6)) * unit
    return float(f"{rounded:.6g}")


def _point(rule: Rule, replayed: Replayed, incidents: Sequence[Incident], span: Span, interval_ns: int) -> Point:
    episodes = list(_episodes(rule, replayed, interval_ns))
    alerts = len(episodes)
    caught = sum(any(incident.overlaps(each) for each in episodes) for incident in incidents)
    others = sum(not any(incident.overlaps(each) for incident in incidents) for each in episodes)
    threshold = rule.test.value if isinstance(rule.test, Limit) else 0.0
    length_ns = span.until_ns - span.since_ns
    share = total_ns(((each.fired_ns, each.resolved_ns) for each in episodes), span) / length_ns
    return Point(threshold, alerts, alerts * _WEEK_NS / length_ns, share, caught, others)


def _episodes(rule: Rule, replayed: Replayed, interval_ns: int) -> Iterator[Episode]:
    """When a rule would have fired, told by the values alone. States are asked at each judgement at which one can change."""
    damping = Damping()
    waits = sorted({rule.keep_firing_ns, damping.hold_ns, damping.calm_ns})
    for group, series in (replayed.values or {}).items():
        standings = Standings(rule, lambda _: Look(), damping)
        held: Episode | None = None
        spans = list(_holding(rule, series, interval_ns))
        for number, (first_ns, last_ns, value) in enumerate(spans):
            next_ns = spans[number + 1][0] if number + 1 < len(spans) else 1 << 62
            verdict = {group: Verdict(holds=True, value=value)}
            asked = [(first_ns, verdict)]
            fires_ns = series.times[min(bisect_left(series.times, first_ns + rule.for_ns), len(series.times) - 1)]
            if first_ns < fires_ns <= last_ns:
                asked.append((fires_ns, verdict))
            clears_ns = last_ns + interval_ns
            after = sorted({clears_ns, *[clears_ns + wait for wait in waits], fires_ns + damping.hold_ns})
            asked += [(at_ns, {}) for at_ns in after if clears_ns <= at_ns < next_ns]
            for at_ns, verdicts in asked:
                for alert in standings.judge(at_ns, verdicts).alerts:
                    match alert.state:
                        case Firing() as state:
                            held = episode_of(alert, state)
                        case Resolved(resolved_ns=resolved_ns) if held is not None:
                            yield msgspec.structs.replace(held, resolved_ns=resolved_ns)
                            held = None
                        case _:
                            pass
        if held is not None:
            yield held


def _holding(rule: Rule, series: Series, interval_ns: int) -> Iterator[tuple[int, int, float]]:
    """From when until when the condition held without a break, and the greatest or least value."""
    if not isinstance(rule.test, Limit):
        return
    compare, threshold = _COMPARE[rule.test.how], rule.test.value
    stands_ns = rule.window_ns if isinstance(rule.subject, OfSession) else 0
    held = [pair for pair in zip(series.times, series.values, strict=True) if compare(pair[1], threshold)]
    first_ns, last_ns, value = 0, 0, 0.0
    for at_ns, each in held:
        if first_ns and at_ns - last_ns <= interval_ns:
            last_ns, value = at_ns + stands_ns, max(value, each, key=lambda v: v if compare(1, 0) else -v)
            continue
        if first_ns:
            yield first_ns, last_ns, value
        first_ns, last_ns, value = at_ns, at_ns + stands_ns, each
    if first_ns:
        yield first_ns, last_ns, value


def _best(
    curve: Sequence[Point], incidents: Sequence[Incident], alerts_a_week: float, *, is_above: bool
) -> tuple[float | None, str]:
    """The point to propose, and why."""
    loosest = (lambda point: point.threshold) if is_above else (lambda point: -point.threshold)
    if incidents:
        most = max((point.caught for point in curve), default=0)
        if not most:
            return None, f"no threshold finds any of the {len(incidents)} incidents: this rule does not see them"
        finding = [point for point in curve if point.caught == most]
        fewest = min(point.others for point in finding)
        best = max((point for point in finding if point.others == fewest), key=loosest)
        return best.threshold, f"finds {most} of {len(incidents)} incidents with {fewest} other alerts"
    enough = [point for point in curve if point.alerts_a_week <= alerts_a_week]
    if not enough:
        return None, f"every threshold tried tells more often than {alerts_a_week:g} times a week, or most of the time"
    best = min(enough, key=loosest)
    return best.threshold, f"{best.alerts_a_week:.2g} alerts a week; nobody labelled incidents, so none may be found"

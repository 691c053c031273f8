"""Tests for promtool, made from exported rules: series on which an alert must fire, and series on which it must stay silent.

What is made up is what a rule looks at, at one level for as long as is needed; and before that, where the rule compares with what was usual, at another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from watchpost.rules.prometheus import RULES_FILE, Alerting, PrometheusRules, static_labels, write_yaml
from watchpost.rules.promql import Asked, Buckets, Counter, Growth, Hourly, Share, quoted
from watchpost.rules.quantity import duration_text
from watchpost.rules.rule import Burn, Limit, Rule, Spread, Times

_SECOND_NS = 10**9
_FINEST_S = 15
_JUDGED_S = 30
_COARSEST_S = 240
"""Scrapes further apart than five minutes would be forgotten in between."""

_LONGEST_S = 2 * 3600
"""Windows are filled for no longer; growth over what is there of a longer one is enough."""

_MOST_PLAYED_S = 12 * 3600
"""Tests are there to be run often, and promtool judges every rule twice a minute of all that is played."""

_FAR = 1_000.0
_SMALL = 0.01
_SCRAPED = {"job": "watchpost", "instance": "127.0.0.1:8484"}
_ANY = "any"


class _Phase(msgspec.Struct, frozen=True):
    """For so many scrapes what is looked at is at a level: a share, an hourly share, how much comes within the window, or where from 0 to 1 in the buckets durations fall."""

    scrapes: int
    level: float


class _Plan(msgspec.Struct, frozen=True):
    """What to play, scraped so often, and for how long. No phases: there is nothing at all."""

    every_s: int
    phases: tuple[_Phase, ...]
    scrapes: int


def unit_tests(rules: PrometheusRules) -> str:
    """The YAML, to stand beside the rules."""
    tests = [test for each in rules.exported for test in _tests(each)]
    silent_only = [each.rule.name for each in rules.exported if _firing(each) is None]
    head = "".join(f"# {name}: no series of reasonable length makes it fire.\n" for name in silent_only)
    return head + write_yaml({"rule_files": [RULES_FILE], "evaluation_interval": f"{_JUDGED_S}s", "tests": tests})


def _tests(alerting: Alerting) -> Iterator[dict[str, object]]:
    firing = _firing(alerting)
    if firing is not None:
        yield _test(alerting, firing, fires=True)
    yield _test(alerting, _silent(alerting), fires=False)


def _test(alerting: Alerting, plan: _Plan, *, fires: bool) -> dict[str, object]:
    rule = alerting.rule
    series = [{"series": name, "values": values} for name, values in _series(alerting.asked, rule, plan) if plan.phases]
    labels = {"alertname": rule.name, "alertstate": "firing"}
    labels |= {label: _sample(alerting.asked, label) for _, label in alerting.asked.by}
    labels |= {dimension: _sample(alerting.asked, label) for dimension, label in alerting.asked.by}
    labels |= static_labels(rule)
    expected = [{"labels": _written("ALERTS", labels), "value": 1}] if fires else []
    return {
        "name": f"{rule.name} {'fires' if fires else 'is silent'}",
        "interval": f"{plan.every_s}s",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname={quoted(rule.name)}, alertstate="firing"}}',
                "eval_time": duration_text(plan.scrapes * plan.every_s * _SECOND_NS),
                "exp_samples": expected,
            }
        ],
    }


def _firing(alerting: Alerting) -> _Plan | None:
    """What makes it fire; None where nothing of reasonable length does."""
    rule, source = alerting.rule, alerting.asked.source
    least = max(1.0, rule.at_least_count)
    match rule.test:
        case Limit(how, threshold):
            level = _beyond(source, threshold, is_above=how in {"above", "at_least"}, touches=how.startswith("at_"))
            level = _enough(rule, threshold, level) if isinstance(source, Growth) else level
            return None if level is None else _held(rule, level)
        case Burn(pairs, budget, is_good):
            reached = [pair for pair in pairs if pair.factor * budget < 1]
            return _burnt(rule, reached[0].long_ns, bad=not is_good) if reached else None
        case Times(times):
            return _multiplied(alerting, times)
        case Spread() if isinstance(source, Growth):
            return _changed(rule, least, _FAR * least, share_of_window=2 * _SMALL)
        case Spread():
            return _changed(rule, 0.0 if isinstance(source, Buckets) else 0.1, 1.0, share_of_window=2 * _SMALL)


def _multiplied(alerting: Alerting, times: float) -> _Plan | None:
    """What comes to more than so many times what was usual, or to less."""
    rule, asked = alerting.rule, alerting.asked
    least = max(1.0, rule.at_least_count)
    if times > 1:
        if isinstance(asked.source, Buckets) and _at(asked, 1.0) <= 1.1 * times * _at(asked, 0.0):
            return None
        before = {Share: _SMALL / times, Growth: least}.get(type(asked.source), 0.0)
        after = {Share: 1.0, Growth: _FAR * times * least}.get(type(asked.source), 1.0)
        return _changed(rule, before, after, share_of_window=2 * _SMALL)
    if isinstance(asked.source, Buckets) and _at(asked, 0.0) >= 0.9 * times * _at(asked, 1.0):
        return None
    before = {Share: 0.5, Growth: 2 * _FAR * least / times}.get(type(asked.source), 1.0)
    after = 2 * least if isinstance(asked.source, Growth) else 0.0
    return _changed(rule, before, after, share_of_window=1 - times + 2 * _SMALL)


def _silent(alerting: Alerting) -> _Plan:
    """What leaves it silent: the other side of its threshold, what is usual, or where neither is, nothing at all."""
    rule, source = alerting.rule, alerting.asked.source
    nothing = _Plan(_COARSEST_S, (), 10)
    match rule.test:
        case Limit(how, threshold):
            level = _beyond(source, threshold, is_above=how in {"below", "at_most"}, touches=False)
            return nothing if level is None else _held(rule, level)
        case Burn(pairs, _, is_good):
            return _burnt(rule, pairs[0].long_ns, bad=is_good)
        case Times(times) if isinstance(source, Growth):
            return _changed(rule, 1.0, 0.5 if times > 1 else _FAR, share_of_window=2 * _SMALL) or nothing
        case Times() | Spread():
            level = 0.5 if isinstance(source, Share) else 1.0
            return _changed(rule, level, level, share_of_window=2 * _SMALL) or nothing


def _beyond(source: object, threshold: float, *, is_above: bool, touches: bool) -> float | None:
    """A level well above or below a threshold; None where there is none."""
    match source:
        case Buckets(bounds=bounds):
            # 1 is beyond all buckets, which reads as the last bound, and 0 is within the first.
            if is_above:
                return 1.0 if threshold < bounds[-1] or (touches and threshold == bounds[-1]) else None
            return 0.0 if threshold > bounds[0] else None
        case Share() | Hourly() if is_above:
            return 1.0 if threshold < 1 or (touches and threshold == 1) else None
    if is_above:
        return 2 * threshold + 1
    return 0.5 * threshold if threshold > 0 or touches else None


def _enough(rule: Rule, threshold: float, level: float | None) -> float | None:
    """A level of what is counted, with as many as the rule asks for at least, where that is on the same side of the threshold."""
    least = rule.at_least_count
    if level is None or least <= level:
        return level
    if level > threshold:
        return 2.0 * least
    return (least + threshold) / 2 if least < threshold else None


def _held(rule: Rule, level: float) -> _Plan:
    every_s = _every_s(rule.window_ns)
    scrapes = min(rule.window_ns // _SECOND_NS, _LONGEST_S) // every_s + -(-rule.for_ns // (every_s * _SECOND_NS)) + 4
    return _Plan(every_s, (_Phase(scrapes, level),), scrapes)


def _burnt(rule: Rule, long_ns: int, *, bad: bool) -> _Plan:
    scrapes = min(long_ns // _SECOND_NS, _LONGEST_S) // 60 + -(-rule.for_ns // (60 * _SECOND_NS)) + 4
    return _Plan(60, (_Phase(scrapes, 1.0 if bad else 0.0),), scrapes)


def _changed(rule: Rule, before: float, after: float, *, share_of_window: float) -> _Plan | None:
    """What was usual, and then something else, until the rule's `for` has passed after so much of the window; None where that takes longer than the window."""
    every_s = _every_s(rule.window_ns)
    window = rule.window_ns // _SECOND_NS // every_s
    # A multiple needs something before the window; a deviation needs several windows of it.
    usual = (7 if isinstance(rule.test, Spread) else 2) * window + window
    changed = int(share_of_window * window) + -(-rule.for_ns // (every_s * _SECOND_NS)) + 3
    if changed > window or (usual + changed) * every_s > _MOST_PLAYED_S:
        return None
    return _Plan(every_s, (_Phase(usual, before), _Phase(changed, after)), usual + changed)


def _every_s(window_ns: int) -> int:
    return min(max(window_ns // _SECOND_NS // 20 // _FINEST_S * _FINEST_S, _FINEST_S), _COARSEST_S)


def _series(asked: Asked, rule: Rule, plan: _Plan) -> Iterator[tuple[str, str]]:
    """Series by which what is looked at is at the levels of a plan."""
    in_window = min(max(rule.window_ns // _SECOND_NS // plan.every_s, 1), max(plan.scrapes, 1))
    calls = max(10.0, 2.0 * rule.at_least_count)
    levels = [(phase.scrapes, phase.level) for phase in plan.phases]
    match asked.source:
        case Growth(of=of):
            yield _named(of, asked), _counter([(n, level / in_window) for n, level in levels])
        case Share(over=over, per=per):
            yield _named(over, asked), _counter([(n, level * calls) for n, level in levels])
            yield _named(per, asked), _counter([(n, calls) for n, _ in levels])
        case Hourly(of=of):
            yield _named(of, asked), " ".join(f"{_decimal(level)}x{n}" for n, level in levels)
        case Buckets(of=of, bounds=bounds):
            is_limit = isinstance(rule.test, Limit)
            for place, bound in enumerate((*bounds, None)):
                # Beyond all bounds for a threshold; in the last bucket that has a bound where a change is looked for.
                full = place >= len(bounds) - (0 if is_limit else 1)
                name = "+Inf" if bound is None else f"{bound:g}"
                values = _counter([(n, calls if full or not level else 0.0) for n, level in levels])
                yield _named(of, asked, "_bucket", {"le": name}), values
            yield _named(of, asked, "_count"), _counter([(n, calls) for n, _ in levels])


def _at(asked: Asked, level: float) -> float:
    """What a quantile reads where everything is in the first bucket, or in the last that has a bound."""
    if not isinstance(asked.source, Buckets):
        raise TypeError("there are no buckets")
    bounds, share = asked.source.bounds, asked.quantile / 1000
    return bounds[-2] + share * (bounds[-1] - bounds[-2]) if level else share * bounds[0]


def _named(of: Counter, asked: Asked, suffix: str = "", more: dict[str, str] | None = None) -> str:
    labels = {label: values[0] for label, values in asked.select}
    labels |= {label: _sample(asked, label) for _, label in asked.by}
    return _written(of.metric + suffix, labels | dict(of.fixed) | (more or {}) | _SCRAPED)


def _sample(asked: Asked, label: str) -> str:
    """A value of a label that the rule looks at."""
    return next((values[0] for name, values in asked.select if name == label), _ANY)


def _written(name: str, labels: Mapping[str, str]) -> str:
    return name + "{" + ", ".join(f"{label}={quoted(text)}" for label, text in labels.items()) + "}"


def _counter(growth: Sequence[tuple[int, float]]) -> str:
    """A counter that grows so many times by so much, from 0 on."""
    parts, stands = ["0"], 0.0
    for times, by in growth:
        if times:
            parts.append(f"{_decimal(stands + by)}+{_decimal(by)}x{times - 1}")
            stands += times * by
    return " ".join(parts)


def _decimal(value: float) -> str:
    return f"{value:.12f}".rstrip("0").rstrip(".") or "0"

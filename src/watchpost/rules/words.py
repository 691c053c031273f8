"""Rules in words for people."""

from __future__ import annotations

from collections.abc import Mapping

from watchpost.query.measures import Quantile, Unit
from watchpost.rules.event import unit_of
from watchpost.rules.quantity import amount_text, duration_text
from watchpost.rules.rule import (
    Burn,
    Comparison,
    Each,
    Limit,
    OfFlags,
    OfMeasure,
    OfSession,
    Rule,
    Spread,
    Subject,
    Times,
)

_HOW: Mapping[Comparison, str] = {"above": "above", "at_least": "at least", "below": "below", "at_most": "at most"}
_EACH: Mapping[Each, str] = {
    "session": "each session",
    "running": "each running session",
    "ended": "each session that ended",
}
_TOLD = 3


def in_words(rule: Rule) -> tuple[str, str]:
    """What a rule looks at, and the condition that is to hold, without its window and how long it is to hold."""
    condition = _condition(rule, unit_of(rule.subject))
    if rule.at_least_count:
        condition += f", of at least {rule.at_least_count}"
    if rule.share_of_sessions is not None:
        condition += f", in at least {amount_text(rule.share_of_sessions, 'share')} of the sessions"
    return _looks_at(rule.subject), condition


def _looks_at(subject: Subject) -> str:
    match subject:
        case OfSession(measure=measure, each=each):
            of, by = f"{measure.name} of {_EACH[each]}", ()
        case OfFlags(kinds=kinds, by=by):
            of = f"flags {_any_of(kinds)}" if kinds else "flags of any kind"
        case OfMeasure(measure=measure, by=by):
            is_quantile = isinstance(measure.formula, Quantile)
            of = f"p{subject.quantile / 10:g} of {measure.name}" if is_quantile else measure.name
    where = " and ".join(f"{name} is {_any_of(values)}" for name, values in subject.where)
    return of + (f" where {where}" if where else "") + (f", by {', '.join(by)}" if by else "")


def _any_of(values: tuple[str, ...]) -> str:
    told = [value or "(none)" for value in values[:_TOLD]]
    more = len(values) - _TOLD
    return " or ".join(told) + (f" or {more} more" if more > 0 else "")


def _condition(rule: Rule, unit: Unit) -> str:
    match rule.test:
        case Limit(how, value):
            return f"{_HOW[how]} {amount_text(value, unit)}"
        case Times(times, over_ns):
            return f"{'more' if times > 1 else 'less'} than {times:g} times that of the {duration_text(over_ns)} before"
        case Spread(deviations, over_ns, both):
            windows = f"the windows of the {duration_text(over_ns)} before"
            if both:
                return f"more than {deviations:g} standard deviations from the mean of {windows}"
            return f"more than {deviations:g} standard deviations above the mean of {windows}"
        case Burn(pairs, budget, _):
            fast = " or ".join(
                f"{amount_text(pair.factor * budget, 'share')} over {duration_text(pair.long_ns)} and {duration_text(pair.short_ns)}"
                for pair in pairs
            )
            return f"more errors than {fast}"

"""What a rule looks at, as a question about a measure: for the line that shows why it fired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Measure, Quantile
from watchpost.rules.rule import Burn, Limit, OfFlags, OfMeasure, Rule

FLAGS = MEASURES["flags"]

TOLD_APART = 5
"""Groups of a rule that stand in one answer."""


class RuleFigure(msgspec.Struct, frozen=True):
    """The measure that a rule looks at, and the parameters by which the API is asked for just what it sees; `step_ns` is its window.

    `threshold` is in the unit of the measure, null where the rule compares with what was before.
    """

    measure: Measure
    parameters: tuple[tuple[str, str], ...]
    step_ns: int
    threshold: float | None


def figure_of(rule: Rule, labels: Mapping[str, str] | None = None) -> RuleFigure | None:
    """The figure of one group where labels of an alert name it, else of the greatest groups; None of a rule that looks at sessions one by one.

    Flags are counted where they stand in time, which may be a little before the rule heard of them.
    """
    match rule.subject:
        case OfMeasure(measure=measure, where=where, by=by, quantile=quantile):
            asked = [("quantile", f"{quantile / 1000:g}")] if isinstance(measure.formula, Quantile) else []
            given = _asked(measure, where, by, labels)
        case OfFlags(kinds=kinds, where=where, by=by):
            measure = FLAGS
            asked = [("flag", kind) for kind in kinds if not (labels and labels.get("flag"))]
            given = _asked(FLAGS, where, by, labels)
        case _:
            return None
    return RuleFigure(measure, (*asked, *given), rule.window_ns, _threshold(rule))


def _asked(
    measure: Measure,
    where: Sequence[tuple[str, tuple[str, ...]]],
    by: Sequence[str],
    labels: Mapping[str, str] | None,
) -> list[tuple[str, str]]:
    """Filters and groups as they stand in a query string; what the measure cannot be asked by is left out."""
    known = [str(name) for name in measure.dimensions]
    given = [(name, value) for name, values in where if name in known for value in values]
    if measure.of == "sample":
        return given
    groups = [name for name in known if name in by]
    if labels is None:
        return [*given, ("by", ",".join(groups)), ("top", str(TOLD_APART))] if groups else given
    named = [name for name in (*groups, "project") if labels.get(name)]
    return [*(pair for pair in given if pair[0] not in named), *((name, labels[name]) for name in named)]


def _threshold(rule: Rule) -> float | None:
    match rule.test:
        case Limit(value=value):
            return value
        case Burn(pairs=pairs, budget=budget, is_good=is_good):
            share = pairs[0].factor * budget
            return 1 - share if is_good else share
        case _:
            return None

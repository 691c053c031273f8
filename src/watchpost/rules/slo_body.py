"""One service level objective out of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from watchpost.query.measures import Dimension, Measure, Ratio
from watchpost.rules.quantity import duration_text
from watchpost.rules.rule import Slo
from watchpost.rules.rule_body import check_what_is_needed, read_by, read_labels, read_measure, read_where
from watchpost.rules.rule_fields import Fields
from watchpost.rules.slo import PERIODS

SLO_FIELDS = (
    "name", "good", "bad", "objective", "window", "where", "by", "at_least_count", "owner", "runbook", "labels",
)  # fmt: skip


def read_slo(fields: Fields, measures: Mapping[str, Measure]) -> Slo | None:
    """The objective; None where a fault was noted that leaves none."""
    check_what_is_needed(fields)
    fields.require("objective", "say which share is to be good, such as 99 %")
    fields.require("window", f"one of {', '.join(map(duration_text, PERIODS))}")
    fields.require("at_least_count", "say how many there must be in a window, or one failure of three wakes somebody")
    given = [name for name in ("good", "bad") if name in fields]
    if len(given) != 1:
        fields.note("good", "name one measure: the share that is good by good, or the share that is not by bad")
        return None
    measure = read_measure(fields, given[0], measures)
    if measure is None:
        return None
    if not isinstance(measure.formula, Ratio) or measure.unit != "share":
        fields.note(given[0], f"{measure.name} is no share of something")
    where = cast("tuple[tuple[Dimension, tuple[str, ...]], ...]", read_where(fields, measure.dimensions, measure.name))
    by = cast("tuple[Dimension, ...]", read_by(fields, measure.dimensions, measure.name))
    objective, window_ns = fields.amount("objective", "share"), fields.duration("window", 1)
    if window_ns is not None and window_ns not in PERIODS:
        fields.note("window", f"is none of {', '.join(map(duration_text, PERIODS))}")
    if objective is not None and not 0 < objective < 1:
        fields.note("objective", "must be between 0 and 100 %: all of it leaves no budget to divide by")
    if objective is None or window_ns is None:
        return None
    return Slo(
        name=fields.text("name") or "",
        measure=measure,
        is_good=given[0] == "good",
        objective=float(objective),
        budget=float(1 - objective),
        window_ns=window_ns,
        owner=fields.text("owner") or "",
        runbook=fields.text("runbook") or "",
        where=where,
        by=by,
        at_least_count=fields.count("at_least_count") or 0,
        labels=read_labels(fields, by),
    )

"""What one step, flag or session adds to a measure: the formulas of the catalogue, worked out in Python as the store works them out in SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from operator import attrgetter
from typing import TypeVar

from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import SlaLimit, Summary
from watchpost.query.measures import (
    MOST_SCORE,
    PER_UNIT,
    SESSION_DIMENSIONS,
    SIGNALS,
    STEP_DIMENSIONS,
    Count,
    Dimension,
    Distinct,
    Field,
    Formula,
    Growth,
    Level,
    Mean,
    Measure,
    Quantile,
    Ratio,
    Sum,
    Where,
)

T = TypeVar("T")

Part = tuple[int, int, int, int]
"""What stands above the line, what below it, how many take part, and how many fit but do not tell. For a count of sessions, 1 is whether this one counts."""


class Counted:
    """One step with the row it stands in, and whether it is a tool call made again after a failed one."""

    __slots__ = ("retried", "row", "step")

    def __init__(self, step: LedgerStep, row: LedgerRow, *, retried: bool = False) -> None:
        self.step = step
        self.row = row
        self.retried = retried


def _score(step: LedgerStep) -> int | None:
    if step.score is None or not math.isfinite(step.score) or abs(step.score) > MOST_SCORE:
        return None
    return round(step.score * PER_UNIT["score"])


def _both(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _lasted_us(session: Summary) -> int | None:
    if session.started_ns <= 0 or session.ended_ns < session.started_ns:
        return None
    return (session.ended_ns - session.started_ns) // 1000


STEP_VALUES: Mapping[Field, Callable[[LedgerStep], int | None]] = {
    "duration": attrgetter("dur_us"),
    "first_token": attrgetter("first_us"),
    "input_tokens": attrgetter("in_tok"),
    "output_tokens": attrgetter("out_tok"),
    "cached_tokens": attrgetter("cached_tok"),
    "reasoning_tokens": attrgetter("reasoning_tok"),
    "tokens": lambda step: _both(step.in_tok, step.out_tok),
    "cost": attrgetter("cost_nano"),
    "score": _score,
}


def _of_step(value: Callable[[LedgerStep], int | None]) -> Callable[[Counted], int | None]:
    return lambda one: value(one.step)


STEP_FIELDS: Mapping[Field, Callable[[Counted], int | None]] = {
    name: _of_step(value) for name, value in STEP_VALUES.items()
}

SESSION_FIELDS: Mapping[Field, Callable[[Summary], int | None]] = {
    "duration": _lasted_us,
    "input_tokens": lambda one: one.totals.input_tokens,
    "output_tokens": lambda one: one.totals.output_tokens,
    "cached_tokens": lambda one: one.totals.cached_tokens,
    "reasoning_tokens": lambda one: one.totals.reasoning_tokens,
    "tokens": lambda one: _both(one.totals.input_tokens, one.totals.output_tokens),
    "cost": lambda one: one.totals.cost_nano,
    "steps": lambda one: one.totals.steps,
    "llm_calls": lambda one: one.totals.llm_calls,
    "tool_calls": lambda one: one.totals.tool_calls,
    "retries": lambda one: one.totals.retries,
    "success": lambda one: None if one.success is None else int(one.success),
}

_ROW_NAMES: Mapping[str, str] = {"feature_name": "feature", "step_name": "name"}

_CONDITIONS = frozenset(
    {
        "kinds", "ended", "failed", "error_types", "not_error_types", "outcomes", "flagged", "flags", "labels", "retried", "billed",
        "succeeded", "breached", "checked", "unchecked", "told", "untold",
    }
)  # fmt: skip
"""The conditions of `Where` that are worked out here."""


def is_countable(measure: Measure, dimensions: Collection[Dimension]) -> bool:
    """Whether one step or session alone, with the calls just before it, tells what it adds to a measure, filtered and grouped by these dimensions.

    What else a session did may decide of others, as of a model that it used at any time: those are left to the store.
    """
    if measure.of == "sample" or not {*dimensions} <= {*SESSION_DIMENSIONS, *STEP_DIMENSIONS, "flag"}:
        return False
    known = SESSION_FIELDS if measure.of == "session" else STEP_FIELDS
    return all(
        {*conditions_of(part.where)} <= _CONDITIONS and {*_fields_of(part)} <= {*known}
        for part in parts_of(measure.formula)
    )


def parts_of(formula: Formula) -> tuple[Count | Distinct | Sum | Mean | Quantile, ...]:
    """The sides of a ratio, or the formula itself; nothing of samples."""
    match formula:
        case Ratio(over, per):
            return over, per
        case Level() | Growth():
            return ()
        case _:
            return (formula,)


def conditions_of(where: Where) -> list[str]:
    """The names of what it asks for."""
    return [name for name in Where.__struct_fields__ if getattr(where, name)]


def _fields_of(part: Count | Distinct | Sum | Mean | Quantile) -> list[Field]:
    own = () if isinstance(part, Count | Distinct) else (part.field,)
    return [*own, *part.where.told, *part.where.untold]


def is_of_row(dimension: Dimension) -> bool:
    """Whether all steps of a session have the same of it."""
    return dimension in SESSION_DIMENSIONS


def attribute(dimension: Dimension) -> str:
    """The field that holds a dimension."""
    return _ROW_NAMES.get(dimension, dimension)


def step_takes(where: Where) -> Callable[[Counted], bool]:
    """Whether a step counts."""
    among: tuple[tuple[tuple[str, ...], Callable[[Counted], str]], ...] = (
        (where.kinds, lambda one: one.step.kind),
        (where.error_types, lambda one: one.step.error_type),
        (where.outcomes, lambda one: one.row.outcome),
        (where.labels, lambda one: one.step.label.lower()),
    )
    asked: tuple[tuple[bool, Callable[[Counted], bool]], ...] = (
        (where.ended, lambda one: one.step.status != "running"),
        (where.failed, lambda one: one.step.status == "error"),
        (where.flagged, lambda one: any(kind not in SIGNALS for kind in one.step.flags)),
        (where.retried, lambda one: one.retried),
        (where.billed, _is_billed),
    )
    conditions = [_among(values, of) for values, of in among if values]
    if where.not_error_types:
        conditions.append(_not(_among(where.not_error_types, lambda one: one.step.error_type)))
    if where.flags:
        flags = frozenset(where.flags)
        conditions.append(lambda one: not flags.isdisjoint(one.step.flags))
    conditions += [condition for is_asked, condition in asked if is_asked]
    return _all(conditions + _telling(where, STEP_FIELDS))


def session_takes(where: Where) -> Callable[[Summary], bool]:
    """Whether an ended session counts."""
    conditions: list[Callable[[Summary], bool]] = []
    if where.outcomes:
        outcomes = frozenset(where.outcomes)
        conditions.append(lambda one: one.outcome in outcomes)
    if where.succeeded:
        conditions.append(lambda one: one.success is True)
    bounds: tuple[tuple[tuple[SlaLimit, ...], Callable[[Summary], tuple[SlaLimit, ...]]], ...] = (
        (where.breached, lambda one: one.breaches),
        (where.checked, lambda one: one.breaches + one.within),
        (where.unchecked, lambda one: one.unchecked),
    )
    conditions += [_any_of(limits, of) for limits, of in bounds if limits]
    return _all(conditions + _telling(where, SESSION_FIELDS))


def counts_step(formula: Formula) -> Callable[[Counted], Part | None]:
    """What a step adds to a formula; None where it takes no part."""
    return _counts(formula, step_takes, STEP_FIELDS)


def counts_session(formula: Formula) -> Callable[[Summary], Part | None]:
    """What an ended session adds to a formula; None where it takes no part."""
    return _counts(formula, session_takes, SESSION_FIELDS)


def _among(values: tuple[str, ...], of: Callable[[Counted], str]) -> Callable[[Counted], bool]:
    wanted = frozenset(values)
    return lambda one: of(one) in wanted


def _any_of(limits: tuple[SlaLimit, ...], of: Callable[[Summary], tuple[SlaLimit, ...]]) -> Callable[[Summary], bool]:
    wanted = frozenset(limits)
    return lambda one: not wanted.isdisjoint(of(one))


def _is_billed(one: Counted) -> bool:
    return one.step.kind == "llm" or (one.step.kind == "retrieval" and one.step.in_tok is not None)


def is_billed_by_kind(kind: str) -> bool | None:
    """Whether steps of a kind are billed; None where some are."""
    return None if kind == "retrieval" else kind == "llm"


def _telling(where: Where, fields: Mapping[Field, Callable[[T], int | None]]) -> list[Callable[[T], bool]]:
    told = [_is_told(fields[name]) for name in where.told]
    return told + [_not(_is_told(fields[name])) for name in where.untold]


def _is_told(field: Callable[[T], int | None]) -> Callable[[T], bool]:
    return lambda one: field(one) is not None


def _not(condition: Callable[[T], bool]) -> Callable[[T], bool]:
    return lambda one: not condition(one)


def _all(conditions: list[Callable[[T], bool]]) -> Callable[[T], bool]:
    if len(conditions) == 1:
        return conditions[0]

    def holds(one: T) -> bool:
        for condition in conditions:  # noqa: SIM110 - all() over a generator takes twice as long, for every step that comes in
            if not condition(one):
                return False
        return True

    return holds


def _counts(
    formula: Formula,
    takes_of: Callable[[Where], Callable[[T], bool]],
    fields: Mapping[Field, Callable[[T], int | None]],
) -> Callable[[T], Part | None]:
    match formula:
        case Count(where) | Distinct(where):
            takes = takes_of(where)
            return lambda one: (1, 0, 1, 0) if takes(one) else None
        case Sum(field, where) | Mean(field, where) | Quantile(field, where):
            return _told(takes_of(where), fields[field], 1 if isinstance(formula, Mean) else 0)
        case Ratio(over, per):
            return _ratio(_side(over, takes_of, fields), _side(per, takes_of, fields))
        case Level() | Growth():
            raise ValueError("samples of Watchpost itself are no rows")


def _told(takes: Callable[[T], bool], field: Callable[[T], int | None], per: int) -> Callable[[T], Part | None]:
    def counts(one: T) -> Part | None:
        if not takes(one):
            return None
        value = field(one)
        return (0, 0, 0, 1) if value is None else (value, per, 1, 0)

    return counts


def _side(
    formula: Count | Distinct | Sum,
    takes_of: Callable[[Where], Callable[[T], bool]],
    fields: Mapping[Field, Callable[[T], int | None]],
) -> Callable[[T], tuple[int, bool, bool]]:
    takes = takes_of(formula.where)
    if not isinstance(formula, Sum):
        return lambda one: (1, True, False) if takes(one) else (0, False, False)
    field = fields[formula.field]

    def side(one: T) -> tuple[int, bool, bool]:
        if not takes(one):
            return 0, False, False
        value = field(one)
        return (0, False, True) if value is None else (value, True, False)

    return side


def _ratio(
    over: Callable[[T], tuple[int, bool, bool]], per: Callable[[T], tuple[int, bool, bool]]
) -> Callable[[T], Part | None]:
    def counts(one: T) -> Part | None:
        above, in_over, untold = over(one)
        below, in_per, _ = per(one)
        if not (in_over or in_per or untold):
            return None
        return above, below, int(in_over or in_per), int(untold)

    return counts

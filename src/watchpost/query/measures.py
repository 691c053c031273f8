"""What a measure is, what can be asked of one, and what the answer is made of.

A measure is data. Pages, rules, the API and the Prometheus exposition read the same row of `measure_catalogue`, so that a number has one
meaning. What is counted are steps, at the time at which they began, flags, at the time of their step, or sessions that ended, at the time at
which their last step did; and of Watchpost itself the samples that it takes now and then. Every number of a step or a session is an integer of a fixed unit, so that sums are exact in any order, as long as they fit 64 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal, get_args

import msgspec

from watchpost.model.session import SlaLimit

Tier = Literal["infrastructure", "llm", "quality"]

Unit = Literal["count", "seconds", "tokens", "usd", "share", "score", "bytes"]

Of = Literal["step", "session", "flag", "sample"]
"""What is counted: steps, sessions that ended, flags that stand at a step, or samples of how Watchpost itself does."""

SessionDimension = Literal["project", "service", "workflow", "user_id", "org_id", "feature_name", "release", "outcome"]
"""What a session has one of; its steps have them too. What nobody told is empty text; so is the outcome of a session that has not ended."""

StepDimension = Literal[
    "agent", "model", "tool", "error_type", "kind", "step_name", "status", "prompt", "evaluator", "label"
]
"""What only a step has one of."""

VersionDimension = Literal["session_model", "session_prompt"]
"""What a session may have several of: the models and prompts of its model calls that did not fail. Grouped by, it counts for each."""

Dimension = SessionDimension | StepDimension | VersionDimension | Literal["flag"]

SESSION_DIMENSIONS: tuple[Dimension, ...] = get_args(SessionDimension)
VERSION_DIMENSIONS: tuple[Dimension, ...] = get_args(VersionDimension)
STEP_DIMENSIONS: tuple[Dimension, ...] = (*SESSION_DIMENSIONS, *get_args(StepDimension))
FLAG_DIMENSIONS: tuple[Dimension, ...] = (*STEP_DIMENSIONS, "flag")

DIMENSIONS: Mapping[Of, tuple[Dimension, ...]] = {
    "session": (*SESSION_DIMENSIONS, *VERSION_DIMENSIONS),
    "step": (*STEP_DIMENSIONS, *VERSION_DIMENSIONS),
    "flag": (*FLAG_DIMENSIONS, *VERSION_DIMENSIONS),
    "sample": (),
}

Field = Literal[
    "duration",
    "first_token",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "tokens",
    "cost",
    "asking_cost",
    "score",
    "steps",
    "llm_calls",
    "tool_calls",
    "retries",
    "success",
]
"""A number that a step or a session has, or has not where nobody reported it: then it takes no part.

`tokens` are input and output of what reported both. `asking_cost` is, of a tool call or handoff, its even part of what the model call before it
cost, by the same agent in the same session, if that began no longer ago than `ASKED_WITHIN_NS`.
"""

PER_UNIT: Mapping[Field, int] = {
    "duration": 10**6,
    "first_token": 10**6,
    "cost": 10**9,
    "asking_cost": 10**9,
    "score": 10**6,
}
"""How many of a field's integers make one second, dollar or point; 1 for the others."""

MOST_SCORE = 10**6
"""A score beyond this, on either side of 0, counts as not told; others count to a millionth."""

MOST_POINTS = 1_500
"""Points of one series."""

MOST_GROUPS = 1_000
"""Groups of one answer."""

MOST_CELLS = 60_000
"""Points of all series of one answer."""

MOST_BY = 3
"""Dimensions to group by at once."""

ASKED_WITHIN_NS = 600 * 10**9
"""A model call asked for the tools that its agent called after it, before the next model call and within this."""

RETRIED_WITHIN_NS = 600 * 10**9
"""A tool call is a retry if the session's call of that tool before it failed, and began no longer ago than this."""


SIGNALS = ("USER_REPHRASED", "USER_CORRECTED", "ESCALATED", "ABANDONED")
"""Kinds of flags that tell what a user did, and not that the agent did anything wrong: they make no session a flagged one."""


class Where(msgspec.Struct, frozen=True):
    """Which steps or sessions count: those of which all that is given holds; what is left out is no condition.

    `ended` are those that no longer run, `failed` those whose status is an error, `flagged` those at which a flag stands that is none of `SIGNALS`, and `flags` those
    at which one of these kinds does. `retried` are tool calls made again after a failed one. `billed` are calls that can have a price: model
    calls, and retrievals that used tokens. `succeeded`
    are sessions that were a success, `breached` those that broke one of these limits of their SLA, `checked` those of which it is known whether they
    kept one of these, `unchecked` those of which it is not. `told` and `untold` are numbers that were reported, and were not. `labels` are in lower case.
    """

    kinds: tuple[str, ...] = ()
    ended: bool = False
    failed: bool = False
    error_types: tuple[str, ...] = ()
    not_error_types: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    flagged: bool = False
    flags: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    retried: bool = False
    billed: bool = False
    succeeded: bool = False
    breached: tuple[SlaLimit, ...] = ()
    checked: tuple[SlaLimit, ...] = ()
    unchecked: tuple[SlaLimit, ...] = ()
    told: tuple[Field, ...] = ()
    untold: tuple[Field, ...] = ()


class Count(msgspec.Struct, frozen=True, tag="count"):
    """How many steps, flags or sessions."""

    where: Where = Where()


class Distinct(msgspec.Struct, frozen=True, tag="sessions"):
    """How many sessions have such a step, each once."""

    where: Where = Where()


class Sum(msgspec.Struct, frozen=True, tag="sum"):
    """A field, added up over what reported it."""

    field: Field
    where: Where = Where()


class Mean(msgspec.Struct, frozen=True, tag="mean"):
    """A field's sum over how many reported it."""

    field: Field
    where: Where = Where()


class Quantile(msgspec.Struct, frozen=True, tag="quantile"):
    """The value of a field that a share of all values are not above: exact, by the nearest rank."""

    field: Field
    where: Where = Where()


class Ratio(msgspec.Struct, frozen=True, tag="ratio"):
    """One number for each of another; nothing where there is none of the other."""

    over: Count | Distinct | Sum
    per: Count | Distinct | Sum


RowFormula = Count | Distinct | Sum | Mean | Quantile | Ratio
"""What is worked out over steps, flags or sessions."""


class Level(msgspec.Struct, frozen=True, tag="level"):
    """The greatest of the samples of a number, nothing where none was taken. Samples are integers, `scale` of which make one of the unit."""

    sample: str
    scale: int = 1


class Growth(msgspec.Struct, frozen=True, tag="growth"):
    """By how much a number grew from sample to sample; one that fell began anew at 0. What grew before the first sample is not known."""

    sample: str
    scale: int = 1


Formula = RowFormula | Level | Growth


class Measure(msgspec.Struct, frozen=True):
    """One quantity. `name` is how it is asked for, `means` one sentence on what it says; its dimensions follow from what it counts."""

    name: str
    tier: Tier
    unit: Unit
    of: Of
    formula: Formula
    means: str

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """By what it can be filtered and grouped."""
        return DIMENSIONS[self.of]


Group = tuple[str, ...]
"""One value for each dimension that is grouped by."""


class Question(msgspec.Struct, frozen=True):
    """What is asked of a measure: what counts in [`since_ns`, `until_ns`), in steps of `step_ns` from `since_ns` on, 0 for one point.

    Of each dimension in `filters` one of the values must hold. `quantile` is in thousandths. At most `top` groups are told apart, those of the
    greatest value in the whole window, ties by their names, or just those that are `shown`; the others are put together.
    Of steps and flags it is told how many sessions contributed only if it `tells_sessions`, else 0: to count each session once takes as long as all else.
    """

    measure: Measure
    since_ns: int
    until_ns: int
    step_ns: int = 0
    filters: tuple[tuple[Dimension, tuple[str, ...]], ...] = ()
    by: tuple[Dimension, ...] = ()
    quantile: int = 950
    top: int = MOST_GROUPS
    shown: tuple[Group, ...] | None = None
    tells_sessions: bool = True


class Cell(msgspec.Struct, frozen=True):
    """What one group comes to in one step of time.

    `group` is None for all that is not told apart; `step` counts from 0 and is None for the whole window. `sessions` contributed with `counted` steps,
    flags or sessions; `untold` more fit but did not report the number that is asked for. `over` and `per` are integers of the formula.
    """

    group: Group | None
    step: int | None
    sessions: int
    counted: int
    untold: int
    over: int
    per: int


class Measured(msgspec.Struct, frozen=True):
    """The answer: how many groups there are, and the cells in which anything fits; those groups first that have the greatest value."""

    groups: int
    cells: list[Cell]


Part = Literal["all", "over"]
"""Whose sessions are asked for: of all that a point is made of, or of what stands above a ratio's line alone."""


class SessionsQuestion(msgspec.Struct, frozen=True):
    """Which sessions are behind the one point of a question: at most `limit` by project and session id, from after a place in that order."""

    of: Question
    part: Part = "all"
    after: tuple[str, str] | None = None
    limit: int = 50


class Contributor(msgspec.Struct, frozen=True):
    """A session behind a point, with how many of its steps or flags are; 1 where sessions are counted."""

    project: str
    session_id: str
    counted: int


Value = int | float | None
"""A count, a number of tokens or nano-USD, rounded half to even, as an integer; else a number. None where there is nothing to tell."""


def value_of(measure: Measure, cell: Cell | None) -> Value:
    """What a measure comes to in a cell; None stands for a cell in which nothing fits, which is 0 of what is counted or added up."""
    formula = measure.formula
    if cell is None:
        cell = Cell((), None, 0, 0, 0, 0, 0)
    scale = 1 if isinstance(formula, Count | Distinct) else _scale(formula)
    match formula:
        case Mean() | Ratio() if not cell.per:
            return None
        case Mean() | Ratio():
            return _written(measure.unit, cell.over, cell.per * scale)
        case Quantile() | Level() | Growth() if not cell.counted:
            return None
        case Sum() if not cell.counted and cell.untold:
            return None
        case _:
            return _written(measure.unit, cell.over, scale)


def _scale(formula: Sum | Mean | Quantile | Ratio | Level | Growth) -> int:
    if isinstance(formula, Level | Growth):
        return formula.scale
    if isinstance(formula, Ratio):
        return PER_UNIT.get(formula.over.field, 1) if isinstance(formula.over, Sum) else 1
    return PER_UNIT.get(formula.field, 1)


def _written(unit: Unit, over: int, per: int) -> Value:
    if unit == "usd":
        return round(Fraction(over * 10**9, per))
    if per == 1 and unit in {"count", "tokens", "bytes"}:
        return over
    return over / per

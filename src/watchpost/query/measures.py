"""The catalogue: every quantity that Watchpost speaks of, once, with its name, unit, tier, dimensions and how it is computed from the ledger.

A measure is data. Pages, rules, the API and the Prometheus exposition read the same row, so that a number has one meaning. What is counted are
steps, at the time at which they began, or sessions that ended, at the time at which their last step did.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Tier = Literal["infrastructure", "llm", "quality"]

Unit = Literal["count", "seconds", "tokens", "usd", "share", "score"]

Of = Literal["step", "session"]
"""What is counted: steps, or sessions that ended."""

Dimension = Literal[
    "project",
    "service",
    "workflow",
    "user_id",
    "org_id",
    "feature_name",
    "release",
    "outcome",
    "agent",
    "model",
    "tool",
    "error_type",
]

SESSION_DIMENSIONS: tuple[Dimension, ...] = (
    "project",
    "service",
    "workflow",
    "user_id",
    "org_id",
    "feature_name",
    "release",
    "outcome",
)
"""What a session has one of; its steps have them too."""

STEP_DIMENSIONS: tuple[Dimension, ...] = (*SESSION_DIMENSIONS, "agent", "model", "tool", "error_type")

Field = Literal[
    "duration",
    "first_token",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "tokens",
    "cost",
    "score",
    "steps",
    "llm_calls",
    "tool_calls",
    "tool_errors",
    "retries",
]
"""A number that a step or a session has, or has not where nobody reported it: then it takes no part."""


class Where(msgspec.Struct, frozen=True):
    """Which steps or sessions count: those of which all that is given holds; an empty list leaves a condition out.

    `flags` are kinds of flags of which at least one stands there; `names` and `not_names` are names of steps.
    """

    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    error_types: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    any_flag: bool = False
    retried: bool = False
    priced: bool | None = None


class Count(msgspec.Struct, frozen=True, tag="count"):
    """How many."""

    where: Where = Where()


class Sum(msgspec.Struct, frozen=True, tag="sum"):
    """A field, added up."""

    field: Field
    where: Where = Where()


class Quantile(msgspec.Struct, frozen=True, tag="quantile"):
    """What a share of all values of a field lie at or below: exact, by the nearest rank."""

    field: Field
    at: float
    where: Where = Where()


class Ratio(msgspec.Struct, frozen=True, tag="ratio"):
    """One number for each of another; nothing where there is none of the other."""

    over: Count | Sum
    per: Count | Sum


Formula = Count | Sum | Quantile | Ratio


class Measure(msgspec.Struct, frozen=True):
    """One quantity. `name` is how it is asked for, `means` one sentence on what it says; its dimensions follow from what it counts."""

    name: str
    tier: Tier
    unit: Unit
    of: Of
    means: str
    formula: Formula

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """By what it can be filtered and grouped."""
        return STEP_DIMENSIONS if self.of == "step" else SESSION_DIMENSIONS

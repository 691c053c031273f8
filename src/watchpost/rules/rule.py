"""What a rule is: what is looked at, what is too much, for how long, and who is to do something about it."""

from __future__ import annotations

from typing import Literal

import msgspec

from watchpost.model.flag import Severity
from watchpost.query.measures import Dimension, Measure, SessionDimension

Comparison = Literal["above", "at_least", "below", "at_most"]
"""`above` and `below` leave the threshold itself alone."""

NoData = Literal["ok", "fire", "hold"]
"""What nothing to judge by means: the condition does not hold, it holds, or all stays as it is, at most a day."""

Each = Literal["session", "running", "ended"]
"""Which sessions are judged one by one: all, those whose first run has not ended, or those that ended."""

FlagDimension = SessionDimension | Literal["tool", "flag", "severity", "session"]


class OfMeasure(msgspec.Struct, frozen=True, tag="measure"):
    """A measure over the window, for each group of each project. `quantile` is in thousandths."""

    measure: Measure
    where: tuple[tuple[Dimension, tuple[str, ...]], ...] = ()
    by: tuple[Dimension, ...] = ()
    quantile: int = 950


class OfFlags(msgspec.Struct, frozen=True, tag="flags"):
    """How many confirmed flags of these kinds were heard of in the window; of any kind where none is named."""

    kinds: tuple[str, ...]
    where: tuple[tuple[FlagDimension, tuple[str, ...]], ...] = ()
    by: tuple[FlagDimension, ...] = ()


class OfSession(msgspec.Struct, frozen=True, tag="session"):
    """The number of every single session that a measure is made of, as long as its last step is no older than the window."""

    measure: Measure
    each: Each
    where: tuple[tuple[SessionDimension, tuple[str, ...]], ...] = ()


Subject = OfMeasure | OfFlags | OfSession


class Limit(msgspec.Struct, frozen=True, tag="limit"):
    """A threshold in the unit of the measure."""

    how: Comparison
    value: float


class Times(msgspec.Struct, frozen=True, tag="times"):
    """More than `times` what the measure came to over the time before the window, or less where `times` is below 1."""

    times: float
    over_ns: int


class Spread(msgspec.Struct, frozen=True, tag="spread"):
    """More than so many standard deviations above the mean of the windows before this one; to either side where `both`."""

    deviations: float
    over_ns: int
    both: bool


class BurnWindows(msgspec.Struct, frozen=True):
    """A long window that shows that it matters, and a short one that shows that it goes on; `factor` times what the objective allows is too much in both."""

    long_ns: int
    short_ns: int
    factor: float


class Burn(msgspec.Struct, frozen=True, tag="burn"):
    """An error budget is spent too fast by any of the pairs. `budget` is the share that may fail; the measure is a share of what is good, or of what is bad."""

    pairs: tuple[BurnWindows, ...]
    budget: float
    is_good: bool


Test = Limit | Times | Spread | Burn


class Rule(msgspec.Struct, frozen=True):
    """One rule. `share_of_sessions` is a second condition: at least this share of the sessions in the window is affected.

    With fewer than `at_least_count` below the line of a ratio, or behind any other value, the condition does not hold.
    """

    name: str
    subject: Subject
    test: Test
    window_ns: int
    severity: Severity
    owner: str
    runbook: str
    for_ns: int = 0
    keep_firing_ns: int = 0
    no_data: NoData = "ok"
    at_least_count: int = 0
    share_of_sessions: float | None = None
    summary: str = ""
    labels: dict[str, str] = {}


class Slo(msgspec.Struct, frozen=True):
    """A service level objective: of what `measure` counts, at least `objective` is good over the window. `is_good` says what the measure's share is of."""

    name: str
    measure: Measure
    is_good: bool
    objective: float
    budget: float
    window_ns: int
    owner: str
    runbook: str
    where: tuple[tuple[Dimension, tuple[str, ...]], ...] = ()
    by: tuple[Dimension, ...] = ()
    at_least_count: int = 0
    labels: dict[str, str] = {}


class RuleSet(msgspec.Struct, frozen=True):
    """All of a file: its rules, those that its objectives stand for among them, and the objectives."""

    rules: tuple[Rule, ...] = ()
    slos: tuple[Slo, ...] = ()

"""Service level objectives: what is left of an error budget, and the rules that tell when it is spent too fast.

Each alert asks two windows: the long one says that it matters, the short one that it still goes on. The factors of thirty and of twenty-eight days are those of the
workbook on site reliability engineering: a share of the budget (2, 5, 10 and 10 %) spent in one hour, six hours, a day and three days.

Seven days are too short for those shares: 2 % of seven days' budget in an hour is only 3.36 times what the objective allows, so that 4 failures of
100 would wake somebody at an objective of 99 %, and the two slower ones come to less than 1, which tells of a service that keeps its objective. Here the
shares are 8, 20, 40 and 50 %: the same speeds as of twenty-eight days, 13.4, 5.6 and 2.8 times, wake the same people, and the slowest stays above 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from watchpost.query.measures import Cell, Group, Measured, Question
from watchpost.rules.quantity import duration_text
from watchpost.rules.rule import Burn, BurnWindows, OfMeasure, Rule, Slo
from watchpost.rules.source import question_of

_HOUR_NS = 3600 * 10**9
_DAY_NS = 24 * _HOUR_NS
_MINUTE_NS = 60 * 10**9

PERIODS: Mapping[int, tuple[int, int, int, int]] = {
    30 * _DAY_NS: (2, 5, 10, 10),
    28 * _DAY_NS: (2, 5, 10, 10),
    7 * _DAY_NS: (8, 20, 40, 50),
}
"""Windows that an objective may have, and how many percent of its budget may be gone in an hour, six hours, a day and three days."""

_WINDOWS = (
    (_HOUR_NS, 5 * _MINUTE_NS),
    (6 * _HOUR_NS, 30 * _MINUTE_NS),
    (_DAY_NS, 2 * _HOUR_NS),
    (3 * _DAY_NS, 6 * _HOUR_NS),
)


class Budget(msgspec.Struct, frozen=True):
    """How an objective stands in one group. `left` is the share of its error budget that is left: 1 at first, 0 or less once the objective is missed; None of nothing."""

    group: Group
    total: int
    bad: int
    left: float | None


def burn_windows(period_ns: int) -> tuple[BurnWindows, ...]:
    """The four pairs of windows of a period, the fastest first: two that page, two that make a ticket. The factor is share of the budget times period over long window."""
    shares = PERIODS[period_ns]
    return tuple(
        BurnWindows(long_ns, short_ns, float(Fraction(share * period_ns, 100 * long_ns)))
        for share, (long_ns, short_ns) in zip(shares, _WINDOWS, strict=True)
    )


def burn_rules(slo: Slo) -> tuple[Rule, Rule]:
    """The rules of an objective: `...BurnsFast`, critical, and `...BurnsSlowly`, a warning."""
    pairs = burn_windows(slo.window_ns)
    subject = OfMeasure(slo.measure, slo.where, slo.by)
    fast, slow = (
        Rule(
            name=f"{slo.name}{speed}",
            subject=subject,
            test=Burn(of, slo.budget, slo.is_good),
            window_ns=of[0].long_ns,
            severity="critical" if speed == "BurnsFast" else "warning",
            owner=slo.owner,
            runbook=slo.runbook,
            at_least_count=slo.at_least_count,
            summary=(
                f"{slo.name}: {{value}} failed over {{window}}; more than {{threshold}} spends the error budget of "
                f"{duration_text(slo.window_ns)} too fast"
            ),
            labels={**slo.labels, "slo": slo.name},
        )
        for speed, of in (("BurnsFast", pairs[:2]), ("BurnsSlowly", pairs[2:]))
    )
    return fast, slow


def budget_question(slo: Slo, until_ns: int) -> Question:
    """What to ask of the history for the budget at a time."""
    return question_of(OfMeasure(slo.measure, slo.where, slo.by), until_ns - slo.window_ns, until_ns)


def budgets(slo: Slo, measured: Measured) -> list[Budget]:
    """How the objective stands in every group of an answer to `budget_question`."""
    return [_budget(slo, cell) for cell in measured.cells if cell.group is not None and cell.step is None]


def _budget(slo: Slo, cell: Cell) -> Budget:
    bad = cell.per - cell.over if slo.is_good else cell.over
    left = 1 - bad / (cell.per * slo.budget) if cell.per else None
    return Budget(cell.group or (), cell.per, bad, left)

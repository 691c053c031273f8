"""How service level objectives stand: what was promised, what failed, and what is left of the error budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from watchpost.rules.rule import Slo
from watchpost.rules.slo import budget_question, budgets
from watchpost.server.answers import moment
from watchpost.store.readers import MeasureReader


class BudgetAnswer(msgspec.Struct, frozen=True):
    """One group of an objective: of `total` that count `bad` failed. `left` is the share of the error budget that is left, 0 or less once the objective is missed, null of nothing."""

    project: str
    group: dict[str, str]
    total: int
    bad: int
    left: float | None


class SloAnswer(msgspec.Struct, frozen=True):
    """One objective: at least `objective` of what `measure` counts is good over the window that ends `until`."""

    name: str
    measure: str
    objective: float
    window_seconds: float
    since: str | None
    until: str | None
    owner: str
    runbook: str
    at_least_count: int
    budgets: list[BudgetAnswer]


class SlosAnswer(msgspec.Struct, frozen=True):
    """Every objective, by name."""

    slos: list[SloAnswer]


class Slos:
    """Answers how objectives stand now. It reads the store and blocks; call it from a worker thread."""

    def __init__(self, slos: Sequence[Slo], reader: MeasureReader, now_ns: Callable[[], int]) -> None:
        self._slos = sorted(slos, key=lambda slo: slo.name)
        self._reader = reader
        self._now_ns = now_ns

    def every(self) -> SlosAnswer:
        """All of them."""
        return SlosAnswer([self._answer(slo) for slo in self._slos])

    def _answer(self, slo: Slo) -> SloAnswer:
        until_ns = self._now_ns()
        found = budgets(slo, self._reader.measured(budget_question(slo, until_ns)))
        return SloAnswer(
            slo.name,
            slo.measure.name,
            slo.objective,
            slo.window_ns / 1e9,
            moment(until_ns - slo.window_ns),
            moment(until_ns),
            slo.owner,
            slo.runbook,
            slo.at_least_count,
            [
                BudgetAnswer(
                    each.group[0], dict(zip(slo.by, each.group[1:], strict=True)), each.total, each.bad, each.left
                )
                for each in found
            ],
        )

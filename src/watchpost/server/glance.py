"""The figures that a page shows side by side: worked out in the background, and kept while they are worth it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import timedelta

import msgspec

from watchpost.query.measures import Tier
from watchpost.server.answers import moment
from watchpost.server.days import Days
from watchpost.server.kept import Keeping, Kept
from watchpost.server.measures import MeasuredAnswer, Measures
from watchpost.server.release_versions import By as VersionBy
from watchpost.server.release_versions import Versions, VersionsAnswer
from watchpost.server.slos import Slos, SlosAnswer
from watchpost.server.spending import By, Spending, SpendingAnswer
from watchpost.server.unpriced import UnpricedAnswer, UnpricedCalls

TIERS: Mapping[Tier, tuple[str, ...]] = {
    "infrastructure": (
        "sessions",
        "workflow_duration_seconds",
        "llm_error_rate",
        "tool_error_rate",
        "llm_call_duration_seconds",
        "rate_limited_share",
    ),
    "llm": (
        "llm_calls",
        "tokens",
        "cost_usd",
        "cost_per_session_usd",
        "first_token_seconds",
        "cache_hit_rate",
    ),
    "quality": (
        "completion_rate",
        "flagged_session_share",
        "success_rate",
        "feedback_positive_share",
        "refusal_rate",
        "escalation_rate",
    ),
}
"""The measures that are looked at first, tier by tier."""

NAMES = tuple(name for names in TIERS.values() for name in names)

AGAINST_YESTERDAY = (("step", "1h"), ("compare", "1d"))
"""The last 24 hours by the hour, and the same hours a day before."""

GROUPS = 12
"""Groups, versions or models in one table."""

MOST_GROUPS = 200
"""Groups of many days that are told apart: those of one day are among them, unless there are very many."""

KEEPING = Keeping(fresh_s=3, usable_s=600)
"""How long figures of a page are kept."""


class Scope(msgspec.Struct, frozen=True):
    """What is looked at; empty text is all."""

    project: str = ""
    workflow: str = ""

    def given(self) -> dict[str, str]:
        """What is not all, by the names of parameters."""
        return {name: value for name, value in (("project", self.project), ("workflow", self.workflow)) if value}


class Spent(msgspec.Struct, frozen=True):
    """What spending is asked: of what, and told apart by what."""

    scope: Scope
    by: By = ""


class Course(msgspec.Struct, frozen=True):
    """A measure over so many days, told apart by what, from the midnight with which the first of them began on."""

    scope: Scope
    name: str
    since: str
    by: str = ""


class VersionsAsked(msgspec.Struct, frozen=True):
    """Which versions are compared, of sessions since when."""

    scope: Scope
    by: VersionBy
    since: str


OFTEN_S, SELDOM_S = 2, 30
"""How soon a page is asked for again: while figures are on their way, and else."""


class Glance:
    """What can be asked; each answer is kept by its own question."""

    def __init__(
        self,
        measures: Measures,
        spending: Spending,
        slos: Slos,
        versions: Versions,
        unpriced: UnpricedCalls,
        *,
        executor: Executor,
        days: Days,
        now_ns: Callable[[], int],
    ) -> None:
        def tiers(scope: Scope) -> list[MeasuredAnswer]:
            asked = [*AGAINST_YESTERDAY, *scope.given().items()]
            return measures.together(NAMES, asked, tells_sessions=False)

        def outcomes(scope: Scope) -> MeasuredAnswer:
            return measures.answer("sessions", [("by", "outcome"), ("compare", "1d"), *scope.given().items()])

        def spent(asked: Spent) -> SpendingAnswer:
            return spending.answer(asked.scope.project, asked.by, "", GROUPS, asked.scope.workflow)

        def course(asked: Course) -> MeasuredAnswer:
            return measures.answer(asked.name, course_parameters(asked), tells_sessions=False)

        def compared(asked: VersionsAsked) -> VersionsAnswer:
            return versions.answer(asked.scope.project, asked.scope.workflow, asked.by, asked.since, "", GROUPS)

        def priceless(asked: tuple[str, str]) -> UnpricedAnswer:
            return unpriced.answer(*asked, GROUPS)

        def budgets(_: str) -> SlosAnswer:
            return slos.every()

        self._days = days
        self.now_ns = now_ns
        self.tiers = Kept(tiers, KEEPING, executor, now_ns)
        self.outcomes = Kept(outcomes, KEEPING, executor, now_ns)
        self.spent = Kept(spent, KEEPING, executor, now_ns)
        self.course = Kept(course, KEEPING, executor, now_ns)
        self.versions = Kept(compared, KEEPING, executor, now_ns)
        self.unpriced = Kept(priceless, KEEPING, executor, now_ns)
        self.slos = Kept(budgets, KEEPING, executor, now_ns)

    def since(self, days: int) -> str:
        """The midnight with which the first of the last so many days began, today among them."""
        first = self._days.of(self.now_ns()) - timedelta(days=days - 1)
        return moment(self._days.start_ns(first)) or ""


def course_parameters(asked: Course) -> Sequence[tuple[str, str]]:
    """The parameters of the question, as they stand in a query string."""
    apart = [("by", asked.by), ("top", str(MOST_GROUPS))] if asked.by else [("step", "1d")]
    return [("since", asked.since), *apart, *asked.scope.given().items()]

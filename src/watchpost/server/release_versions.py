"""What each version costs and how well it does, side by side: measures of the catalogue, told apart by version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import msgspec

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Cell, Dimension, Question, value_of
from watchpost.server.answers import moment, usd
from watchpost.server.days import UTC_DAYS, Days
from watchpost.server.problem import ParameterError
from watchpost.store.readers import FiguresReader

By = Literal["release", "model", "prompt"]
BY: tuple[str, ...] = get_args(By)

_DIMENSION: Mapping[By, Dimension] = {"release": "release", "model": "session_model", "prompt": "session_prompt"}

SHOWN = (
    "cost_per_completed_session_usd",
    "completion_rate",
    "feedback_positive_share",
    "tool_error_rate",
    "workflow_duration_seconds",
)
"""The measures beside `sessions`, in the order in which they are shown."""

_SINCE_NS = 30 * 86_400 * 10**9


class VersionValue(msgspec.Struct, frozen=True):
    """A measure of one version: null where there is nothing to tell; so many steps or sessions are `counted`, and `untold` more did not report it."""

    value: int | float | str | None
    counted: int
    untold: int


class VersionAnswer(msgspec.Struct, frozen=True):
    """One version; empty where nobody told it. `measures` are by name."""

    version: str
    sessions: int
    measures: dict[str, VersionValue]


class VersionsAnswer(msgspec.Struct, frozen=True):
    """The versions with the most sessions that ended in [`since`, `until`); `more` others are left out.

    A session that used several models or prompts counts for each of them.
    """

    since: str | None
    until: str | None
    by: By
    quantile: float
    versions: list[VersionAnswer]
    more: int


class Versions:
    """It reads the store and blocks; call it from a worker thread."""

    def __init__(self, reader: FiguresReader, now_ns: Callable[[], int], days: Days = UTC_DAYS) -> None:
        self._reader = reader
        self._now_ns = now_ns
        self._days = days

    def answer(self, project: str, workflow: str, by: By, since: str, until: str, limit: int) -> VersionsAnswer:  # noqa: PLR0917 - the parameters of a query string
        """At most `limit` versions, of the last 30 days where nothing else is asked. Raises `ParameterError`."""
        now_ns = self._now_ns()
        until_ns = self._days.moment_ns(until, "until", now_ns) or now_ns
        since_ns = self._days.moment_ns(since, "since", now_ns) or max(until_ns - _SINCE_NS, 0)
        if since_ns >= until_ns:
            raise ParameterError("until", "the window ends before it begins")
        asked: tuple[tuple[Dimension, str], ...] = (("project", project), ("workflow", workflow))
        question = Question(
            MEASURES["sessions"],
            since_ns,
            until_ns,
            filters=tuple((name, (value,)) for name, value in asked if value),
            by=(_DIMENSION[by],),
            top=limit,
            tells_sessions=False,
        )
        found = self._reader.measured(question)
        sessions = {cell.group: cell for cell in found.cells if cell.group is not None}
        same = msgspec.structs.replace(question, top=max(len(sessions), 1), shown=tuple(sessions))
        others = [msgspec.structs.replace(same, measure=MEASURES[name]) for name in SHOWN] if sessions else []
        told = {
            name: {cell.group: cell for cell in measured.cells}
            for name, measured in zip(SHOWN, self._reader.measured_together(others), strict=False)
        }
        versions = [
            VersionAnswer(group[0], cell.over, {name: _value(name, cells.get(group)) for name, cells in told.items()})
            for group, cell in sessions.items()
        ]
        more = max(found.groups - len(sessions), 0)
        return VersionsAnswer(moment(since_ns), moment(until_ns), by, question.quantile / 1000, versions, more)


def _value(name: str, cell: Cell | None) -> VersionValue:
    measure = MEASURES[name]
    value = value_of(measure, cell)
    shown = usd(value) if measure.unit == "usd" and isinstance(value, int) else value
    return VersionValue(shown, cell.counted if cell else 0, cell.untold if cell else 0)

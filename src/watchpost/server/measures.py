"""Measures as API and CLI answer them: the catalogue, what a measure comes to over time and by group, and the sessions behind a point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from watchpost.model.session import session_key
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import (
    MOST_GROUPS,
    Cell,
    Dimension,
    Formula,
    Group,
    Measure,
    Measured,
    Of,
    Quantile,
    Question,
    Tier,
    Unit,
    value_of,
)
from watchpost.query.releases import ReleaseFilter
from watchpost.server.answers import moment, usd
from watchpost.server.days import UTC_DAYS, Days
from watchpost.server.measure_parameters import Asked, asked_of, asked_sessions, cursor_of
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.server.releases import SHOWN, ReleaseAnswer, found_release, release_answer
from watchpost.store.readers import FiguresReader
from watchpost.store.state import ReleaseReader

NS = 10**9


class MeasureAnswer(msgspec.Struct, frozen=True):
    """One row of the catalogue. `of` is what it counts; `formula` how, as data."""

    name: str
    tier: Tier
    unit: Unit
    of: Of
    means: str
    dimensions: tuple[Dimension, ...]
    formula: Formula


class MeasuresAnswer(msgspec.Struct, frozen=True):
    """The catalogue, tier by tier."""

    measures: list[MeasureAnswer]


class PointAnswer(msgspec.Struct, frozen=True):
    """What a measure comes to in [`since`, `until`).

    `value` is an integer of what is counted or added up, a decimal string of dollars, else a number, and null where there is nothing to tell.
    `sessions` contributed with `counted` steps, flags or sessions; `untold` more fit but did not report the number. `before` is the same of
    the window that it is compared with, null where none is.
    """

    since: str | None
    until: str | None
    value: int | float | str | None
    sessions: int
    counted: int
    untold: int
    before: PointAnswer | None


class SeriesAnswer(msgspec.Struct, frozen=True):
    """One group, by the values of what is grouped by; empty for all `groups` that are not told apart. `points` are empty without a step."""

    group: dict[str, str]
    groups: int
    total: PointAnswer
    points: list[PointAnswer]


class MeasuredAnswer(msgspec.Struct, frozen=True):
    """The answer to one question. `step` is in seconds, null for none; `quantile` null where the measure is none.

    `series` are the groups, the greatest value first, one of everything where nothing is grouped by; `rest` is all other groups together.
    `releases` are those in the window that touch the projects and workflows that are asked for, the latest first, at most 200.
    """

    measure: MeasureAnswer
    since: str | None
    until: str | None
    step: float | None
    by: tuple[Dimension, ...]
    quantile: float | None
    groups: int
    series: list[SeriesAnswer]
    rest: SeriesAnswer | None
    releases: list[ReleaseAnswer]


class ContributorAnswer(msgspec.Struct, frozen=True):
    """A session behind a point, and how many of its steps or flags are. `key` is what `/api/sessions/{key}` takes."""

    key: str
    project: str
    session_id: str
    counted: int


class ContributorsAnswer(msgspec.Struct, frozen=True):
    """A page of the sessions behind a point, by project and session id; `next` is the cursor of the following page, null at the end."""

    sessions: list[ContributorAnswer]
    next: str | None


class Measures:
    """Answers what was measured. It reads the store and blocks; call it from a worker thread.

    Parameters are pairs of a name and a text, as they stand in a query string. Raises `ParameterError` for one that cannot be used.
    """

    def __init__(
        self, reader: FiguresReader, releases: ReleaseReader, now_ns: Callable[[], int], days: Days = UTC_DAYS
    ) -> None:
        self._reader = reader
        self._releases = releases
        self._now_ns = now_ns
        self._days = days

    @staticmethod
    def catalogue() -> MeasuresAnswer:
        """Every measure there is."""
        return MeasuresAnswer([_described(measure) for measure in MEASURES.values()])

    def answer(
        self, name: str, parameters: Sequence[tuple[str, str]], *, tells_sessions: bool = True
    ) -> MeasuredAnswer:
        """What one measure comes to. Unless it `tells_sessions`, points say 0 of how many contributed, in a third of the time."""
        asked = self._asked(name, parameters, self._now_ns(), tells_sessions=tells_sessions)
        question = asked.question
        found = self._reader.measured(question)
        if found.groups > MOST_GROUPS and not asked.cut:
            fault = f"{found.groups} groups, of which at most {MOST_GROUPS} are told apart; ask for the top ones by top=20, or filter"
            raise ParameterError("by", fault)
        asked.check_cells(min(found.groups, question.top))
        return _answered(asked, found, self._before(asked, found), self._released(question))

    def together(
        self, names: Sequence[str], parameters: Sequence[tuple[str, str]], *, tells_sessions: bool = True
    ) -> list[MeasuredAnswer]:
        """What `answer` says of each of them, in their order, for little more than one costs; `by` is not for these."""
        now_ns = self._now_ns()
        every = [self._asked(name, parameters, now_ns, tells_sessions=tells_sessions) for name in names]
        if any(asked.question.by for asked in every):
            raise ParameterError("by", "several measures at once are not grouped")
        windows = [asked.question for asked in every] + [_earlier(asked) for asked in every if asked.earlier_ns]
        found = self._reader.measured_together(windows)
        before = iter(found[len(every) :])
        releases = self._released(every[0].question) if every else []
        return [
            _answered(asked, measured, next(before) if asked.earlier_ns else None, releases)
            for asked, measured in zip(every, found, strict=False)
        ]

    def sessions(self, name: str, parameters: Sequence[tuple[str, str]]) -> ContributorsAnswer:
        """A page of the sessions behind one point."""
        asked = asked_sessions(_measure(name), parameters, self._now_ns(), self._days)
        more = msgspec.structs.replace(asked, limit=asked.limit + 1)
        found = self._reader.contributors(more)
        shown = found[: asked.limit]
        sessions = [
            ContributorAnswer(session_key(one.project, one.session_id), one.project, one.session_id, one.counted)
            for one in shown
        ]
        return ContributorsAnswer(sessions, cursor_of(shown[-1]) if len(found) > len(shown) else None)

    def _asked(self, name: str, parameters: Sequence[tuple[str, str]], now_ns: int, *, tells_sessions: bool) -> Asked:
        asked = asked_of(_measure(name), parameters, now_ns, self._days, self._released_ns)
        question = msgspec.structs.replace(asked.question, tells_sessions=tells_sessions)
        return msgspec.structs.replace(asked, question=question)

    def _released(self, question: Question) -> list[ReleaseAnswer]:
        return [release_answer(each) for each in self._releases.releases(_releases_of(question))]

    def _released_ns(self, release_id: str) -> int:
        """When a release was; raises `ParameterError` for an id that is none."""
        try:
            return found_release(self._releases, release_id).at_ns
        except NotFoundError as error:
            raise ParameterError("compare", str(error)) from error

    def _before(self, asked: Asked, found: Measured) -> Measured | None:
        """The same of the window before, with the same groups told apart."""
        if not asked.earlier_ns:
            return None
        question = asked.question
        shown = tuple(dict.fromkeys(cell.group for cell in found.cells if cell.group is not None))
        earlier = msgspec.structs.replace(
            _earlier(asked),
            top=len(shown) if question.by else question.top,
            shown=shown if question.by else None,
        )
        return self._reader.measured(earlier)


def _answered(asked: Asked, found: Measured, earlier: Measured | None, releases: list[ReleaseAnswer]) -> MeasuredAnswer:
    question = asked.question
    groups = list(dict.fromkeys(cell.group for cell in found.cells if cell.group is not None)) if question.by else [()]
    rest = any(cell.group is None for cell in (*found.cells, *(earlier.cells if earlier else ())))
    series = _Series(asked, found, earlier)
    return MeasuredAnswer(
        _described(question.measure),
        moment(question.since_ns),
        moment(question.until_ns),
        question.step_ns / NS if question.step_ns else None,
        question.by,
        question.quantile / 1000 if isinstance(question.measure.formula, Quantile) else None,
        found.groups if question.by else 1,
        [series.of(group) for group in groups],
        series.of(None) if rest and question.by else None,
        releases,
    )


def _earlier(asked: Asked) -> Question:
    """The question of the window before."""
    question, ago_ns = asked.question, asked.earlier_ns
    return msgspec.structs.replace(question, since_ns=question.since_ns - ago_ns, until_ns=question.until_ns - ago_ns)


class _Series:
    """Cells put in order as points, those in which nothing fits among them."""

    def __init__(self, asked: Asked, found: Measured, earlier: Measured | None) -> None:
        self._question = asked.question
        self._earlier_ns = asked.earlier_ns
        self._groups = found.groups
        self._now = {(cell.group, cell.step): cell for cell in found.cells}
        self._before = {(cell.group, cell.step): cell for cell in (earlier.cells if earlier else ())}

    def of(self, group: Group | None) -> SeriesAnswer:
        question = self._question
        total = self._point(group, None, question.since_ns, question.until_ns)
        points = [self._point(group, step, start, end) for step, (start, end) in enumerate(_steps(question))]
        named: dict[str, str] = dict(zip(question.by, group or (), strict=group is not None))
        return SeriesAnswer(named, max(self._groups - question.top, 0) if group is None else 1, total, points)

    def _point(self, group: Group | None, step: int | None, since_ns: int, until_ns: int) -> PointAnswer:
        measure, earlier_ns = self._question.measure, self._earlier_ns
        before = None
        if earlier_ns:
            cell = self._before.get((group, step))
            before = _point(measure, cell, since_ns - earlier_ns, until_ns - earlier_ns, None)
        return _point(measure, self._now.get((group, step)), since_ns, until_ns, before)


def _point(
    measure: Measure, cell: Cell | None, since_ns: int, until_ns: int, before: PointAnswer | None
) -> PointAnswer:
    value = value_of(measure, cell)
    counts = (cell.sessions, cell.counted, cell.untold) if cell else (0, 0, 0)
    shown = usd(value) if measure.unit == "usd" and isinstance(value, int) else value
    return PointAnswer(moment(since_ns), moment(until_ns), shown, *counts, before)


def _steps(question: Question) -> Iterator[tuple[int, int]]:
    if question.step_ns:
        for start in range(question.since_ns, question.until_ns, question.step_ns):
            yield start, min(start + question.step_ns, question.until_ns)


def _releases_of(question: Question) -> ReleaseFilter:
    filters = dict(question.filters)
    return ReleaseFilter(
        filters.get("project", ()),
        filters.get("workflow", ()),
        since_ns=question.since_ns,
        until_ns=question.until_ns,
        limit=SHOWN,
    )


def _measure(name: str) -> Measure:
    if (measure := MEASURES.get(name)) is None:
        raise ParameterError("name", "no measure of this name; /api/measures lists them")
    return measure


def _described(measure: Measure) -> MeasureAnswer:
    return MeasureAnswer(
        measure.name, measure.tier, measure.unit, measure.of, measure.means, measure.dimensions, measure.formula
    )

"""What was spent on a day, so far against days before it, and what it will have cost by its end: for API and CLI alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Literal, get_args

import msgspec

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Cell, Dimension, Group, Measured, Question, value_of
from watchpost.query.spending import DAYS, HOUR_NS, Past, forecast, split
from watchpost.server.answers import moment, usd
from watchpost.server.days import UTC_DAYS, Days
from watchpost.store.readers import FiguresReader

By = Literal["", "workflow", "model", "tool", "user_id", "org_id", "feature_name", "agent"]
BY: tuple[str, ...] = get_args(By)

_HALF_NS = HOUR_NS // 2
"""In so long parts days are asked for: clocks change by whole ones."""

_PER_SESSION: Mapping[By, Dimension | None] = {"model": "session_model", "tool": None, "agent": None}
"""By what sessions are told apart, where that is not called as it is; None where they are not."""


class SpentAnswer(msgspec.Struct, frozen=True):
    """What was spent in [`since`, `until`), decimal strings of dollars; null where calls were made and none has a price.

    `calls` have a price, and `unpriced_calls` have none and add nothing. `per_completed_session` is what the sessions that ended cost, for each that was completed; null
    where none was, or where sessions are not told apart.
    """

    since: str | None
    until: str | None
    spent_usd: str | None
    calls: int
    unpriced_calls: int
    per_completed_session_usd: str | None


class SpendingGroup(msgspec.Struct, frozen=True):
    """One value of what is grouped by; empty where nobody told it. `yesterday_usd` and `last_week_usd` are by the same hour."""

    value: str
    today: SpentAnswer
    yesterday_usd: str | None
    last_week_usd: str | None


class ForecastAnswer(msgspec.Struct, frozen=True):
    """What the day will have cost: so far, and what the remaining hours cost on average over `days` earlier days, times `scaled_by`.

    `low_usd` and `high_usd` are what the rest of the cheapest and of the dearest of these days would make of it. Where there is no forecast, all
    but `reason` are null, and that says why; else it is empty.
    """

    expected_usd: str | None
    low_usd: str | None
    high_usd: str | None
    days: int
    scaled_by: float | None
    reason: str


class SpendingAnswer(msgspec.Struct, frozen=True):
    """One day: so far, or all of it where it is over; the day before and the same day a week before by the same hour; and the forecast.

    `groups` are the dearest first; `more` says that there are others. Of tools, each has its part of the model calls that asked for them.
    """

    day: str
    timezone: str
    is_over: bool
    today: SpentAnswer
    yesterday: SpentAnswer
    last_week: SpentAnswer
    forecast: ForecastAnswer
    by: By
    groups: list[SpendingGroup]
    more: int


class _Window(msgspec.Struct, frozen=True):
    since_ns: int
    until_ns: int


class Spending:
    """It reads the store and blocks; call it from a worker thread. Every number is a measure of the catalogue."""

    def __init__(self, reader: FiguresReader, now_ns: Callable[[], int], days: Days = UTC_DAYS) -> None:
        self._reader = reader
        self._now_ns = now_ns
        self._days = days

    def answer(self, project: str, by: By, day: str, limit: int, workflow: str = "") -> SpendingAnswer:
        """What was spent on a day, of one project and workflow where they are named, told apart `by` something for the `limit` dearest. Raises `ParameterError` for a day that is none."""
        now_ns = self._now_ns()
        chosen = self._days.named(day, "day", now_ns)
        whole = self._window(chosen)
        elapsed_ns = min(now_ns, whole.until_ns) - whole.since_ns
        today, yesterday, last_week = (self._so_far(chosen, ago, elapsed_ns) for ago in (0, 1, DAYS))
        asked: tuple[tuple[Dimension, str], ...] = (("project", project), ("workflow", workflow))
        filters = tuple((name, (value,)) for name, value in asked if value)
        groups, more = self._groups(by, limit, filters, (today, yesterday, last_week)) if by else ([], 0)
        return SpendingAnswer(
            chosen.isoformat(),
            str(self._days.zone),
            now_ns >= whole.until_ns,
            self._spent(today, filters),
            self._spent(yesterday, filters),
            self._spent(last_week, filters),
            self._forecast(chosen, elapsed_ns, filters, is_over=now_ns >= whole.until_ns),
            by,
            groups,
            more,
        )

    def _window(self, day: date) -> _Window:
        return _Window(self._days.start_ns(day), self._days.start_ns(day + timedelta(days=1)))

    def _so_far(self, day: date, ago: int, elapsed_ns: int) -> _Window:
        """An earlier day, as far as this one has come."""
        whole = self._window(day - timedelta(days=ago))
        return _Window(whole.since_ns, min(whole.since_ns + elapsed_ns, whole.until_ns))

    def _measured(
        self, name: str, window: _Window, filters: tuple[tuple[Dimension, tuple[str, ...]], ...], **asked: object
    ) -> Measured:
        return self._reader.measured(msgspec.structs.replace(_question(name, window, filters), **asked))

    def _spent(self, window: _Window, filters: tuple[tuple[Dimension, tuple[str, ...]], ...]) -> SpentAnswer:
        names = ("cost_usd", "unpriced_calls", _PER)
        found = self._reader.measured_together([_question(name, window, filters) for name in names])
        cost, unpriced, per = (_cells(each).get(()) for each in found)
        return _spent(window, names[0], cost, unpriced, per)

    def _groups(
        self,
        by: By,
        limit: int,
        filters: tuple[tuple[Dimension, tuple[str, ...]], ...],
        windows: tuple[_Window, _Window, _Window],
    ) -> tuple[list[SpendingGroup], int]:
        name = "tool_cost_usd" if by == "tool" else "cost_usd"
        first = self._measured(name, windows[0], filters, by=(by,), top=limit)
        shown = tuple(group for group in _cells(first) if group is not None)
        same = {"by": (by,), "top": max(len(shown), 1), "shown": shown}
        costs = [_cells(first), *(_cells(self._measured(name, window, filters, **same)) for window in windows[1:])]
        unpriced = _cells(self._measured("unpriced_calls", windows[0], filters, **same)) if by != "tool" else {}
        per = self._per_session(by, windows[0], filters, shown)
        groups = [
            SpendingGroup(
                group[0],
                _spent(windows[0], name, costs[0].get(group), unpriced.get(group), per.get(group)),
                *(_usd(name, each.get(group)) for each in costs[1:]),
            )
            for group in shown
        ]
        return groups, max(first.groups - len(shown), 0)

    def _per_session(
        self,
        by: By,
        window: _Window,
        filters: tuple[tuple[Dimension, tuple[str, ...]], ...],
        shown: tuple[Group, ...],
    ) -> Mapping[Group | None, Cell]:
        dimension = _PER_SESSION.get(by, by)
        if not dimension or not shown:
            return {}
        return _cells(self._measured(_PER, window, filters, by=(dimension,), top=len(shown), shown=shown))

    def _forecast(
        self,
        day: date,
        elapsed_ns: int,
        filters: tuple[tuple[Dimension, tuple[str, ...]], ...],
        *,
        is_over: bool,
    ) -> ForecastAnswer:
        if is_over:
            return ForecastAnswer(None, None, None, 0, None, "the day is over")
        start_ns = self._days.start_ns(day - timedelta(days=DAYS))
        found = self._measured(
            "cost_usd", _Window(start_ns, self._days.start_ns(day) + elapsed_ns), filters, step_ns=_HALF_NS
        )
        halves = {cell.step: cell.over for cell in found.cells if cell.step is not None}
        history: list[Past] = []
        for ago in range(DAYS, 0, -1):
            window = self._window(day - timedelta(days=ago))
            first, end = ((at_ns - start_ns) // _HALF_NS for at_ns in (window.since_ns, window.until_ns))
            hours = [halves.get(half, 0) + halves.get(half + 1, 0) for half in range(first, end, 2)]
            history.append(split(hours, elapsed_ns))
        today = sum(cost for half, cost in halves.items() if half >= (self._days.start_ns(day) - start_ns) // _HALF_NS)
        made = forecast(today, history)
        if made is None:
            return ForecastAnswer(None, None, None, 0, None, f"nothing with a price in the {DAYS} days before")
        return ForecastAnswer(
            usd(made.expected), usd(made.low), usd(made.high), made.days, round(made.over / made.per, 4), ""
        )


_PER = "cost_per_completed_session_usd"


def _question(name: str, window: _Window, filters: tuple[tuple[Dimension, tuple[str, ...]], ...]) -> Question:
    return Question(MEASURES[name], window.since_ns, window.until_ns, filters=filters, tells_sessions=False)


def _cells(found: Measured) -> dict[Group | None, Cell]:
    return {cell.group: cell for cell in found.cells if cell.step is None}


def _usd(name: str, cell: Cell | None) -> str | None:
    value = value_of(MEASURES[name], cell)
    return usd(value) if isinstance(value, int) else None


def _spent(window: _Window, name: str, cost: Cell | None, unpriced: Cell | None, per: Cell | None) -> SpentAnswer:
    return SpentAnswer(
        moment(window.since_ns),
        moment(window.until_ns),
        _usd(name, cost),
        cost.counted if cost else 0,
        unpriced.over if unpriced else 0,
        _usd(_PER, per) if per else None,
    )

"""What a measure came to, made ready for a page: groups as rows, points as rows, each with the way to its sessions."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from markupsafe import Markup

from watchpost.query.measures import Dimension
from watchpost.server.measures import MeasuredAnswer, PointAnswer, SeriesAnswer
from watchpost.server.pages.chart import MOST_SERIES, Chart, change, chart_of, group_name, number
from watchpost.server.pages.figure import in_unit
from watchpost.server.pages.measure_question import Asking, Pair

COUNTED: Mapping[str, str] = {"step": "steps", "session": "sessions", "flag": "flags", "sample": "samples"}
"""What a point is counted in, by what the measure is of."""

_SINCE, _UNTIL = "SINCE", "UNTIL"


class Cell(msgspec.Struct, frozen=True):
    """A value with the way to its sessions, empty where there are none."""

    value: Markup
    href: str


class Row(msgspec.Struct, frozen=True):
    """One group, or all others together where `names` is empty. `names` are values with the address of the question about them alone.

    `line` is the number of its line in the chart, 0 for none; `width` how its value stands to the greatest, of 100.
    """

    names: tuple[Pair, ...]
    label: str
    line: int
    value: Cell
    width: float
    before: Markup
    change: Markup
    counted: int
    untold: int
    sessions: int


class Moment(msgspec.Struct, frozen=True):
    """One step of time: the value of each line, the first of them compared and counted."""

    since: str | None
    values: tuple[Cell, ...]
    before: Markup
    counted: int
    untold: int


class Figures(msgspec.Struct, frozen=True):
    """All of it. `lines` name the columns of `moments`; `compared` says whether there is a window before."""

    rows: tuple[Row, ...]
    moments: tuple[Moment, ...]
    lines: tuple[str, ...]
    chart: Chart
    compared: bool
    empty: bool


def figures(answer: MeasuredAnswer, asking: Asking) -> Figures:
    """The figures of an answer to a question."""
    made = _Figures(answer, asking)
    drawn = answer.series[:MOST_SERIES]
    every = [*answer.series, *([answer.rest] if answer.rest else [])]
    return Figures(
        tuple(made.row(series, place) for place, series in enumerate(every)),
        tuple(made.moment(drawn, place) for place in range(len(drawn[0].points) if drawn else 0)),
        tuple(group_name(series) for series in drawn),
        chart_of(answer, made.anywhere()),
        any(series.total.before for series in every),
        not any(series.total.counted or series.total.untold for series in every),
    )


class _Figures:
    def __init__(self, answer: MeasuredAnswer, asking: Asking) -> None:
        self._answer = answer
        self._asking = asking
        self._name = answer.measure.name
        self._has_sessions = answer.measure.of != "sample"
        self._greatest = max((abs(number(series.total) or 0.0) for series in answer.series), default=0.0)

    def anywhere(self) -> str:
        """The address behind any point, with places for its time."""
        if not self._has_sessions:
            return ""
        address = self._asking.sessions(self._name, {}, _SINCE, _UNTIL)
        return address.replace(f"since={_SINCE}", "since={since}").replace(f"until={_UNTIL}", "until={until}")

    def row(self, series: SeriesAnswer, place: int) -> Row:
        total = series.total
        is_rest = bool(self._answer.by) and not series.group
        value = number(total)
        return Row(
            () if is_rest else tuple(self._alone(name, text) for name, text in series.group.items()),
            f"{series.groups:,} others" if is_rest else group_name(series),
            place + 1 if place < MOST_SERIES and not is_rest else 0,
            Cell(self._shown(total), "" if is_rest else self._behind(series, total)),
            min(100 * abs(value) / self._greatest, 100) if value and self._greatest and not is_rest else 0.0,
            self._shown(total.before),
            change(value, number(total.before)) if total.before else Markup(""),
            total.counted,
            total.untold,
            total.sessions,
        )

    def moment(self, drawn: list[SeriesAnswer], place: int) -> Moment:
        points = [series.points[place] for series in drawn]
        first = points[0]
        cells = zip(drawn, points, strict=True)
        return Moment(
            first.since,
            tuple(Cell(self._shown(point), self._behind(series, point)) for series, point in cells),
            self._shown(first.before),
            first.counted,
            first.untold,
        )

    def _alone(self, name: Dimension | str, text: str) -> Pair:
        kept = tuple(pair for pair in self._asking.filters if pair[0] != name)
        by = tuple(each for each in self._asking.by if each != name)
        changed = {"filters": (*kept, (name, text)), "by": by, "top": self._asking.top if by else ""}
        return text, self._asking.address(self._name, **changed)

    def _behind(self, series: SeriesAnswer, point: PointAnswer) -> str:
        if not self._has_sessions or not point.counted:
            return ""
        return self._asking.sessions(self._name, series.group, point.since or "", point.until or "")

    def _shown(self, point: PointAnswer | None) -> Markup:
        return in_unit(point.value, self._answer.measure.unit) if point else Markup("")

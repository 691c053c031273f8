"""How figures are drawn: as a chart over time, which a script draws, or as a small line among words, which is drawn here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from markupsafe import Markup

from watchpost.server.measures import MeasuredAnswer, PointAnswer, SeriesAnswer
from watchpost.server.pages.display import shown
from watchpost.server.releases import ReleaseAnswer

MOST_SERIES = 8
"""Lines that can still be told apart; the others stand in the table."""


class Line(msgspec.Struct, frozen=True):
    """One line of a chart, with a value for each of its times, null where there is none. A dashed one is of the window before."""

    label: str
    values: Sequence[float | None]
    dashed: bool = False


class Mark(msgspec.Struct, frozen=True):
    """A moment that is drawn across a chart, in Unix seconds."""

    at: float
    label: str


class Chart(msgspec.Struct, frozen=True):
    """What `<wp-chart data-chart>` draws. `times` are Unix seconds; each point stands for `step` seconds from there.

    `href` leads to what is behind a point, with `{since}` and `{until}` in it, empty for nowhere. `bars` are drawn instead of lines.
    """

    unit: str
    times: Sequence[float]
    series: Sequence[Line]
    marks: Sequence[Mark]
    step: float
    href: str = ""
    bars: bool = False


def chart_of(answer: MeasuredAnswer, href: str = "", *, bars: bool = False) -> Chart:
    """The first groups of an answer that was asked for by step, and its releases; with the window before where it is compared."""
    lines = [Line(plain(group_name(series)), [number(point) for point in series.points]) for series in answer.series]
    if len(answer.series) == 1 and any(point.before for point in answer.series[0].points):
        lines.append(Line("before", [number(point.before) for point in answer.series[0].points], dashed=True))
    times = [seconds(point.since) for point in answer.series[0].points] if answer.series else []
    return Chart(
        answer.measure.unit, times, lines[:MOST_SERIES], marks(answer.releases), answer.step or 0.0, href, bars
    )


def group_name(series: SeriesAnswer) -> str:
    """How a group is called; what nobody told is `(none)`."""
    return ", ".join(value or "(none)" for value in series.group.values()) or "all"


def plain(text: str, limit: int = 60) -> str:
    """Text for a drawing: cut, with what would hide or reorder it made visible."""
    return shown(text, limit).striptags()


def marks(releases: Sequence[ReleaseAnswer]) -> list[Mark]:
    """Releases as marks, the earliest first."""
    return sorted(
        (Mark(seconds(each.at), plain(f"{each.kind} {each.version}", 40)) for each in releases),
        key=lambda mark: mark.at,
    )


def number(point: PointAnswer | None) -> float | None:
    """The value of a point to be drawn; dollars, which are exact as text, become a number."""
    return None if point is None or point.value is None else float(point.value)


def seconds(moment: str | None) -> float:
    """A moment of an answer in Unix seconds."""
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0


_NO_CHANGE = 0.005
"""Less than would be told as 1 %."""

Better = Literal["more", "less", ""]
"""Which way a number is better, if any."""


def change(now: float | None, before: float | None, better: Better = "") -> Markup:
    """How a number changed against before, in percent, with an arrow and a word for whether that is good."""
    if now is None or before is None:
        return Markup('<span class="same">nothing to compare</span>') if now is not None else Markup("")
    if now == before or (before and abs(now / before - 1) < _NO_CHANGE):
        return Markup('<span class="same" title="{:g} before">as before</span>').format(before)
    grew = now > before
    kind = "same" if not better else "better" if grew == (better == "more") else "worse"
    told = f"{abs(now / before - 1):.0%}" if before else "from 0"
    return Markup('<span class="{}" title="{:g} before">{} {}</span>').format(kind, before, "▲" if grew else "▼", told)


def spark(values: Sequence[float | None]) -> Markup:
    """A small line without axes, for a number that stands beside it in words; nothing where there are not two values."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(0.0, *known), max(known)
    reach = (high - low) or 1.0
    across = 100 / (len(values) - 1)
    points = " ".join(
        f"{at * across:.1f},{24 - 22 * (value - low) / reach:.1f}"
        for at, value in enumerate(values)
        if value is not None
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 100 26" preserveAspectRatio="none" aria-hidden="true"><polyline points="{}"/></svg>'
    ).format(points)

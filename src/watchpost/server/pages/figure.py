"""A number with its unit as it stands on a page, and the tile that says of a measure how it is, was, and whether that is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup, escape

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Distinct, Ratio, Unit
from watchpost.server.measures import MeasuredAnswer, PointAnswer
from watchpost.server.pages.chart import Better, change, number, spark
from watchpost.server.pages.display import duration, money, size

Measured = int | float | str | None
"""A value as answers hold it: dollars are text."""

NOTHING = Markup('<span class="absent" title="nothing to tell">–</span>')

_SHORT = ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k"))
"""From what on a count is told in what, and the letter of that."""


class Tile(msgspec.Struct, frozen=True):
    """One measure of a window: its name and what it means, the value, how that changed, a line of its course, and where it leads."""

    name: str
    label: str
    means: str
    value: Markup
    note: str
    change: Markup
    spark: Markup
    href: str


def in_unit(value: Measured, unit: Unit) -> Markup:
    """A value with its unit, short enough to be compared at a glance; the exact one is the tooltip where it was shortened."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return money(value)
    return _SHOWN.get(unit, _counted)(value)


def tile(answer: MeasuredAnswer, label: str, better: Better, scope: dict[str, str]) -> Tile:
    """A measure that was asked for by step and against a window before; `scope` is what it was filtered by."""
    series = answer.series[0]
    total, before = series.total, series.total.before
    return Tile(
        answer.measure.name,
        label,
        answer.measure.means,
        in_unit(total.value, answer.measure.unit),
        _basis(answer, total),
        change(number(total), number(before), better),
        spark([number(point) for point in series.points]),
        explored(answer, scope),
    )


def explored(answer: MeasuredAnswer, scope: dict[str, str]) -> str:
    """Where the same question is looked at closely."""
    asked = {"since": answer.since or "", "until": answer.until or "", "step": "1h", "compare": "1d", **scope}
    return f"/measures/{answer.measure.name}?{urlencode({name: value for name, value in asked.items() if value})}"


def _basis(answer: MeasuredAnswer, total: PointAnswer) -> str:
    """On how much a number stands that is none of its own; a share of sessions that is worked out of their steps does not tell of how many."""
    formula = MEASURES[answer.measure.name].formula
    if isinstance(formula, Ratio) and isinstance(formula.per, Distinct):
        return ""
    what = {"step": "steps", "session": "sessions", "flag": "flags", "sample": "samples"}[answer.measure.of]
    told = f"of {total.counted:,} {what}" if answer.measure.unit in {"share", "seconds", "score"} else ""
    return f"{told}{', ' if told else ''}{total.untold:,} untold" if total.untold else told


def _counted(value: float) -> Markup:
    for least, each, letter in _SHORT:
        if abs(value) >= least:
            return Markup('<span title="{:,}">{} {}</span>').format(value, _digits(value / each), letter)
    return escape(f"{value:,}" if isinstance(value, int) else _digits(value))


def _digits(value: float) -> str:
    """Three digits that count, and no zeros behind them."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return f"{float(text):g}" if "e" in text else text


_SHOWN: Mapping[Unit, Callable[[float], Markup]] = {
    "share": lambda value: escape(f"{_digits(100 * value)} %"),
    "seconds": lambda value: duration(1000 * value),
    "bytes": size,
    "score": lambda value: escape(_digits(value)),
}
"""How units are shown that are no plain counts."""

"""What a rule looks at, drawn: the measure in steps of the rule's window, the threshold as a line, and the moments at which it told."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup

from watchpost.server.answers import moment
from watchpost.server.measures import MeasuredAnswer, Measures
from watchpost.server.pages.chart import Chart, Line, Mark, chart_of, number
from watchpost.server.pages.figure import in_unit
from watchpost.server.rule_figure import RuleFigure

NS = 10**9
MOST_BEFORE, MOST_AFTER, FEWEST = 24, 36, 6
"""Windows before and after an alert that are drawn, and how few at least."""

DAY_NS = 86_400 * NS

MOST_POINTS = 300
"""Points of one line that can still be told apart."""

_ADDED_UP = frozenset({"count", "tokens", "usd", "bytes"})
"""Units of which a longer window holds more."""


class Drawn(msgspec.Struct, frozen=True):
    """A chart, the same as rows (moment, value, the way to the sessions behind it) of its first line, and where the question is looked at closely."""

    chart: Chart
    answer: MeasuredAnswer
    rows: list[tuple[str | None, Markup, str]]
    href: str


def around(
    measures: Measures, figure: RuleFigure, *, fired_ns: int, over_ns: int | None, now_ns: int, threshold: float
) -> Drawn:
    """The whole windows before and after an alert. One of them ends when it fired, so that it says just what the rule saw."""
    step_ns = figure.step_ns
    before = max(FEWEST, min(MOST_BEFORE, DAY_NS // step_ns))
    since_ns = max(fired_ns - before * step_ns, 0)
    last_ns = fired_ns + max(FEWEST, min(MOST_AFTER, DAY_NS // step_ns)) * step_ns
    until_ns = min(now_ns, last_ns if over_ns is None else min(last_ns, over_ns + FEWEST * step_ns))
    until_ns = fired_ns + max(until_ns - fired_ns, 0) // step_ns * step_ns
    marks = [Mark(fired_ns / NS, "fires")]
    if over_ns is not None and over_ns < until_ns:
        marks.append(Mark(over_ns / NS, "over"))
    line = figure.threshold if figure.threshold is not None else threshold
    return drawn(measures, figure, (since_ns, until_ns), step_ns, line, marks)


def lately(
    measures: Measures, figure: RuleFigure, window_ns: tuple[int, int], fired: Sequence[tuple[int, str]] = ()
) -> Drawn:
    """A longer stretch that ends with it, with marks where the rule would have fired, each with a word.

    Where there would be too many windows several are put together; a threshold then is left out of what adds up.
    """
    since_ns, until_ns = window_ns
    together = -(-(until_ns - since_ns) // (MOST_POINTS * figure.step_ns))
    step_ns = max(together, 1) * figure.step_ns
    is_same = step_ns == figure.step_ns or figure.measure.unit not in _ADDED_UP
    until_ns -= (until_ns - since_ns) % step_ns
    marks = [Mark(at_ns / NS, word) for at_ns, word in fired]
    return drawn(
        measures,
        figure,
        (since_ns, max(until_ns, since_ns + step_ns)),
        step_ns,
        figure.threshold if is_same else None,
        marks,
    )


def drawn(  # noqa: PLR0917  each says something else of the picture
    measures: Measures,
    figure: RuleFigure,
    window_ns: tuple[int, int],
    step_ns: int,
    threshold: float | None,
    marks: Sequence[Mark] = (),
) -> Drawn:
    """The measure in a window, with its threshold and with marks beside those of releases. Raises what `Measures.answer` does."""
    since, until = (moment(at_ns) or "" for at_ns in window_ns)
    asked = [("since", since), ("until", until), ("step", f"{step_ns // NS}s"), *figure.parameters]
    answer = measures.answer(figure.measure.name, asked)
    scope = urlencode([pair for pair in figure.parameters if pair[0] not in {"by", "top", "quantile"}])
    behind = (
        "" if figure.measure.of == "sample" else f"/measures/{figure.measure.name}/sessions?" + (scope and f"{scope}&")
    )
    chart = chart_of(answer, f"{behind}since={{since}}&until={{until}}" if behind else "")
    if threshold is not None:
        chart = msgspec.structs.replace(
            chart, series=[*chart.series, Line("threshold", [threshold] * len(chart.times), dashed=True)]
        )
    chart = msgspec.structs.replace(chart, marks=sorted([*chart.marks, *marks], key=lambda mark: mark.at))
    return Drawn(
        chart,
        answer,
        [
            (
                point.since,
                in_unit(number(point), answer.measure.unit),
                behind + urlencode({"since": point.since, "until": point.until}) if behind and point.sessions else "",
            )
            for point in (answer.series[0].points if answer.series else [])
        ],
        f"/measures/{figure.measure.name}?{urlencode(asked)}",
    )

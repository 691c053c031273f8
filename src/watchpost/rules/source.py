"""Where the numbers of a rule come from: a window in memory where memory reaches far enough, else the history."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from watchpost.query.measures import (
    Cell,
    Count,
    Dimension,
    Distinct,
    Group,
    Mean,
    Measure,
    Quantile,
    Question,
    Ratio,
    Sum,
)
from watchpost.rules.counting import is_countable, is_of_row
from watchpost.rules.history import Asked, History, Points, refresh_ns
from watchpost.rules.rule import OfMeasure
from watchpost.rules.tally import CELL_NS, EXAMPLES
from watchpost.rules.tape import Tape

LONGEST_HELD_NS = 24 * 3600 * 10**9
"""Windows longer than this are always asked of the history."""

Filters = tuple[tuple[Dimension, tuple[str, ...]], ...]


class Tapes:
    """All tapes that rules need, one for each measure, filter and grouping."""

    def __init__(self) -> None:
        self._tapes: dict[object, Tape] = {}

    def get(self, measure: Measure, where: Filters, by: tuple[Dimension, ...]) -> Tape:
        """The tape; the same for everyone who asks."""
        filters = tuple(sorted((name, tuple(sorted(values))) for name, values in where))
        key = measure.name, msgspec.json.encode(measure.formula), filters, by
        if key not in self._tapes:
            self._tapes[key] = Tape(measure, filters, by)
        return self._tapes[key]

    def all(self) -> Collection[Tape]:
        """Every tape."""
        return self._tapes.values()


class Source:
    """A measure over the window of some length that ends at each evaluation."""

    def __init__(self, tapes: Tapes, history: History | None, subject: OfMeasure, window_ns: int) -> None:
        measure = subject.measure
        self.measure = measure
        self._window_ns = window_ns
        self._quantile = subject.quantile
        self._points: Points = {}
        self._is_held = False
        self._tape = None
        dimensions = (*subject.by, *[name for name, _ in subject.where])
        if window_ns <= LONGEST_HELD_NS and is_countable(measure, dimensions):
            self._tape = tapes.get(measure, subject.where, subject.by)
            self._window = self._tape.window(window_ns // CELL_NS)

        def ask(end_ns: int) -> Question:
            return question_of(subject, end_ns - window_ns, end_ns)

        self._asked = Asked(history, ask, refresh_ns(window_ns))

    def look(self, end_ns: int, held_since_ns: int) -> bool:
        """Turn to the window that ends here; whether there is anything to judge by. Memory holds all since a time."""
        self._is_held = self._tape is not None and end_ns - self._window_ns >= held_since_ns
        if self._is_held:
            return True
        points = self._asked.points(end_ns)
        self._points = points or {}
        return points is not None

    def groups(self) -> Collection[Group]:
        """The groups in which anything fits."""
        return self._window.groups.keys() if self._is_held else self._points.keys()

    def cell(self, group: Group) -> Cell | None:
        """What a group comes to; None where nothing fits."""
        if self._is_held and self._tape is not None:
            return self._tape.cell(self._window, group, self._quantile)
        found = self._points.get(group)
        return found[0] if found else None

    def examples(self, group: Group) -> list[str]:
        """Ids of sessions above the line; none where they are not in memory."""
        if self._tape is None or (not self._is_held and group not in self._window.groups):
            return []
        return self._tape.examples(self._window, group, EXAMPLES)

    def forget(self) -> None:
        """Let go of what the history said."""
        self._asked.forget()
        self._points = {}

    @property
    def is_crowded(self) -> bool:
        """Whether groups are put together because there are too many."""
        return self._tape is not None and self._tape.is_crowded


class Affected:
    """The share of sessions that stand above the line of a measure, of all sessions in which a step began, or that ended."""

    def __init__(self, tapes: Tapes, history: History | None, subject: OfMeasure, window_ns: int) -> None:
        measure = subject.measure
        if measure.of == "session":
            self._above = Source(tapes, history, _with(subject, _counting(measure)), window_ns)
            self._all = Source(tapes, history, _with(subject, ENDED_SESSIONS), window_ns)
            self._project: Callable[[Group], Group] = lambda group: group
            return
        self._above = Source(tapes, history, _with(subject, _counting(measure)), window_ns)
        where = tuple(each for each in subject.where if is_of_row(each[0]))
        by = tuple(name for name in subject.by if is_of_row(name))
        places = (0, *[place for place, name in enumerate(subject.by, 1) if is_of_row(name)])
        self._all = Source(tapes, history, OfMeasure(ACTIVE_SESSIONS, where, by), window_ns)
        self._project = lambda group: tuple(group[place] for place in places)

    def look(self, end_ns: int, held_since_ns: int) -> bool:
        """As `Source.look`."""
        above = self._above.look(end_ns, held_since_ns)
        return self._all.look(end_ns, held_since_ns) and above

    def forget(self) -> None:
        """As `Source.forget`."""
        self._above.forget()
        self._all.forget()

    def share(self, group: Group) -> float:
        """Of a group, from 0 to 1; 0 where there is no session."""
        above, everyone = self._above.cell(group), self._all.cell(self._project(group))
        if above is None or everyone is None or not everyone.over:
            return 0.0
        return above.over / everyone.over


ACTIVE_SESSIONS = Measure(
    "active_sessions", "infrastructure", "count", "step", Distinct(), "Sessions in which a step began."
)
ENDED_SESSIONS = Measure("sessions", "infrastructure", "count", "session", Count(), "Sessions that ended.")


def question_of(subject: OfMeasure, since_ns: int, until_ns: int, step_ns: int = 0) -> Question:
    """What the history is asked: every group of every project."""
    by: tuple[Dimension, ...] = () if subject.measure.of == "sample" else ("project", *subject.by)
    return Question(
        subject.measure, since_ns, until_ns, step_ns, subject.where, by, subject.quantile, tells_sessions=False
    )


def least_of(measure: Measure, cell: Cell) -> int:
    """How many stand behind a value: below the line of a ratio, else all that took part."""
    formula = measure.formula
    if isinstance(formula, Ratio) and not isinstance(formula.per, Sum):
        return cell.per
    return cell.over if isinstance(formula, Distinct) else cell.counted


def _with(subject: OfMeasure, measure: Measure) -> OfMeasure:
    return msgspec.structs.replace(subject, measure=measure)


def _counting(measure: Measure) -> Measure:
    """How many sessions stand above the line of a measure."""
    formula = measure.formula
    over = formula.over if isinstance(formula, Ratio) else formula
    where = over.where if isinstance(over, Count | Distinct | Sum | Mean | Quantile) else None
    if where is None:
        raise ValueError(f"no sessions stand behind {measure.name}")
    count = Count(where) if measure.of == "session" else Distinct(where)
    return Measure(f"sessions of {measure.name}", measure.tier, "count", measure.of, count, measure.means)

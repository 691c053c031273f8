"""What a query string asks of a measure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from watchpost.query.measures import (
    MOST_BY,
    MOST_CELLS,
    MOST_GROUPS,
    MOST_POINTS,
    Contributor,
    Dimension,
    Measure,
    Part,
    Question,
    Ratio,
    SessionsQuestion,
)
from watchpost.server.days import UTC_DAYS, Days
from watchpost.server.problem import ParameterError

NS = 10**9
DAY_NS = 86_400 * NS
QUANTILE = "0.95"

_UNITS: Mapping[str, int] = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": DAY_NS, "w": 7 * DAY_NS}
_DURATION = re.compile(r"([0-9]{1,9})([smhdw]?)")
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9])?|100)")
_LONGEST = 1024
_MOST_VALUES = 200
_MOST_PAGE = 1_000
_RELEASE = "release:"
_AUTO = "auto"
_FEW = 60
_STEPS_S = (60, 300, 600, 1800, 3600, 2 * 3600, 4 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 28 * 86_400)
"""Steps that read well."""

WINDOW = ("since", "until", "quantile")
OF_POINTS = (*WINDOW, "step", "by", "compare", "top")
OF_SESSIONS = (*WINDOW, "part", "cursor", "limit")


class Asked(msgspec.Struct, frozen=True):
    """A question, by how much earlier the window is that it is compared with, 0 for none, and whether groups may be cut."""

    question: Question
    earlier_ns: int
    cut: bool

    def check_cells(self, groups: int) -> None:
        """Raise `ParameterError` where the answer would have too many points."""
        points = _points(self.question)
        if points > 1 and points * groups > MOST_CELLS:
            fault = f"{points} points of {groups} groups are more than {MOST_CELLS}; take a longer step, or fewer groups by top"
            raise ParameterError("step", fault)


def asked_of(
    measure: Measure,
    parameters: Sequence[tuple[str, str]],
    now_ns: int,
    days: Days,
    released_ns: Callable[[str], int],
) -> Asked:
    """What is asked of a measure; the last 24 hours where nothing says otherwise. `released_ns` says when the release of an id was.

    Compared with a release, the window begins there, and is cut short, on both sides, where it would not be over yet.
    """
    given = _Given(measure, parameters, OF_POINTS)
    question = given.question(now_ns, days)
    compare = given.one("compare")
    if compare.startswith(_RELEASE):
        at_ns = released_ns(compare.removeprefix(_RELEASE))
        length = min(question.until_ns - question.since_ns, now_ns - at_ns)
        if length <= 0:
            raise ParameterError("compare", "nothing was measured since this release yet")
        question = msgspec.structs.replace(question, since_ns=at_ns, until_ns=at_ns + length)
        compare = "previous"
    step = _step_ns(given.one("step"), question.until_ns - question.since_ns)
    question = msgspec.structs.replace(
        question, step_ns=step, by=given.by(), top=given.number("top", MOST_GROUPS, MOST_GROUPS)
    )
    if (points := _points(question)) > MOST_POINTS:
        raise ParameterError("step", f"too small: {points} points, of which at most {MOST_POINTS} are answered")
    length = question.until_ns - question.since_ns
    earlier = length if compare == "previous" else duration_ns(compare, "compare") if compare else 0
    if earlier > question.since_ns:
        raise ParameterError("compare", "goes back before 1970")
    return Asked(question, earlier, bool(given.one("top")))


def asked_sessions(
    measure: Measure, parameters: Sequence[tuple[str, str]], now_ns: int, days: Days = UTC_DAYS
) -> SessionsQuestion:
    """Which sessions are asked for."""
    if measure.of == "sample":
        raise ParameterError("name", f"{measure.name} says how Watchpost itself does; no sessions stand behind it")
    given = _Given(measure, parameters, OF_SESSIONS)
    part: Part = "all"
    if given.one("part") == "over" and isinstance(measure.formula, Ratio):
        part = "over"
    elif given.one("part") not in {"", "all"}:
        raise ParameterError("part", "it is all, or for a ratio over")
    limit = given.number("limit", 50, _MOST_PAGE)
    return SessionsQuestion(given.question(now_ns, days), part, _place(given.one("cursor")), limit)


def cursor_of(last: Contributor) -> str:
    """The cursor of the page after a session."""
    return base64.urlsafe_b64encode(msgspec.json.encode((last.project, last.session_id))).decode()


def sensible_step_ns(length_ns: int) -> int:
    """The shortest step that reads well and cuts a window of this length into at most 60; the longest one where none does."""
    return next((step * NS for step in _STEPS_S if step * NS * _FEW >= length_ns), _STEPS_S[-1] * NS)


def duration_ns(text: str, parameter: str) -> int:
    """A whole number of seconds, or of what a letter says: 90, 90s, 10m, 1h, 1d, 2w. Raises `ParameterError` for anything else, and for 0."""
    found = _DURATION.fullmatch(text)
    if found is None or not int(found[1]):
        raise ParameterError(parameter, "no duration, such as 90s, 10m, 1h, 1d or 2w")
    return int(found[1]) * _UNITS[found[2] or "s"]


class _Given:
    """Parameters by name. Every dimension of the measure is one too, and may be given several times."""

    def __init__(self, measure: Measure, parameters: Sequence[tuple[str, str]], known: Sequence[str]) -> None:
        self._measure = measure
        self._values: dict[str, list[str]] = {}
        for name, value in parameters:
            if name not in known and name not in measure.dimensions:
                raise ParameterError(name, f"no parameter or dimension of {measure.name}; {self._choice()}")
            if len(value) > _LONGEST and name != "cursor":
                raise ParameterError(name, f"longer than {_LONGEST} characters")
            self._values.setdefault(name, []).append(value)

    def one(self, name: str) -> str:
        """The last value; empty where none was given."""
        return self._values.get(name, [""])[-1]

    def number(self, name: str, default: int, most: int) -> int:
        text = self.one(name)
        if text and not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
            raise ParameterError(name, f"no whole number from 1 to {most}")
        return int(text) if text else default

    def by(self) -> tuple[Dimension, ...]:
        asked = [name for text in self._values.get("by", []) for name in text.split(",") if name]
        found = {name: None for name in self._measure.dimensions if name in asked}
        for name in asked:
            if name not in found:
                raise ParameterError("by", f"{name} is no dimension of {self._measure.name}; {self._choice()}")
        if len(found) > MOST_BY:
            raise ParameterError("by", f"at most {MOST_BY} dimensions")
        return tuple(sorted(found, key=asked.index))

    def question(self, now_ns: int, days: Days) -> Question:
        until = days.moment_ns(self.one("until"), "until", now_ns) if self.one("until") else now_ns
        since = days.moment_ns(self.one("since"), "since", now_ns) if self.one("since") else max(until - DAY_NS, 0)
        if since >= until:
            raise ParameterError("until", "the window ends before it begins")
        return Question(self._measure, since, until, filters=self._filters(), quantile=self._quantile())

    def _filters(self) -> tuple[tuple[Dimension, tuple[str, ...]], ...]:
        filters = [(name, tuple(self._values[name])) for name in self._measure.dimensions if name in self._values]
        for name, values in filters:
            if len(values) > _MOST_VALUES:
                raise ParameterError(name, f"more than {_MOST_VALUES} values")
        return tuple((name, values) for name, values in filters if name != "project" or any(values))

    def _quantile(self) -> int:
        text = self.one("quantile") or QUANTILE
        share = _QUANTILE.fullmatch(text)
        try:
            thousandths = float(share[1]) * 10 if share else float(text) * 1000
        except ValueError:
            thousandths = 0.0
        if not 1 <= thousandths <= 1000 or abs(thousandths - round(thousandths)) > 1e-6:
            raise ParameterError("quantile", "no share from 0.001 to 1 in thousandths, such as 0.95 or p95")
        return round(thousandths)

    def _choice(self) -> str:
        return f"it has {', '.join(self._measure.dimensions)}"


def _step_ns(text: str, length_ns: int) -> int:
    if text == _AUTO:
        return sensible_step_ns(length_ns)
    return duration_ns(text, "step") if text else 0


def _points(question: Question) -> int:
    return -(-(question.until_ns - question.since_ns) // question.step_ns) if question.step_ns else 1


def _place(cursor: str) -> tuple[str, str] | None:
    if not cursor:
        return None
    try:
        return msgspec.json.decode(base64.b64decode(cursor, altchars=b"-_", validate=True), type=tuple[str, str])
    except (binascii.Error, ValueError) as error:
        raise ParameterError("cursor", "not the cursor of a page") from error

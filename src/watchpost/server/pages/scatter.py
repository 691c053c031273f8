"""What versions cost against how well they do, as points: placed here, drawn by `templates/scatter.html` without a script.

Places are shares of the drawing's width, so that it fits any screen with letters of one size, and pixels of its height.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from watchpost.rules.precision import wilson
from watchpost.server.pages.chart import plain
from watchpost.server.pages.figure import in_unit
from watchpost.server.release_versions import VersionAnswer, VersionsAnswer

HEIGHT, TOP, BOTTOM = 250, 18, 214
"""Pixels of the drawing: its height, and where the plot begins and ends."""

COST, RATE = "cost_per_completed_session_usd", "completion_rate"

_LEFT, _RIGHT = 7.0, 96.0
_NARROW = 340.0
_LETTER, _LINE = 6.0, 14.0
_LONGEST = 22
_BESIDE = 9
_STEPS = (0, -1, 1, -2, 2)
_TICKS = 4


class Tick(msgspec.Struct, frozen=True):
    """A line of the grid: where it is, and what it says."""

    at: float
    label: str


class Label(msgspec.Struct, frozen=True):
    """The name beside a point: so many pixels beside it, to its left or right, and so many lines below it, with a line that leads there."""

    text: str
    dx: int
    y: float
    to_the_left: bool
    lines: int


class Point(msgspec.Struct, frozen=True):
    """A version: `x` in percent of the width, `y` in pixels, and from where to where the 95 % interval of its rate goes; in words for the tooltip."""

    label: Label
    x: float
    y: float
    low: float
    high: float
    words: str
    named: bool


class Scatter(msgspec.Struct, frozen=True):
    """The drawing; `left_out` versions have no cost or no rate, and stand in the table alone."""

    points: Sequence[Point]
    across: Sequence[Tick]
    up: Sequence[Tick]
    left_out: int
    height: int = HEIGHT
    top: int = TOP
    bottom: int = BOTTOM
    left: float = _LEFT
    right: float = _RIGHT


class _Measured(msgspec.Struct, frozen=True):
    name: str
    cost: float
    rate: float
    low: float
    high: float
    sessions: int


def scatter_of(answer: VersionsAnswer) -> Scatter | None:
    """The versions with a cost and a rate; None where there are not two to be compared."""
    found = [one for one in map(_measured, answer.versions) if one is not None]
    if len(found) < 2:
        return None
    dearest, lowest = max(one.cost for one in found), min(one.low for one in found)
    across = _ticks(0.0, dearest * 1.08 or 1.0)
    floor = max(math.floor(10 * lowest - 0.05) / 10, 0.0)
    up = [floor + (1 - floor) * at / _TICKS for at in range(_TICKS + 1)]
    reach = max(across[-1], dearest * 1.08)

    def x(cost: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * cost / reach, 2)

    def y(rate: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (rate - floor) / (1 - floor), 1)

    taken = [(x(one.cost), y(one.rate)) for one in found]
    labels = _labels([plain(one.name or "(not told)", _LONGEST) for one in found], taken)
    return Scatter(
        [
            Point(label, *place, y(one.low), y(one.high), _words(one), bool(one.name))
            for one, place, label in zip(found, taken, labels, strict=True)
        ],
        [Tick(x(at), in_unit(f"{at:.6f}", "usd").striptags()) for at in across],
        [Tick(y(at), f"{100 * at:.3g} %") for at in up],
        len(answer.versions) - len(found),
    )


def _measured(version: VersionAnswer) -> _Measured | None:
    cost, rate = version.measures[COST].value, version.measures[RATE]
    share = float(rate.value) if rate.value is not None else None
    if cost is None or share is None or not rate.counted:
        return None
    low, high = wilson(round(share * rate.counted), rate.counted)
    return _Measured(version.version, float(cost), share, low, high, rate.counted)


def _words(one: _Measured) -> str:
    cost = in_unit(f"{one.cost:.6f}", "usd").striptags()
    rates = f"{100 * one.rate:.3g} % completed ({100 * one.low:.3g} to {100 * one.high:.3g} %)"
    return f"{plain(one.name or '(not told)')}: {rates} of {one.sessions:,}, {cost} for each that did"


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` up to at most `high`, about `_TICKS` of them."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough)
    return [low + at * step for at in range(int((high - low) / step) + 1)]


def _labels(names: Sequence[str], places: Sequence[tuple[float, float]]) -> list[Label]:
    """Names beside their points, each where it lies over no point and no name before it, as far as there is room on a narrow screen."""
    taken = [(x - 2, y - 5, x + 2, y + 5) for x, y in places]
    labels: list[Label] = []
    for name, (x, y) in zip(names, places, strict=True):
        sides = (False, True) if x <= (_LEFT + _RIGHT) / 2 else (True, False)
        asked = [(left, lines) for left in sides for lines in _STEPS]
        boxes = [(*one, _box(name, x, y, *one)) for one in asked]
        free = [each for each in boxes if _is_inside(each[2]) and not any(_meet(each[2], one) for one in taken)]
        left, lines, box = (free or boxes)[0]
        taken.append(box)
        labels.append(Label(name, -_BESIDE if left else _BESIDE, y + 4 + lines * _LINE, left, lines))
    return labels


_Box = tuple[float, float, float, float]


def _box(name: str, x: float, y: float, left: bool, lines: int) -> _Box:
    beside, wide = 100 * _BESIDE / _NARROW, 100 * _LETTER * len(name) / _NARROW
    begin = x - beside - wide if left else x + beside
    middle = y + lines * _LINE
    return begin, middle - _LINE / 2, begin + wide, middle + _LINE / 2


def _is_inside(box: _Box) -> bool:
    return box[0] >= 0 and box[2] <= 100 and box[1] >= 0 and box[3] <= BOTTOM


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

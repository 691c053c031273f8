"""What a day will have cost by its end, from what it has cost so far and what the days before it cost."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

DAYS = 7
"""Days before that a forecast looks at."""

SCALED_FROM = 10
"""A forecast scales by how today compares with other days once those had spent one part in so many by the same hour."""

HOUR_NS = 3600 * 10**9


class Past(msgspec.Struct, frozen=True):
    """What one earlier day had cost by the same hour, and what it cost after it; nano-USD."""

    so_far: int
    rest: int


class Forecast(msgspec.Struct, frozen=True):
    """What the day will have cost, and the least and the most that the rest of any one of `days` earlier days would make of it; nano-USD.

    `over` and `per` are by what the rest was scaled: what today has cost, for each that those days had on average by the same hour; both 1 where it
    was not.
    """

    expected: int
    low: int
    high: int
    days: int
    over: int
    per: int


def split(hours: Sequence[int], elapsed_ns: int) -> Past:
    """What a day had cost after so long, and what it cost after that, by its cost in each hour: an hour in part counts in part, rounded down."""
    whole, part_ns = divmod(max(elapsed_ns, 0), HOUR_NS)
    so_far = sum(hours[:whole])
    if whole < len(hours):
        so_far += hours[whole] * part_ns // HOUR_NS
    return Past(so_far, sum(hours) - so_far)


def known(days: Sequence[Past]) -> Sequence[Past]:
    """The days from the first on that cost anything; `days` are in order. Before it nothing was watched, or nothing had a price."""
    first = next((place for place, day in enumerate(days) if day.so_far or day.rest), len(days))
    return days[first:]


def forecast(spent: int, days: Sequence[Past]) -> Forecast | None:
    """What the day will have cost that has cost `spent` so far, by days before it; None where none of those cost anything.

    The rest is what it was on average, scaled by today's cost so far over theirs, where theirs was at least a tenth of their whole by then: before,
    too little is spent to tell by. Exact, rounded half up; never below `spent`.
    """
    history = known(days)
    if not history:
        return None
    before, after = sum(day.so_far for day in history), sum(day.rest for day in history)
    count = len(history)
    over, per = (spent * count, before) if before and before * SCALED_FROM >= before + after else (1, 1)
    rests = [_rounded(day.rest * over, per) for day in history]
    return Forecast(
        spent + _rounded(after * over, count * per),
        spent + min(rests),
        spent + max(rests),
        count,
        over,
        per,
    )


def _rounded(over: int, per: int) -> int:
    return (2 * over + per) // (2 * per)

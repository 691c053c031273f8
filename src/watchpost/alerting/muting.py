"""When a route tells nobody because of the time: within its mute time intervals, and outside of its active ones."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from watchpost.alerting.route import Route
from watchpost.alerting.time_window import Window

LONGEST_DAYS = 31
"""How far ahead the end of a mute is looked for."""

_MINUTE_NS = 60 * 1_000_000_000
_STEP = 15
"""Minutes by whole multiples of which every clock's offset from UTC changes."""

Intervals = Mapping[str, Sequence[Window]]
"""Time intervals by name."""


class Mute(msgspec.Struct, frozen=True):
    """Why a route tells nobody: these of its mute time intervals hold or, where `outside`, none of its active ones, which these are."""

    names: tuple[str, ...]
    outside: bool


def mute(route: Route, intervals: Intervals, now_ns: int) -> Mute | None:
    """Why the route tells nobody at this time; None where it tells."""
    within = tuple(name for name in route.mute_time_intervals if _holds(intervals[name], now_ns))
    if within:
        return Mute(within, outside=False)
    active = route.active_time_intervals
    if active and not any(_holds(intervals[name], now_ns) for name in active):
        return Mute(active, outside=True)
    return None


def mute_end_ns(route: Route, intervals: Intervals, now_ns: int) -> int | None:
    """The first minute from which a route that is muted tells again, in Unix nanoseconds; None where that is more than a month away."""
    muting = tuple(window for name in route.mute_time_intervals for window in intervals[name])
    active = tuple(window for name in route.active_time_intervals for window in intervals[name])
    end = _first_open_minute(muting, active, bool(route.active_time_intervals), now_ns // _MINUTE_NS)
    return None if end is None else end * _MINUTE_NS


@functools.lru_cache(maxsize=256)
def _first_open_minute(
    muting: tuple[Window, ...], active: tuple[Window, ...], has_active: bool, minute: int
) -> int | None:
    # Windows begin and end when a clock shows a full day or one of their times, and clocks are whole steps apart: no other minutes need be tried.
    edges = {0} | {edge % _STEP for window in (*muting, *active) for times in window.times for edge in times}
    for step in range(minute // _STEP * _STEP, minute + LONGEST_DAYS * 24 * 60, _STEP):
        for tried in sorted(step + edge for edge in edges):
            at_ns = tried * _MINUTE_NS
            if tried >= minute and not _holds(muting, at_ns) and (not has_active or _holds(active, at_ns)):
                return tried
    return None


def _holds(windows: Iterable[Window], at_ns: int) -> bool:
    return any(window.holds(at_ns) for window in windows)

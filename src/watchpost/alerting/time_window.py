"""Named stretches of the calendar, as Alertmanager's time intervals: office hours, weekends, the last three days of a month.

Each field lists ranges of which one must fit, and every field that is given must fit. Ranges of weekdays, months, years and days include
both ends; a range of times includes its start and not its end. Days of a month below 0 count from its end: -1 is the last day. What
is on the clock in `location` decides, so on a day when clocks are changed a range lasts as long as they show it.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from watchpost.alerting.document import Place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|(24):(00)", re.ASCII)
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = tuple(name.lower() for name in calendar.month_name)
_FIELDS = frozenset({"times", "weekdays", "days_of_month", "months", "years", "location"})

Range = tuple[int, int]
"""First and last number, both included; for times of day, minutes since midnight with the end left out."""


class Window(msgspec.Struct, frozen=True):
    """One stretch. A field that is empty fits always; `weekdays` count from Sunday, 0."""

    times: tuple[Range, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: str = "UTC"

    def holds(self, now_ns: int) -> bool:
        """Whether this moment, in Unix nanoseconds, lies in the window."""
        moment = (_EPOCH + timedelta(microseconds=now_ns // 1000)).astimezone(ZoneInfo(self.location))
        minute = moment.hour * 60 + moment.minute
        month_days = calendar.monthrange(moment.year, moment.month)[1]
        return (
            (not self.times or any(start <= minute < end for start, end in self.times))
            and _within(self.weekdays, moment.isoweekday() % 7)
            and _within(_days(self.days_of_month, month_days), moment.day)
            and _within(self.months, moment.month)
            and _within(self.years, moment.year)
        )


def _within(ranges: tuple[Range, ...], number: int) -> bool:
    return not ranges or any(first <= number <= last for first, last in ranges)


def _days(ranges: tuple[Range, ...], month_days: int) -> tuple[Range, ...]:
    """Ranges of days of a month of this length, counted from its start."""

    def counted(day: int) -> int:
        return day if day > 0 else month_days + day + 1

    return tuple((counted(first), counted(last)) for first, last in ranges)


def read_window(place: Place) -> Window:
    """One window of a document; what is wrong is noted there."""
    fields = place.fields(_FIELDS)
    return Window(
        times=tuple(_time_range(item) for item in fields["times"].items()) if "times" in fields else (),
        weekdays=_ranges(fields.get("weekdays"), _weekday, "sunday is the first day of a week"),
        days_of_month=_ranges(fields.get("days_of_month"), _day, "the first day must not come after the last"),
        months=_ranges(fields.get("months"), _month, "january is the first month"),
        years=_ranges(fields.get("years"), _year, "the first year must not come after the last"),
        location=fields["location"].read(_location, "UTC") if "location" in fields else "UTC",
    )


def _ranges(place: Place | None, number: Callable[[str], int], order: str) -> tuple[Range, ...]:
    if place is None:
        return ()

    def read(text: str) -> Range:
        first, colon, last = text.lower().partition(":")
        start = number(first.strip())
        end = number(last.strip()) if colon else start
        # A month of 31 days is assumed for days counted from its end, so that `-3:31` may stand; shorter months cut it.
        if _from_start(start) > _from_start(end):
            raise ValueError(f"{text!r} ends before it starts; {order}")
        if start < 0 < end:
            raise ValueError(f"{text!r}: a range that starts at a day counted from the end must end at one")
        return start, end

    return tuple(item.read(read, (0, 0)) for item in place.texts())


def _from_start(day: int) -> int:
    return day if day >= 0 else 32 + day


def _time_range(place: Place) -> Range:
    fields = place.fields(frozenset({"start_time", "end_time"}))
    for name in ("start_time", "end_time"):
        if name not in fields:
            place.fault("is missing; write it like 09:00", name)
    if len(fields) < 2:
        return 0, 0
    start, end = fields["start_time"].read(_minute, 0), fields["end_time"].read(_minute, 24 * 60)
    if start >= end:
        place.fault("the end must come after the start; a range over midnight is two ranges")
    return start, end


def _minute(text: str) -> int:
    shape = _TIME.fullmatch(text)
    if shape is None:
        raise ValueError(f"{text!r} is no time of day; write one from 00:00 to 24:00, in quotes")
    hour, minute = (part for part in shape.groups() if part is not None)
    return int(hour) * 60 + int(minute)


def _weekday(text: str) -> int:
    return _named(text, _WEEKDAYS, "day of the week")


def _month(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 12:
        return int(text)
    return _named(text, _MONTHS, "month")


def _named(text: str, names: Iterable[str], what: str) -> int:
    for at, name in enumerate(names):
        if name and name == text:
            return at
    raise ValueError(f"{text!r} is no {what}")


def _day(text: str) -> int:
    day = _whole(text)
    if day == 0 or not -31 <= day <= 31:
        raise ValueError(f"{text!r} is no day of a month; days are 1 to 31, and -31 to -1 from its end")
    return day


def _year(text: str) -> int:
    year = _whole(text)
    if not 1 <= year <= 9999:
        raise ValueError(f"{text!r} is no year")
    return year


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,4}", text, re.ASCII):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _location(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{text!r} is no time zone known here; name one like Europe/Berlin") from error
    return text

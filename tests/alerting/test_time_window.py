from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.document import DocumentError, Fault, read_document
from watchpost.alerting.time_window import Window, read_window


def window(text: str) -> Window:
    faults: list[Fault] = []
    found = read_window(read_document(text, faults))
    if faults:
        raise DocumentError(faults)
    return found


def at(moment: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("times: [{start_time: '09:00', end_time: '17:00'}]", ["2026-11-20T09:00:00", "2026-11-20T16:59:59"], ["2026-11-20T08:59:59", "2026-11-20T17:00:00"]),
        ("times: [{start_time: '22:00', end_time: '24:00'}]", ["2026-11-20T23:59:59"], ["2026-11-21T00:00:00"]),
        ("weekdays: ['monday:friday']", ["2026-11-16T00:00:00", "2026-11-20T23:59:59"], ["2026-11-21T12:00:00", "2026-11-22T12:00:00"]),
        ("weekdays: [Sunday, saturday]", ["2026-11-21T12:00:00", "2026-11-22T12:00:00"], ["2026-11-20T12:00:00"]),
        ("days_of_month: ['1:3']", ["2026-11-01T00:00:00", "2026-11-03T23:59:59"], ["2026-11-04T00:00:00"]),
        ("days_of_month: ['-1']", ["2026-11-30T12:00:00", "2026-02-28T12:00:00", "2028-02-29T12:00:00"], ["2026-11-29T12:00:00", "2028-02-28T12:00:00"]),
        ("days_of_month: ['-3:-1', '1']", ["2026-02-26T12:00:00", "2026-02-01T12:00:00"], ["2026-02-25T12:00:00"]),
        ("days_of_month: ['29:31']", ["2026-01-29T12:00:00", "2028-02-29T12:00:00"], ["2026-02-28T12:00:00", "2026-02-01T12:00:00"]),
        ("days_of_month: ['28:-1']", ["2026-02-28T12:00:00", "2026-01-31T12:00:00"], ["2026-01-27T12:00:00"]),
        ("days_of_month: ['-31:-30']", ["2026-01-02T12:00:00"], ["2026-01-03T12:00:00", "2026-02-01T12:00:00"]),
        ("months: ['january:march', '12', November]", ["2026-02-10T12:00:00", "2026-12-10T12:00:00", "2026-11-10T12:00:00"], ["2026-10-10T12:00:00"]),
        ("years: ['2020:2022', '2026']", ["2021-01-01T12:00:00", "2026-12-31T23:59:59"], ["2023-01-01T12:00:00"]),
        ("{weekdays: [friday], days_of_month: ['13']}", ["2026-11-13T12:00:00"], ["2026-11-20T12:00:00", "2026-10-13T12:00:00"]),
        ("{}", ["2026-11-13T12:00:00"], []),
    ],
)  # fmt: skip
def test_a_window_holds_what_alertmanager_says_it_holds(text: str, inside: list[str], outside: list[str]) -> None:
    found = window(text)
    assert [moment for moment in inside if not found.holds(at(moment))] == []
    assert [moment for moment in outside if found.holds(at(moment))] == []


def test_a_location_reads_its_own_clock() -> None:
    nine = window("{times: [{start_time: '09:00', end_time: '10:00'}], location: America/New_York}")
    assert nine.holds(at("2026-11-20T14:30:00"))
    assert not nine.holds(at("2026-11-20T09:30:00"))


def hours(found: Window, day: str, zone: str) -> float:
    start = at(f"{day}T00:00:00", zone) // 10**9
    end = round((datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)) + timedelta(days=1)).timestamp())
    return sum(found.holds(second * 10**9) for second in range(start, end, 60)) / 60


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2026-03-28", 4), ("2026-03-29", 3), ("2026-10-24", 4), ("2026-10-25", 5)],
    ids=["before", "an hour is left out", "before", "an hour comes twice"],
)
def test_a_night_lasts_as_long_as_the_clock_shows_it_where_clocks_change(day: str, expected: float) -> None:
    night = window("{times: [{start_time: '00:00', end_time: '04:00'}], location: Europe/Berlin}")
    assert hours(night, day, "Europe/Berlin") == expected


def test_a_time_that_the_clock_leaves_out_never_comes_on_that_day() -> None:
    left_out = window("{times: [{start_time: '02:00', end_time: '03:00'}], location: Europe/Berlin}")
    assert hours(left_out, "2026-03-29", "Europe/Berlin") == 0
    assert hours(left_out, "2026-03-30", "Europe/Berlin") == 1


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("times: [{start_time: '17:00', end_time: '09:00'}]", "times[0]", "the end must come after the start; a range over midnight is two ranges"),
        ("times: [{start_time: '9:00', end_time: '17:00'}]", "times[0].start_time", "'9:00' is no time of day; write one from 00:00 to 24:00, in quotes"),
        ("times: [{start_time: '09:00', end_time: '24:01'}]", "times[0].end_time", "'24:01' is no time of day; write one from 00:00 to 24:00, in quotes"),
        ("times: [{start_time: '09:00'}]", "times[0].end_time", "is missing; write it like 09:00"),
        ("weekdays: [frieday]", "weekdays[0]", "'frieday' is no day of the week"),
        ("weekdays: ['friday:monday']", "weekdays[0]", "'friday:monday' ends before it starts; sunday is the first day of a week"),
        ("days_of_month: ['0']", "days_of_month[0]", "'0' is no day of a month; days are 1 to 31, and -31 to -1 from its end"),
        ("days_of_month: ['32']", "days_of_month[0]", "'32' is no day of a month; days are 1 to 31, and -31 to -1 from its end"),
        ("days_of_month: ['-1:5']", "days_of_month[0]", "'-1:5' ends before it starts; the first day must not come after the last"),
        ("days_of_month: ['-31:5']", "days_of_month[0]", "'-31:5': a range that starts at a day counted from the end must end at one"),
        ("days_of_month: ['10:5']", "days_of_month[0]", "'10:5' ends before it starts; the first day must not come after the last"),
        ("months: ['13']", "months[0]", "'13' is no month"),
        ("months: ['may:march']", "months[0]", "'may:march' ends before it starts; january is the first month"),
        ("years: [soon]", "years[0]", "'soon' is no whole number"),
        ("location: Mars/Base", "location", "'Mars/Base' is no time zone known here; name one like Europe/Berlin"),
        ("location: ../etc/passwd", "location", "'../etc/passwd' is no time zone known here; name one like Europe/Berlin"),
        ("hours: [1]", "hours", "is no field here; there are days_of_month, location, months, times, weekdays, years"),
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused_with_field_and_reason(text: str, field: str, reason: str) -> None:
    with pytest.raises(DocumentError) as raised:
        window(text)
    assert [(fault.field, fault.reason) for fault in raised.value.faults] == [(field, reason)]


@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001  hypothesis takes naive bounds
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland"]),
)
def test_every_moment_lies_in_the_day_that_its_own_calendar_names(moment: datetime, zone: str) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    exact = Window(
        times=((minute, minute + 1),),
        weekdays=((local.isoweekday() % 7,) * 2,),
        days_of_month=((local.day,) * 2,),
        months=((local.month,) * 2,),
        years=((local.year,) * 2,),
        location=zone,
    )
    second = int(moment.replace(tzinfo=UTC).timestamp())
    assert exact.holds(second * 10**9)
    assert not exact.holds((second + 60) * 10**9)

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from watchpost.alerting.muting import LONGEST_DAYS, Mute, mute, mute_end_ns
from watchpost.alerting.route import Route
from watchpost.alerting.time_window import Window

MINUTE_NS = 60 * 10**9
NIGHTS = (Window(times=((22 * 60, 24 * 60),)), Window(times=((0, 6 * 60 + 50),)))
OFFICE = (Window(times=((9 * 60, 17 * 60),), weekdays=((1, 5),), location="Europe/Berlin"),)
INTERVALS = {"nights": NIGHTS, "office": OFFICE, "always": (Window(),), "never": (), "weekends": (Window(weekdays=((6, 6), (0, 0))),)}  # fmt: skip


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def route(muting: tuple[str, ...] = (), active: tuple[str, ...] = ()) -> Route:
    return Route(key="{}", channels=("ops",), mute_time_intervals=muting, active_time_intervals=active)


@pytest.mark.parametrize(
    ("given", "now", "why", "end"),
    [
        (route(), "2026-05-28T23:00", None, ""),
        (route(("nights",)), "2026-05-28T21:59:59", None, ""),
        (route(("nights",)), "2026-05-28T22:00", Mute(("nights",), outside=False), "2026-05-29T06:50"),
        (route(("nights",)), "2026-05-29T06:49:59", Mute(("nights",), outside=False), "2026-05-29T06:50"),
        (route(("nights", "weekends")), "2026-05-29T23:00", Mute(("nights",), outside=False), "2026-06-01T06:50"),
        (route(("nights", "weekends")), "2026-05-30T23:00", Mute(("nights", "weekends"), outside=False), "2026-06-01T06:50"),
        (route((), ("office",)), "2026-05-29T16:00", Mute(("office",), outside=True), "2026-06-01T07:00"),
        (route((), ("office",)), "2026-06-01T07:00", None, ""),
        (route((), ("office", "nights")), "2026-05-29T16:00", Mute(("office", "nights"), outside=True), "2026-05-29T22:00"),
        (route(("nights",), ("office",)), "2026-05-29T22:00", Mute(("nights",), outside=False), "2026-06-01T07:00"),
        (route((), ("office",)), "2026-10-24T12:00", Mute(("office",), outside=True), "2026-10-26T08:00"),
        (route(("always",)), "2026-05-29T22:00", Mute(("always",), outside=False), None),
        (route((), ("never",)), "2026-05-29T22:00", Mute(("never",), outside=True), None),
    ],
)  # fmt: skip
def test_a_muted_route_names_its_intervals_and_the_minute_it_tells_again(
    given: Route, now: str, why: Mute | None, end: str | None
) -> None:
    assert mute(given, INTERVALS, at(now)) == why
    if why is not None:
        assert mute_end_ns(given, INTERVALS, at(now)) == (None if end is None else at(end))


TIMES = st.tuples(st.integers(0, 1439), st.integers(1, 180)).map(lambda pair: (pair[0], min(pair[0] + pair[1], 1440)))
WINDOWS = st.builds(
    Window,
    times=st.lists(TIMES, max_size=2).map(tuple),
    weekdays=st.sampled_from([(), ((1, 5),), ((0, 0),)]),
    location=st.sampled_from(["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"]),
)


@given(
    windows=st.lists(WINDOWS, min_size=1, max_size=2),
    others=st.lists(WINDOWS, max_size=1),
    start=st.datetimes(datetime(2026, 3, 28), datetime(2026, 11, 2)),  # noqa: DTZ001 - hypothesis wants them naive
)
def test_no_minute_before_the_end_of_a_mute_tells_and_the_end_does(
    windows: list[Window], others: list[Window], start: datetime
) -> None:
    intervals = {"mute": windows, "active": others}
    muted = route(("mute",), ("active",) if others else ())
    now_ns = at(start.isoformat()) // MINUTE_NS * MINUTE_NS
    assume(mute(muted, intervals, now_ns))
    end = mute_end_ns(muted, intervals, now_ns)
    within = range(now_ns, end if end is not None else now_ns + 60 * MINUTE_NS, MINUTE_NS)
    assert all(mute(muted, intervals, each) for each in within[-2000:])
    assert end is None or mute(muted, intervals, end) is None
    assert end is None or end - now_ns <= LONGEST_DAYS * 24 * 60 * MINUTE_NS

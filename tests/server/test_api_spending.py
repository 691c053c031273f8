"""`/api/spending`: a day against others, told apart, and by its end, over a reader that adds up what was really spent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from server_fakes import House

from watchpost.query.measures import Cell, Contributor, Group, Measured, Question, SessionsQuestion
from watchpost.server.days import Days
from watchpost.server.problem import ParameterError
from watchpost.server.spending import Spending

HOUR_NS = 3600 * 10**9
DOLLAR = 10**9


class Bill(msgspec.Struct, frozen=True):
    """One call: when, what it cost, None where it has no price, and whose it was."""

    at_ns: int
    nano: int | None
    workflow: str = "refunds"


class Till:
    """A FiguresReader that knows what calls cost, and that every call is a completed session of its own."""

    def __init__(self) -> None:
        self.bills: list[Bill] = []

    def measured(self, question: Question) -> Measured:
        name = question.measure.name
        found: dict[tuple[Group, int | None], list[Bill]] = defaultdict(list)
        for bill in self.bills:
            if question.since_ns <= bill.at_ns < question.until_ns and (bill.nano is None) == (
                name == "unpriced_calls"
            ):
                group = tuple(bill.workflow if each == "workflow" else "" for each in question.by)
                found[group, None].append(bill)
                if question.step_ns:
                    found[group, (bill.at_ns - question.since_ns) // question.step_ns].append(bill)
        cells = [
            Cell(group, step, len(bills), len(bills), 0, self._over(name, bills), len(bills))
            for (group, step), bills in found.items()
        ]
        cells.sort(key=lambda cell: -cell.over)
        groups = list(dict.fromkeys(cell.group for cell in cells))
        shown = groups[: question.top] if question.shown is None else question.shown
        return Measured(len(groups), [cell for cell in cells if cell.group in shown])

    def measured_together(self, questions: Sequence[Question]) -> list[Measured]:
        return [self.measured(question) for question in questions]

    def contributors(self, asked: SessionsQuestion) -> list[Contributor]:
        raise AssertionError(asked)

    @staticmethod
    def _over(name: str, bills: list[Bill]) -> int:
        return len(bills) if name == "unpriced_calls" else sum(bill.nano or 0 for bill in bills)


def ns(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 10**9


def every_hour(till: Till, day: str, dollars: int, hours: range = range(24), zone: str = "UTC", **of: str) -> None:
    till.bills += [Bill(ns(f"{day}T{hour:02}:30:00", zone), dollars * DOLLAR, **of) for hour in hours]


def test_a_day_is_told_against_others_by_the_same_hour_and_by_its_end() -> None:
    till = Till()
    every_hour(till, "2026-11-14", 1)
    every_hour(till, "2026-11-20", 2)
    every_hour(till, "2026-11-21", 3, range(12))
    till.bills.append(Bill(ns("2026-11-21T01:00:00"), None))
    found = Spending(till, lambda: ns("2026-11-21T12:00:00")).answer("", "", "", 20)
    assert (found.day, found.timezone, found.is_over) == ("2026-11-21", "UTC", False)
    assert (found.today.spent_usd, found.yesterday.spent_usd, found.last_week.spent_usd) == ("36", "24", "12")
    assert (found.today.calls, found.today.unpriced_calls, found.yesterday.unpriced_calls) == (12, 1, 0)
    assert found.today.per_completed_session_usd == "3"
    # of seven days five cost nothing: 36 by noon, and 36 after it; today has spent 36 where a day had spent 36 / 7
    made = found.forecast
    assert (made.days, made.scaled_by, made.expected_usd) == (7, 7, "72")
    assert (made.low_usd, made.high_usd, made.reason) == ("36", "204", "")


def test_days_by_the_clock_of_a_place_begin_at_its_midnight() -> None:
    till = Till()
    every_hour(till, "2026-11-20", 1, zone="Asia/Tokyo")
    every_hour(till, "2026-11-21", 2, range(6), zone="Asia/Tokyo")
    days = Days(ZoneInfo("Asia/Tokyo"))
    found = Spending(till, lambda: ns("2026-11-21T06:00:00", "Asia/Tokyo"), days).answer("", "", "", 20)
    assert (found.today.since, found.timezone) == ("2026-11-20T15:00:00.000000Z", "Asia/Tokyo")
    assert (found.today.spent_usd, found.yesterday.spent_usd) == ("12", "6")
    assert (found.forecast.days, found.forecast.scaled_by, found.forecast.expected_usd) == (1, 2, "48")


def test_a_day_on_which_clocks_change_has_its_own_length() -> None:
    days = Days(ZoneInfo("Europe/Berlin"))
    starts = [days.start_ns(date(2026, 10, day)) for day in (24, 25, 26)]
    assert [(end - start) // HOUR_NS for start, end in pairwise(starts)] == [24, 25]
    till = Till()
    till.bills = [Bill(starts[1] + hour * HOUR_NS, DOLLAR) for hour in range(25)]
    found = Spending(till, lambda: starts[2] + 5 * HOUR_NS, days).answer("", "", "", 20)
    assert (found.yesterday.spent_usd, found.forecast.expected_usd) == ("5", "0")
    assert Spending(till, lambda: starts[2], days).answer("", "", "yesterday", 20).today.spent_usd == "25"


def test_a_day_that_is_over_has_all_it_cost_and_no_forecast() -> None:
    till = Till()
    every_hour(till, "2026-11-20", 2)
    found = Spending(till, lambda: ns("2026-11-21T12:00:00")).answer("", "", "2026-11-20", 20)
    assert (found.is_over, found.today.spent_usd) == (True, "48")
    assert (found.forecast.expected_usd, found.forecast.reason) == (None, "the day is over")


def test_without_days_before_there_is_no_forecast_and_it_says_why() -> None:
    till = Till()
    every_hour(till, "2026-11-21", 3, range(2))
    found = Spending(till, lambda: ns("2026-11-21T12:00:00")).answer("", "", "", 20)
    assert (found.forecast.expected_usd, found.forecast.days) == (None, 0)
    assert found.forecast.reason == "nothing with a price in the 7 days before"


def test_the_dearest_are_told_apart() -> None:
    till = Till()
    for workflow, dollars in (("refunds", 1), ("loans", 5), ("faq", 2)):
        every_hour(till, "2026-11-20", dollars, workflow=workflow)
        every_hour(till, "2026-11-21", dollars, range(2), workflow=workflow)
    found = Spending(till, lambda: ns("2026-11-21T02:00:00")).answer("", "workflow", "", 2)
    assert [(one.value, one.today.spent_usd, one.yesterday_usd, one.last_week_usd) for one in found.groups] == [
        ("loans", "10", "10", "0"),
        ("faq", "4", "4", "0"),
    ]
    assert (found.more, found.groups[0].today.per_completed_session_usd) == (1, "5")


def test_the_route_answers_and_refuses_what_it_cannot_answer() -> None:
    house = House()
    found = house.get("/api/spending?by=tool&project=p").json()
    assert (found["day"], found["by"], found["groups"]) == ("2026-05-28", "tool", [])
    assert "tool_cost_usd" in [asked.measure.name for asked in house.gauge.asked]
    assert {asked.filters for asked in house.gauge.asked} == {(("project", ("p",)),)}
    assert house.get("/api/spending?day=2031-01-01").json()["errors"][0]["parameter"] == "day"
    assert house.get("/api/spending?day=soon").status_code == 422
    assert house.get("/api/spending?by=colour").status_code == 422


def test_a_day_before_there_was_anything_is_refused() -> None:
    with pytest.raises(ParameterError):
        Days(UTC).named("1970-01-01", "day", ns("2026-11-21T12:00:00"))

"""What a day will have cost: known days, and what holds of any."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from watchpost.query.spending import HOUR_NS, Forecast, Past, forecast, known, split

DOLLAR = 10**9
MONEY = st.integers(0, 10**13)
DAYS = st.lists(st.builds(Past, MONEY, MONEY), max_size=7)


def test_a_day_like_all_before_it_comes_to_what_they_came_to() -> None:
    days = [Past(40 * DOLLAR, 60 * DOLLAR)] * 7
    assert forecast(40 * DOLLAR, days) == Forecast(
        100 * DOLLAR, 100 * DOLLAR, 100 * DOLLAR, 7, 280 * DOLLAR, 280 * DOLLAR
    )


def test_a_day_twice_as_dear_so_far_is_expected_to_go_on_so() -> None:
    made = forecast(80 * DOLLAR, [Past(40 * DOLLAR, 60 * DOLLAR), Past(40 * DOLLAR, 20 * DOLLAR)])
    assert made is not None
    assert (made.expected, made.low, made.high) == (160 * DOLLAR, 120 * DOLLAR, 200 * DOLLAR)
    assert Fraction(made.over, made.per) == 2


def test_an_hour_after_midnight_little_tells_so_nothing_is_scaled() -> None:
    made = forecast(30 * DOLLAR, [Past(9 * DOLLAR, 91 * DOLLAR)])
    assert made is not None
    assert (made.expected, made.over, made.per) == (121 * DOLLAR, 1, 1)
    scaled = forecast(30 * DOLLAR, [Past(10 * DOLLAR, 90 * DOLLAR)])
    assert scaled is not None
    assert scaled.expected == 300 * DOLLAR


def test_without_a_day_that_cost_anything_there_is_no_forecast() -> None:
    assert forecast(5, []) is None
    assert forecast(5, [Past(0, 0)] * 7) is None


def test_days_before_the_first_that_cost_anything_are_none_and_a_free_day_between_is_one() -> None:
    days = [Past(0, 0), Past(0, 0), Past(0, 10), Past(0, 0)]
    assert list(known(days)) == days[2:]
    made = forecast(0, days)
    assert made is not None
    assert (made.days, made.expected, made.low, made.high) == (2, 5, 0, 10)


def test_an_hour_in_part_counts_in_part() -> None:
    hours = [10, 20, 30]
    assert split(hours, 0) == Past(0, 60)
    assert split(hours, HOUR_NS + HOUR_NS // 4) == Past(15, 45)
    assert split(hours, 3 * HOUR_NS) == Past(60, 0)
    assert split(hours, 25 * HOUR_NS) == Past(60, 0)


@given(MONEY, DAYS)
def test_a_forecast_is_never_below_what_is_spent_and_lies_within_its_range(spent: int, days: list[Past]) -> None:
    made = forecast(spent, days)
    if made is not None:
        assert spent <= made.low <= made.expected <= made.high


@given(MONEY, DAYS)
def test_the_order_of_days_that_cost_something_changes_nothing(spent: int, days: list[Past]) -> None:
    dear = [Past(day.so_far + 1, day.rest) for day in days]
    assert forecast(spent, dear) == forecast(spent, dear[::-1])


@given(MONEY, DAYS)
def test_it_is_exact_to_half_a_nano_dollar(spent: int, days: list[Past]) -> None:
    made = forecast(spent, days)
    if made is not None:
        history = known(days)
        rest = Fraction(sum(day.rest for day in history), len(history)) * Fraction(made.over, made.per)
        assert abs(made.expected - spent - rest) <= Fraction(1, 2)


@given(st.lists(MONEY, min_size=23, max_size=25), st.integers(0, 26 * HOUR_NS))
def test_what_a_day_is_split_into_is_all_of_it(hours: list[int], elapsed_ns: int) -> None:
    past = split(hours, elapsed_ns)
    assert past.so_far + past.rest == sum(hours)
    assert min(past.so_far, past.rest) >= 0

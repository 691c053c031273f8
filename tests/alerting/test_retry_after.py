"""What a receiver asks for, and what we make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.retry_after import LONGEST_S, retry_after_s

NOW_NS = 1_762_329_600_000_000_000  # Wed, 05 Nov 2025 08:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("86401", LONGEST_S),
        ("9" * 5000, LONGEST_S),
        ("Wed, 05 Nov 2025 08:00:30 GMT", 30.0),
        ("Wednesday, 05-Nov-25 08:00:30 GMT", 30.0),
        ("Wed, 05 Nov 2025 10:00:30 +0200", 30.0),
        ("Wed, 05 Nov 2025 08:00:30 -0000", 30.0),
        ("Wed, 05 Nov 2025 07:59:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_S),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("Wed, 99 Nov 2025 08:00:30 GMT", None),
    ],
)
def test_both_forms_of_the_header_are_read_and_anything_else_is_as_if_absent(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, NOW_NS) == seconds


@given(st.text(max_size=60))
def test_no_header_asks_for_more_than_a_day_or_less_than_nothing(value: str) -> None:
    seconds = retry_after_s(value, NOW_NS)
    assert seconds is None or 0 <= seconds <= LONGEST_S

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.duration import read_duration, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("1500ms", 1.5),
        ("1w1s", 604_801),
        ("1y", 31_536_000),
    ],
)
def test_a_length_of_time_is_read_as_prometheus_reads_it(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds * 1e9


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "1.5h", "30m1h", "1h1h", "5M", "٥m", "999999999y"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"length of time|longer"):
        read_duration(text)


@given(st.integers(0, 9_000_000_000_000))
def test_a_length_of_time_written_out_is_read_back_as_itself(milliseconds: int) -> None:
    assert read_duration(write_duration(milliseconds * 10**6)) == milliseconds * 10**6

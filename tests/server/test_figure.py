"""How a number stands on a page with its unit."""

from __future__ import annotations

import pytest

from watchpost.query.measures import Unit
from watchpost.server.pages.figure import in_unit


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0, "count", "0"),
        (9_999, "count", "9,999"),
        (34_286, "count", "34.3 k"),
        (1_234_567, "tokens", "1.23 M"),
        (2 * 10**9, "tokens", "2 G"),
        (12.345, "count", "12.3"),
        (0.98333, "share", "98.3 %"),
        (0.00198, "share", "0.198 %"),
        (0.0000001, "share", "1e-05 %"),
        (1.0, "share", "100 %"),
        (0.0012, "seconds", "1 ms"),
        (28.04, "seconds", "28.0 s"),
        ("0.2402", "usd", "$0.2402"),
        ("1234.5", "usd", "$1,234.50"),
        (0.5, "score", "0.5"),
        (None, "share", "–"),
    ],
)
def test_a_number_is_short_and_has_its_unit(value: float | str | None, unit: Unit, told: str) -> None:
    assert in_unit(value, unit).striptags() == told


def test_the_exact_count_is_the_tooltip_of_a_shortened_one() -> None:
    assert 'title="34,286"' in in_unit(34_286, "count")

"""How long ago something was, in words, and ids that fit into a row."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.server.pages.nearness import ago, short, stamp

NOW = "2026-11-21T12:00:00.000000Z"


def before(**passed: float) -> str:
    return (datetime.fromisoformat(NOW) - timedelta(**passed)).isoformat().replace("+00:00", "Z")


def words(markup: str) -> str:
    return re.sub("<[^>]*>", "", markup)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (before(seconds=0), "just now"),
        (before(seconds=-90), "just now"),
        (before(seconds=9.9), "just now"),
        (before(seconds=10), "10 s ago"),
        (before(seconds=59), "59 s ago"),
        (before(seconds=60), "1 min ago"),
        (before(minutes=59, seconds=59), "59 min ago"),
        (before(hours=1), "1 h ago"),
        (before(hours=23, minutes=59), "23 h ago"),
        (before(hours=24), "1 d ago"),
        (before(days=6.99), "6 d ago"),
        (before(days=7), "2026-11-14"),
    ],
)
def test_a_moment_is_told_by_how_long_ago_it_was(value: str, said: str) -> None:
    assert words(ago(value, NOW)) == said
    assert f'datetime="{value}"' in ago(value, NOW)
    assert re.search('title="2026-11-[0-9]{2} [0-9:]{8} UTC"', ago(value, NOW))


def test_beside_it_stands_the_time_and_on_other_days_the_date() -> None:
    assert words(stamp("2026-11-21T03:02:01.5Z", NOW)) == "03:02:01"
    assert words(stamp("2026-11-20T23:59:59Z", NOW)) == "11-20 23:59"
    assert words(ago(None, NOW)) == words(stamp(None, NOW)) == "\u2013"


@given(text=st.text(max_size=60))
def test_a_short_id_is_all_of_it_or_its_two_ends_and_nothing_of_markup(text: str) -> None:
    markup = str(short(text))
    assert not re.search("[\u202e\u200b\x00-\x08]", markup)
    assert set(re.findall("<([a-z]+)", markup)) <= {"span"}
    if 1 < len(text) <= 24 and text.isascii() and text.isalnum():
        assert markup == text
    if len(text) > 24 and text.isascii() and text.isalnum():
        assert words(markup) == f"{text[:12]}\u2026{text[-4:]}"
        assert f'title="{text}"' in markup

"""A question about a measure in the address of a page: read, tidied up, and led on from."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.server.pages.measure_question import Asking, read

NOW_NS = 1_780_000_000_123_456_789
WORDS = st.text(max_size=12)
PAIRS = st.lists(
    st.tuples(st.sampled_from(["window", "since", "until", "step", "by", "top", "tool", "model", "dimension", "value", "odd"]), WORDS)
)  # fmt: skip


def pairs(address: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(address).query, keep_blank_values=True)


@given(PAIRS)
def test_an_address_that_was_tidied_up_says_the_same_and_stays_as_it_is(asked: list[tuple[str, str]]) -> None:
    first, _ = read(asked)
    again, is_plain = read(pairs(first.address("tool_calls")))
    assert is_plain
    assert again == first


def test_what_a_form_sends_becomes_the_plain_address_of_the_question() -> None:
    sent = [("tool", "old"), ("by", "model"), ("by", ""), ("by", "agent"), ("compare", "previous"), ("step", ""), ("dimension", "tool"), ("value", " get ")]  # fmt: skip
    asking, is_plain = read(sent)
    assert not is_plain
    assert asking.address("tool_calls") == "/measures/tool_calls?tool=old&tool=get&by=model%2Cagent&compare=previous"


def test_a_filter_on_what_nobody_told_is_kept() -> None:
    asking, _ = read([("dimension", "user_id"), ("value", "")])
    assert asking.filters == (("user_id", ""),)


def test_a_window_that_ends_now_ends_with_the_minute_and_is_as_long_as_it_says() -> None:
    assert Asking(window="1h").times(NOW_NS) == ("2026-05-28T19:27:00Z", "2026-05-28T20:27:00Z")
    assert Asking().length == Asking(window="nonsense").length == "24h"
    assert Asking(since="yesterday").times(NOW_NS) == ("yesterday", "2026-05-28T20:27:00Z")
    assert Asking(since="yesterday", window="1h").length == ""


@pytest.mark.parametrize("group", [{"tool": "get"}, {"tool": "", "model": "m"}])
def test_the_sessions_of_a_group_are_asked_for_by_its_values_instead_of_the_filters_on_them(
    group: dict[str, str],
) -> None:
    asking = Asking(filters=(("tool", "get"), ("tool", "put"), ("workflow", "w")), quantile="0.5")
    asked = pairs(asking.sessions("tool_calls", group, "a", "b"))
    assert asked == [("workflow", "w"), *group.items(), ("quantile", "0.5"), ("since", "a"), ("until", "b")]

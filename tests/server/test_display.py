"""How values look, and that nothing a trace holds can steer a page."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.server.pages import display
from watchpost.server.pages.display import HIDDEN, block, count, duration, is_blank, is_short, money, shown, visible

CODE_POINT = re.compile(r'<span class="code-point">U\+([0-9A-F]{4,6})</span>')


@given(st.text(st.one_of(st.characters(), st.sampled_from("<>&\"'\u202e\u2066\x1b\x00\r\n\ufeff\U000e0041"))))
def test_visible_text_loses_nothing_and_hides_nothing(text: str) -> None:
    page = str(visible(text))
    assert not HIDDEN.search(page)
    assert not re.search("[<>]", CODE_POINT.sub("", page))
    assert html.unescape(CODE_POINT.sub(lambda found: chr(int(found[1], 16)), page)) in (text, html.unescape(text))


@pytest.mark.parametrize("kept", ["line\nline", "a\tb", "a\r\nb", "👩‍👩‍👧", "שלום", "नमस्ते", "naïve"])
def test_ordinary_text_of_any_script_is_left_alone(kept: str) -> None:
    assert visible(kept) == kept


@pytest.mark.parametrize(
    "hidden", ["\x00", "\x1b", "\x7f", "\x85", "\r", "\u200b", "\u202e", "\u2067", "\ufeff", "\ud800", "\U000e0041"]
)
def test_steering_characters_are_named(hidden: str) -> None:
    assert CODE_POINT.search(str(visible(f"a{hidden}b")))


@given(st.text(), st.integers(2, 50))
def test_a_line_is_never_longer_than_asked(text: str, limit: int) -> None:
    line = html.unescape(re.sub("<[^>]*>", "", CODE_POINT.sub("?", str(shown(text, limit)))))
    assert len(line) <= limit


def test_absent_is_a_dash_and_zero_is_zero() -> None:
    assert "not reported" in count(None)
    assert count(0) == "0"
    assert "not reported" in money(None)
    assert "$0.00" in money("0")


@pytest.mark.parametrize(
    ("exact", "short"),
    [("13.2045", "$13.20"), ("0.0031045", "$0.0031"), ("0.000000001", "&lt;0.0001"), ("1234567", "$1,234,567.00")],
)
def test_money_is_short_with_the_exact_amount_behind_it(exact: str, short: str) -> None:
    assert money(exact) == f'<span title="${exact}">{short}</span>'


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0.4, "0 ms"),
        (999, "999 ms"),
        (1500, "1.5 s"),
        (59_960, "60.0 s"),
        (61_000, "1 m 01 s"),
        (7_500_000, "2 h 05 m"),
    ],
)
def test_durations_take_the_unit_that_suits_them(milliseconds: float, text: str) -> None:
    assert duration(milliseconds) == text


def test_json_is_indented_and_what_only_looks_like_it_is_not() -> None:
    assert block('{"a":[1]}').text == "{\n  &#34;a&#34;: [\n    1\n  ]\n}"
    assert block("[not json").text == "[not json"
    assert block("[" * 50_000).cut


@pytest.mark.parametrize("value", [None, "", [], {}, [""], [None, {}], {"a": None, "b": [""]}])
def test_a_value_in_which_nothing_stands_is_blank(value: object) -> None:
    assert is_blank(value)


@pytest.mark.parametrize("value", [0, 0.0, False, " ", "0", [0], {"a": [False]}, {"a": "", "b": 1}])
def test_zero_and_false_are_not_blank(value: object) -> None:
    assert not is_blank(value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 300,
        1.5,
        ["a"] * 100,
        {"steps": 5, "at": None},
        [{"path": "a.b", "expected": ["integer", "null"]}] * 100,
        {str(n): n for n in range(8)},
        {"known": [{"at": 1}]},
    ],
)
def test_what_a_person_takes_in_at_a_glance_is_short(value: object) -> None:
    assert is_short(value)


@pytest.mark.parametrize(
    "value",
    [
        ["x" * 301],
        ["a"] * 101,
        {str(n): n for n in range(9)},
        {"a": {"b": {"c": 1}}},
        [[1]],
        {"a": [{"b": {"c": 1}}]},
    ],
)
def test_what_is_long_or_deep_is_not_short(value: object) -> None:
    assert not is_short(value)


def test_how_deep_a_value_nests_is_asked_without_going_there() -> None:
    lists: object = "end"
    objects: object = "end"
    for _ in range(50_000):
        lists, objects = [lists], {"in": objects}
    assert not is_short(lists)
    assert not is_short(objects)
    assert not is_blank(lists)
    assert not is_blank(objects)


def test_bytes_and_lengths_of_rules_are_short_and_have_their_unit() -> None:
    assert [display.size(each) for each in (0, 999, 1000)] == ["0 B", "999 B", '<span title="1,000 B">1 kB</span>']
    assert "1 MB" in display.size(999_600)
    assert "58.3 GB" in display.size(58_312_000_000)
    assert [display.span(each) for each in (300, 5400, 7 * 86_400, 45)] == ["5m", "90m", "7d", "45s"]
    assert (display.amount(0.25, "share"), display.amount(2.5, None)) == ("25 %", "2.5")

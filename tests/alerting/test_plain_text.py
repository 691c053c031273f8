"""Text that others wrote, made fit to stand in a message."""

from __future__ import annotations

import msgspec
from far_ends import HOSTILE, hostile, told
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.bounds import ALERTS, SESSIONS, STACK_TRACE, TEXT, bounded
from watchpost.alerting.message import is_web, message
from watchpost.alerting.plain_text import cut, fault_words, one_line

ANY = st.text(st.characters(categories=None))  # lone surrogates too


@given(ANY, st.integers(1, 50))
def test_a_line_is_printable_never_longer_and_the_same_when_made_again(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()
    assert line.encode().decode() == line
    assert one_line(line, limit) == line


@given(st.text(st.characters(categories=["L", "N", "P"]), max_size=50))
def test_a_line_of_letters_in_any_script_is_left_as_it_is(text: str) -> None:
    assert one_line(text, 50) == text


@given(ANY, st.integers(1, 50))
def test_a_cut_text_can_be_sent_and_is_never_longer(text: str, limit: int) -> None:
    found = cut(text, limit)
    assert len(found) <= limit
    assert found.encode().decode() == found


def test_a_cut_text_says_that_it_is_cut_and_one_that_fits_is_whole() -> None:
    assert cut("abcdef", 4) == one_line("abcdef", 4) == "abc…"
    assert cut("ab\ncd", 5) == "ab\ncd"
    assert one_line("a" + " " * 50 + "b", 4) == "a…"


def test_what_the_system_says_of_a_fault_names_no_file() -> None:
    assert fault_words(FileNotFoundError(2, "No such file", "/secret")) == "No such file"
    assert fault_words(ConnectionError("a\nb")) == "a b"
    assert fault_words(TimeoutError()) == "TimeoutError"


def test_a_notice_of_any_size_is_bounded_and_says_how_much_is_left_out() -> None:
    kept = bounded(hostile())
    event = kept.notice.event
    assert (len(kept.notice.alerts), kept.more) == (ALERTS, 1000 - ALERTS)
    assert (len(event.summary), len(event.sessions)) == (TEXT, SESSIONS)
    assert event.error is not None
    assert len(event.error.stack_trace) == STACK_TRACE
    assert len(msgspec.json.encode(kept.notice)) < 10_000_000
    assert bounded(msgspec.structs.replace(told(), omitted=7)).more == 7


def test_every_part_of_a_message_is_one_printable_line() -> None:
    found = message(hostile(), "https://watch.example")
    texts = [found.title, found.summary, found.by, *found.alerts, *(part for fact in found.facts for part in fact)]
    assert all(text.isprintable() for text in texts)
    assert "\u202e" not in "".join(texts)


def test_only_addresses_of_the_web_become_links() -> None:
    assert is_web("https://runbooks.example/a?b=c#d")
    for text in (
        "docs/x.md",
        "javascript:alert(1)",
        "https://a/ b",
        "https://a/<b>",
        "https://a/\nb",
        "https://ä.example",
        HOSTILE,
    ):
        assert not is_web(text)

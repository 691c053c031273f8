"""What a text names, as a set of digests."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost_core.mentions import INCOMPLETE, LONGEST, MOST, digest, mentions, named, packed, unpacked

LIKELY = st.text(st.sampled_from("aZ01249_-.@#/ ,:\n\t\\\"'é{}"), max_size=60)
TEXTS = st.one_of(LIKELY, st.text(max_size=60))


def held(*texts: str) -> set[int]:
    return set(unpacked(mentions(*texts)))


def names(text: str, thing: str) -> bool:
    return digest(thing) in held(text)


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("Your order ORD-4711 is late.", "ord-4711"),
        ("Your order ORD-4711 is late.", "4711"),
        ("https://shop.example/orders/#W9583042?tab=1", "W9583042"),
        ("https://shop.example/orders/#W9583042?tab=1", "9583042"),
        ('{"user_id":"mia_kim_4397"}', "mia_kim_4397"),
        ('{"user_id":"mia_kim_4397"}', "4397"),
        ("[{'id': 13}]", "13"),
        ("shelf P-12", "12"),
        ("reservation IFOYYZ", "ifoyyz"),
        ("write to <Mia.Li+x@example.com>.", "mia.li+x@example.com"),
        ("/downloads/invoice_2291.pdf", "invoice_2291"),
        ("550E8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("订单A4711号", "a4711"),
        ("`A1`", "A1"),
    ],
)
def test_an_id_is_named_wherever_it_stands(text: str, thing: str) -> None:
    assert names(text, thing)
    assert names(json.dumps({"content": f"So:\n{text}\n"}), thing)
    assert names(json.dumps(json.dumps([f"So:\t{text}\r\n{text}"])), thing)


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("ORD-47110", "ORD-4711"),
        ("XORD-4711", "ORD-4711"),
        ("A1 001", "A1001"),
        ("2013", "13"),
        ("plain words", "words"),
    ],
)
def test_what_only_looks_alike_is_not_named(text: str, thing: str) -> None:
    assert not names(text, thing)


@given(st.lists(TEXTS, max_size=3))
def test_a_set_holds_everything_that_is_named_in_any_of_the_texts(texts: list[str]) -> None:
    found = held(*texts)
    for text in texts:
        assert {digest(thing) for thing in named(text)} <= found


@given(TEXTS, st.sampled_from(["ORD-4711", "W9583042", "mia_kim_4397", "H9ZU1C", "13", "IFOYYZ"]), TEXTS)
def test_an_id_between_spaces_is_named_in_any_text_and_in_its_json(before: str, thing: str, after: str) -> None:
    text = f"{before} {thing} {after}"
    assert thing in named(text)
    assert digest(thing) in held(json.dumps(text))


@given(TEXTS)
def test_a_thing_holds_a_digit_or_an_address_or_is_in_capitals(text: str) -> None:
    assert all(re.search(r"[0-9@]|^[A-Z]{5,}$", thing) for thing in named(text))


@given(st.sets(st.integers(0, 2**32 - 1)))
def test_digests_come_back_from_their_bytes(digests: set[int]) -> None:
    assert set(unpacked(packed(sorted(digests)))) == digests


def test_a_set_that_could_not_hold_all_says_so_and_holds_what_stands_at_the_end() -> None:
    many = " ".join(f"item{number}" for number in range(2 * MOST))
    found = held(many)
    assert INCOMPLETE in found
    assert len(found) <= MOST + 1
    assert {digest(f"item{number}") for number in range(2 * MOST - 100, 2 * MOST)} <= found
    assert INCOMPLETE not in held(many[:1000])


def test_a_text_that_is_too_long_says_so_and_is_read_at_both_ends() -> None:
    found = held(f"first A1 {'word ' * (LONGEST // 4)} last Z9")
    assert found == {INCOMPLETE, digest("A1"), digest("Z9")}


def by_words(text: str) -> set[str]:
    """What a text without addresses names, word by word."""
    plain = re.sub(r"\\u[0-9a-fA-F]{4}", " ", re.sub(r"\\[ntr]", "  ", text))
    words = (word.strip("_-") for word in re.split(r"[^A-Za-z0-9_-]+", plain))
    return {word for word in words if re.search(r"[0-9]", word) or re.fullmatch(r"[A-Z]{5,}", word)}


@given(
    st.lists(
        st.sampled_from([*"aZ019_-. ,", "\n", "\\n", "\\t", "\\u00e9", "\\\\", "\\", "ABCDE", "QWERTY", "é"]),
        max_size=25,
    )
)
def test_a_text_names_the_words_that_hold_a_digit_or_are_capitals(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert set(named(text)) == by_words(text)

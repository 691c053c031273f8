"""When two tool calls are the same call again."""

import difflib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost_core.similarity import LONGEST, alike, canonical, entities


def ratio(one: str, other: str) -> float:
    return 100 * difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def are_alike(one: str, other: str) -> bool:
    return alike(canonical(one), canonical(other), ratio)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":2}', '{"b": 2, "a": 1}'),
        ('{"a": 1}', r'"{\"a\": 1}"'),
        ("list  the\nfiles", "list the files"),
        (
            '{"q": "cancel the reservation of the customer please"}',
            '{"q": "cancel the reservation of the customer, please"}',
        ),
        (
            '{"reservation_id": "4WQ150", "reason": "change of plan"}',
            '{"reason": "change of plans", "reservation_id": "4WQ150"}',
        ),
    ],
)
def test_the_same_call_in_other_words_is_alike(one: str, other: str) -> None:
    assert are_alike(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("file_id 12", "file_id 13"),
        ('{"file_id": 12}', '{"file_id": 13}'),
        ('{"n": 5, "note": "a long enough text"}', '{"n": -5, "note": "a long enough text"}'),
        ('{"user_id": "mia", "note": "a long enough text"}', '{"user_id": "lea", "note": "a long enough text"}'),
        ('{"id": "A 12", "note": "a long enough text"}', '{"id": "B 12", "note": "a long enough text"}'),
        ('{"ids": ["a", "b"], "note": "a long enough text"}', '{"ids": ["a", "c"], "note": "a long enough text"}'),
        ('{"to": "ada@example.com", "subject": "your refund"}', '{"to": "adb@example.com", "subject": "your refund"}'),
        (
            '{"to": "[email:aaaaaaaa]", "subject": "your refund"}',
            '{"to": "[email:aaaaaaab]", "subject": "your refund"}',
        ),
        ('{"date": "2024-05-20", "from": "JFK", "to": "SEA"}', '{"date": "2024-05-21", "from": "JFK", "to": "SEA"}'),
        ('{"text": "one"}', '{"text": "quite another thing"}'),
    ],
)
def test_another_entity_or_another_text_is_not_alike(one: str, other: str) -> None:
    assert not are_alike(one, other)


def test_entities_are_numbers_ids_addresses_and_values_of_id_fields() -> None:
    text = canonical(
        '{"user_id": "mia", "order": "#W2378156", "n": [1, -2.5], "to": "ada@example.com", "by": "[email:abcdefab]", "q": "two words."}'
    )
    assert entities(text) == ("#W2378156", "-2.5", "1", "[email:abcdefab]", "ada@example.com", "mia")


def test_an_entity_counts_as_often_as_it_stands_there() -> None:
    assert entities("12 and 12") == ("12", "12")
    assert not are_alike("copy 12 to 12 and go on with it", "copy 12 to it and go on with it")


@given(
    st.text(st.characters(max_codepoint=0x7F), max_size=40)
    | st.text(st.sampled_from("a1@. \t\x1f\"'{}[](),:;=<>|\\!-#"))
)
def test_another_entity_in_a_text_changes_none_of_those_before_it(text: str) -> None:
    pseudonym = "[email:abcdefab]"
    assert entities(f"{text} {pseudonym}") == tuple(sorted((*entities(text), pseudonym)))


def test_a_long_text_is_cut_and_still_told_from_one_with_another_end() -> None:
    one, other = "x " * LONGEST + "a", "x " * LONGEST + "b"
    assert canonical(one) != canonical(other)
    assert len(canonical(one)) < LONGEST + 100
    assert not are_alike(one, other)
    assert are_alike(one, one)


@pytest.mark.parametrize(
    "text", ["", "null", "NaN", "[" * 100_000, '{"a":' * 5_000, "1" * 10_000, "\ud800", '"\\ud800"', '"' * 9, "\\"]
)
def test_any_text_has_a_canonical_form(text: str) -> None:
    assert isinstance(entities(canonical(text)), tuple)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_order_spaces_and_encoding_do_not_change_the_canonical_form(value: dict[str, object]) -> None:
    turned = dict(reversed(value.items()))
    spellings = (
        json.dumps(turned),
        json.dumps(value, indent=2),
        json.dumps(json.dumps(turned)),
        json.dumps(value, ensure_ascii=False),
    )
    assert {canonical(spelling) for spelling in spellings} == {canonical(json.dumps(value))}


@given(st.text(max_size=60), st.text(max_size=60))
def test_likeness_is_mutual_and_every_text_is_alike_to_itself(one: str, other: str) -> None:
    def same_length(a: str, b: str) -> float:
        return 100.0 if len(a) == len(b) else 0.0

    assert alike(one, one, same_length)
    assert alike(one, other, same_length) == alike(other, one, same_length)

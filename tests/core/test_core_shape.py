"""The shape of responses in all the forms that tools give them."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost_core.shape import LINE_LONGEST, member, merged, parts, shape_of

untimed = settings(deadline=None)

names = st.text(max_size=8) | st.sampled_from(
    ["id", "?x", "*", "()", "\\", "2024-01-01", "A-1", "Order 1", "a.b", "\ud800"]
)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10) | st.just('{"a": 1}')
)
values = st.recursive(
    scalars, lambda below: st.lists(below, max_size=4) | st.dictionaries(names, below, max_size=5), max_leaves=25
)


def shuffled(value: object, chance: random.Random) -> object:
    """The same value with the members of every object in another order."""
    if isinstance(value, dict):
        members = [(name, shuffled(each, chance)) for name, each in value.items()]
        chance.shuffle(members)
        return dict(members)
    return [shuffled(each, chance) for each in value] if isinstance(value, list) else value


@untimed
@given(text=st.text() | values.map(repr) | st.text(alphabet="-:'\"[]{}()\n a1,."))
def test_any_text_is_taken_and_gives_a_short_line_or_nothing(text: str) -> None:
    line = shape_of(text)
    assert len(line) <= LINE_LONGEST
    assert line.isascii()
    assert not line or isinstance(json.loads(line), dict | list)


@untimed
@given(value=values, seed=st.integers(0, 10))
def test_the_order_of_members_and_the_space_between_them_make_no_difference(value: object, seed: int) -> None:
    again = json.dumps(shuffled(value, random.Random(seed)), indent=2)
    assert shape_of(again) == shape_of(json.dumps(value))


@untimed
@given(value=values)
def test_merging_a_shape_with_itself_leaves_it_as_it_is(value: object) -> None:
    if line := shape_of(json.dumps(value)):
        assert json.dumps(merged([json.loads(line), json.loads(line)]), separators=(",", ":")) == line


@untimed
@given(items=st.lists(values, max_size=5))
def test_the_order_of_items_makes_no_difference(items: list[object]) -> None:
    assert shape_of(json.dumps(items)) == shape_of(json.dumps(items[::-1]))


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ('{"b": 1, "a": "x"}', '{"a":"s","b":"i"}'),
        ('{"a": {"b": null, "c": [true]}}', '{"a":{"b":"n","c":["b"]}}'),
        ("[]", "[]"),
        ("{}", "{}"),
        ('[{"a": 1}, {"a": 2.5, "b": null}]', '[{"a":"fi","?b":"n"}]'),
        ('{"a": [1, "x", {"b": 1}, [2]]}', '{"a":[["is",{"b":"i"},["i"]]]}'),
        ('"{\\"a\\": 1}"', '{"a":"i"}'),
        ('{"a": "{\\"b\\": 1}"}', '{"a":["s",{"()":{"b":"i"}}]}'),
        ('[{"type": "text", "text": "{\\"a\\": 1}"}]', '{"a":"i"}'),
        ('{"content": [{"type": "text", "text": "{\\"a\\": 1}"}], "isError": false}', '{"a":"i"}'),
        ('{"content": [], "structuredContent": {"a": 1}}', '{"a":"i"}'),
        ('{"content": [{"type": "text", "text": "{\\"a\\": 1}"}], "isError": true}', ""),
        ('{"4711": {"a": 1}, "4712": {"a": 2, "b": 1}}', '{"*":{"a":"i","?b":"i"}}'),
        ('{"2024-05-01": 1, "2024-05-02": 2}', '{"*":"i"}'),
        ('{"gift_card_9920": {"id": 1}, "credit_card_1234": {"id": 2}}', '{"*":{"id":"i"}}'),
        ('{"Order 1": {"id": 1}, "Order 2": {"id": 2}}', '{"*":{"id":"i"}}'),
        ('{"a@b.c": 1, "d@e.f": 2}', '{"*":"i"}'),
        ('{"address1": "x", "address2": "y"}', '{"address1":"s","address2":"s"}'),
        ('{"c": 0, "?a": 1, "\\\\b": 2}', '{"\\\\?a":"i","\\\\\\\\b":"i","c":"i"}'),
        ("{'a': 'x', 'b': (1, 2), 'c': None, 'd': True}", '{"a":"s","b":["i"],"c":"n","d":"b"}'),
        ("{'a': Decimal('1.0'), 'b': datetime.date(2024, 1, (1))}", '{"a":"s","b":"s"}'),
        ("[{'a': 'it\\'s', }, ]", '[{"a":"s"}]'),
        ("{1: 'a', 2: 'b'}", '{"*":"s"}'),
        ("a: 1\nb: 'x'\nc: null\nd: 2.5\ne: true", '{"a":"i","b":"s","c":"n","d":"f","e":"b"}'),
        (
            "- all_day: false\n  description: ''\n  people:\n  - a@b.c\n  place: null\n",
            '[{"all_day":"b","description":"s","people":["s"],"place":"n"}]',
        ),
        ("a:\n  b: 1\n  c: []\nd: {}", '{"a":{"b":"i","c":[]},"d":{}}'),
        ("a: 'one\n\n\n  two: three\n\n  - four'\nb: 1", '{"a":"s","b":"i"}'),
        ("a: one\n  goes on\nb: |\n  text: here\nc: 1", '{"a":"s","b":"s","c":"i"}'),
    ],
)
def test_shapes_of_responses_in_every_form(text: str, shape: str) -> None:
    assert shape_of(text) == shape


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "42",
        '"just words"',
        "Error: user not found",
        "Dear Ada,\nnote: this is prose.\nRegards",
        "a: 1",
        "- one\n- two",
        '{"a": 1',
        '[{"a": 1}, {"a"',
        "{'a': <Status.OK: 'ok'>}",
        "a: 1\na: 2",
        "a: 1\n{",
        "[" * 100_000,
        "{'a': " * 5_000,
    ],
)
def test_prose_numbers_and_what_was_cut_short_have_no_shape(text: str) -> None:
    assert shape_of(text) == ""


def test_a_response_of_too_many_or_too_long_fields_has_no_shape() -> None:
    assert (
        shape_of(
            json.dumps({f"a{chr(97 + n)}": {f"{'x' * 100}{chr(97 + m)}": 1 for m in range(20)} for n in range(20)})
        )
        == ""
    )


def test_an_object_of_very_many_names_has_data_for_names() -> None:
    words = {chr(97 + n % 26) * (1 + n // 26): n for n in range(100)}
    assert shape_of(json.dumps(words)) == '{"*":"i"}'


def test_a_long_dump_that_was_cut_short_does_not_lose_fields_of_its_last_item() -> None:
    whole = "".join(
        f"- a: {n}\n  b: 'some words to make it longer, so that it may have been cut'\n  c: 1\n" for n in range(20)
    )
    assert shape_of(whole[: whole.rindex("  c: 1")]) == shape_of(whole) == '[{"a":"i","b":"s","c":"i"}]'


@pytest.mark.parametrize(
    "text",
    [
        "a: '" + "'\n" * 60_000,
        'a: "' + '\\"\n' * 40_000,
        "- " * 60_000,
        json.dumps({"a1": {}, "1" * 500_000 + "x": {}}),
        json.dumps({"a": "x", "-" * 500_000: 1}),
        "{'" + "\\'" * 60_000,
        "a:\n" * 40_000,
    ],
    ids=range(7),
)
def test_hostile_texts_cost_no_more_than_their_length(text: str) -> None:
    assert len(shape_of(text)) <= LINE_LONGEST


def test_parts_tell_the_scalars_members_and_items_of_a_node() -> None:
    node = json.loads(shape_of('[1, {"a": 1}, [2], null]'))[0]
    assert parts(node) == ("in", {"a": "i"}, ["i"])
    assert parts("s") == ("s", None, None)
    assert parts([]) == ("", None, [])


def test_names_are_read_back_from_their_keys() -> None:
    for name in ("a", "?a", "\\a", "*", "()"):
        (first,) = [each for each in json.loads(shape_of(json.dumps([{"z": 1, name: 1}, {"z": 1}])))[0] if each != "z"]
        assert member(first) == (name, False)

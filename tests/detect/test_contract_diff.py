"""In what two contracts differ."""

from __future__ import annotations

from watchpost.detect.contract_diff import differences
from watchpost.model.knowledge import Contract, Field

TEXT = Field(("string",), required=True, seen=9)
NUMBER = Field(("number",), required=True, seen=9)


def told(before: Contract, after: Contract) -> list[tuple[str, int, str]]:
    return [(each.what, each.variant, each.path) for each in differences(before, after)]


def test_fields_that_came_went_and_changed_are_told_by_path() -> None:
    before, after = Contract({"a": TEXT, "b": TEXT, "c": TEXT}), Contract({"b": NUMBER, "c": TEXT, "d": TEXT})
    assert told(before, after) == [("removed", 0, "a"), ("changed", 0, "b"), ("added", 0, "d")]


def test_how_often_a_field_was_seen_is_no_difference() -> None:
    assert told(Contract({"a": TEXT}), Contract({"a": Field(("string",), required=True, seen=99)})) == []


def test_what_stays_is_no_difference_where_a_new_variant_comes_before_it() -> None:
    old, new = {"id": TEXT, "total": NUMBER, "sku": TEXT}, {"id": TEXT, "total": TEXT, "state": TEXT}
    assert told(Contract(old), Contract(new, variants=(old,))) == [
        ("removed", 0, "sku"),
        ("added", 0, "state"),
        ("changed", 0, "total"),
    ]


def test_a_new_variant_is_held_against_the_known_one_that_it_is_most_like() -> None:
    first, second = {"a": TEXT, "b": TEXT}, {"x": TEXT, "y": TEXT}
    before, after = Contract(first, variants=(second,)), Contract(first, variants=(second, {**second, "z": TEXT}))
    assert told(before, after) == [("added", 2, "z")]


def test_every_variant_that_was_known_is_held_against_something() -> None:
    first, second = {"a": TEXT, "b": TEXT, "c": TEXT}, {"a": TEXT, "x": TEXT}
    before, after = Contract(first, variants=(second,)), Contract(first, variants=({"a": TEXT, "b": TEXT, "d": TEXT},))
    assert told(before, after) == [("added", 1, "b"), ("added", 1, "d"), ("removed", 1, "x")]


def test_a_variant_that_is_gone_is_told_field_by_field() -> None:
    kept, gone = {"a": TEXT}, {"b": TEXT, "c": TEXT}
    assert told(Contract(kept, variants=(gone,)), Contract(kept)) == [("removed", 1, "b"), ("removed", 1, "c")]


def test_of_nothing_all_is_new() -> None:
    assert told(Contract({}), Contract({"a": TEXT})) == [("added", 0, "a")]

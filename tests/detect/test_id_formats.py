"""How the ids of a project are written, learnt from what its tools show."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.id_formats import IdFormatLearner
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.model.knowledge import IdFormat
from watchpost.model.step import Status, Step, Tokens


def shows(result: object, tool: str = "get_order", status: Status = "ok") -> Step:
    text = result if isinstance(result, str) else json.dumps(result)
    return Step(b"t" * 16, b"s" * 8, b"", 1, 2, "tool", tool, "", "", tool, status, "", Tokens(), None, result=text)


def learnt(
    *results: object, sound: bool = True, tool: str = "get_order", status: Status = "ok"
) -> Mapping[str, IdFormat]:
    """What holds after one session for each result."""
    base = KnowledgeBase({"id_format": IdFormatLearner})
    for number, result in enumerate(results):
        base.learn("p", Ended("", [shows(result, tool, status)], sound), number)
    return base.at("p", base.version("p")).formats


def pattern(*values: object) -> str:
    """The pattern learnt of order ids with these values, one in each session."""
    return learnt(*({"order_id": value} for value in values)).get("order_id", IdFormat("")).pattern


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([f"ORD-{number}" for number in range(4711, 4717)], r"ORD\-\d{4}"),
        ([f"#W95830{number}" for number in range(42, 48)], r"W\d{7}"),
        (["H9ZU1C", "4WQ150", "XEHM4B", "OI5L9G", "5RJ7UH", "IFOYYZ"], "[A-Z0-9]{6}"),
        ([1096508426 + number for number in range(6)], r"\d{10}"),
        ([f"mia_kim_{number}" for number in range(4390, 4396)], r"[a-z]+_[a-z]+_\d{4}"),
        ([f"550e8400-e29b-41d4-a716-44665544000{number}" for number in range(6)], "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        ([*(f"ORD-{number}" for number in range(4711, 4717)), *(f"ORD-{number}" for number in range(10001, 10007))], r"ORD\-\d{4}|ORD\-\d{5}"),
    ],
)  # fmt: skip
def test_a_format_is_learnt_from_different_values_of_several_sessions(values: list[object], expected: str) -> None:
    assert pattern(*values) == expected


@pytest.mark.parametrize(
    "values",
    [
        [f"ORD-{number}" for number in range(4711, 4715)],
        ["ORD-4711"] * 20,
        list(range(10, 30)),
        list(range(2001, 2020)),
        [f"2024-05-{number}" for number in range(10, 30)],
        ["economy", "business", "first", "premium", "basic", "eco"],
        [f"room_{number}" for number in range(10, 20)],
        [f"v{number}" for number in range(10, 20)],
        [f"{'ABCDEFGHIJ'[number]}-{number}{'x' * number}9" for number in range(10)],
    ],
)
def test_what_is_too_little_or_written_as_other_things_are_gives_no_format(values: list[object]) -> None:
    assert pattern(*values) == ""


def test_many_values_of_one_session_are_not_enough() -> None:
    assert learnt({"orders": [{"order_id": f"ORD-{number}"} for number in range(4000, 4100)]}) == {}


def test_one_odd_value_changes_nothing_and_a_mixture_takes_the_format_back() -> None:
    usual = [f"ORD-{number}" for number in range(4711, 4731)]
    assert pattern(*usual, "shop/99-A") == r"ORD\-\d{4}"
    assert pattern(*usual, *("".join(chr(97 + (n + k) % 26) for k in range(n)) + "-77" for n in range(2, 14))) == ""


def test_sessions_that_are_not_sound_and_calls_that_failed_teach_nothing() -> None:
    results = [{"order_id": f"ORD-{number}"} for number in range(4711, 4731)]
    assert learnt(*results, sound=False) == {}
    assert learnt(*results, status="error") == {}


def test_where_ids_of_a_kind_are_shown_is_kept() -> None:
    results = [f"{{'order_id': 'ORD-{number}', 'old_order_id': 'ORD-{number + 50}'}}" for number in range(4711, 4717)]
    assert learnt(*results) == {
        "order_id": IdFormat(r"ORD\-\d{4}", ("get_order old_order_id", "get_order order_id"), 6)
    }


def test_a_field_called_id_is_one_of_its_tool() -> None:
    results = [f"id_: T-{number}" for number in range(4711, 4717)]
    assert set(learnt(*results, tool="get_ticket")) == {"get_ticket id"}


VALUES = st.one_of(
    st.from_regex(r"ORD-\d{4}", fullmatch=True), st.from_regex(r"[A-Z0-9]{6}", fullmatch=True), st.text(max_size=8)
)


@given(st.lists(st.lists(VALUES, max_size=4), max_size=12), st.integers(0, 12))
def test_a_learner_goes_on_from_its_drafts(sessions: list[list[str]], kept: int) -> None:
    ended = [Ended("", [shows([{"order_id": value} for value in values])], sound=True) for values in sessions]
    whole, first, second = IdFormatLearner(), IdFormatLearner(), IdFormatLearner()
    changed = {name for each in ended[:kept] for name in first.learn(each)}
    for name in changed:
        second.load(name, first.draft(name))
    late = {name for each in ended[kept:] for name in second.learn(each)}
    for each in ended:
        whole.learn(each)
    for name in changed | late:
        assert second.draft(name) == whole.draft(name)
        held = whole.content(name, None)
        assert second.content(name, held) == held
        assert held is None or whole.content(name, held) is held


@given(st.lists(VALUES, max_size=30))
def test_what_is_learnt_matches_nearly_all_that_was_shown(values: list[str]) -> None:
    held = learnt(*({"order_id": value} for value in values)).get("order_id")
    if held is not None:
        assert msgspec.json.decode(msgspec.json.encode(held), type=IdFormat) == held
        assert held.seen >= 5

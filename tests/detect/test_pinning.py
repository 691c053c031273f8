"""What follows from a pin."""

from __future__ import annotations

import json

from drift_fleet import PROJECT, Fleet, a_fleet, call, found_in, learnt

from watchpost.detect.pinning import apply
from watchpost.model.fact import Pin
from watchpost.model.knowledge import Lesson


def pin(fleet: Fleet, *, version: int = 0, contract: str = "", candidate: str = "") -> bool:
    return apply(Pin(PROJECT, "get", "ada", 5, version, contract, candidate), fleet.base)


def held(fleet: Fleet) -> Lesson:
    lesson = fleet.base.at(PROJECT, fleet.base.version(PROJECT)).lesson("contract", "get")
    assert lesson is not None
    return lesson


def a_drifted_fleet() -> Fleet:
    fleet = a_fleet([{"id": n, "income": 1} for n in range(30)])
    fleet.end(call(1, "get", {"id": 1, "salary": 2}))
    return fleet


def test_a_pinned_candidate_is_no_drift_any_more_and_what_was_known_is_not_either() -> None:
    fleet = a_drifted_fleet()
    assert pin(fleet, candidate=learnt(fleet).candidates("get")[0].digest)
    assert held(fleet).source == "pinned"
    assert found_in(fleet, {"id": 1, "salary": 2}) == found_in(fleet, {"id": 1, "income": 2}) == []
    assert found_in(fleet, {"id": 1}) != []
    _, drafts = fleet.base.news()
    assert [draft.name for draft in drafts] == ["get"]


def test_a_pinned_contract_is_not_overruled_by_what_is_learnt_until_it_is_unpinned() -> None:
    fleet = a_fleet([{"id": n} for n in range(10)])
    schema = {"type": "object", "properties": {"id": {}, "name": {}}}
    assert pin(fleet, contract=json.dumps(schema))
    version = fleet.base.version(PROJECT)
    for number in range(100):
        assert fleet.end(call(number, "get", {"id": 1, "name": "x"})) == []
    assert fleet.base.version(PROJECT) == version
    assert pin(fleet)
    assert held(fleet).source == "learnt"
    assert fleet.base.version(PROJECT) == version + 1


def test_an_earlier_version_can_be_pinned_again() -> None:
    fleet = a_fleet([{"id": n} for n in range(30)])
    first = held(fleet)
    assert pin(fleet, contract='{"type": "object", "properties": {"other": {}}}')
    assert pin(fleet, version=first.version)
    assert (held(fleet).content, held(fleet).source) == (first.content, "pinned")


def test_pinning_what_is_pinned_publishes_nothing() -> None:
    fleet = a_fleet([{"id": n} for n in range(30)])
    contract = '{"type": "object", "properties": {"other": {}}}'
    assert pin(fleet, contract=contract)
    version = fleet.base.version(PROJECT)
    assert pin(fleet, contract=contract)
    assert fleet.base.version(PROJECT) == version


def test_what_cannot_be_pinned_changes_nothing() -> None:
    fleet = a_drifted_fleet()
    before, draft = fleet.base.version(PROJECT), learnt(fleet).draft("get")
    assert not pin(fleet, version=999)
    assert not pin(fleet, contract="{")
    assert not pin(fleet, candidate="0" * 16)
    assert not apply(Pin(PROJECT, "never_seen", "ada", 5), fleet.base)
    assert fleet.base.version(PROJECT) == before
    assert learnt(fleet).draft("get") == draft


def test_unpinning_a_tool_of_which_nothing_was_learnt_leaves_it_without_a_contract() -> None:
    fleet = Fleet()
    assert pin(fleet, contract='{"type": "object", "properties": {"other": {}}}')
    assert found_in(fleet, {"id": 1})
    assert pin(fleet)
    assert fleet.contract("get") is None


def test_a_pin_says_who_said_so_and_why_and_what_is_learnt_again_does_too() -> None:
    fleet = a_fleet([{"id": n} for n in range(30)])
    version = held(fleet).version
    assert apply(Pin(PROJECT, "get", "ada", 5, version, note="settled with billing"), fleet.base)
    assert (held(fleet).by, held(fleet).note) == ("ada", "settled with billing")
    published = held(fleet).version
    assert apply(Pin(PROJECT, "get", "bea", 6, version, note="the same once more"), fleet.base)
    assert held(fleet).version == published, "who says it again changes nothing"

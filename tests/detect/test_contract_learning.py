"""What is learnt of a tool's responses, and what is not."""

from __future__ import annotations

import json
import random

import pytest
from drift_fleet import PROJECT, Fleet, a_fleet, call, found_in, learnt
from hypothesis import example, given
from hypothesis import strategies as st

from watchpost.detect.contract_learning import CANDIDATES, LEARNT, ContractLearner
from watchpost.detect.contract_tally import Enough
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.schema_drift import SchemaDriftSettings
from watchpost.model.knowledge import Content, Contract, Draft, Field, Lesson


def fields(fleet: Fleet, tool: str = "get") -> dict[str, Field]:
    contract = fleet.contract(tool)
    assert contract is not None
    return contract.fields


def test_a_tool_that_always_answers_alike_is_guarded_after_few_sessions() -> None:
    settings = SchemaDriftSettings()
    fleet = Fleet()
    for number in range(settings.responses):
        assert fleet.contract("get") is None
        fleet.end(call(number, "get", {"id": number, "name": "x"}))
    assert fleet.contract("get") is not None
    assert fleet.base.version(PROJECT) == 1


def test_many_responses_of_one_session_are_not_enough() -> None:
    fleet = Fleet()
    fleet.end(*(call(number, "get", {"id": number}) for number in range(100)))
    assert fleet.contract("get") is None


def test_a_field_that_is_sometimes_there_is_optional() -> None:
    fleet = a_fleet([{"id": 1} | ({"note": "x"} if n % 3 else {}) for n in range(60)])
    assert fields(fleet)["id"].required
    assert not fields(fleet)["note"].required
    assert found_in(fleet, {"id": 1}) == []
    assert found_in(fleet, {"note": "x"}) == ["get: field id is gone"]


def test_types_that_change_from_response_to_response_are_all_known() -> None:
    fleet = a_fleet([{"id": 1, "price": value} for value in (1, 2.5, None) * 20])
    assert fields(fleet)["price"].types == ("integer", "null", "number")
    assert found_in(fleet, {"id": 1, "price": "2"}) == ["get: field price is string, was integer or null or number"]


def test_empty_lists_teach_nothing_about_their_items() -> None:
    fleet = a_fleet([{"id": 1, "items": []} for _ in range(30)])
    assert "items[]" not in fields(fleet)
    assert found_in(fleet, {"id": 1, "items": [{"any": 1}]}) == []


def test_items_of_lists_are_one_kind_of_thing() -> None:
    fleet = a_fleet([{"items": [{"id": 1, "name": "x"}, {"id": 2, "name": "y", "old": True}]} for _ in range(60)])
    assert fields(fleet)["items[].id"].required
    assert not fields(fleet)["items[].old"].required
    assert found_in(fleet, {"items": [{"id": 1, "name": "x"}, {"id": 2}]}) == [
        "get: field items[].name is missing in some items"
    ]


def test_names_of_titles_and_people_are_data_and_not_fields() -> None:
    titles = ["Red Shoes", "Blue Shoes", "Long Coat", "Old Hat", "Thin Belt"]
    fleet = a_fleet([{titles[n % 5]: {"price": 1.5, "stock": n}} for n in range(30)])
    assert set(fields(fleet)) == {"", "*", "*.price", "*.stock"}
    assert found_in(fleet, {"Green Tie": {"price": 2.5, "stock": 1}}) == []
    assert found_in(fleet, {"Green Tie": {"cost": 2.5, "stock": 1}}) == [
        "get: field *.price is gone, *.cost is new: probably renamed"
    ]


def test_many_plain_names_none_of_which_is_always_there_are_data() -> None:
    chance = random.Random(3)
    words = ["ada", "bob", "cleo", "dan", "eve", "finn", "gus", "hal", "ida", "joe", "kim", "lou"]
    fleet = a_fleet([{"scores": dict.fromkeys(chance.sample(words, 3), n)} for n in range(60)])
    assert found_in(fleet, {"scores": {"zoe": 1}}) == []


def test_names_that_are_always_there_stay_fields() -> None:
    place = {"street": "x", "city": "y"}
    fleet = a_fleet([{"billing": place, "shipping": place} for _ in range(60)])
    assert "billing.street" in fields(fleet)
    assert found_in(fleet, {"billing": place}) == ["get: field shipping is gone"]


def test_quite_different_responses_of_one_tool_are_variants() -> None:
    by_id, by_page = {"id": 1, "name": "x", "total": 2}, {"page": 1, "results": ["a"], "next": None}
    fleet = a_fleet([by_id, by_page] * 30)
    contract = fleet.contract("get")
    assert contract is not None
    assert len(contract.variants) == 1
    assert found_in(fleet, by_id) == found_in(fleet, by_page) == []
    assert found_in(fleet, {"id": 1, "name": "x"}) == ["get: field total is gone"]
    assert found_in(fleet, {"page": 1, "results": ["a"]}) == ["get: field next is gone"]


def test_shapes_of_failures_are_kept_apart() -> None:
    fleet = Fleet()
    failed = {"reason_code": 7, "explained": "x"}
    for number in range(30):
        fleet.end(
            call(1, "get", {"id": number}), call(2, "get", failed, status="error"), call(3, "get", {"error": "no"})
        )
    assert set(fields(fleet)) == {"", "id"}
    assert found_in(fleet, failed) == []
    assert found_in(fleet, {"error": {"code": 3}}) == []


def test_an_envelope_that_always_says_error_is_a_response_like_others() -> None:
    fleet = a_fleet([{"error": "", "data": {"id": n}} for n in range(30)])
    assert found_in(fleet, {"error": "", "data": {"ident": 1}}) == [
        "get: field data.id is gone, data.ident is new: probably renamed"
    ]


def test_a_failed_session_teaches_nothing() -> None:
    fleet = Fleet()
    for number in range(100):
        fleet.end(call(number, "get", {"id": number}), well=False)
    assert fleet.contract("get") is None


def test_a_drifted_response_teaches_nothing_however_often_it_comes() -> None:
    fleet = a_fleet([{"id": n, "name": "x"} for n in range(30)])
    version = fleet.base.version(PROJECT)
    for number in range(200):
        assert fleet.end(call(number, "get", {"id": number, "nom": "x"})) != []
    assert fleet.base.version(PROJECT) == version
    (candidate,) = learnt(fleet).candidates("get")
    assert candidate.sessions == 200
    assert candidate.shape == '{"id":"i","nom":"s"}'
    assert candidate.first.endswith(f":{(0).to_bytes(8, 'big').hex()}")
    assert candidate.last.endswith(f":{(199).to_bytes(8, 'big').hex()}")


def test_failed_sessions_among_good_ones_do_not_make_a_drift_known() -> None:
    fleet = Fleet()
    for number in range(300):
        drifted = number % 2 == 1
        fleet.end(call(1, "get", {"ident": 1} if drifted else {"id": 1, "name": "x"}), well=not drifted)
    assert set(fields(fleet)) == {"", "id", "name"}
    assert found_in(fleet, {"ident": 1})


def test_a_known_response_in_a_failed_session_is_no_candidate() -> None:
    fleet = a_fleet([{"id": n} | ({"note": "x"} if n % 2 else {}) for n in range(30)])
    fleet.end(call(1, "get", {"id": 1}), call(2, "get", {"error": "no"}), well=False)
    assert learnt(fleet).candidates("get") == []


def test_candidates_are_bounded_and_those_of_most_sessions_stay() -> None:
    fleet = a_fleet([{"id": n} for n in range(30)])
    for _ in range(3):
        fleet.end(call(1, "get", {"often": 1}))
    for number in range(5 * CANDIDATES):
        fleet.end(call(1, "get", {f"name_{chr(97 + number % 26)}{number // 26}": 1}))
    candidates = learnt(fleet).candidates("get")
    assert len(candidates) == CANDIDATES
    assert max(each.sessions for each in candidates) == 3


def test_a_contract_is_published_again_only_when_it_means_something_else() -> None:
    fleet = Fleet()
    versions = []
    for number in range(200):
        fleet.end(call(number, "get", {"id": number, "name": "x"}))
        versions.append(fleet.base.version(PROJECT))
    assert versions[-1] <= 4
    assert versions[60:] == [versions[60]] * 140


def test_what_is_still_changing_is_not_judged_yet() -> None:
    fleet = Fleet()
    for number in range(12):
        response = {"id": 1, "total": 2} | ({"note": "x"} if number == 9 else {})
        assert fleet.end(call(number, "get", response)) == []
    assert found_in(fleet, {"id": 1, "total": 2, "rebate": 1}) == []


def test_learning_goes_on_after_a_restart_as_if_there_had_been_none() -> None:
    responses = [
        {"id": 1} | ({"note": "x"} if n % 3 else {}) | ({"error": "no"} if n % 7 == 0 else {}) for n in range(40)
    ]
    whole, first = Fleet(), Fleet()
    lessons: list[Lesson] = []
    drafts: dict[str, Draft] = {}
    for number, response in enumerate(responses):
        whole.end(call(number, "get", response))
        if number == 15:
            first.base = KnowledgeBase({"contract": ContractLearner}, lessons, drafts.values())
        first.end(call(number, "get", response))
        new, changed = first.base.news()
        lessons += new
        drafts |= {draft.name: draft for draft in changed}
    assert learnt(first).draft("get") == learnt(whole).draft("get")
    assert first.contract("get") == whole.contract("get")
    assert first.base.version(PROJECT) == whole.base.version(PROJECT)


def test_the_order_of_the_steps_of_a_session_makes_no_difference() -> None:
    chance = random.Random(1)
    steps = [call(n, "get", {"id": 1} | ({"note": n} if n % 2 else {})) for n in range(9)]
    drafts = set()
    for _ in range(5):
        chance.shuffle(steps)
        learner = ContractLearner()
        assert list(learner.learn(Ended("", steps, sound=True))) == ["get"]
        drafts.add(learner.draft("get"))
    assert len(drafts) == 1


def test_a_tool_that_is_well_known_is_learnt_again_from_when_something_is_new() -> None:
    learner = ContractLearner()
    for number in range(LEARNT):
        assert learner.learn(Ended("", [call(number, "get", {"id": 1})], sound=True)) == ["get"]
    assert learner.learn(Ended("", [call(1, "get", {"id": 1})], sound=True)) == []
    assert learner.learn(Ended("", [call(1, "get", {"id": 1, "said_to_be_right": 1})], sound=True)) == ["get"]
    for number in range(LEARNT - 1):
        assert learner.learn(Ended("", [call(number, "get", {"id": 1})], sound=True)) == ["get"]
    assert learner.learn(Ended("", [call(1, "get", {"id": 1})], sound=True)) == []
    contract = learner.content("get", None)
    assert isinstance(contract, Contract)
    assert contract.fields[""].closed


def test_what_is_kept_of_a_tool_is_bounded_whatever_it_answers() -> None:
    learner = ContractLearner()
    chance = random.Random(2)
    for number in range(400):
        response = {"".join(chance.choices("abcdefghij", k=6)): {"x": chance.random()} for _ in range(20)}
        learner.learn(Ended("", [call(number, "get", response)], sound=True))
    assert len(learner.draft("get")) < 30_000


def test_an_adopted_candidate_is_a_variant_and_the_contract_still_guards_both() -> None:
    fleet = a_fleet([{"id": n, "annual_income": 1, "items": []} for n in range(30)])
    fleet.end(call(1, "get", {"id": 1, "income_annual": 2, "items": []}))
    (candidate,) = learnt(fleet).candidates("get")
    contract = learnt(fleet).adopt("get", candidate.digest)
    assert isinstance(contract, Contract)
    assert learnt(fleet).candidates("get") == []
    fleet.declared["get"] = contract
    assert found_in(fleet, {"id": 1, "income_annual": 2, "items": [5]}) == []
    assert found_in(fleet, {"id": 1, "annual_income": 2, "items": []}) == []
    assert found_in(fleet, {"id": 1, "items": []}) == ["get: field annual_income is gone"]


def test_adopting_what_is_no_candidate_changes_nothing() -> None:
    fleet = a_fleet([{"id": n} for n in range(30)])
    before = learnt(fleet).draft("get")
    assert learnt(fleet).adopt("get", "0" * 16) is None
    assert learnt(fleet).adopt("other", "0" * 16) is None
    assert learnt(fleet).draft("get") == before


@pytest.mark.parametrize("shares", [(0.5,), (0.2, 0.3), (0.1, 0.1, 0.4)])
def test_optional_fields_cost_few_false_flags(shares: tuple[float, ...]) -> None:
    chance = random.Random(json.dumps(shares))
    flagged = 0
    for _ in range(20):
        fleet = Fleet()
        for number in range(100):
            response = {"id": 1, "total": 2} | {f"o{n}": 1 for n, share in enumerate(shares) if chance.random() < share}
            flagged += bool(fleet.end(call(number, "get", response)))
    assert flagged <= 20


VALUES = st.one_of(
    st.none(), st.just(1), st.just("x"), st.just([]), st.just([{"a": 1}, {"a": 1, "b": "x"}]), st.just({})
)
RESPONSES = st.one_of(
    st.dictionaries(st.sampled_from(["id", "a", "b", "c", "error", "2026-01-01", "2026-01-02"]), VALUES, max_size=4),
    st.sampled_from([{"id": 1, "name": "x"}, {"id": 1}, {"id": None, "name": "x"}]),
    st.just([{"id": 1, "name": "x"}]),
    st.just({"id": 1, "inner": '{"a": 1}'}),
)
SESSIONS = st.lists(st.tuples(st.lists(RESPONSES, max_size=3), st.integers(1, 12)), max_size=8)
LITTLE = st.builds(
    Enough,
    responses=st.integers(1, 6),
    sessions=st.integers(1, 6),
    quiet=st.sampled_from([1.0, 1.5, 4.0]),
    null_sessions=st.integers(1, 9),
)


@given(SESSIONS, LITTLE)
@example([([{"id": 1, "name": "x"}], 10), ([{"id": 1}], 1)], Enough())
@example([([[{"id": 1, "name": "x"}]], 10), ([[{"id": 1, "name": "x"}, {"id": 1}]], 1)], Enough())
@example([([{"id": 1}], 20), ([{"id": None}], 60)], Enough())
def test_a_contract_asked_for_after_every_session_is_that_of_who_asks_only_now(
    sessions: list[tuple[list[object], int]], enough: Enough
) -> None:
    learner = ContractLearner(enough)
    held: Content | None = None
    number = 0
    for responses, times in sessions:
        for _ in range(times):
            number += 1
            learner.learn(Ended("w", [call(number, "get", response) for response in responses], sound=True))
            fresh = ContractLearner(enough)
            fresh.load("get", learner.draft("get"))
            content = learner.content("get", held)
            assert content == fresh.content("get", held)
            held = content

"""Contracts of tools over HTTP: looked at and pinned."""

from __future__ import annotations

import json

import httpx
import msgspec
import pytest
from server_fakes import START_NS, House

from watchpost.detect.contract_learning import Candidate
from watchpost.detect.contract_learning import Draft as Gathered
from watchpost.ingest.request import OverloadedError
from watchpost.model.fact import Pin
from watchpost.model.knowledge import Contract, Draft, Field, Lesson, Source

SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}}
DIGEST = "0123456789abcdef"


def a_contract(*names: str) -> Contract:
    named = {name: Field(("string",), required=True, seen=9) for name in names}
    return Contract({"": Field(("object",), required=True, seen=9), **named}, responses=9, sessions=8)


def publish(house: House, version: int, tool: str = "get", *, project: str = "p", source: Source = "learnt") -> None:
    house.base.published.append(Lesson(project, "contract", tool, version, source, a_contract("id"), START_NS))


def a_candidate(house: House, tool: str = "get") -> None:
    candidate = Candidate(DIGEST, '{"ident":"s"}', 3, f"{'a' * 32}:{'b' * 16}", f"{'c' * 32}:{'d' * 16}")
    house.base.gathered.append(Draft("p", "contract", tool, msgspec.json.encode(Gathered(candidates=[candidate]))))


def pin(house: House, address: str, **body: object) -> httpx.Response:
    return house.post(address, json.dumps(body).encode(), content_type="application/json")


def test_tools_are_listed_with_what_holds_and_what_might() -> None:
    house = House()
    publish(house, 1)
    publish(house, 4)
    publish(house, 2, "other", project="q")
    a_candidate(house)
    house.declared["said"] = a_contract("a", "b")
    found = house.get("/api/contracts").json()["contracts"]
    assert [
        (each["project"], each["tool"], each["source"], each["version"], each["fields"], each["candidates"])
        for each in found
    ] == [
        ("", "said", "declared", 0, 3, 0),
        ("p", "get", "learnt", 4, 2, 1),
        ("q", "other", "learnt", 2, 2, 0),
    ]
    assert [each["tool"] for each in house.get("/api/contracts?project=q").json()["contracts"]] == ["said", "other"]


def test_a_tool_is_shown_with_its_versions_and_candidates() -> None:
    house = House()
    publish(house, 1)
    publish(house, 4, source="pinned")
    a_candidate(house)
    found = house.get("/api/contracts/get").json()
    assert (found["version"], found["source"], found["contract"]["fields"]["id"]["types"]) == (4, "pinned", ["string"])
    assert [(each["version"], each["source"], each["holds"]) for each in found["versions"]] == [
        (4, "pinned", True),
        (1, "learnt", True),
    ]
    (candidate,) = found["candidates"]
    assert (candidate["digest"], candidate["sessions"], candidate["first_step_id"], candidate["last_trace_id"]) == (
        DIGEST, 3, "b" * 16, "c" * 32,
    )  # fmt: skip
    assert house.get("/api/contracts/get?version=1").json()["source"] == "learnt"


def test_versions_say_who_said_so_and_what_they_changed_and_fields_since_when_they_are_there() -> None:
    house = House()
    publish(house, 1)
    for version, names, by, note in ((3, ("id", "total"), "ada", "billing 2"), (5, ("total", "state"), "", "")):
        lesson = Lesson("p", "contract", "get", version, "learnt", a_contract(*names), START_NS, by, note)
        house.base.published.append(lesson)
    found = house.get("/api/contracts/get").json()
    assert found["since"] == {"": 1, "state": 5, "total": 3}
    assert [
        (one["version"], one["by"], one["note"], [(each["what"], each["path"]) for each in one["differences"]])
        for one in found["versions"]
    ] == [
        (5, "", "", [("removed", "id"), ("added", "state")]),
        (3, "ada", "billing 2", [("added", "total")]),
        (1, "", "", []),
    ]
    assert house.get("/api/contracts/get?version=3").json()["since"] == {"": 1, "id": 1, "total": 3}


def test_what_is_not_known_is_not_found() -> None:
    house = House()
    publish(house, 1)
    assert house.get("/api/contracts/none").status_code == 404
    assert house.get("/api/contracts/get?version=2").status_code == 404


def test_a_tool_of_two_projects_has_to_be_named_with_one() -> None:
    house = House()
    publish(house, 1)
    publish(house, 1, project="q")
    assert house.get("/api/contracts/get").json()["errors"][0]["parameter"] == "project"
    assert house.get("/api/contracts/get?project=q").json()["project"] == "q"


@pytest.mark.parametrize(
    ("body", "noted"),
    [
        ({"version": 1, "by": " ada "}, Pin("p", "get", "ada", START_NS, 1)),
        ({"version": 1, "note": "a\r\nb "}, Pin("p", "get", "", START_NS, 1, note="a\nb")),
        ({"candidate": DIGEST}, Pin("p", "get", "", START_NS, candidate=DIGEST)),
        ({"schema": SCHEMA}, Pin("p", "get", "", START_NS, contract=json.dumps(SCHEMA, separators=(",", ":")))),
        ({"unpin": True}, Pin("p", "get", "", START_NS)),
    ],
)
def test_a_pin_is_noted_and_answered_with_the_contract(body: dict[str, object], noted: Pin) -> None:
    house = House()
    publish(house, 1)
    a_candidate(house)
    answer = pin(house, "/api/contracts/get/pin", **body)
    assert (answer.status_code, answer.json()["tool"]) == (200, "get")
    assert house.slate.noted == [noted]


def test_a_pin_that_does_not_hold_in_time_is_answered_as_taken() -> None:
    house = House()
    house.slate.slow = True
    publish(house, 1)
    assert pin(house, "/api/contracts/get/pin", version=1).status_code == 202
    assert pin(house, "/api/contracts/unheard_of/pin?project=q", schema=SCHEMA).status_code == 202
    assert [(fact.project, fact.tool) for fact in house.slate.noted if isinstance(fact, Pin)] == [
        ("p", "get"),
        ("q", "unheard_of"),
    ]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "pin"),
        ({"version": 1, "unpin": True}, "pin"),
        ({"version": 7}, "version"),
        ({"candidate": "none"}, "candidate"),
        ({"schema": {"type": "thing"}}, "schema"),
        ({"version": 1, "by": "x" * 201}, "by"),
        ({"version": 1, "by": "a\u0007"}, "by"),
        ({"version": 1, "note": "x" * 2001}, "note"),
        ({"verson": 1}, "verson"),
    ],
)
def test_a_pin_that_cannot_hold_is_refused_by_name_and_not_noted(body: dict[str, object], parameter: str) -> None:
    house = House()
    publish(house, 1)
    answer = pin(house, "/api/contracts/get/pin", **body)
    assert answer.status_code == 422
    assert [each["parameter"] for each in answer.json()["errors"]] == [parameter]
    assert house.slate.noted == []


def test_what_settings_declare_cannot_be_pinned() -> None:
    house = House()
    publish(house, 1)
    house.declared["get"] = a_contract("a")
    assert house.get("/api/contracts/get").json()["source"] == "declared"
    assert pin(house, "/api/contracts/get/pin", version=1).status_code == 422


def test_a_pin_that_is_no_json_is_refused_and_one_that_cannot_be_taken_now_comes_back() -> None:
    house = House()
    publish(house, 1)
    assert house.post("/api/contracts/get/pin", b"{}", content_type="text/plain").status_code == 415
    assert house.post("/api/contracts/get/pin", b"{" * (2 << 20), content_type="application/json").status_code == 413
    house.slate.fault = OverloadedError("full", 3)
    answer = pin(house, "/api/contracts/get/pin", version=1)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_a_pin_that_nests_without_end_is_refused_by_name(depth: int) -> None:
    house = House()
    publish(house, 1)
    body = b'{"schema":' + b'{"items":' * depth + b"{}" + b"}" * depth + b"}"
    answer = house.post("/api/contracts/get/pin", body, content_type="application/json")
    assert (answer.status_code, house.slate.noted) == (422, [])
    assert answer.json()["errors"] == [{"parameter": "body", "detail": "nests too deep"}]


def test_a_tool_whose_name_has_a_slash_can_be_asked_for() -> None:
    house = House()
    publish(house, 1, "a/b")
    assert house.get("/api/contracts/a%2Fb").json()["tool"] == "a/b"
    assert pin(house, "/api/contracts/a%2Fb/pin", version=1).status_code == 200


def test_the_description_names_the_routes_and_their_answers() -> None:
    found = House().get("/openapi.json").json()
    assert "/api/contracts/{tool}/pin" in found["paths"]
    assert {"ContractsAnswer", "ContractAnswer", "PinGiven"} <= found["components"]["schemas"].keys()

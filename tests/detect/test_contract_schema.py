"""Contracts that people write, as JSON Schema or in an MCP server's list of tools."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.contract import Guard
from watchpost.detect.contract_schema import (
    ContractError,
    contract_of_schema,
    contract_of_text,
    contracts_of_mcp,
    declared_contracts,
)
from watchpost_core.shape import shape_of

APPLICANT = {
    "type": "object",
    "required": ["id", "income"],
    "properties": {
        "id": {"type": "string", "enum": ["A"]},
        "income": {"type": ["integer", "null"]},
        "score": {"type": "number"},
        "address": {"$ref": "#/$defs/address"},
        "notes": {
            "type": "array",
            "items": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
        },
        "by_year": {"type": "object", "additionalProperties": {"type": "integer"}},
        "extra": {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": True},
        "ref": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"x": {"type": "integer"}}}]},
        "any": {},
    },
    "$defs": {"address": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def said(schema: object, response: object) -> list[tuple[str, str]]:
    """What is different about a response, as kind of change and path."""
    return [
        (each.what, each.path) for each in Guard(contract_of_schema(schema)).compare(shape_of(json.dumps(response)))
    ]


@pytest.mark.parametrize(
    ("beside", "changes"),
    [
        ({}, []),
        ({"income": None}, []),
        ({"income": 1.5}, [("retyped", "income")]),
        ({"score": 1}, []),
        ({"score": None}, [("retyped", "score")]),
        ({"id": 7}, [("retyped", "id")]),
        ({"more": 1}, [("added", "more")]),
        ({"address": {"city": "x"}}, []),
        ({"address": {"town": "x"}}, [("added", "address.town")]),
        ({"notes": []}, []),
        ({"notes": [{"text": "x"}, {}]}, [("removed", "notes[].text")]),
        ({"by_year": {"y": 1, "z": 2}}, []),
        ({"by_year": {"y": "x"}}, [("retyped", "by_year.*")]),
        ({"extra": {"a": 1, "b": [1]}}, []),
        ({"extra": {"a": "x"}}, [("retyped", "extra.a")]),
        ({"ref": "x"}, []),
        ({"ref": {"x": 1}}, []),
        ({"ref": 1}, [("retyped", "ref")]),
        ({"any": {"b": [{}]}}, []),
    ],
)
def test_responses_are_held_against_a_schema(beside: dict[str, object], changes: list[tuple[str, str]]) -> None:
    assert said(APPLICANT, {"id": "A", "income": 1} | beside) == changes


def test_what_is_required_must_be_there() -> None:
    assert said(APPLICANT, {"id": "A"}) == [("removed", "income")]


def test_alternatives_at_the_root_are_variants() -> None:
    one = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    other = {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}
    schema = {"oneOf": [one, other]}
    assert said(schema, {"a": 1}) == said(schema, {"b": 1}) == []
    assert said(schema, {"c": 1}) != []


def test_all_that_has_to_hold_together_is_joined() -> None:
    schema = {
        "allOf": [{"$ref": "#/$defs/base"}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}],
        "$defs": {"base": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
    }
    assert said(schema, {"a": 1, "b": 1}) == []
    assert said(schema, {"b": 1}) == [("removed", "a")]


def test_a_schema_that_refers_to_itself_is_read_to_a_depth() -> None:
    members = {"id": {"type": "integer"}, "child": {"$ref": "#"}, "loop": {"$ref": "#/properties/loop"}}
    schema = {"type": "object", "properties": members}
    assert said(schema, {"id": 1, "child": {"id": 2, "child": {"id": "x"}}}) == [("retyped", "child.child.id")]
    assert said(schema, {"loop": 1}) == []


@pytest.mark.parametrize(
    "schema",
    [
        "x",
        {},
        {"type": "string"},
        {"type": "thing", "properties": {"a": {}}},
        {"properties": {"a": {"$ref": "https://example.org/a"}}},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"properties": {"a": 5}},
        {"properties": [1]},
        {"required": 5, "properties": {"a": {}}},
        {"properties": {f"a{n}": {} for n in range(3000)}},
    ],
)
def test_what_is_no_schema_of_an_answer_is_refused(schema: object) -> None:
    with pytest.raises(ContractError):
        contract_of_schema(schema)


@given(
    schema=st.recursive(
        st.none() | st.booleans() | st.sampled_from(["object", "array", "string", "#", "#/a", "x"]),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "properties",
                        "items",
                        "anyOf",
                        "oneOf",
                        "allOf",
                        "$ref",
                        "required",
                        "additionalProperties",
                        "a",
                    ]
                ),
                below,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_a_contract_or_refused(schema: object) -> None:
    try:
        contract = contract_of_schema(schema)
    except ContractError:
        return
    Guard(contract).compare('{"a":"i"}')


def test_a_contract_is_read_back_as_it_is_shown() -> None:
    contract = contract_of_schema(APPLICANT)
    assert contract_of_text(msgspec.json.encode(contract).decode()) == contract


@pytest.mark.parametrize("names", [(), ("a",), ("",), ("", *map(str, range(2001)))])
def test_a_contract_that_judges_nothing_or_too_much_is_refused(names: tuple[str, ...]) -> None:
    fields = {name: {"types": ["object"], "required": True} for name in names}
    with pytest.raises(ContractError):
        contract_of_text(json.dumps({"fields": fields}))


def test_output_schemas_of_an_mcp_server_are_contracts() -> None:
    tools = {
        "tools": [{"name": "get", "inputSchema": {}, "outputSchema": APPLICANT}, {"name": "other", "inputSchema": {}}]
    }
    assert contracts_of_mcp(json.dumps(tools)) == contracts_of_mcp(
        json.dumps({"jsonrpc": "2.0", "id": 1, "result": tools})
    )
    assert contracts_of_mcp(json.dumps(tools)) == {"get": contract_of_schema(APPLICANT)}


@pytest.mark.parametrize(
    "text", ["", "{", "5", "{}", '{"tools": 5}', '{"tools": [{"name": "a", "outputSchema": {"type": "thing"}}]}']
)
def test_what_is_no_list_of_tools_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        contracts_of_mcp(text)


def test_declared_contracts_come_from_files_and_a_fault_names_its_file(tmp_path: Path) -> None:
    schema, tools, broken = tmp_path / "get.json", tmp_path / "tools.json", tmp_path / "broken.json"
    schema.write_text(json.dumps(APPLICANT), encoding="utf-8")
    tools.write_text(json.dumps([{"name": "list", "outputSchema": APPLICANT}]), encoding="utf-8")
    broken.write_text("{", encoding="utf-8")
    assert set(declared_contracts({"get": str(schema)}, [str(tools)])) == {"get", "list"}
    for files in ({"get": str(broken)}, {"get": str(tmp_path / "none.json")}):
        with pytest.raises(ContractError, match=r"contracts\.get"):
            declared_contracts(files, [])
    with pytest.raises(ContractError, match=r"mcp_tools: .*broken\.json"):
        declared_contracts({}, [str(broken)])

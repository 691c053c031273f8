"""Contracts that people write: JSON Schema of a tool's response, and what an MCP server says of its tools' output.

Of JSON Schema (draft 2020-12) this is read: `type`, `properties`, `required`, `additionalProperties`, `patternProperties`, `items`,
`prefixItems`, `anyOf`, `oneOf`, `allOf`, and `$ref` within the document. What limits values, such as `enum` or `pattern`, is not looked at. Names
beyond `properties` are drift unless `additionalProperties` allows them: a tool that answers more than it documents is what is looked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import msgspec

from watchpost.detect.contract import any_path, member_path
from watchpost.model.knowledge import Contract, Field, JsonType

DEPTH = 10
"""How deep a schema is read; what lies deeper may be anything."""

FIELDS = 2000
"""Fields of one contract at most."""

VARIANTS = 16

_TYPES: tuple[JsonType, ...] = get_args(JsonType)
_ANYTHING: Mapping[str, object] = {}


class ContractError(ValueError):
    """What was given is no contract that can be used; the message says where and why."""


def contract_of_schema(schema: object) -> Contract:
    """The contract that a JSON Schema says; the alternatives at its root are variants. Raises `ContractError`."""
    reader = _Reader(schema)
    variants = [dict(reader.fields(root)) for root in reader.roots()]
    return _checked(Contract(variants[0], variants=tuple(variants[1:])))


def contract_of_text(text: str) -> Contract:
    """The contract that a text says: one as `contracts show --json` prints it, or a JSON Schema. Raises `ContractError`."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ContractError("a JSON Schema is an object")
    if "fields" not in value:
        return contract_of_schema(value)
    try:
        return _checked(msgspec.convert({"type": "contract", **value}, Contract))
    except msgspec.ValidationError as error:
        raise ContractError(str(error)) from error


def declared_contracts(schemas: Mapping[str, str], mcp_tools: Sequence[str]) -> dict[str, Contract]:
    """The contracts in files: one JSON Schema for each tool, and what MCP servers answered to `tools/list`. Raises `ContractError` naming the file."""
    found: dict[str, Contract] = {}
    for file in mcp_tools:
        try:
            found.update(contracts_of_mcp(_read(file)))
        except ContractError as error:
            raise ContractError(f"mcp_tools: {file}: {error}") from error
    for tool, file in schemas.items():
        try:
            found[tool] = contract_of_text(_read(file))
        except ContractError as error:
            raise ContractError(f"contracts.{tool}: {file}: {error}") from error
    return found


def contracts_of_mcp(text: str) -> dict[str, Contract]:
    """The contract of each tool that has an output schema, in what a server answered to `tools/list`. Raises `ContractError`."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"no JSON: {error}") from error
    value = value["result"] if isinstance(value, dict) and isinstance(value.get("result"), dict) else value
    tools = value.get("tools") if isinstance(value, dict) else value
    if not isinstance(tools, list):
        raise ContractError("no list of tools")
    found: dict[str, Contract] = {}
    for tool in tools:
        if isinstance(tool, dict) and isinstance(tool.get("name"), str) and isinstance(tool.get("outputSchema"), dict):
            try:
                found[tool["name"]] = contract_of_schema(tool["outputSchema"])
            except ContractError as error:
                raise ContractError(f"{tool['name']}: {error}") from error
    return found


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"cannot be read: {error}") from error


def _checked(contract: Contract) -> Contract:
    """A contract by which responses can be judged."""
    variants = (contract.fields, *contract.variants)
    if not all("" in fields for fields in variants) or not any(len(fields) > 1 for fields in variants):
        raise ContractError("the schema names no field, so no response could drift from it")
    if sum(map(len, variants)) > FIELDS:
        raise ContractError(f"the schema has more than {FIELDS} fields")
    return contract


class _Reader:
    """Reads one document."""

    def __init__(self, document: object) -> None:
        self._document = document
        self._left = FIELDS

    def roots(self) -> list[Mapping[str, object]]:
        """The schema, or its alternatives."""
        root = self._resolved(self._document)
        return self._alternatives(root)[:VARIANTS] or [root]

    def fields(
        self, schema: Mapping[str, object], path: str = "", *, required: bool = True, depth: int = DEPTH
    ) -> Iterator[tuple[str, Field]]:
        """The fields of a schema at a path and beneath it."""
        self._left -= 1
        if self._left < 0:
            raise ContractError(f"the schema has more than {FIELDS} fields")
        parts = self._parts(schema) if depth else []
        types = tuple(sorted({kind for part in parts for kind in _types(part)})) if all(map(_types, parts)) else ()
        objects = [part for part in parts if _is_object(part)]
        names = {name: each for part in objects for name, each in _members(part, "properties").items()}
        always = [set(_names(part)) for part in objects]
        more = [each for part in objects for each in _others(part)]
        yield path, Field(types, required, closed=not more, never_null=bool(types) and "null" not in types)
        for name, each in names.items():
            needed = all(name in some for some in always)
            yield from self.fields(self._resolved(each), member_path(path, name), required=needed, depth=depth - 1)
        if more:
            yield from self.fields(self._resolved(more[0]), any_path(path), required=False, depth=depth - 1)
        items = [
            each
            for part in parts
            for each in (part.get("items"), *_list(part, "prefixItems"))
            if isinstance(each, dict)
        ]
        if items:
            one = items[0] if len(items) == 1 else {"anyOf": items}
            yield from self.fields(self._resolved(one), f"{path}[]", required=False, depth=depth - 1)

    def _parts(self, schema: Mapping[str, object], depth: int = DEPTH) -> list[Mapping[str, object]]:
        """The schemas of which one or another holds, each with all that has to hold together."""
        alternatives = self._alternatives(schema)
        if alternatives and depth:
            return [part for each in alternatives for part in self._parts(each, depth - 1)]
        return [schema]

    def _alternatives(self, schema: Mapping[str, object]) -> list[Mapping[str, object]]:
        beside = {name: each for name, each in schema.items() if name not in {"anyOf", "oneOf"}}
        found = [self._resolved(each) for each in (*_list(schema, "anyOf"), *_list(schema, "oneOf"))]
        return [_joined(beside, each) for each in found]

    def _resolved(self, schema: object, depth: int = DEPTH) -> Mapping[str, object]:
        """A schema without `$ref` and `allOf`."""
        if isinstance(schema, bool):
            return _ANYTHING
        if not isinstance(schema, dict):
            raise ContractError(f"a schema is an object, not {json.dumps(schema)[:50]}")
        if depth == 0:
            return _ANYTHING
        found: Mapping[str, object] = {name: each for name, each in schema.items() if name not in {"$ref", "allOf"}}
        if "$ref" in schema:
            found = _joined(self._resolved(self._referred(schema["$ref"]), depth - 1), found)
        for each in _list(schema, "allOf"):
            found = _joined(self._resolved(each, depth - 1), found)
        return found

    def _referred(self, reference: object) -> object:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise ContractError(f"$ref {reference!r} leads out of the document")
        at = self._document
        for step in reference.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if not isinstance(at, dict) or name not in at:
                raise ContractError(f"$ref {reference} leads to nothing")
            at = at[name]
        return at


def _types(schema: Mapping[str, object]) -> tuple[JsonType, ...]:
    """The types a schema allows; none where it does not say."""
    said = schema.get("type")
    if said is None:
        found = ["object"] if "properties" in schema else ["array"] if "items" in schema else []
    else:
        found = [str(each) for each in said] if isinstance(said, list) else [str(said)]
    if unknown := set(found) - set(_TYPES):
        raise ContractError(f"there is no type {min(unknown)}")
    return tuple(kind for kind in _TYPES if kind in found)


def _is_object(schema: Mapping[str, object]) -> bool:
    return "object" in _types(schema) or not _types(schema)


def _members(schema: Mapping[str, object], name: str) -> dict[str, object]:
    found = schema.get(name, {})
    if not isinstance(found, dict):
        raise ContractError(f"{name} is an object")
    return found


def _list(schema: Mapping[str, object], name: str) -> list[object]:
    found = schema.get(name, [])
    if not isinstance(found, list):
        raise ContractError(f"{name} is a list")
    return found


def _names(schema: Mapping[str, object]) -> list[str]:
    return [str(name) for name in _list(schema, "required")]


def _others(schema: Mapping[str, object]) -> list[object]:
    """The schemas of members that are not named: of those the schema allows, or of any where it says nothing of members at all."""
    more = schema.get("additionalProperties")
    found: list[object] = [] if more is None or more is False else [_ANYTHING if more is True else more]
    found += _members(schema, "patternProperties").values()
    return found


def _joined(first: Mapping[str, object], second: Mapping[str, object]) -> Mapping[str, object]:
    """One schema of two that have to hold together."""
    both = {**first, **second}
    for name in ("properties", "patternProperties"):
        if name in first and name in second:
            both[name] = {**_members(first, name), **_members(second, name)}
    if "required" in first and "required" in second:
        both["required"] = [*_names(first), *_names(second)]
    return both

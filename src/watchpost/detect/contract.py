"""A tool's contract, made ready to be compared with the shapes of its responses, and what such a comparison finds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from watchpost.model.knowledge import Contract, Field, JsonType
from watchpost_core.shape import Node, member, parts

LETTERS: dict[str, JsonType] = {"n": "null", "b": "boolean", "i": "integer", "f": "number", "s": "string"}
"""What the letters of a shape stand for."""

CHANGES = 50
"""Changes of one response that are told."""

_COMPARED = 512
"""Shapes of one tool whose comparison is remembered."""

_STEP = re.compile(r'\[\]|\(\)|\.?("(?:[^"\\]|\\.)*"|[^.\[\]()"]+)')
_PLAIN = re.compile(r'[^.\[\]()"*]+\Z')
_ERROR_NAMES = frozenset(
    {"error", "errors", "exception", "traceback", "fault", "error_message", "errormessage", "error_code"}
)
_BESIDE_ERRORS = _ERROR_NAMES | frozenset(
    {
        "message",
        "msg",
        "code",
        "status",
        "status_code",
        "statuscode",
        "detail",
        "details",
        "type",
        "reason",
        "success",
        "ok",
    }
    | {
        "request_id",
        "requestid",
        "trace_id",
        "timestamp",
        "path",
        "title",
        "instance",
        "hint",
        "suggestion",
        "retry_after",
    }
)

What = Literal["added", "removed", "retyped"]


class Change(msgspec.Struct, frozen=True):
    """One thing in which a response differs from its contract: the types there should be, and those there are.

    `holds` names the members of an object that was added or removed, by which a rename is told.
    """

    what: What
    path: str
    expected: tuple[str, ...]
    got: tuple[str, ...]
    holds: frozenset[str] = frozenset()


class Known(msgspec.Struct, eq=False, gc=False):
    """One field of a contract, with what lies beneath it."""

    field: Field
    names: dict[str, Known] = {}
    any_name: Known | None = None
    items: Known | None = None
    inner: Known | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is known of what an object has here."""
        return not self.names and self.any_name is None


class Guard:
    """A contract that responses are compared with. The same shape is compared once."""

    def __init__(self, contract: Contract) -> None:
        self._roots = [_tree(fields) for fields in (contract.fields, *contract.variants)]
        self._errors = frozenset(contract.errors)
        self._exact = contract.responses == 0
        self._compared: dict[str, tuple[Change, ...]] = {}

    def compare(self, line: str) -> tuple[Change, ...]:
        """In what a response of this shape differs from the variant that it is nearest to; nothing where it says that the tool failed."""
        found = self._compared.get(line)
        if found is None:
            if len(self._compared) >= _COMPARED:
                self._compared.clear()
            found = self._compared[line] = self._differences(line)
        return found

    def _differences(self, line: str) -> tuple[Change, ...]:
        if line in self._errors:
            return ()
        node: Node = json.loads(line)
        each = [tuple(_compare(root, node, "", exact=self._exact)) for root in self._roots]
        nearest = min(each, key=len)
        if nearest and is_error(node):
            return ()
        return nearest


def is_error(node: Node) -> bool:
    """Whether a response looks like a failure that is told as a result: it says what went wrong and nothing else."""
    _, members, _ = parts(node)
    if not members:
        return False
    names = {key.lstrip("?").lower(): value for key, value in members.items()}
    if not names.keys() <= _BESIDE_ERRORS:
        return False
    return any(
        value not in {"n", "b"} for name in names.keys() & _ERROR_NAMES if isinstance(value := names[name], str)
    ) or any(names[name] not in ({}, []) for name in names.keys() & _ERROR_NAMES if not isinstance(names[name], str))


def member_path(parent: str, name: str) -> str:
    """The path of a member; the name `*` stands for every name, and has to be quoted where it is one."""
    plain = name if _PLAIN.match(name) else json.dumps(name)
    return f"{parent}.{plain}" if parent else plain


def any_path(parent: str) -> str:
    """The path of the values of an object whose names are data."""
    return f"{parent}.*" if parent else "*"


def types_of(node: Node) -> tuple[JsonType, ...]:
    """The types in which something stands there, in a fixed order."""
    letters, members, items = parts(node)
    found: list[JsonType] = [LETTERS[letter] for letter in letters]
    if members is not None and "()" not in members:
        found.append("object")
    if items is not None:
        found.append("array")
    return tuple(sorted(found))


def steps_of(path: str) -> Iterator[str]:
    """The steps of a path: `[]`, `()`, `*`, or a name, before which stands a full stop."""
    for found in _STEP.finditer(path):
        name = found[1]
        if name is None or name == "*":
            yield name or found[0]
        else:
            yield "." + (json.loads(name) if name.startswith('"') else name)


def _tree(fields: Mapping[str, Field]) -> Known:
    root = Known(fields.get("", Field((), required=True)))
    for path in sorted(fields, key=len):
        at = root
        for step in steps_of(path):
            at = _below(at, step)
        at.field = fields[path]
    return root


def _below(at: Known, step: str) -> Known:
    """The field that a step leads to, made where there is none."""
    unknown = Field((), required=False, settled=False, closed=False)
    if step == "[]":
        at.items = at.items or Known(unknown)
        return at.items
    if step == "()":
        at.inner = at.inner or Known(unknown)
        return at.inner
    if step == "*":
        at.any_name = at.any_name or Known(unknown)
        return at.any_name
    return at.names.setdefault(step[1:], Known(unknown))


def _compare(known: Known, node: Node, path: str, *, exact: bool) -> Iterator[Change]:
    """All changes at this path and beneath it."""
    wrong = tuple(kind for kind in types_of(node) if not _fits(kind, known.field, exact=exact))
    if wrong:
        yield Change("retyped", path, known.field.types, wrong)
    _, members, items = parts(node)
    if members is not None and "()" in members:
        if known.inner is not None:
            yield from _compare(known.inner, members["()"], f"{path}()", exact=exact)
    elif members is not None and "object" not in wrong and not known.is_open:
        yield from _compare_members(known, members, path, exact=exact)
    if items and "array" not in wrong and known.items is not None:
        yield from _compare(known.items, items[0], f"{path}[]", exact=exact)


def _compare_members(known: Known, members: Mapping[str, Node], path: str, *, exact: bool) -> Iterator[Change]:
    if "*" in members:
        if known.any_name is not None:
            yield from _compare(known.any_name, members["*"], any_path(path), exact=exact)
        return
    found = {name: (node, always) for key, node in members.items() for name, always in (member(key),)}
    data = _names_may_be_data(known, found)
    new: list[Change] = []
    for name, (node, _) in found.items():
        if (field := known.names.get(name)) is not None:
            yield from _compare(field, node, member_path(path, name), exact=exact)
        elif known.any_name is not None:
            yield from _compare(known.any_name, node, any_path(path), exact=exact)
        elif not data:
            new.append(Change("added", member_path(path, name), (), types_of(node), _names_of(node)))
    gone = list(_gone(known, found, path, data=data))
    yield from gone
    if gone or known.field.closed:
        yield from new


def _gone(known: Known, found: Mapping[str, tuple[Node, bool]], path: str, *, data: bool) -> Iterator[Change]:
    """The members that every object should have, and this one, or an item of the list, has not."""
    for name, each in known.names.items():
        node, always = found.get(name, (None, False))
        if each.field.required and not always and not (data and node is None):
            got = () if node is None else types_of(node)
            yield Change("removed", member_path(path, name), each.field.types, got, frozenset(each.names))


def _fits(kind: str, field: Field, *, exact: bool) -> bool:
    types = field.types
    if kind in types or not types or not field.settled:
        return True
    if kind == "null":
        return not field.never_null
    if types == ("null",) and not exact:
        return True
    return "number" in types if kind == "integer" else kind == "number" and "integer" in types and not exact


def _names_of(node: Node) -> frozenset[str]:
    _, members, _ = parts(node)
    return frozenset(member(key)[0] for key in members or ())


def _names_may_be_data(known: Known, found: Mapping[str, tuple[Node, bool]]) -> bool:
    """Whether the names of an object look like ids or titles: several objects that all have the same members, as the new ones have."""
    new = [_names_of(node) for name, (node, _) in found.items() if name not in known.names]
    if not new or len(known.names) < 2:
        return False
    first = frozenset(next(iter(known.names.values())).names)
    alike = [*new, *(frozenset(each.names) for each in known.names.values())]
    return len(first) > 1 and all(each == first for each in alike)

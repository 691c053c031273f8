"""Faults put into real tool responses, seeded: the same seed makes the same fault.

A fault is what a changed API does: from one session on, every response of one tool has it, in every session. One field of the tool is drawn
from those that every response that has its parent has, so that a response without it, or with it under another name, has drifted:

- `renamed`: the field gets another name: its words in another order, in camel case or snake case, with a word more, or an unrelated one
- `added`: a field that no response had stands beside it
- `removed`: it is gone, and others are left
- `retyped`: a number becomes a string, a string a number, anything else or, by chance, any of them an object or a list
- `nulled`: it is null, where no response ever had null

The response is changed in the form it has: JSON stays JSON, a Python literal a Python literal, a dump in YAML's block style is edited line by line.
"""

from __future__ import annotations

import ast
import copy
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from watchpost.detect.contract_learning import response_shape
from watchpost.model.step import Step
from watchpost_core.shape import Node, member, parts

FaultKind = Literal["renamed", "added", "removed", "retyped", "nulled"]
FAULT_KINDS: tuple[FaultKind, ...] = ("renamed", "added", "removed", "retyped", "nulled")

Path = tuple[str, ...]
"""Names from the response down; `[]` is every item of a list, `*` every value of an object."""


class Fault(msgspec.Struct, frozen=True):
    """One change of one field of a tool's responses. `to` is the new name, or the type that its value becomes."""

    kind: FaultKind
    tool: str
    path: Path
    to: str


class Fields(msgspec.Struct):
    """How often each field of a tool was there, how often an object that could have it, and whether it ever was null."""

    responses: int
    had: dict[Path, int]
    could: dict[Path, int]
    null: set[Path]

    def always(self) -> list[Path]:
        """The fields that were there each time, in order."""
        return sorted(path for path, count in self.had.items() if count == self.could.get(path[:-1], 0))


def fields_of(steps: Iterator[Step]) -> dict[str, Fields]:
    """The fields of every tool that answers with objects, as all of its sound responses have them."""
    tools: dict[str, Fields] = {}
    for step in steps:
        line = response_shape(step) if step.kind == "tool" and step.status == "ok" else ""
        if line:
            held = tools.setdefault(step.tool, Fields(0, {}, {}, set()))
            held.responses += 1
            _count(held, json.loads(line), ())
    return tools


def _count(fields: Fields, node: Node, path: Path) -> None:
    letters, members, items = parts(node)
    if "n" in letters:
        fields.null.add(path)
    if members and "()" not in members:
        fields.could[path] = fields.could.get(path, 0) + 1
        for key, below in members.items():
            name, always = ("*", False) if key == "*" else member(key)
            if always:
                fields.had[*path, name] = fields.had.get((*path, name), 0) + 1
            _count(fields, below, (*path, name))
    if items:
        _count(fields, items[0], (*path, "[]"))


def draw(chance: random.Random, kind: FaultKind, tool: str, fields: Fields) -> Fault | None:
    """A fault of a kind for a tool; None where the tool has no field for it."""
    paths = [path for path in fields.always() if kind != "nulled" or path not in fields.null]
    if kind == "removed":
        paths = [path for path in paths if any(other != path and other[:-1] == path[:-1] for other in paths)]
    if not paths:
        return None
    path = chance.choice(paths)
    return Fault(kind, tool, path, _becomes(chance, kind, path[-1]))


def _becomes(chance: random.Random, kind: FaultKind, name: str) -> str:
    if kind == "renamed":
        return chance.choice(_names(name))
    if kind == "added":
        return chance.choice(("schema_version", "updatedAt", "links", "extra_info", "score2"))
    return chance.choice(("object", "array", "other", "other", "other")) if kind == "retyped" else ""


def _names(name: str) -> list[str]:
    """Other names for a field."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)] or ["field"]
    camel = words[0] + "".join(word.capitalize() for word in words[1:])
    found = ["_".join(reversed(words)), camel, f"{name}_value", f"new_{name}", "_".join([*words, "v2"]), "zq_payload"]
    return [each for each in dict.fromkeys(found) if each != name]


def inject(fault: Fault, step: Step) -> Step | None:
    """The step with its response changed; None where it is none of the tool, or has nothing to change."""
    if step.kind != "tool" or step.tool != fault.tool or step.status != "ok" or not response_shape(step) or step.shape:
        return None
    changed = changed_text(fault, step.result)
    return None if changed is None or changed == step.result else msgspec.structs.replace(step, result=changed)


def changed_text(fault: Fault, text: str) -> str | None:
    """A response with a fault in it, in the form it had; None where it has not the field."""
    write: Callable[[object], str] = repr
    try:
        value, write = json.loads(text), _json
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return _changed_lines(fault, text)
    value = copy.deepcopy(value)
    return write(value) if _change(fault, value, fault.path) else None


def _json(value: object) -> str:
    return json.dumps(value)


def _change(fault: Fault, value: object, path: Path) -> bool:
    """Change every place that a path leads to."""
    first, rest = path[0], path[1:]
    if first == "[]":
        return isinstance(value, list) and sum(_change(fault, item, rest) for item in value) > 0
    if not isinstance(value, dict):
        return False
    if rest:
        below = list(value.values()) if first == "*" else [value[first]] if first in value else []
        return sum(_change(fault, each, rest) for each in below) > 0
    if first not in value:
        return False
    _change_member(fault, value, first)
    return True


def _change_member(fault: Fault, held: dict[str, object], name: str) -> None:
    before = held[name]
    match fault.kind:
        case "renamed":
            del held[name]
            held[fault.to] = before
        case "added":
            held[fault.to] = "2"
        case "removed":
            del held[name]
        case "nulled":
            held[name] = None
        case "retyped":
            held[name] = _retyped(before, fault.to)


def _retyped(before: object, to: str) -> object:
    if to == "object" and not isinstance(before, dict):
        return {"value": before, "unit": "x"}
    if to == "array" and not isinstance(before, list):
        return [before]
    if isinstance(before, bool | int | float):
        return f"about {before}"
    return 17


def _changed_lines(fault: Fault, text: str) -> str | None:
    """A dump with a fault in a field of its top level, or of the items of its top list."""
    name = re.escape(fault.path[-1])
    deep = 2 if fault.path[0] == "[]" else 0
    if len(fault.path) != 1 + deep // 2:
        return None
    after = "[ -]{2}[A-Za-z_]|- " if deep else "[A-Za-z_]"
    field = re.compile(
        rf"^(?P<lead>{'(?:- |  )' if deep else ''})(?P<name>{name}):(?P<rest>.*(?:\n(?!{after}).*)*)", re.MULTILINE
    )

    def put(found: re.Match[str]) -> str:
        lead, rest = found["lead"], found["rest"]
        match fault.kind:
            case "renamed":
                return f"{lead}{fault.to}:{rest}"
            case "added":
                return f"{lead}{fault.to}: '2'\n{' ' * deep}{fault.path[-1]}:{rest}"
            case "removed":
                return f"{lead}removed_here:"
            case "nulled":
                return f"{lead}{fault.path[-1]}: null"
            case "retyped":
                return f"{lead}{fault.path[-1]}: {_retyped_text(rest.strip(), fault.to)}"

    changed, count = field.subn(put, text)
    if fault.kind == "removed":
        changed = re.sub(r"^- removed_here:\n {2}", "- ", changed, flags=re.MULTILINE)
        changed = re.sub(r"^ *removed_here:(?:\n|\Z)", "", changed, flags=re.MULTILINE)
    return changed if count else None


def _retyped_text(rest: str, to: str) -> str:
    if to == "object":
        return '{"value": 1, "unit": "x"}'
    if to == "array" and not rest.startswith(("-", "[")):
        return '["x"]'
    return "'yes'" if re.match(r"(true|false|-?[0-9.]+)\Z", rest) else "17"


def drift_from(fault: Fault, sessions: Sequence[Sequence[Step]], first: int) -> Iterator[tuple[list[Step], int | None]]:
    """All sessions, with the fault in every response of the tool from session `first` on, and the place of the first step it changed."""
    for number, steps in enumerate(sessions):
        place, changed = None, list(steps)
        for at, step in enumerate(steps if number >= first else ()):
            drifted = inject(fault, step)
            if drifted is not None:
                changed[at] = drifted
                place = at if place is None else place
        yield changed, place

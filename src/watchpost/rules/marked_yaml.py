"""YAML as text with places: what stands where, so that a fault can be shown to whoever wrote it.

Scalars stay the text they are, whatever YAML would make of `no`, `1:30` or `1e3`: what a field means is for its reader to say. Aliases
are refused, for a few lines of them stand for gigabytes; so is a key that stands twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
import yaml

_DEEPEST = 12
_LONGEST = 1_000_000


class Place(msgspec.Struct, frozen=True, order=True):
    """Line and column, both from 1."""

    line: int
    column: int


class Scalar(msgspec.Struct, frozen=True):
    """One value as text; empty where none stands."""

    at: Place
    text: str


class Items(msgspec.Struct, frozen=True):
    """A list."""

    at: Place
    items: Sequence[Node]


class Key(msgspec.Struct, frozen=True):
    """One key of a table."""

    at: Place
    text: str


class Table(msgspec.Struct, frozen=True):
    """Keys with their values, in order; a key that stood again is in `repeated` and its first value holds."""

    at: Place
    fields: Mapping[str, tuple[Key, Node]]
    repeated: Sequence[Key]


Node = Scalar | Items | Table


class YamlError(ValueError):
    """Text that is no YAML, or more of it than a rule file needs."""

    def __init__(self, at: Place, reason: str) -> None:
        super().__init__(f"line {at.line}, column {at.column}: {reason}")
        self.at = at
        self.reason = reason


def read_yaml(text: str) -> Node:
    """The document. Raises `YamlError`."""
    if len(text) > _LONGEST:
        raise YamlError(Place(1, 1), f"longer than {_LONGEST} characters")
    try:
        _check_shape(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(_place(mark), str(error.problem or error.context)) from error
    except yaml.YAMLError as error:
        raise YamlError(Place(1, 1), " ".join(str(error).split())) from error
    return Scalar(Place(1, 1), "") if root is None else _node(root)


def _check_shape(text: str) -> None:
    """Walk the events before anything is made of them."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(_place(event.start_mark), "an alias; write out what it stands for")
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise YamlError(_place(event.start_mark), f"more than {_DEEPEST} levels deep")


def _place(mark: yaml.Mark | None) -> Place:
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)


def _node(node: object) -> Node:
    if isinstance(node, yaml.ScalarNode):
        is_null = node.tag == "tag:yaml.org,2002:null"
        return Scalar(_place(node.start_mark), "" if is_null else str(node.value))
    if isinstance(node, yaml.SequenceNode):
        return Items(_place(node.start_mark), [_node(each) for each in node.value])
    fields: dict[str, tuple[Key, Node]] = {}
    repeated: list[Key] = []
    mapping = cast("yaml.MappingNode", node)
    for key_node, value_node in mapping.value:
        at = _place(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlError(at, "a key must be a word")
        key = Key(at, str(key_node.value))
        if key.text in fields:
            repeated.append(key)
        else:
            fields[key.text] = key, _node(value_node)
    return Table(_place(mapping.start_mark), fields, repeated)

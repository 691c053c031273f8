"""The text of each rule and objective as it stands in its file, so that people see what they would edit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import msgspec

from watchpost.rules.marked_yaml import Items, Node, Scalar, Table, YamlError, read_yaml

_LISTS = ("rules", "slos")


class RuleText(msgspec.Struct, frozen=True):
    """Where a rule stands, its line counted from 1, and its YAML without the indentation of the list it stands in."""

    file: str
    line: int
    text: str


def texts_of(text: str, file: str) -> dict[str, RuleText]:
    """By name, every rule and objective of a file; nothing of a file that is no YAML."""
    try:
        root = read_yaml(text)
    except YamlError:
        return {}
    lines = text.splitlines()
    return {name: RuleText(file, line, _block(lines, line, column)) for name, line, column in _named(root)}


def _named(root: Node) -> Iterator[tuple[str, int, int]]:
    """The name of each body, and the line and column at which its fields begin, both from 1."""
    for body in _bodies(root):
        name = body.fields.get("name")
        if name is not None and isinstance(name[1], Scalar):
            yield name[1].text.strip(), body.at.line, body.at.column


def _bodies(root: Node) -> Iterator[Table]:
    for group in _tables([root], "groups"):
        yield from _tables([group], "rules")
    for kind in _LISTS:
        yield from _tables([root], kind)


def _tables(nodes: Iterable[Node], name: str) -> Iterator[Table]:
    for node in nodes:
        found = node.fields.get(name) if isinstance(node, Table) else None
        if found is not None and isinstance(found[1], Items):
            yield from (each for each in found[1].items if isinstance(each, Table))


def _block(lines: list[str], line: int, column: int) -> str:
    """The lines from there on that are indented as far as the fields are."""
    first = " " * (column - 1) + lines[line - 1][column - 1 :]
    block = [first]
    for each in lines[line:]:
        if each.strip() and len(each) - len(each.lstrip(" ")) < column - 1:
            break
        block.append(each)
    return textwrap.dedent("\n".join(block)).strip() + "\n"

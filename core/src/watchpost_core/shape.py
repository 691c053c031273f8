"""The shape of a tool's response: which fields it has and of which types, without the values in them.

A shape is one line of JSON, the same for every response of that shape whatever the order of its members:

- a scalar is its letters, `"i"`: `n` null, `b` boolean, `i` integer, `f` other number, `s` string; several where items of a list differ;
- an object is an object of the shapes of its members; a name with `?` before it stands in some items of a list and not in others;
  the one name `*` stands for all names of an object whose names are data: ids, dates, paths;
- a list is a list of the one shape that all its items are merged to, `[]` where there is none;
- what is now one, now another is a list of at least two: letters, an object, a list, in this order, of which one may be missing;
- JSON in a string is the one member `()` of an object that stands beside the letter `s`.

A name that begins with `?` or a backslash, or is `*` or `()`, has a backslash before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from json.encoder import encode_basestring_ascii as quoted
from typing import cast

from watchpost_core.block_text import block_value
from watchpost_core.literal import literal_value

Node = str | dict[str, "Node"] | list["Node"]
"""A shape, once its line is decoded."""

LONGEST = 1 << 20
"""Longer responses, in characters, have no shape."""

LINE_LONGEST = 16_384
"""Nor have those whose shape would be a longer line than this, in characters: about 800 fields."""

DEPTH = 10
"""What lies deeper is an empty object or list."""

ITEMS = 1000
"""Items of a list that are looked at, from its first."""

NAMES = 64
"""An object with more members than this has data for names."""

_REMEMBERED = 2048
_TEXTS_REMEMBERED = 1024
_OBJECT_REMEMBERED = 1024
_OBJECTS_REMEMBERED = 1024
_ANY_NAME = '{"*":'
_NESTED_JSON = 65_536
_UNWRAPPED = 3

_LETTERS: dict[type, str] = {type(None): '"n"', bool: '"b"', int: '"i"', float: '"f"'}
_OBJECTS: dict[tuple[str, ...], str] = {}
"""Lines of objects by their names and the lines of their values."""

_OPENING = frozenset({"{", "["})
_DECODER = json.JSONDecoder()
_JSON_SPACE = " \t\n\r"
_DATA_NAME = re.compile(r"[^A-Za-z_$@]|.*(?:[0-9]{4}|[@/])|[0-9a-fA-F]{2,}-[0-9a-fA-F-]{6,}\Z", re.DOTALL)
_MCP_RESULT = frozenset({"content", "structuredContent", "isError", "_meta", "meta"})
_MCP_TEXT = frozenset({"type", "text", "annotations", "_meta", "id", "index"})


def shape_of(text: str) -> str:
    """The shape of a response, as one line that is the same for every response of that shape; empty where it has none.

    An object or a list has one: as JSON, as JSON in a JSON string or in the one text of an MCP result, as Python writes it, or as YAML
    writes it in block style. Plain text, a number alone, what was cut short and what MCP calls an error have none. Never raises.
    """
    return _remembered(text) if len(text) <= _REMEMBERED else _shape(text)


def parts(node: Node) -> tuple[str, dict[str, Node] | None, list[Node] | None]:
    """The letters of a node, its members and its items: empty letters, or None, where it is never a scalar, an object, a list."""
    if isinstance(node, str):
        return node, None, None
    if isinstance(node, dict):
        return "", node, None
    if len(node) < 2:
        return "", None, node
    letters, members, items = "", None, None
    for each in node:
        if isinstance(each, str):
            letters = each
        elif isinstance(each, dict):
            members = each
        else:
            items = each
    return letters, members, items


def member(key: str) -> tuple[str, bool]:
    """The name that a key of an object stands for, and whether all items of the list had it; `*` and `()` stand for themselves."""
    if key[0:1] == "?":
        return member(key[1:])[0], False
    return (key[1:] if key[0:1] == "\\" else key), True


def merged(nodes: Iterable[Node]) -> Node:
    """The one shape of several items."""
    letters: set[str] = set()
    objects: list[dict[str, Node]] = []
    lists: list[list[Node]] = []
    for node in nodes:
        some, members, items = parts(node)
        letters.update(some)
        if members is not None:
            objects.append(members)
        if items is not None:
            lists.append(items)
    found: list[Node] = []
    if letters:
        found.append("".join(sorted(letters)))
    if objects:
        found.append(_merged_members(objects))
    if lists:
        within = [item for items in lists for item in items]
        found.append([merged(within)] if within else [])
    return found[0] if len(found) == 1 else found


def _merged_members(objects: list[dict[str, Node]]) -> dict[str, Node]:
    """Members by sorted names, `?` before those that some of the objects lack."""
    if all(each.keys() == objects[0].keys() for each in objects):
        return {key: merged(each[key] for each in objects) for key in objects[0]}
    nodes: dict[str, list[Node]] = {}
    always: dict[str, int] = {}
    for each in objects:
        for key, node in each.items():
            plain = key.removeprefix("?")
            nodes.setdefault(plain, []).append(node)
            always[plain] = always.get(plain, 0) + (plain is key or plain == key)
    return {(key if always[key] == len(objects) else f"?{key}"): merged(nodes[key]) for key in sorted(nodes)}


@lru_cache(maxsize=_TEXTS_REMEMBERED)
def _remembered(text: str) -> str:
    return _shape(text)


def _shape(text: str) -> str:
    value: object = text
    for _ in range(_UNWRAPPED):
        if not isinstance(value, str):
            break
        value = _unwrapped(_value(value))
    if not isinstance(value, dict | list):
        return ""
    try:
        line = _line(value, DEPTH)
    except RecursionError:
        return ""
    return line if len(line) <= LINE_LONGEST else ""


def _value(text: str) -> object:
    """What a text says; None where that is nothing that has a shape."""
    if len(text) > LONGEST:
        return None
    first = text.lstrip()[:1]
    if first in {"{", "[", '"'}:
        value = _json(text) if text[0] == first else _json(text.strip(_JSON_SPACE))
        if value is not None or first == '"':
            return value
    if first in {"{", "[", "("}:
        return literal_value(text)
    return block_value(text) if first else None


def _json(text: str) -> object:
    try:
        value, end = cast("tuple[object, int]", _DECODER.raw_decode(text))
        return value if end == len(text) else cast("object", json.loads(text))
    except (ValueError, RecursionError):
        return None


def _unwrapped(value: object) -> object:
    """What an MCP result carries, where this is one."""
    if (
        isinstance(value, dict)
        and "content" in value
        and isinstance(value["content"], list)
        and value.keys() <= _MCP_RESULT
    ):
        if value.get("isError") is True:
            return None
        return value.get("structuredContent") or _unwrapped(value["content"])
    only = value[0] if isinstance(value, list) and len(value) == 1 else None
    if isinstance(only, dict) and only.get("type") == "text" and only.keys() <= _MCP_TEXT:
        return only.get("text")
    return value


def _line(value: object, depth: int) -> str:
    if isinstance(value, str):
        return _string(value, depth) if value[:1] in _OPENING else '"s"'
    if isinstance(value, dict):
        return _object(value, depth - 1) if value and depth > 0 else "{}"
    if isinstance(value, list):
        return (
            f"[{_joined({_line(item, depth - 1) for item in islice(value, ITEMS)})}]" if value and depth > 0 else "[]"
        )
    return _LETTERS[type(value)]


def _object(value: Mapping[str, object], depth: int) -> str:
    """The line of an object. Objects of one make recur, within a list above all: their lines are remembered."""
    lines = [
        _LETTERS.get(type(each)) or ('"s"' if type(each) is str and each[:1] not in _OPENING else _line(each, depth))
        for each in value.values()
    ]
    made = (*value, *lines)
    line = _OBJECTS.get(made)
    if line is None:
        line = _assembled(value, lines)
        if len(line) <= _OBJECT_REMEMBERED and not line.startswith(_ANY_NAME):
            if len(_OBJECTS) >= _OBJECTS_REMEMBERED:
                _OBJECTS.clear()
            _OBJECTS[made] = line
    return line


def _assembled(names: Collection[str], lines: Sequence[str]) -> str:
    """The line of an object with these names, whose values have these lines."""
    if _names_are_data(names, lines):
        return f"{_ANY_NAME}{_joined(set(lines))}}}"
    return f"{{{','.join([f'{_key(name)}:{line}' for name, line in sorted(zip(names, lines, strict=True))])}}}"


def _joined(lines: set[str]) -> str:
    """The line that several are merged to."""
    if len(lines) == 1:
        return lines.pop()
    nodes: list[Node] = [json.loads(line) for line in sorted(lines)]
    return json.dumps(merged(nodes), separators=(",", ":"))


def _string(value: str, depth: int) -> str:
    """A string that may hold JSON."""
    if len(value) > _NESTED_JSON or depth <= 1 or value[-1] not in "}]" or len(value) < 3:
        return '"s"'
    inner = _json(value)
    return f'["s",{{"()":{_line(inner, depth - 1)}}}]' if isinstance(inner, dict | list) and inner else '"s"'


def _key(name: str) -> str:
    """The key that a name has in a shape, as JSON."""
    return quoted(f"\\{name}" if name[:1] in {"?", "\\"} or name in {"*", "()"} else name)


def _names_are_data(names: Collection[str], lines: Sequence[str]) -> bool:
    """Whether the names of an object are ids, dates or the like: all of them by their looks, or numbered objects, or too many."""
    if len(names) > NAMES:
        return True
    first = next(iter(names))
    if _DATA_NAME.match(first):
        return all(map(_DATA_NAME.match, names))
    if first[-1:].isdigit() and all(line[0] == "{" for line in lines):
        stems = {name.rstrip("0123456789") for name in names}
        return len(stems) == 1 and all(name[-1:].isdigit() for name in names)
    return False

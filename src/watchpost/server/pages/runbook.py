"""Runbooks on a page: the little of Markdown that they are written in, as blocks. What is anything else stands as text; nothing becomes markup of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec
from markupsafe import Markup

from watchpost.server.pages.display import visible

_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ITEM = re.compile(r"\s*(?:[-*]|(\d+)\.)\s+(.*)")
_CODE = re.compile(r"`([^`]+)`")

Kind = Literal["heading", "text", "list", "steps", "code"]


class Block(msgspec.Struct, frozen=True):
    """A heading, a paragraph, the items of a list or of numbered steps, or lines of code as they stand."""

    kind: Kind
    lines: tuple[Markup, ...]


def blocks(text: str) -> list[Block]:
    """The blocks of a runbook without its title. Never raises."""
    found = [_made(kind, lines) for kind, lines in _grouped(text.splitlines())]
    return found[1:] if found and found[0].kind == "heading" else found


def _grouped(lines: list[str]) -> Iterator[tuple[Kind, list[str]]]:
    kind: Kind | None = None
    held: list[str] = []
    for line in lines:
        if kind == "code" or line.startswith("```"):
            if line.startswith("```"):
                if kind is not None:
                    yield kind, held
                kind, held = (None, []) if kind == "code" else ("code", [])
            else:
                held.append(line)
            continue
        found = _kind_of(line, kind)
        if found is not kind or found == "heading":
            if kind is not None:
                yield kind, held
            kind, held = found, []
        held.append(line)
    if kind is not None:
        yield kind, held


def _kind_of(line: str, before: Kind | None) -> Kind | None:
    if not line.strip():
        return None
    if _HEADING.match(line):
        return "heading"
    item = _ITEM.match(line)
    if item is not None:
        return "steps" if item[1] else "list"
    return before if before in {"list", "steps"} and line.startswith(" ") else "text"


def _made(kind: Kind, lines: list[str]) -> Block:
    match kind:
        case "heading":
            found = _HEADING.match(lines[0])
            return Block(kind, (_inline(found[2] if found else lines[0]),))
        case "list" | "steps":
            return Block(kind, tuple(_inline(item) for item in _items(lines)))
        case "code":
            return Block(kind, (visible("\n".join(lines)),))
        case "text":
            return Block(kind, (_inline(" ".join(line.strip() for line in lines)),))


def _items(lines: list[str]) -> list[str]:
    """The text of each item, those of its lines that go on put together."""
    items: list[str] = []
    for line in lines:
        found = _ITEM.match(line)
        if found is not None:
            items.append(found[2])
        elif items:
            items[-1] += f" {line.strip()}"
    return items


def _inline(text: str) -> Markup:
    """Text in which code is told apart."""
    parts = _CODE.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(visible(part)) if at % 2 else visible(part) for at, part in enumerate(parts)
    )

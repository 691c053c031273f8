"""Mappings and lists as YAML writes them in block style, which is how some agent frameworks print what a tool returned.

Only what such a dump holds is read: names that look like names, lists of scalars or mappings, quoted and folded strings. Anything else in
the text and it is prose, in which a colon means nothing.
"""

from __future__ import annotations

import json
import re

LONGEST = 1 << 17
"""Longer texts, in characters, are not read."""

DEPTH = 20

_MAYBE_CUT = 1000
"""The last item of a list in a text of at least so many characters may have been cut short, if it has less than the first."""

_NAME = re.compile(r"""( *)(?:([A-Za-z_$][A-Za-z0-9_$\-]*)|'([^'\n]*)'|"([^"\\\n]*)"):(?: +(.*)|$)""")
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?\Z|[-+]?\.(?:inf|nan)\Z")
_ESCAPED = re.compile(r"\\.")
_WORDS: dict[str, object] = {"null": None, "~": None, "": None, "true": True, "false": False, "[]": [], "{}": {}}


class _NoBlockError(Exception):
    """The text is no dump."""


def block_value(text: str) -> object:
    """The mapping of at least two names, or the list of mappings, that a text is a dump of; None where it is none. Never raises."""
    if len(text) > LONGEST or not (text.startswith("- ") or _NAME.match(text.partition("\n")[0])):
        return None
    lines = text.split("\n")
    try:
        value = _Reader(lines).whole()
    except _NoBlockError:
        return None
    if isinstance(value, list):
        if len(value) > 1 and len(text) >= _MAYBE_CUT and _lacks(value[-1], value[0]):
            value.pop()
        return value if value and all(isinstance(each, dict) for each in value) else None
    return value if isinstance(value, dict) and len(value) > 1 else None


def _lacks(last: object, first: object) -> bool:
    return isinstance(last, dict) and isinstance(first, dict) and last.keys() < first.keys()


class _Reader:
    """Reads lines from the first on."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def whole(self) -> object:
        value = self._block(0, DEPTH)
        if self._next() is not None:
            raise _NoBlockError
        return value

    def _next(self) -> str | None:
        """The next line that is not blank."""
        while self._at < len(self._lines) and not self._lines[self._at].strip():
            self._at += 1
        return self._lines[self._at] if self._at < len(self._lines) else None

    def _block(self, indent: int, depth: int) -> object:
        """The mapping or list whose lines are indented so far."""
        line = self._next()
        if line is None or depth == 0:
            raise _NoBlockError
        return self._list(indent, depth) if _is_item(line, indent) else self._mapping(indent, depth)

    def _list(self, indent: int, depth: int) -> list[object]:
        items: list[object] = []
        while (line := self._next()) is not None and _is_item(line, indent):
            rest = line[indent + 2 :]
            if rest.startswith("- ") or _NAME.match(rest):
                self._lines[self._at] = f"{' ' * (indent + 2)}{rest}"
                items.append(self._block(indent + 2, depth - 1))
            else:
                self._at += 1
                items.append(self._scalar(rest, indent))
        return items

    def _mapping(self, indent: int, depth: int) -> dict[str, object]:
        members: dict[str, object] = {}
        while (line := self._next()) is not None and _indent(line) == indent and not _is_item(line, indent):
            found = _NAME.match(line)
            if found is None:
                raise _NoBlockError
            name = next(each for each in found.groups()[1:4] if each is not None)
            if name in members:
                raise _NoBlockError
            self._at += 1
            members[name] = self._member(found[5] or "", indent, depth)
        if not members:
            raise _NoBlockError
        return members

    def _member(self, rest: str, indent: int, depth: int) -> object:
        """What stands after a name: on its line, or below it."""
        if rest.strip():
            return self._scalar(rest, indent)
        line = self._next()
        if line is not None and (_is_item(line, indent) or _indent(line) > indent):
            return self._block(_indent(line), depth - 1)
        return None

    def _scalar(self, text: str, indent: int) -> object:
        """A scalar that begins in `text` and goes on in every line below that is indented more than `indent`."""
        first = text[:1]
        if first in {"'", '"'}:
            return self._quoted(text, first)
        if self._deeper(indent) or first in {"|", ">"}:
            return ""
        return _plain(text.strip())

    def _deeper(self, indent: int) -> int:
        """Pass over the lines that belong to the text above; how many of them are not blank."""
        count = 0
        while (line := self._next()) is not None and _indent(line) > indent:
            self._at += 1
            count += 1
        return count

    def _quoted(self, text: str, quote: str) -> str:
        """A quoted string, over as many lines as it takes: until its quotes, of which those within stand in pairs, are even in number."""
        count = _quotes(text, quote)
        while count % 2 or not text.rstrip().endswith(quote):
            if self._at >= len(self._lines):
                raise _NoBlockError
            text = self._lines[self._at]
            self._at += 1
            count += _quotes(text, quote)
        return ""


def _quotes(line: str, quote: str) -> int:
    return (_ESCAPED.sub("", line) if quote == '"' and "\\" in line else line).count(quote)


def _plain(text: str) -> object:
    """A scalar without quotes, or a flow of values."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "[{":
        return _flow(text)
    if _INTEGER.match(text):
        return 0
    return 0.0 if _NUMBER.match(text) else ""


def _flow(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return [] if text[0] == "[" else {}
    return value


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_item(line: str, indent: int) -> bool:
    return line.startswith("- ", indent) and _indent(line) == indent

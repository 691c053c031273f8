"""Matchers in Alertmanager's syntax: `severity="critical"`, `tool!="search"`, `workflow=~"refund.*"`, `owner!~"team-(a|b)"`.

A label that an alert does not have counts as empty, so `tool=""` matches alerts without a tool and `tool!="search"` matches them too.
Expressions are RE2 and must match the whole value. Values are any Unicode text. As in Alertmanager's UTF-8 mode, an unquoted value holds no space
and none of the characters that mean something here, so that `severity==x` is refused and is not the value `=x`.
A label's name may be quoted as well, and must be where it holds more than letters, digits, `_`, `:` and `.`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

import msgspec
import re2

Operator = Literal["=", "!=", "=~", "!~"]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.]*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
_BARE = re.compile(r"""[^\s{}!=~,\\"'`]*""")
_SIGNS = re.compile(r"[=!~\s]*[=!~]")
_ENDS = frozenset({"", ",", "}"})
_SPACE = re.compile(r"\s*")
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class MatcherError(ValueError):
    """Text that is no matcher. `position` counts characters from 0; `reason` says what was expected there."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__(f"{text!r}, character {position + 1}: {reason}")
        self.text = text
        self.position = position
        self.reason = reason


class _Expression(Protocol):
    def fullmatch(self, text: str) -> object: ...


class Matcher(msgspec.Struct, frozen=True):
    """One condition on one label. Made by `read_matchers`, which has checked the expression."""

    name: str
    operator: Operator
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels meets the condition."""
        found = labels.get(self.name, "")
        match self.operator:
            case "=":
                return found == self.value
            case "!=":
                return found != self.value
            case "=~":
                return _expression(self.value).fullmatch(found) is not None
            case "!~":
                return _expression(self.value).fullmatch(found) is None

    def __str__(self) -> str:
        """The matcher as text that `read_matchers` reads back."""
        name = self.name if _NAME.fullmatch(self.name) else _quoted(self.name)
        return f"{name}{self.operator}{_quoted(self.value)}"


def read_matchers(text: str) -> tuple[Matcher, ...]:
    """One or several matchers, separated by commas, in braces or not.

    >>> [str(matcher) for matcher in read_matchers('{severity=critical, tool!~"get_.*"}')]
    ['severity="critical"', 'tool!~"get_.*"']

    Raises `MatcherError`. Empty text, and `{}`, is no matcher at all.
    """
    at = _skip(text, 0)
    braced = text.startswith("{", at)
    at = _skip(text, at + braced)
    found: list[Matcher] = []
    while at < len(text) and text[at] != "}":
        matcher, at = _one(text, at)
        found.append(matcher)
        at = _skip(text, at)
        if not text.startswith(",", at):
            break
        at = _skip(text, at + 1)
    if braced:
        if not text.startswith("}", at):
            raise MatcherError(text, at, "expected a comma or the closing brace")
        at = _skip(text, at + 1)
    if at < len(text):
        raise MatcherError(text, at, "expected a comma or the end")
    return tuple(found)


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher matches; none at all match everything."""
    for matcher in matchers:  # noqa: SIM110  a generator would cost as much as the matching, which is done for every alert
        if not matcher.matches(labels):
            return False
    return True


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _one(text: str, at: int) -> tuple[Matcher, int]:
    name, at = _name(text, at)
    at = _skip(text, at)
    operator = _OPERATOR.match(text, at)
    if operator is None:
        raise MatcherError(text, at, "expected =, !=, =~ or !~")
    at = _skip(text, operator.end())
    _refuse_signs(text, at, name, operator)
    value, end = _value(text, at)
    kind = operator[0]
    if kind in {"=~", "!~"}:
        try:
            _expression(value)
        except (re2.error, UnicodeEncodeError) as error:
            raise MatcherError(text, at, f"is no expression that RE2 reads: {_said(error)}") from error
    return Matcher(name, _operator(kind), value), end


def _operator(kind: str) -> Operator:
    match kind:
        case "!=" | "=~" | "!~":
            return kind
        case _:
            return "="


def _name(text: str, at: int) -> tuple[str, int]:
    if text.startswith('"', at):
        name, end = _unquote(text, at)
        if not name:
            raise MatcherError(text, at, "a label's name cannot be empty")
        return name, end
    bare = _NAME.match(text, at)
    if bare is None:
        raise MatcherError(text, at, "expected the name of a label")
    return bare[0], bare.end()


def _value(text: str, at: int) -> tuple[str, int]:
    if text.startswith('"', at):
        return _unquote(text, at)
    bare = _BARE.match(text, at)
    end = bare.end() if bare else at
    after = _skip(text, end)
    if text[after : after + 1] not in _ENDS:
        if text[end].isspace():
            raise MatcherError(
                text, end, "expected a comma or the end; a value with a space in it stands in double quotes"
            )
        raise MatcherError(text, end, f"a value with {text[end]} in it stands in double quotes")
    return text[at:end], end


def _refuse_signs(text: str, at: int, name: str, operator: re.Match[str]) -> None:
    """Raise `MatcherError` where more signs follow an operator: whoever writes `==` means `=`, and never a value that begins with it."""
    signs = _SIGNS.match(text, at)
    if signs is None:
        return
    written = text[operator.start() : signs.end()]
    start = _skip(text, signs.end())
    value, _ = _value(text, start)
    likely = {(False, False): "=", (True, False): "!=", (False, True): "=~", (True, True): "!~"}[
        "!" in written, "~" in written
    ]
    reason = f"{written} is no operator; write {Matcher(name, _operator(likely), value)}"
    if not text.startswith('"', start):
        literal = Matcher(name, _operator(operator[0]), text[at:start] + value)
        reason += f", or {literal} for a value that begins with {text[at]}"
    raise MatcherError(text, at, reason)


def _unquote(text: str, at: int) -> tuple[str, int]:
    quoted = _QUOTED.match(text, at)
    if quoted is None:
        raise MatcherError(text, at, "the double quote is never closed")
    # As in Alertmanager, a backslash before any other character stands for itself, so that expressions need no doubling.
    value = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), quoted[1], flags=re.DOTALL)
    return value, quoted.end()


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(error)


@functools.lru_cache(maxsize=1024)
def _expression(pattern: str) -> _Expression:
    compiled: _Expression = re2.compile(pattern, options=_OPTIONS)
    return compiled


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


_OPTIONS = _options()

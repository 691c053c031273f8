"""The language in which users write sequences: parsed once, refused with the position and the reason.

    tool charge_card then tool ship_order without tool check_fraud between within 10 steps
    tool refund (order_id as order) without tool get_order (order_id = order) before
    3 times tool login failed within 30s
    tool open_ticket (id as ticket) at the end without tool close_ticket (id = ticket)

The grammar, and what each word means, is in docs/detectors.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Literal, get_args

import msgspec

from watchpost.detect.scenario_step import duration_ns
from watchpost.detect.sequence_pattern import Condition, Stage, Standing, StepPattern, StepSequence, Test
from watchpost.model.step import StepKind

MOST_STAGES = 10
MOST_TIMES = 100
LONGEST = 10_000
"""Characters of a sequence."""

_TOKEN = re.compile(r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<sign>->|!=|>=|<=|[=<>(),|])|(?P<word>[^\s"(),|=<>!]+))')
_KINDS: dict[str, StepKind | None] = {"step": None, **{kind: kind for kind in get_args(StepKind)}}
_STANDINGS: dict[str, Standing] = {each: each for each in get_args(Standing) if each}
_TESTS: dict[str, Test] = {each: each for each in get_args(Test) if each not in {"as", "is there"}}
_RESERVED = {*_STANDINGS, "then", "without", "within", "between", "before", "at", "times", "type", "by", "says"}
_SIGNS = ("->", "!=", ">=", "<=", "=", "<", ">", "(", ")", ",", "|")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class SequenceError(ValueError):
    """A sequence that cannot be read. The message says where and why."""


class _Token(msgspec.Struct, frozen=True):
    """A word, a sign, or a text without its quotes, and where it stands."""

    text: str
    at: int
    is_text: bool = False


class _Reader:
    """What is left of a text."""

    def __init__(self, text: str) -> None:
        self._whole = text
        self._tokens = list(_tokens(text, self.fault))
        self._next = 0

    def fault(self, at: int, why: str) -> SequenceError:
        """What is wrong at a place."""
        line = self._whole.count("\n", 0, at) + 1
        column = at - self._whole.rfind("\n", 0, at)
        return SequenceError(f"line {line}, column {column}: {why}")

    def wrong(self, why: str, token: _Token | None = None) -> SequenceError:
        """What is wrong with a token, or else with the next."""
        if token is None and self._next < len(self._tokens):
            token = self._tokens[self._next]
        return self.fault(len(self._whole) if token is None else token.at, why)

    def peek(self, ahead: int = 0) -> str:
        """The next word or sign, empty where there is none or a text."""
        place = self._next + ahead
        token = self._tokens[place] if place < len(self._tokens) else None
        return "" if token is None or token.is_text else token.text

    def take(self, what: str) -> _Token:
        """The next token, which must be there."""
        if self._next == len(self._tokens):
            raise self.wrong(f"the text ends where {what} should be")
        self._next += 1
        return self._tokens[self._next - 1]

    def skip(self, *words: str) -> bool:
        """Pass over these words if they come next."""
        if any(self.peek(ahead) != word for ahead, word in enumerate(words)):
            return False
        self._next += len(words)
        return True

    def need(self, *words: str) -> None:
        """Pass over these words, which must come next."""
        if not self.skip(*words):
            raise self.wrong(f"here should be {' '.join(words)!r}, not {self.shown()}")

    def shown(self) -> str:
        """What comes next, as a message shows it."""
        return repr(self._tokens[self._next].text) if self._next < len(self._tokens) else "the end"

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._next == len(self._tokens)


def parse(text: str) -> StepSequence:
    """Read a sequence. Raises `SequenceError`."""
    if len(text) > LONGEST:
        raise SequenceError(f"a sequence has at most {LONGEST} characters, not {len(text)}")
    return _Parser(_Reader(text)).sequence()


class _Parser:
    """Reads one sequence; `bound` is what the stages so far have bound."""

    def __init__(self, words: _Reader) -> None:
        self._words = words
        self._bound: list[str] = []

    def sequence(self) -> StepSequence:
        words, stages = self._words, [self._stage(first=True)]
        never_after: list[StepPattern] = []
        while not words.at_end():
            if words.skip("then", "at", "the", "end") or words.skip("at", "the", "end"):
                words.need("without")
                never_after.append(self._absent())
                while words.skip("without"):
                    never_after.append(self._absent())
                if not words.at_end():
                    raise words.wrong(f"nothing may follow what is asked of the end, but here is {words.shown()}")
                break
            if len(stages) == MOST_STAGES:
                raise words.wrong(f"a sequence has at most {MOST_STAGES} stages")
            words.need("then")
            stages.append(self._stage(first=False))
        return StepSequence(tuple(stages), tuple(never_after))

    def _stage(self, *, first: bool) -> Stage:
        words, times = self._words, self._times()
        earlier = list(self._bound)
        step = self._step(binding=True)
        between: list[StepPattern] = []
        before: list[StepPattern] = []
        limits: dict[str, int] = {}
        while words.peek() in ("without", "within"):
            if words.skip("within"):
                if first and times == 1:
                    raise words.wrong("within counts from the step before, and there is none")
                unit, value = self._limit()
                limits[unit] = value
                continue
            words.need("without")
            absent = self._absent()
            if words.skip("before"):
                before.append(self._told_apart(absent))
            elif words.skip("between"):
                if first and times == 1:
                    raise words.wrong("between needs a step before this one")
                own = [each for each in _variables(absent) if each not in (self._bound if first else earlier)]
                if own:
                    raise words.wrong(f"{own[0]!r} is bound only by the step that comes after what is between")
                between.append(absent)
            else:
                raise words.wrong(f"after what must be absent stands before or between, not {words.shown()}")
        return Stage(step, times, tuple(between), tuple(before), **limits)

    def _times(self) -> int:
        words = self._words
        if not (words.peek().isdecimal() and words.peek(1) == "times"):
            return 1
        if not 2 <= int(words.peek()) <= MOST_TIMES:
            raise words.wrong(f"a step is counted 2 to {MOST_TIMES} times, not {words.peek()}")
        times = int(words.take("a number").text)
        words.need("times")
        return times

    def _limit(self) -> tuple[str, int]:
        words = self._words
        if words.peek().isdecimal() and words.peek(1) in ("steps", "step"):
            steps = int(words.take("a number").text)
            words.take("steps")
            return "within_steps", steps
        limit = words.take("a number of steps or a duration")
        try:
            return "within_ns", duration_ns(limit.text)
        except ValueError as error:
            why = "within takes a number of steps, such as 5 steps, or a duration, such as 30s, 200ms, 5m or 2h"
            raise words.wrong(why, limit) from error

    def _absent(self) -> StepPattern:
        return self._step(binding=False)

    def _step(self, *, binding: bool) -> StepPattern:
        words = self._words
        kind = words.peek()
        if kind not in _KINDS:
            raise words.wrong(f"a step begins with {', '.join(_KINDS)}, not {words.shown()}")
        words.take("the kind of step")
        read: dict[str, str] = {}
        names = self._names()
        conditions: list[Condition] = []
        standing: Standing = ""
        while True:
            if words.peek() in _STANDINGS:
                standing = _STANDINGS[words.take("how it went").text]
            elif words.peek() in _QUALITIES:
                quality = _QUALITIES[words.take("a word").text]
                read[quality] = words.take("what it is to be").text
            elif words.skip("("):
                conditions += self._conditions("arguments", binding=binding)
            elif words.skip("->"):
                words.need("(")
                conditions += self._conditions("result", binding=binding)
            else:
                return StepPattern(_KINDS[kind], tuple(names), standing, conditions=tuple(conditions), **read)

    def _names(self) -> list[str]:
        words = self._words
        if words.at_end() or words.peek() in _RESERVED or words.peek() in ("(", "->"):
            return []
        names = [self._name()]
        while words.skip("|"):
            names.append(self._name())
        return names

    def _name(self) -> str:
        name = self._words.take("a name")
        if not name.text or (not name.is_text and name.text in _SIGNS):
            raise self._words.wrong(f"{name.text!r} is no name", name)
        return name.text

    def _told_apart(self, absent: StepPattern) -> StepPattern:
        """What came before is remembered by the values of one field."""
        compared = [each for each in absent.conditions if each.variable]
        if len(compared) > 1 or any(each.test != "=" for each in compared):
            why = "a step that must not have come before compares one field at most with what was bound, by ="
            raise self._words.wrong(why)
        return absent

    def _conditions(self, side: Literal["arguments", "result"], *, binding: bool) -> Iterable[Condition]:
        yield self._condition(side, binding=binding)
        while not self._words.skip(")"):
            self._words.need(",")
            yield self._condition(side, binding=binding)

    def _condition(self, side: Literal["arguments", "result"], *, binding: bool) -> Condition:
        words = self._words
        field = words.take("a field")
        path = tuple(field.text.split("."))
        if not all(path) or (not field.is_text and field.text in _SIGNS):
            raise words.wrong(f"a field is a name, or names with dots between them, not {field.text!r}", field)
        if words.skip("as"):
            return self._bind(side, path, binding=binding)
        sign = words.peek()
        if sign not in _TESTS:
            return Condition(side, path, "is there")
        test = _TESTS[words.take("a comparison").text]
        value = words.take("a value")
        if test in (">", "<", ">=", "<=") and (value.is_text or not _NUMBER.fullmatch(value.text)):
            raise words.wrong(f"{test} compares with a number, not {value.text!r}", value)
        if test in ("contains", "like") and not value.is_text:
            raise words.wrong(f"{test} takes a text in quotes, not {value.text!r}", value)
        if value.is_text or _NUMBER.fullmatch(value.text) or value.text in ("true", "false"):
            return Condition(side, path, test, value=value.text)
        if value.text not in self._bound:
            raise words.wrong(f"no step so far has bound {value.text!r}; a text stands in quotes", value)
        return Condition(side, path, test, variable=value.text)

    def _bind(self, side: Literal["arguments", "result"], path: tuple[str, ...], *, binding: bool) -> Condition:
        words = self._words
        if not binding:
            raise words.wrong("a step that must be absent binds nothing")
        name = words.take("a name")
        if name.is_text or not _VARIABLE.fullmatch(name.text) or name.text in ("true", "false"):
            raise words.wrong(f"a value is bound to a name of letters, digits and underscores, not {name.text!r}", name)
        if name.text in self._bound:
            raise words.wrong(f"{name.text!r} is bound already; compare with = {name.text}", name)
        self._bound.append(name.text)
        return Condition(side, path, "as", variable=name.text)


_QUALITIES = {"type": "error_type", "by": "agent", "says": "says"}


def _variables(pattern: StepPattern) -> list[str]:
    return [each.variable for each in pattern.conditions if each.variable]


def _tokens(text: str, fault: Callable[[int, str], SequenceError]) -> Iterable[_Token]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise fault(at, f"{text[at]!r} means nothing here" if text[at] != '"' else "the text has no closing quote")
        if found["text"] is None:
            yield _Token(found["sign"] or found["word"], found.start("sign" if found["sign"] else "word"))
        else:
            yield _Token(_unquoted(found["text"], found.start("text"), fault), found.start("text"), is_text=True)
        at = found.end()


def _unquoted(text: str, at: int, fault: Callable[[int, str], SequenceError]) -> str:
    try:
        return str(json.loads(text))
    except json.JSONDecodeError as error:
        raise fault(at, f"the text is not written as JSON writes it: {error}") from error

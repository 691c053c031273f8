"""One line of a scenario that says what a step of a session was.

    step 1 human "Where is my money?"
    step 2 llm given "You are a clerk." says "I look it up." tokens 1200/30 cost 0.002 asks 1
    step 3 tool get_order {"order_id": "4711"} -> {"status": "pending"} took 4s
    step 4-9 tool get_order {"order_id": "4711"} -> error "timed out" type tool_timeout
    step 10 handoff transfer_to_billing {"reason": "money"} by triage

After the number stands the kind of the step, after `tool`, `handoff`, `retrieval`, `guardrail` and `evaluation` a name, then what
went in: the arguments of a call, what a person said, the text of a state. Words with what follows them come last, in any order.
A text is JSON that begins with a brace or bracket, anything between quotes, with the escapes of JSON, or one word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import get_args

import msgspec

from watchpost.model.step import Step, StepKind, Tokens
from watchpost_core.mentions import mentions
from watchpost_core.taxonomy import GROUPS

SECOND_NS = 1_000_000_000

_KINDS: dict[str, StepKind] = {kind: kind for kind in get_args(StepKind)}
_NAMED = ("tool", "handoff", "retrieval", "guardrail", "evaluation")
_SPOKEN = ("human", "state")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS_NS = {"ms": 1_000_000, "s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS}
_TOKENS = re.compile(r"(\d+|\?)/(\d+|\?)")


class _Words:
    """What is left of a line."""

    def __init__(self, line: str) -> None:
        self._left = line.strip()

    def __bool__(self) -> bool:
        return bool(self._left)

    def opens_text(self) -> bool:
        """Whether a text comes next that is more than a word."""
        return self._left[:1] in ('"', "{", "[")

    def word(self, what: str) -> str:
        """The next word, which must be there."""
        word, _, left = self._left.partition(" ")
        if not word:
            raise ValueError(f"the line ends where {what} should be")
        self._left = left.lstrip()
        return word

    def text(self, what: str) -> str:
        """The next text: JSON as it stands, what is between quotes, or a word."""
        if not self.opens_text():
            return self.word(what)
        try:
            value, end = json.JSONDecoder().raw_decode(self._left)
        except json.JSONDecodeError as error:
            raise ValueError(f"{what} are no JSON: {error}") from error
        text, self._left = self._left[:end], self._left[end:].lstrip()
        return value if isinstance(value, str) else text


class _Told(msgspec.Struct):
    """A step as far as the line was read. Durations in nanoseconds; `given` is what went into a model call."""

    kind: StepKind
    name: str = ""
    arguments: str = ""
    result: str = ""
    error: str = ""
    error_type: str = ""
    failed: bool = False
    running: bool = False
    ran: bool = True
    agent: str = "agent"
    model: str = ""
    given: str | None = None
    asked: int | None = None
    tokens: Tokens = Tokens()
    cost_nano: int | None = None
    took_ns: int = SECOND_NS // 1000
    after_ns: int = SECOND_NS


def read_step(line: str, number: int, before: Step | None) -> Step:
    """The step that a line tells after its number.

    A step takes a millisecond and begins a second after the end of `before`, the one before it, unless the line says otherwise.
    Raises ValueError saying what is wrong.
    """
    words = _Words(line)
    kind = words.word("the kind of the step")
    if kind not in _KINDS:
        raise ValueError(f"no kind of step is called {kind!r}; there are {', '.join(_KINDS)}")
    told = _Told(_KINDS[kind])
    if kind in _NAMED:
        told.name = words.word(f"the name after {kind!r}")
    if words.opens_text():
        what = f"the arguments of {told.name or kind}"
        if kind in _SPOKEN:
            told.result = words.text(what)
        elif kind in ("tool", "handoff"):
            told.arguments = words.text(what)
        else:
            raise ValueError(f'nothing goes into a step of kind {kind}; write `given "..."` after llm')
    while words:
        option = words.word("a word")
        if option not in _OPTIONS:
            raise ValueError(f"{option!r} is none of {', '.join(_OPTIONS)}")
        _OPTIONS[option](told, words)
    return _step(told, number, before)


def _result(told: _Told, words: _Words) -> None:
    told.result = words.text("the result")
    if told.result == "error":
        told.failed = True
        told.result = told.error = words.text("the error")


def _tokens(told: _Told, words: _Words) -> None:
    found = _TOKENS.fullmatch(word := words.word("the tokens"))
    if found is None:
        raise ValueError(f"write tokens INPUT/OUTPUT, ? for a count that was not reported, not {word!r}")
    told.tokens = Tokens(*(None if count == "?" else int(count) for count in found.groups()))


def _cost(told: _Told, words: _Words) -> None:
    word = words.word("the cost")
    try:
        told.cost_nano = round(float(word) * 1_000_000_000)
    except ValueError as error:
        raise ValueError(f"write cost USD, not {word!r}") from error


def _asks(told: _Told, words: _Words) -> None:
    word = words.word("how many tools it asked for")
    if not word.isdecimal():
        raise ValueError(f"write asks NUMBER, not {word!r}")
    told.asked = int(word)


def _type(told: _Told, words: _Words) -> None:
    told.error_type, told.failed = words.word("the type of the error"), True
    if told.error_type not in GROUPS:
        raise ValueError(f"no type of error is called {told.error_type!r}; there are {', '.join(GROUPS)}")


def duration_ns(word: str) -> int:
    """A duration such as `200ms`, `4s`, `1.5m` or `2h` in nanoseconds. Raises ValueError."""
    found = _DURATION.fullmatch(word)
    if found is None:
        raise ValueError(f"write a duration such as 200ms, 4s, 1.5m or 2h, not {word!r}")
    return round(float(found[1]) * _UNITS_NS[found[2]])


def _sets(field: str, read: Callable[[_Words], object]) -> Callable[[_Told, _Words], None]:
    return lambda told, words: setattr(told, field, read(words))


_OPTIONS: dict[str, Callable[[_Told, _Words], None]] = {
    "->": _result,
    "says": _sets("result", lambda words: words.text("what it says")),
    "given": _sets("given", lambda words: words.text("what it was given")),
    "tokens": _tokens,
    "cost": _cost,
    "asks": _asks,
    "by": _sets("agent", lambda words: words.word("the agent")),
    "model": _sets("model", lambda words: words.word("the model")),
    "type": _type,
    "failed": _sets("failed", lambda _: True),
    "refused": _sets("ran", lambda _: False),
    "running": _sets("running", lambda _: True),
    "took": _sets("took_ns", lambda words: duration_ns(words.word("how long it took"))),
    "after": _sets("after_ns", lambda words: duration_ns(words.word("how long after"))),
}


def _step(told: _Told, number: int, before: Step | None) -> Step:
    start = (0 if before is None else before.end_ns or before.start_ns) + told.after_ns
    return Step(
        trace_id=bytes(15) + b"\1",
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=start,
        end_ns=0 if told.running else start + told.took_ns,
        kind=told.kind,
        name=told.name or told.kind,
        agent=told.agent,
        model=told.model,
        tool=told.name if told.kind in ("tool", "handoff") else "",
        status="running" if told.running else "error" if told.failed else "ok",
        error_type=told.error_type,
        tokens=told.tokens,
        cost_nano=told.cost_nano,
        arguments=told.arguments,
        result=told.result,
        error=told.error,
        asked=told.asked,
        ran=told.ran,
        mentioned=b"" if told.given is None else mentions(told.given),
        informed=told.given is not None,
    )

"""What a user watches for over a whole session: steps in an order, as frozen values, and what they mean in plain English.

`sequence_text` reads one from text, `sequence` finds it in a session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from watchpost.model.flag import Severity
from watchpost.model.step import StepKind

Test = Literal["=", "!=", ">", "<", ">=", "<=", "contains", "like", "as", "is there"]
Standing = Literal["", "ok", "failed", "running", "refused"]


class Condition(msgspec.Struct, frozen=True):
    """What must hold of one field of what went into a call (`side` is `arguments`) or came out of it (`result`).

    `path` leads through objects by name; lists on the way are entered. `value` is compared with, as text, or where `variable` is named
    what an earlier step bound to it. `as` binds the one value of the field to `variable`, and compares where that is bound.
    """

    side: Literal["arguments", "result"]
    path: tuple[str, ...]
    test: Test
    value: str = ""
    variable: str = ""


class StepPattern(msgspec.Struct, frozen=True):
    """Which steps are meant; what is empty is left open. `names` are shell patterns of the tool or step name, one of which must match.

    `error_type` and `agent` are shell patterns, `says` is contained in the result, whatever the case of its letters.
    """

    kind: StepKind | None = None
    names: tuple[str, ...] = ()
    standing: Standing = ""
    error_type: str = ""
    agent: str = ""
    says: str = ""
    conditions: tuple[Condition, ...] = ()


class Stage(msgspec.Struct, frozen=True):
    """A step that is to come, so many `times`, and what must not have come.

    Without any step `between` it and the stage before, or where it is the first between its own times, and without any step `before` it in the
    session. `within_steps` and `within_ns` are counted from the last step of the stage before, or where it is the first from its first
    time; steps by their place in the session, time by when steps began.
    """

    step: StepPattern
    times: int = 1
    between: tuple[StepPattern, ...] = ()
    before: tuple[StepPattern, ...] = ()
    within_steps: int | None = None
    within_ns: int | None = None


class StepSequence(msgspec.Struct, frozen=True):
    """Stages one after another, with any steps in between, and which steps must not come after the last until the session ends."""

    stages: tuple[Stage, ...]
    never_after: tuple[StepPattern, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """What is bound, in the order in which it is."""
        conditions = (each for stage in self.stages for each in stage.step.conditions)
        return tuple(dict.fromkeys(each.variable for each in conditions if each.test == "as"))

    def patterns(self) -> Iterable[StepPattern]:
        """Every step pattern in it."""
        for stage in self.stages:
            yield from (stage.step, *stage.between, *stage.before)
        yield from self.never_after


class OwnSequence(msgspec.Struct, frozen=True):
    """A sequence that a user watches for, and the kind, severity and summary of the flags that it raises."""

    name: str
    severity: Severity
    summary: str
    steps: StepSequence


_NOUNS = {
    None: ("a step", " called "),
    "tool": ("a call of ", ""),
    "llm": ("a model call", " called "),
    "human": ("a person's words", " called "),
    "handoff": ("a handoff", " called "),
    "guardrail": ("a guardrail's answer", " of "),
    "retrieval": ("a retrieval", " from "),
    "evaluation": ("an evaluation", " called "),
    "state": ("a state", " called "),
}
_STANDINGS = {
    "": "",
    "ok": " that went well",
    "failed": " that failed",
    "running": " that has not ended",
    "refused": " that was refused before it ran",
}
_TESTS = {
    "=": "is",
    "!=": "is not",
    ">": "is above",
    "<": "is below",
    ">=": "is at least",
    "<=": "is at most",
    "contains": "contains",
    "like": "looks like",
}


def explain(sequence: StepSequence) -> str:
    """What is watched for, in one English sentence."""
    parts = [_stage(stage, first=number == 0) for number, stage in enumerate(sequence.stages)]
    if sequence.never_after:
        parts.append(f"{_never(sequence.never_after)} until the session ends")
    return f"{', then '.join(parts)}."


def _stage(stage: Stage, *, first: bool) -> str:
    text = describe(stage.step)
    if stage.times > 1:
        text = f"{stage.times} times {text}"
    if stage.within_steps is not None:
        text += f" within {stage.within_steps} steps"
    if stage.within_ns is not None:
        text += f" within {stage.within_ns / 1e9:g} s"
    if stage.between:
        text += f" with {_never(stage.between)} {'from the first to the last' if first else 'in between'}"
    if stage.before:
        text += f" with {_never(stage.before)} earlier in the session"
    return text


def _never(patterns: Iterable[StepPattern]) -> str:
    """None of these, in words."""
    return "no " + " and no ".join(re.sub("^an? ", "", describe(pattern)) for pattern in patterns)


def describe(pattern: StepPattern) -> str:
    """Which steps a pattern means, in words."""
    noun, called = _NOUNS[pattern.kind]
    names = " or ".join(pattern.names)
    text = noun + (called + names if names else "any tool" if pattern.kind == "tool" else "")
    text += f" by {pattern.agent}" if pattern.agent else ""
    text += _STANDINGS[pattern.standing]
    text += f" with an error of type {pattern.error_type}" if pattern.error_type else ""
    text += f' saying "{pattern.says}"' if pattern.says else ""
    held = [_condition(condition) for condition in pattern.conditions]
    return text + (f" whose {' and '.join(held)}" if held else "")


def _condition(condition: Condition) -> str:
    field = ("result " if condition.side == "result" else "") + ".".join(condition.path)
    if condition.test == "as":
        return f"{field} is called {condition.variable}"
    if condition.test == "is there":
        return f"{field} is there"
    is_number = condition.test in (">", "<", ">=", "<=")
    value = condition.variable or (condition.value if is_number else f'"{condition.value}"')
    return f"{field} {_TESTS[condition.test]} {value}"

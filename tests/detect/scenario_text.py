"""Behaviour of detectors as readable text: parse it, run it, say what differs.

    # a comment
    set repeats 2                           a setting of the loop detector; `set polling check_* 0` declares a polling tool
    step 1 human "Where is my money?"
    step 2 llm
    step 3 tool get_order {"order_id": "4711"} -> {"status": "pending"}
    step 4-9 tool get_order {"order_id": "4711"} -> error "timed out"
    step 10 tool get_order {"order_id": "4711"} running
    expect LOOP_DETECTED at step 5 about get_order because alike_calls
    expect nothing

Steps are numbered from 1 without gaps. `-> RESULT` and `running` may be left out; `because REASON` too. A scenario expects at least one thing;
every finding that is not expected is a difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import get_args

import msgspec

from watchpost.detect.loop import LoopSettings
from watchpost.model.flag import Finding
from watchpost.model.step import Status, Step, StepKind, Tokens

_STEP = re.compile(r"step (\d+)(?:-(\d+))? (\w+)(?: (.+))?")
_EXPECT = re.compile(r"expect (\w+) at step (\d+) about (\S+)(?: because (\w+))?")
_SET = re.compile(r"set (\w+)(?: (\S+))? (\S+)")
_TOOL = re.compile(r"(\S+)(?: (.+?))?(?: -> (error )?(.+?))?( running)?")
_KINDS: dict[str, StepKind] = {kind: kind for kind in get_args(StepKind)}


class Expectation(msgspec.Struct, frozen=True):
    """One finding that must be there; an empty reason leaves it open."""

    kind: str
    step: int
    about: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind} at step {self.step} about {self.about}" + (
            f" because {self.reason}" if self.reason else ""
        )


class Scenario(msgspec.Struct, frozen=True):
    """What a session did, and what the detectors must say of it: nothing, where `expected` is empty."""

    steps: tuple[Step, ...]
    expected: tuple[Expectation, ...]
    settings: LoopSettings


class ScenarioError(Exception):
    """A scenario that cannot be read; the message names the line."""

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(f"line {number}: {detail}")


class _Draft:
    """What has been read so far."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.expected: list[Expectation] = []
        self.nothing = False
        self.settings: dict[str, object] = {}
        self.polling: dict[str, int] = {}

    def read(self, line: str) -> None:
        """Take one line in; raises ValueError saying what is wrong with it."""
        word = line.split(maxsplit=1)[0]
        match word:
            case "step":
                self._step(_whole(_STEP, line, "step NUMBER[-NUMBER] KIND ..."))
            case "expect" if line == "expect nothing":
                self.nothing = True
            case "expect":
                self._expect(_whole(_EXPECT, line, "expect KIND at step NUMBER about TOOL [because REASON]"))
            case "set":
                self._set(_whole(_SET, line, "set SETTING NUMBER, or set polling TOOL NUMBER"))
            case _:
                raise ValueError(f"a line begins with step, expect, set or #, not {word!r}")

    def _step(self, found: re.Match[str]) -> None:
        first, last = int(found[1]), int(found[2] or found[1])
        if first != len(self.steps) + 1 or last < first:
            raise ValueError(f"the next step is {len(self.steps) + 1}, not {found[1]}")
        kind = _KINDS.get(found[3])
        if kind is None:
            raise ValueError(f"no kind of step is called {found[3]!r}; there are {', '.join(_KINDS)}")
        for number in range(first, last + 1):
            self.steps.append(_tool_step(number, found[4] or "") if kind == "tool" else _step(number, kind))

    def _expect(self, found: re.Match[str]) -> None:
        if not 0 < int(found[2]) <= len(self.steps):
            raise ValueError(f"there is no step {found[2]} above this line")
        self.expected.append(Expectation(found[1], int(found[2]), found[3], found[4] or ""))

    def _set(self, found: re.Match[str]) -> None:
        name, tool, value = found.groups()
        if not re.fullmatch(r"[0-9.]+", value):
            raise ValueError(f"{value!r} is no number")
        if name == "polling" and tool:
            self.polling[tool] = int(value)
        elif tool or name not in LoopSettings.__struct_fields__:
            raise ValueError(f"there is no setting {name!r} of one number")
        else:
            self.settings[name] = float(value) if "." in value else int(value)


def parse(text: str) -> Scenario:
    """Read a scenario; raises ScenarioError naming the first line that is wrong."""
    draft = _Draft()
    number = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            draft.read(line.strip())
        except ValueError as error:
            raise ScenarioError(number, str(error)) from error
    if not draft.nothing and not draft.expected:
        raise ScenarioError(number, "the scenario expects neither a finding nor nothing")
    if draft.nothing and draft.expected:
        raise ScenarioError(number, "the scenario expects findings and also nothing")
    try:
        settings = msgspec.convert(draft.settings | {"polling": draft.polling}, LoopSettings)
    except msgspec.ValidationError as error:
        raise ScenarioError(number, str(error)) from error
    return Scenario(tuple(draft.steps), tuple(draft.expected), settings)


def differences(scenario: Scenario, findings: Sequence[tuple[int, Finding]]) -> list[str]:
    """What was expected and is missing, and what was found and not expected, one readable line each; none if all is well."""
    missing = list(scenario.expected)
    surplus = []
    for position, finding in findings:
        match = next((each for each in missing if _fits(each, position, finding)), None)
        if match is None:
            surplus.append(
                f"unexpected: {finding.kind} at step {position + 1} about {_about(finding)}: {finding.summary}"
            )
        else:
            missing.remove(match)
    return [f"missing: {each}" for each in missing] + surplus


def _fits(expected: Expectation, position: int, finding: Finding) -> bool:
    return (
        expected.kind == finding.kind
        and expected.step == position + 1
        and expected.about == _about(finding)
        and expected.reason in ("", finding.evidence.get("reason"))
    )


def _about(finding: Finding) -> str:
    """The tool a finding is about, or its subject where it is about none."""
    return str(finding.evidence.get("tool") or finding.subject)


def _whole(pattern: re.Pattern[str], line: str, form: str) -> re.Match[str]:
    found = pattern.fullmatch(line)
    if found is None:
        raise ValueError(f"write {form}, not {line!r}")
    return found


def _tool_step(number: int, call: str) -> Step:
    found = _whole(_TOOL, call, "tool NAME [ARGUMENTS] [-> RESULT] [running]")
    name, arguments, failed, result, running = found.groups()
    if arguments and arguments[0] in "{[":
        try:
            json.loads(arguments)
        except json.JSONDecodeError as error:
            raise ValueError(f"the arguments of {name} are no JSON: {error}") from error
    status: Status = "running" if running else "error" if failed else "ok"
    return _step(number, "tool", tool=name, status=status, arguments=arguments or "", result=result or "")


def _step(
    number: int, kind: StepKind, *, tool: str = "", status: Status = "ok", arguments: str = "", result: str = ""
) -> Step:
    """One step a second, in one trace, named by its number."""
    start = number * 1_000_000_000
    return Step(
        trace_id=bytes(15) + b"\1",
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=start,
        end_ns=0 if status == "running" else start + 1_000_000,
        kind=kind,
        name=tool or kind,
        agent="agent",
        model="",
        tool=tool,
        status=status,
        error_type="",
        tokens=Tokens(),
        cost_nano=None,
        arguments=arguments,
        result=result,
    )

"""The invalid output detector: a model's answer that was to be JSON and is not.

An answer was to be JSON where its workflow is declared so, and where it begins as JSON; the arguments of a tool call always are where
they begin so. What breaks off at its end may have been cut short by its sender: that counts in declared workflows alone. What a
framework or a tool refused as invalid counts as reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.detector import Surroundings
from watchpost.detect.undo import Undo
from watchpost.detect.unknown_tool import names_unknown_tool
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import TEXT_KEPT, Step, StepKind

KIND = "INVALID_OUTPUT"

_FENCE = re.compile(r"\s*```(?:json|JSON)[ \t]*\n(.*?)(?:\n[ \t]*```\s*(.*))?\Z", re.DOTALL)
_BEGINS = re.compile(r"""\s*(?:\{\s*(?:"|\}\s*\Z)|\[\s*(?:\{\s*"|\[|"|-?[0-9]|\]\s*\Z))""")
_SPACE = re.compile(r"\s*")
_REPORTED = frozenset({"llm_invalid_tool_call", "output_validation_failed"})
_NEAR = 12
"""Characters before the end of a text in which a fault is what a cut leaves: half a literal or half an escape."""

_DECODER = json.JSONDecoder(strict=False)


class InvalidOutputSettings(msgspec.Struct, frozen=True):
    """`json` are the workflows, by name or shell pattern, whose answers must be JSON.

    A tool call that was refused for its arguments counts from the `refused`-th of one tool in a session on, 0 for never: models correct one.
    """

    json: tuple[str, ...] = ()
    refused: int = 2
    enabled: bool = True
    severity: Severity = "error"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if self.refused < 0:
            raise ValueError("refused must not be negative; 0 switches it off")


class InvalidOutputDetector:
    """Looks at each answer and each call by itself, and counts what was refused. No later step can refute it."""

    kinds: frozenset[StepKind] = frozenset({"llm", "tool", "guardrail"})

    def __init__(self, settings: InvalidOutputSettings, around: Surroundings) -> None:
        self._settings = settings
        self._must = any(fnmatchcase(around.workflow, each) for each in settings.json)
        self._refused: dict[str, int] = {}
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say what of it is not the JSON that it was to be."""
        if step.status == "running":
            return ()
        if (
            step.status == "error"
            and step.error_type in _REPORTED
            and not names_unknown_tool(step.error or step.result)
        ):
            return self._reported(place, step)
        if step.kind == "llm" and step.result:
            return self._answer(step)
        if step.kind == "tool" and step.arguments[:1] in ("{", "["):
            fault = broken(step.arguments)
            return (self._finding(step, "arguments", step.arguments, fault),) if fault else ()
        return ()

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)

    def _answer(self, step: Step) -> Sequence[Finding]:
        text = step.result
        if self._must:
            if step.asked != 0 or len(text) >= TEXT_KEPT or step.status != "ok":
                return ()
            fault = _fault(_unfenced(text), cut_counts=True)
        else:
            fault = broken(text) if text.lstrip()[:1] in ("{", "[", "`") else ""
        return (self._finding(step, "answer", text, fault),) if fault else ()

    def _reported(self, place: int, step: Step) -> Sequence[Finding]:
        said = step.error or step.result
        if step.kind != "tool":
            return (self._finding(step, "reported", said, step.error_type),)
        if not self._settings.refused:
            return ()
        tool = shown(step.tool or step.name)
        before = self._refused.get(tool, 0)
        self._refused[tool] = before + 1
        self._undo.note(place, partial(self._put, tool, before))
        if before + 1 != self._settings.refused:
            return ()
        return (self._finding(step, "refused", said, step.error_type, before + 1),)

    def _put(self, tool: str, count: int) -> None:
        if count:
            self._refused[tool] = count
        else:
            del self._refused[tool]

    def _finding(self, step: Step, reason: str, text: str, fault: str, value: int = 1) -> Finding:
        tool = shown(step.tool or step.name) if step.kind == "tool" else ""
        about = {
            "arguments": f"the arguments of {tool} are no JSON",
            "answer": f"the answer of {shown(step.model) or 'the model'} is no JSON",
            "reported": f"output of {shown(step.model or step.name) or 'the model'} was refused as invalid",
            "refused": f"{value} calls of {tool} were refused for their arguments",
        }[reason]
        evidence: dict[str, object] = {
            "reason": reason,
            "tool": tool,
            "model": shown(step.model),
            "value": value,
            "threshold": self._settings.refused if reason == "refused" else 1,
            "window": "session" if reason == "refused" else "step",
            "fault": shown(fault),
            "begins": shown(text),
            "ends": shown(text[-100:]),
            "calls": [{"span_id": step.span_id.hex()}],
        }
        subject = tool or shown(step.model or step.name) or step.kind
        return Finding(KIND, subject, self._settings.severity, f"{about}: {shown(fault)}", evidence)


def broken(text: str) -> str:
    """What is wrong with a text that begins as JSON; empty where nothing is, where it begins as something else, and where it was cut."""
    if len(text) >= TEXT_KEPT or _is_json(text):
        return ""
    text = _unfenced(text)
    return _fault(text, cut_counts=False) if _BEGINS.match(text) else ""


def _is_json(text: str) -> bool:
    """Whether a text is one JSON value, as far as that is found out quickly; what this takes, a slower decoder takes too."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True


def _unfenced(text: str) -> str:
    """What stands in the fence that a text consists of, or the text itself."""
    found = _FENCE.fullmatch(text) if text.lstrip().startswith("```") else None
    return found[1] if found is not None and not found[2] else text


def _fault(text: str, *, cut_counts: bool) -> str:
    """Why a text is not one JSON value, or several in a row; where a cut does not count, what follows the first value does not either."""
    start = _end_of_space(text, 0)
    if cut_counts and start == len(text):
        return "nothing but white space"
    while start < len(text):
        try:
            _, start = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            is_cut = error.msg.startswith("Unterminated") or error.pos >= len(text.rstrip()) - _NEAR
            return f"{error.msg} at character {error.pos + 1}" if cut_counts or not is_cut else ""
        except (ValueError, RecursionError):
            return ""
        if not cut_counts:
            return ""
        start = _end_of_space(text, start)
    return ""


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return start if found is None else found.end()

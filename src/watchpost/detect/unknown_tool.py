"""The unknown tool detector: a model that asks for a tool that there is not.

Either the error of the call says so, or the tool is outside what is declared: a list of tools, or all those of which the project
knows the contract.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, partial

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.detector import Surroundings
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "UNKNOWN_TOOL"

_LOOKED_AT = 300
_NONE: frozenset[str] = frozenset()
_NAME = r"""["'`‘“]?[\w.:/-]{1,120}["'`’”]?"""
_SAYS = re.compile(
    rf"""\b(?:unknown|unrecogni[sz]ed|unregistered|undefined|non-?existent|no\ such|unavailable)\ (?:tool|function)(?:\ (?:name|call|called|named))?\b
      | \binvalid\ (?:tool|function)(?:\ name)?:?\ {_NAME}\ (?:provided|requested|called|specified)
      | \b(?:tool|function)(?:\ (?:named|called))?\ {_NAME}\ (?:was\ |is\ |could\ )?(?:not\ (?:be\ )?(?:found|registered|available|known|recogni[sz]ed|defined)|unknown)\b
      | \b(?:tool|function)(?:\ (?:named|called))?\ {_NAME}\ (?:does\ not|doesn't|doesn’t)\ exist
      | {_NAME}\ is\ not\ (?:a|an)\ (?:valid|known|registered|available|existing)\ (?:tool|function)\b
      | \b(?:no|not\ a)\ (?:tool|function)\ (?:named|called|with\ (?:the\ )?name)\b
      | \b(?:NoSuchTool|ToolNotFound|UnknownTool|ToolDoesNotExist)(?:Error|Exception)?\b | \btool_not_found\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LEAD = re.compile(r"""\s*(?:[\[{]\s*)?["']?(?:message|detail|\w{0,40}error)["']?\s*[:=]""", re.IGNORECASE)


class UnknownToolSettings(msgspec.Struct, frozen=True):
    """`tools` are all the tools there are, by name or shell pattern; `closed` adds all those of which a contract is known, and none else.

    With neither, a tool is unknown where its error says so.
    """

    tools: tuple[str, ...] = ()
    closed: bool = False
    enabled: bool = True
    severity: Severity = "error"


class UnknownToolDetector:
    """Finds each unknown tool once, at the first call. No later step can refute it."""

    kinds: frozenset[StepKind] = frozenset({"tool", "llm"})

    def __init__(self, settings: UnknownToolSettings, around: Surroundings) -> None:
        self._settings = settings
        known = around.knowledge.tools if settings.closed else _NONE
        self._known = known
        self._declared = bool(settings.tools or known)
        self._told: set[str] = set()
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say whether it asks for a tool that there is not."""
        if step.kind == "llm":
            failed = step.status == "error" and names_unknown_tool(step.error)
            return self._found(place, step, "reported") if failed else ()
        if _refused(step):
            return self._found(place, step, "reported")
        if self._declared and step.tool not in self._known:
            if any(fnmatchcase(step.tool, each) for each in self._settings.tools):
                return ()
            return self._found(place, step, "undeclared")
        return ()

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)

    def _found(self, place: int, step: Step, reason: str) -> Sequence[Finding]:
        tool = shown(step.tool or (step.name if step.kind == "tool" else ""))
        subject = tool or shown(step.model or step.name) or step.kind
        if subject in self._told:
            return ()
        self._told.add(subject)
        self._undo.note(place, partial(self._told.discard, subject))
        said = shown(step.error or (step.result if reason == "reported" else ""))
        evidence: dict[str, object] = {
            "reason": reason,
            "tool": tool,
            "value": 1,
            "threshold": 1,
            "window": "session",
            "said": said,
            "ran": step.ran and step.status == "ok",
            "calls": [{"span_id": step.span_id.hex(), "arguments": shown(step.arguments)}],
        }
        why = f"its error says: {said}" if reason == "reported" else "it is none of the tools declared or known"
        return (Finding(KIND, subject, self._settings.severity, f"there is no tool {subject}: {why}", evidence),)


def names_unknown_tool(text: str) -> bool:
    """Whether an error says that there is no such tool."""
    return bool(text) and _says(text[:_LOOKED_AT])


@lru_cache(maxsize=1024)
def _says(text: str) -> bool:
    return _SAYS.search(text) is not None


def _refused(step: Step) -> bool:
    """Whether a tool call's error says that there is no such tool, or its answer does nothing but say so."""
    if step.status == "error":
        return names_unknown_tool(step.error or step.result)
    result = step.result
    if not result or len(result) > _LOOKED_AT or "tool" not in result.lower():
        return False
    looked_for = _SAYS.search if _LEAD.match(result) else _SAYS.match
    return looked_for(result) is not None

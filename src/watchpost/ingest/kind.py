"""What a span is, whatever it says of itself."""

from __future__ import annotations

import re
from functools import lru_cache

from watchpost.ingest.dialects import DIALECTS

DECLARED_KIND = "watchpost.step.kind"
"""The attribute by which a person says what a span is; it is not second-guessed."""

HANDOFF_TOOL = re.compile(
    r"(transfer|hand_?off)_(back_)?to_\w+|handoff|delegate[_ ](work|task)[_ ]to[_ ]\w+|ask question to coworker",
    re.IGNORECASE,
)
"""Names of the tools by which frameworks let a model hand its task to another agent."""

RETURNS = frozenset({"final_answer", "final_result", "FinalAnswer", "FinalAnswerTool"})
"""Tools by which a model returns its answer to the framework: nothing runs."""

_DISGUISES = tuple((re.compile(name), kind) for dialect in DIALECTS for name, kind in dialect.disguises.items())
_NAMED = tuple((re.compile(name), kind) for dialect in DIALECTS for name, kind in dialect.named.items())

_AGENT_NAME = re.compile(
    r"(?:invoke_agent )?(.*?)(?:\.(?:run|arun|agent|workflow|kickoff|on_messages(?:_stream)?|task|_execute_core))*"
)


@lru_cache(maxsize=4096)
def kind(said: str, name: str, tool: str) -> tuple[str, str]:
    """The kind of a span and the tool it calls, from the kind it says or implies, if any; names recur, and patterns are slow."""
    if not said:
        said, tool = _named(name, tool)
    else:
        said = next((real for pattern, real in _DISGUISES if pattern.fullmatch(name)), said)
    called = (tool or name) if said == "tool" else tool
    if said in {"tool", "agent"} and HANDOFF_TOOL.fullmatch(called):
        return "handoff", called
    if said == "tool" and called in RETURNS:
        return "chain", ""
    return said, called if said in {"tool", "handoff"} else ""


def _named(name: str, tool: str) -> tuple[str, str]:
    for pattern, meant in _NAMED:
        if (match := pattern.fullmatch(name)) is not None:
            return meant, match.groupdict().get("tool") or tool
    return "other", tool


@lru_cache(maxsize=4096)
def agent_name(span_name: str) -> str:
    """The agent that a span of kind agent is named after."""
    match = _AGENT_NAME.fullmatch(span_name)
    return (match.group(1) if match else "") or span_name

"""Contents that were sent as log lines beside their span: older and newer spellings of the official convention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from watchpost.model.telemetry import LogLine

MESSAGES: Mapping[str, str] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
"""Events that each hold one message of a model call's input, and the message's role."""

CHOICE = "gen_ai.choice"
"""Events that each hold one answer of a model."""

DETAILS = "gen_ai.client.inference.operation.details"
"""The event that holds all messages of a model call as attributes."""


def contents(lines: Sequence[LogLine]) -> tuple[str, str]:
    """Input and output of the step that these lines were written in, as JSON; empty where no line holds any.

    Lines without a body are those of a sender that withholds contents.
    """
    asked: list[object] = []
    answered: list[object] = []
    for line in lines:
        name = line.event_name or line.attributes.get("event.name")
        if name == DETAILS:
            asked += _listed(line.attributes.get("gen_ai.input.messages"))
            answered += _listed(line.attributes.get("gen_ai.output.messages"))
        elif name == CHOICE and line.body is not None:
            answered.append(line.body)
        elif isinstance(name, str) and name in MESSAGES and line.body is not None:
            asked.append(_with_role(line.body, MESSAGES[name]))
    return _json(asked), _json(answered)


def _listed(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [] if value is None else [value]


def _with_role(body: object, role: str) -> object:
    return {"role": role, **cast("dict[str, object]", body)} if isinstance(body, dict) else {"role": role, "body": body}


def _json(messages: list[object]) -> str:
    return msgspec.json.encode(messages).decode() if messages else ""

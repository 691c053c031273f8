"""What a person said to a model that had answered, out of what a model call was given: in a text, in attributes message by message, or in events.

Most calls are given no such thing, since results of tools stand at the end, or nothing was answered yet: that is seen from the end of a
text, and without reading it as a structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from watchpost.ingest import content
from watchpost.model.step import NO_REPLY, Reply
from watchpost.model.telemetry import Attributes, Event
from watchpost_core.replies import messages_in, reply_in

_BY_MESSAGE = {
    "llm.input_messages.0.message.role": ("llm.input_messages", ".message"),
    "gen_ai.prompt.0.role": ("gen_ai.prompt", ""),
}
"""Where attributes hold one message each: the role of the first, what stands before the number of each, and what behind."""

_EVENTS = {
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.system.message": "system",
    "gen_ai.tool.message": "tool",
}
_PARTS = 64
_ROLE = re.compile(r'"role"\s*:\s*"(\w+)"')
_MODEL_ROLES = ('"role":"model"', '"role": "model"')
_LAST_ROLES = frozenset({"user", "human", "system", "developer"})
_RESULTS = ('"tool_result"', '"tool_call_response"', '"function_call_output"', '"toolResult"', '"tool-result"')
_RESULTS_OF_GEMINI = ('"function_response"', '"functionResponse"')
_OF_LANGCHAIN = 'Message"]'


def reply(attributes: Attributes, events: tuple[Event, ...], text: str) -> Reply:
    """The reply in what a model call was given, of which `text` is what is read as its input; `NO_REPLY` where there is none. Never raises."""
    for first, (before, behind) in _BY_MESSAGE.items():
        if first in attributes:
            return _made(_by_message(attributes, before, behind))
    if events and any(event.name in _EVENTS for event in events):
        return _made(_by_event(events))
    if text[:1] not in {"{", "["} or not _may_reply(text):
        return NO_REPLY
    latest = _latest(text)
    return latest if latest.before else _made(reversed(messages_in(content.structure(text))))


def _latest(text: str) -> Reply:
    """What the last messages of a list say that begins with the person's message before the last answer; `NO_REPLY` where they cannot be cut off there."""
    answered = text.rfind('"assistant"', 0, text.rfind('"role"'))
    begins = text.rfind("{", 0, max(text.rfind('"user"', 0, max(answered, 0)), 0))
    if begins < 0 or not text.startswith('{"role"', begins):
        return NO_REPLY
    found = content.structure(f"[{text[begins:]}")
    return _made(reversed(cast("list[object]", found))) if isinstance(found, list) else NO_REPLY


def _made(backwards: Iterator[object]) -> Reply:
    found = reply_in(backwards)
    return NO_REPLY if found is None else Reply(*found)


def _may_reply(text: str) -> bool:
    """Whether the last message in a text may be a person's, with an answer somewhere before it."""
    at = text.rfind('"role"')
    if at < 0:
        at = text.rfind(_OF_LANGCHAIN)
        return at > 0 and text.endswith("Human", 0, at) and text.find('AIMessage"]', 0, at) >= 0
    role = _ROLE.match(text, at)
    if role is None or role[1].lower() not in _LAST_ROLES:
        return False
    answered = text.rfind('"assistant"', 0, at)
    if answered < 0:
        answered = max(text.rfind(mark, 0, at) for mark in _MODEL_ROLES)
    if answered < 0:
        return False
    return not any(text.find(mark, answered) >= 0 for mark in (*_RESULTS, *_RESULTS_OF_GEMINI))


def _by_event(events: tuple[Event, ...]) -> Iterator[object]:
    for event in reversed(events):
        if (role := _EVENTS.get(event.name)) is not None:
            yield {"role": role, "content": event.attributes.get("content")}


def _by_message(attributes: Attributes, before: str, behind: str) -> Iterator[object]:
    """The messages of attributes, the latest first, read as they are asked for."""
    for number in range(_count(attributes, before, behind) - 1, -1, -1):
        place = f"{before}.{number}{behind}"
        said = attributes.get(f"{place}.content")
        yield {"role": attributes[f"{place}.role"], "content": said or _parts(attributes, place)}


def _count(attributes: Attributes, before: str, behind: str) -> int:
    """How many messages there are, of which the first is: numbers follow each other."""
    known, missing = 0, 1
    while f"{before}.{missing}{behind}.role" in attributes:
        known, missing = missing, 2 * missing
    while missing - known > 1:
        middle = (known + missing) // 2
        if f"{before}.{middle}{behind}.role" in attributes:
            known = middle
        else:
            missing = middle
    return missing


def _parts(attributes: Attributes, place: str) -> list[object]:
    parts: list[object] = []
    for number in range(_PARTS):
        part = f"{place}.contents.{number}.message_content"
        kind = attributes.get(f"{part}.type")
        if kind is None:
            break
        parts.append({"type": kind, "text": attributes.get(f"{part}.text")})
    return parts

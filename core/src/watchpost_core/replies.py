"""What a person said to a model that had answered, at the end of the messages that a later call is given.

A message of role user is often nobody's: results of tools, reminders, and what a program tells a model stand under that role too. What is
told here is a matter of form; whether the answer before it was given to a person is for whoever knows the session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import cast

from watchpost_core.utterance import said

LONGEST = 1000
"""Characters of what a person types. What is longer is a document, or a prompt with documents in it."""

SHORTEST_ANSWER = 16
"""Characters of an answer, without spaces, that tell it from others: labels and `done` recur."""

_FINGERPRINTED = 256
_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "reasoning": "system",
}
"""Roles as they are sent, and what they mean here; anything else is a call of a tool, or the result of one."""

_LISTS = ("messages", "contents", "input", "history", "prompt")
"""Where a request keeps its messages."""

_SPOKEN = frozenset({"", "text", "input_text", "output_text"})
"""Kinds of parts that are words."""

_OF_A_TOOL = frozenset(
    {"tool_result", "tool-result", "tool_call_response", "function_response", "function_call_output"}
)
_HELD_BY_A_RESULT = frozenset({"toolResult", "functionResponse", "function_response", "tool_use_id", "tool_call_id"})
_ASIDE = re.compile(
    r"<(system[-_]reminder|environment_(?:details|context)|context|documents?|attachments?)\b[^>]*>.*?</\1>",
    re.DOTALL | re.IGNORECASE,
)
"""What programs put around a person's words, marked as theirs."""


def messages_in(found: object) -> Sequence[object]:
    """The messages in a value of JSON: itself, or where requests keep them; none where there are none."""
    if isinstance(found, dict):
        request = cast("dict[str, object]", found)
        found = next((request[name] for name in _LISTS if isinstance(request.get(name), list)), None)
    listed = cast("list[object]", found) if isinstance(found, list) else []
    return cast("list[object]", listed[0]) if listed and isinstance(listed[0], list) else listed


def reply_in(backwards: Iterable[object]) -> tuple[str, str, int] | None:
    """The words of the last message, those of the person's message before it, and the fingerprint of the answer between; None where nobody replies.

    `backwards` are messages, the latest first, of which no more are taken than needed. Instructions do not count as messages. Of several
    messages of a person in a row the last counts. Never raises.
    """
    words: str | None = None
    answer = 0
    for message in backwards:
        role = _role(message)
        if role == "system":
            continue
        if role == "user" and not _is_result(message):
            if answer:
                return words or "", _typed(message), answer
            words = _typed(message) if words is None else words
        elif role == "assistant" and words is not None:
            answer = answer or fingerprint(_words(message))
            if not answer:
                return None
        elif not answer:
            return None
    return (words or "", "", answer) if answer else None


def fingerprint(words: str) -> int:
    """A number from 1 to 2**63 - 1 by which an answer is known again where it is quoted, however it is spaced; 0 where it is too short for that."""
    beginning = "".join(words[: 2 * _FINGERPRINTED].split())[:_FINGERPRINTED]
    if len(beginning) < SHORTEST_ANSWER:
        return 0
    digest = blake2b(beginning.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) >> 1 or 1


def _role(message: object) -> str:
    """`user`, `assistant` or `system`; empty for anything else."""
    match message:
        case {"role": str() as role}:
            pass
        case {"lc": _, "id": [*_, str() as name]}:
            role = name.removesuffix("Chunk").removesuffix("Message")
        case {"type": str() as role}:
            pass
        case _:
            return ""
    return _ROLES.get(role.lower(), "")


def _content(message: object) -> object:
    """What a message holds: text, or parts."""
    match message:
        case {"kwargs": dict() as inner, "lc": _} | {"data": dict() as inner}:
            held = cast("dict[str, object]", inner)
        case dict():
            held = cast("dict[str, object]", message)
        case _:
            return None
    return held.get("content") or held.get("parts")


def _parts(message: object) -> list[object]:
    content = _content(message)
    return cast("list[object]", content) if isinstance(content, list) else []


def _is_result(message: object) -> bool:
    """Whether a message under the role of a user brings the result of a tool, whatever else it holds."""
    for part in _parts(message):
        if isinstance(part, dict):
            held = cast("dict[str, object]", part)
            if held.get("type") in _OF_A_TOOL or not _HELD_BY_A_RESULT.isdisjoint(held):
                return True
    return False


def _words(message: object) -> str:
    content = _content(message)
    if isinstance(content, str):
        return said(content) if content[:1] in {"[", "{"} else content
    told: list[str] = []
    for part in _parts(message):
        match part:
            case str():
                told.append(part)
            case {"type": str() as kind} if kind not in _SPOKEN:
                pass
            case {"text": str() as text} | {"content": str() as text}:
                told.append(text)
            case _:
                pass
    return "\n".join(told)


def _typed(message: object) -> str:
    """The words of a person in a message; empty where there are more than a person types."""
    words = _words(message)
    words = (_ASIDE.sub("", words) if "</" in words else words).strip()
    return words if len(words) <= LONGEST else ""

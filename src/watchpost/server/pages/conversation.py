"""The contents of a step as they were meant: messages as a conversation, anything else as a value to be folded, or the text as it stands.

Providers and frameworks write messages in many ways; what is told apart here is who speaks and what each part of it is. What is no message
in any of them is left as it is: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, cast

import msgspec

from watchpost.ingest.content import structure

MOST_TURNS = 200
"""Messages that are shown of one text: the first and the last of them, half each."""

_FOLDED_LENGTH = 200_000
_LISTS = ("messages", "input", "contents", "history", "prompt", "output", "choices")
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool", "developer": "system"}
_WORDS = ("text", "content", "input_text", "output_text")

Says = Literal["text", "reasoning", "call", "result", "other"]


class Part(msgspec.Struct, frozen=True):
    """A part of a message: words as text, or a value. `name` is that of the tool that is called or answers, where it is told."""

    says: Says
    name: str = ""
    text: str = ""
    value: object = None


class Turn(msgspec.Struct, frozen=True):
    """What one speaker says at once. `number` counts from 1. Results are a tool's, though some providers send them as a user's."""

    number: int
    role: str
    parts: tuple[Part, ...]


class Contents(msgspec.Struct, frozen=True):
    """A text of a step. `turns` where it is a conversation, of which `left_out` in the middle are not shown; else `value` where it has a structure; else only `text`."""

    text: str
    turns: tuple[Turn, ...] = ()
    left_out: int = 0
    value: object = None
    structured: bool = False


def contents_of(text: str) -> Contents:
    """What a text holds. Never raises."""
    found = structure(text)
    if isinstance(found, str) or found is None or isinstance(found, (int, float, bool)):
        return Contents(text)
    messages = [message for message in map(_message, _listed(found)) if message is not None]
    if messages and len(messages) == len(_listed(found)):
        turns = tuple(Turn(at, role, parts) for at, (role, parts) in enumerate(messages, 1))
        half = MOST_TURNS // 2
        if len(turns) > MOST_TURNS:
            return Contents(text, turns[:half] + turns[-half:], len(turns) - MOST_TURNS)
        return Contents(text, turns)
    return Contents(text, value=found, structured=True)


def structured(text: str) -> dict[str, object] | list[object] | None:
    """The object or list that a tool answered with as text; None for words, and for what is too long to be folded."""
    found = structure(text) if len(text) <= _FOLDED_LENGTH else None
    return cast("dict[str, object] | list[object]", found) if isinstance(found, (dict, list)) and found else None


def _listed(found: object) -> Sequence[object]:
    """The messages of a request, of an answer, or the one that it is."""
    match found:
        case list() | tuple():
            return cast("Sequence[object]", found)
        case {"role": str()} | {"message": {"role": str()}}:
            return [found]
        case dict():
            request = cast("dict[str, object]", found)
            inside = next((request[name] for name in _LISTS if isinstance(request.get(name), list)), None)
            system = request.get("system") or request.get("instructions")
            if not inside:
                return []
            first = [{"role": "system", "content": system}] if isinstance(system, str) else []
            return [*first, *cast("list[object]", inside)]
        case _:
            return []


def _message(found: object) -> tuple[str, tuple[Part, ...]] | None:
    match found:
        case {"message": dict() as inside}:
            return _message(inside)
        case {"role": str() as role} | {"type": "human" | "ai" | "system" | "tool" as role}:
            parts = tuple(_parts(cast("dict[str, object]", found)))
            only_results = bool(parts) and all(part.says == "result" for part in parts)
            return "tool" if only_results else _ROLES.get(role, role), parts
        case {"type": "function_call" | "function_call_output" | "reasoning" as kind}:
            part = _part(cast("dict[str, object]", found))
            return ("tool" if kind == "function_call_output" else "assistant"), (part,)
        case _:
            return None


def _parts(message: dict[str, object]) -> Iterator[Part]:
    role, name = message.get("role"), _string(message.get("name"))
    for key in ("reasoning_content", "reasoning"):
        if thought := _string(message.get(key)):
            yield Part("reasoning", text=thought)
    content = message.get("parts") if "parts" in message else message.get("content")
    match content:
        case None | "" | []:
            pass
        case str():
            is_result = role in {"tool", "function"}
            yield Part("result", name, content) if is_result else Part("text", text=content)
        case list():
            for part in cast("list[object]", content):
                yield _part(part)
        case _:
            yield Part("other", value=content)
    for call in cast("list[object]", calls) if isinstance(calls := message.get("tool_calls"), list) else []:
        yield _call(call)


def _part(part: object) -> Part:
    """A part by any of its many names."""
    match part:
        case {"type": "tool_call" | "tool_use" | "tool-call" | "function_call"} | {"functionCall": _} | {"toolUse": _}:
            return _call(part)
        case {"type": "tool_call_response" | "tool_result" | "tool-result" | "function_call_output"}:
            return _result(cast("dict[str, object]", part))
        case {"functionResponse": dict() as inside} | {"toolResult": dict() as inside}:
            return _result(cast("dict[str, object]", inside))
        case _:
            return _said(part)


def _said(part: object) -> Part:
    """Words or a thought; what is neither is a value."""
    match part:
        case str():
            return Part("text", text=part)
        case {"type": "reasoning" | "thinking"}:
            thought = cast("dict[str, object]", part)
            return Part("reasoning", text=_words(thought) or _string(thought.get("thinking")))
        case dict() if words := _words(cast("dict[str, object]", part)):
            return Part("text", text=words)
        case _:
            return Part("other", value=part)


def _call(call: object) -> Part:
    match call:
        case {"function": dict() as inside} | {"functionCall": dict() as inside} | {"toolUse": dict() as inside}:
            return _call(inside)
        case dict():
            found = cast("dict[str, object]", call)
            name = _first(found, "name", "toolName")
            given = next((found[key] for key in ("arguments", "args", "input") if key in found), None)
            return Part("call", _string(name), value=structure(given) if isinstance(given, str) else given)
        case _:
            return Part("other", value=call)


def _result(found: dict[str, object]) -> Part:
    name = _string(_first(found, "name", "toolName"))
    given = next((found[key] for key in ("response", "result", "output", "content") if key in found), None)
    match given:
        case [{"text": str() as only}]:
            return Part("result", name, text=only)
        case str():
            return Part("result", name, text=given)
        case _:
            return Part("result", name, value=given)


def _words(part: dict[str, object]) -> str:
    return next((text for key in _WORDS if isinstance(text := part.get(key), str)), "")


def _first(found: dict[str, object], *names: str) -> object:
    return next((found[name] for name in names if found.get(name)), "")


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""

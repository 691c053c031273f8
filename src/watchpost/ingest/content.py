"""What texts on spans hold: JSON once or twice encoded, Python's own notation, envelopes of frameworks, or less than was meant.

Nothing here raises on any text, and nothing follows a structure deeper or longer than its limits.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Literal, cast

import msgspec

Form = Literal["absent", "redacted", "truncated", "json", "python", "text"]
"""How a content stands: `truncated` is JSON or Python cut off somewhere, `redacted` was left out by the sender."""

PARSED = 1 << 20
"""Longer texts are not read as structures."""

LITERAL = 1 << 16
"""Longer texts are not read as Python."""

DEPTH = 12
NODES = 4000
"""How far a structure is searched for the calls that a model asked for."""

REDACTED = frozenset({"__REDACTED__", "[REDACTED]", "<REDACTED>", "REDACTED", "***"})
"""What senders put where they leave content out."""

_FAULTS = (ValueError, SyntaxError, MemoryError, RecursionError)
_ASKS = ("tool_call", "toolCall", "toolUse", "tool_use", "function_call", "functionCall", '"function"')
_RESPONSE_ID = re.compile(r'"id"\s*:\s*"((?:chatcmpl-|resp_|msg_|gen-)[\w-]{4,200})"')
_ENVELOPES = ('"tool_call_id"', '"toolResult"', '"isError"', '"is_error"', '"ToolMessage"', '"kwargs"')
_WRAPPERS = ('"kwargs"', '"input_str"')
_BESIDE_INPUT = frozenset({"inputs", "kwargs"})


def structure(text: str) -> object:
    """What a text holds as JSON, twice encoded or not, or as a Python literal; the text itself where it is neither."""
    found = _json(text)
    if isinstance(found, str) and found is not text and found[:1] in {"{", "[", '"'}:
        found = _json(found)
    if found is text and text[:1] in {"{", "[", "("}:
        found = _literal(text)
    return found


def form(text: str) -> Form:
    """How a content stands."""
    if not text:
        return "absent"
    if text.strip() in REDACTED:
        return "redacted"
    if _json(text) is not text:
        return "json"
    if text[:1] not in {"{", "[", "(", '"'}:
        return "text"
    return "python" if _literal(text) is not text else "truncated"


def arguments(text: str) -> str:
    """The arguments of a tool call as one JSON text, or as sent where they are no structure; nothing where they were redacted."""
    if text[:1] not in {"{", "[", '"', "("}:
        return "" if text.strip() in REDACTED else text
    if text[:2] in {'{"', "{}"} and not any(mark in text for mark in _WRAPPERS):
        return text
    found = structure(text)
    if isinstance(found, str):
        return "" if found.strip() in REDACTED else found
    bare = _bare(found)
    if bare is not found:
        return _text(bare) if not isinstance(bare, str) else bare if bare.strip() not in REDACTED else ""
    return text if _json(text) is not text and text[:1] != '"' else _text(found)


def _bare(found: object) -> object:
    """The very arguments, out of what a framework passes beside them: both kinds of a Python call's, or those of LangChain's callback."""
    match found:
        case {"args": [] | (), "kwargs": dict() as named}:
            return named
        case {"args": [*listed], "kwargs": dict() as named} if listed:
            return [*listed, named] if named else listed
        case {"kwargs": dict() as named, **rest} if not rest:
            return named
        case {"input_str": str() as said, "tags": None | list(), "metadata": None | dict(), **rest} if (
            rest.keys() <= _BESIDE_INPUT
        ):
            return rest.get("inputs") or structure(said)
        case _:
            return found


def result(text: str) -> tuple[str, bool]:
    """The result of a tool call out of its envelope, and whether the envelope says that the call failed."""
    if text.strip() in REDACTED:
        return "", False
    if text[:1] not in {"{", "[", '"', "("}:
        return text, False
    enveloped = any(mark in text for mark in _ENVELOPES)
    if not enveloped and text[:2] in {'{"', "{}", "[]"}:
        return text, False
    found = structure(text)
    inner, failed = _opened(_returned(found), 0) if enveloped or isinstance(found, list) else (found, False)
    if inner is found and (text[:1] != '"' and _json(text) is not text):
        return text, failed
    return (inner if isinstance(inner, str) else _text(inner)), failed


def _returned(found: object) -> object:
    """What came of a call by the parameters of LangChain's callback; alone it is told from a result of that form by its own envelope."""
    match found:
        case {"output": output, "kwargs": dict(), **rest} if not rest:
            return output
        case {"output": dict() as output, **rest} if not rest and _opened(output, 0)[0] is not output:
            return output
        case _:
            return found


def _opened(found: object, depth: int) -> tuple[object, bool]:
    """What stands in an envelope, and whether it is marked as an error."""
    inside: object = None
    match found:
        case {"kwargs": dict() as inside, "id": list()} | {"data": dict() as inside, "type": "tool"}:
            pass
        case {"toolResult": dict() as inside} | [{"toolResult": dict() as inside}]:
            pass
        case {"tool_name": str(), "raw_output": dict() | list() | str() as content, "is_error": bool() as failed}:
            return content, failed
        case {"content": content, "isError": bool() as failed} | {"content": content, "is_error": bool() as failed}:
            return _plain(content), failed
        case {"content": content, "tool_call_id": str()} | {"content": content, "toolUseId": str()}:
            return _plain(content), cast("dict[str, object]", found).get("status") == "error"
        case [{"text": str() as only, **rest}] if rest.keys() <= {"type"}:
            return only, False
        case _:
            pass
    return (found, False) if inside is None or depth > DEPTH else _opened(inside, depth + 1)


def _plain(content: object) -> object:
    """The text of a content that is a list of one text."""
    match content:
        case [{"text": str() as only}]:
            return only
        case _:
            return content


def response_id(text: str) -> str:
    """The provider's id of an answer that is sent whole; empty where none is in sight."""
    found = [match.group(1) for match in _RESPONSE_ID.finditer(text)] if '"id"' in text else []
    return next((each for each in found if not each.startswith("msg_")), found[0] if found else "")


def asked(text: str) -> list[tuple[str, str]]:
    """The tool calls that a model's answer asks for, as (call id, tool name); the id is empty where there is none."""
    if not any(mark in text for mark in _ASKS):
        return []
    try:
        parts = [part for message in _MESSAGES.decode(text) for part in message.parts]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        parts = []
    if parts:
        calls = [(part.id or "", part.name) for part in parts if part.type == "tool_call" and part.name]
    else:
        calls = list(_asked(structure(text)))
    named = {call_id for call_id, _ in calls if call_id}
    unnamed = [call for call in calls if not call[0]]
    by_id = {call_id: (call_id, name) for call_id, name in calls if call_id in named}
    return [*by_id.values(), *(() if by_id else unnamed)]


class _Part(msgspec.Struct, gc=False):
    """One part of a message as the official convention sends it; what is not looked for is skipped unread."""

    type: str = ""
    name: str | None = None
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    parts: list[_Part] = []


_MESSAGES = msgspec.json.Decoder(list[_Message])


def _asked(root: object) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[object, int]] = [(root, 0)]
    seen = 0
    while waiting and seen < NODES:
        value, depth = waiting.pop()
        seen += 1
        if isinstance(value, str) and depth and value[:1] in {"{", "["} and any(mark in value for mark in _ASKS):
            value = _json(value)
        if isinstance(value, list) and depth < DEPTH:
            waiting += [(item, depth + 1) for item in reversed(cast("list[object]", value))]
        if not isinstance(value, dict):
            continue
        found = _call(cast("dict[str, object]", value))
        if found is not None:
            yield found
        elif depth < DEPTH:
            waiting += [(item, depth + 1) for item in reversed(list(cast("dict[str, object]", value).values()))]


def _call(value: dict[str, object]) -> tuple[str, str] | None:
    match value:
        case {"toolUse": {"name": str() as name, **rest}}:
            call_id = rest.get("toolUseId")
        case {"toolName": str() as name, **rest}:
            call_id = rest.get("toolCallId")
        case {"function": {"name": str() as name}, **rest}:
            call_id = rest.get("id")
        case {"functionCall": {"name": str() as name, **rest}} | {"function_call": {"name": str() as name, **rest}}:
            call_id = rest.get("id")
        case {"type": "tool_call" | "tool_use" | "function_call" | "server_tool_call", "name": str() as name, **rest}:
            call_id = rest.get("call_id") or rest.get("id")
        case {"block_type": "tool_call", "tool_name": str() as name, **rest}:
            call_id = rest.get("tool_call_id")
        case {"id": str() as call_id, "name": str() as name, "arguments": _}:
            pass
        case _:
            return None
    return (call_id if isinstance(call_id, str) else ""), name


def at(value: object, path: str) -> object:
    """What stands at a dotted path within a value or within the structure that a text holds; None where nothing does."""
    found = structure(value) if isinstance(value, str) else value
    if isinstance(found, str):
        return _assigned(found, path)
    for step in path.split(".") if not (isinstance(found, dict) and path in found) else (path,):
        if isinstance(found, dict):
            found = cast("dict[str, object]", found).get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(cast("list[object]", found)):
            found = cast("list[object]", found)[int(step)]
        else:
            return None
    return found


def _assigned(text: str, name: str) -> object:
    """What stands behind `name=` in a text such as `Usage(total=3, model='x')`, as far as it is a plain literal."""
    start = text.find(f"{name}=")
    if start < 0 or (start and (text[start - 1].isalnum() or text[start - 1] == "_")):
        return None
    match = _ASSIGNED.match(text, start + len(name) + 1)
    return _literal(match.group()) if match else None


_ASSIGNED = re.compile(
    r"""'[^'\n]{0,4000}'|"[^"\n]{0,4000}"|\{[^{}]{0,4000}\}|-?\d{1,18}(?:\.\d{1,9})?|None|True|False"""
)


def _json(text: str) -> object:
    if text[:1] in {"{", "[", '"'} and len(text) <= PARSED:
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return text
    return text


def _literal(text: str) -> object:
    if len(text) > LITERAL:
        return text
    try:
        found = cast("object", ast.literal_eval(text))
    except _FAULTS:
        return text
    return found if isinstance(found, dict | list | tuple | str | int | float) else text


def _text(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return str(value)

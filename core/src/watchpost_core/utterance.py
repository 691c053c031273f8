"""What somebody said, out of the JSON that frameworks put around it: messages, parts, choices, candidates, blocks."""

from __future__ import annotations

import json
import re
from typing import cast

LONGEST = 32_768
"""Characters of a text that are looked at."""

_DEEP = 10
_MOST = 2000
_SAID = (
    "content",
    "text",
    "parts",
    "message",
    "messages",
    "output",
    "choices",
    "blocks",
    "output_text",
    "candidates",
    "generations",
    "value",
)
"""Where words stand in a message, in the order in which they are taken."""

_NOT_SAID = frozenset(
    {"tool_call", "tool_use", "function_call", "server_tool_use", "toolUse", "functionCall", "reasoning", "thinking"}
)
"""Kinds of parts that are no words to anybody: requests for tools, and what a model thinks by itself."""

_REQUEST = frozenset({"toolUse", "functionCall", "toolCallId", "reasoningContent"})
"""Fields that only such parts have."""

_MARKS = frozenset(
    {
        "role",
        "parts",
        "choices",
        "candidates",
        "message",
        "messages",
        "content",
        "blocks",
        "generations",
        "finish_reason",
        "block_type",
    }
)
"""Fields that tell an envelope of words from what a model said that answers in JSON itself."""

_SAID_NAMES = frozenset(_SAID)
_DECODER = json.JSONDecoder(strict=False)

_BLOCK = frozenset({"text", "type", "annotations", "citations", "cache_control", "id"})
"""What a part that is text alone may hold."""

_WORDS = re.compile(r'"(?:content|text)"\s*:\s*"((?:[^"\\]|\\.)*)')
_CUT_ENVELOPE = re.compile(
    r'\s*\[?\s*\{\s*"(?:role|parts|choices|candidates|messages?|generations|finish_reason|id|toolUse|toolCallId|type)"'
)
_TOOL_CALL_LINE = re.compile(r"^\[tool_call\] [^\n]*$\n?", re.MULTILINE)
_SPEAKER = re.compile(r"assistant: ?(?:None\Z)?")


def said(text: str) -> str:
    """The words in a text, parts joined by line feeds; the text itself where it is no JSON, never raises.

    Requests for tools are left out, also where they stand in a line as `[tool_call] name({...})`. JSON that was cut off gives the words
    that can still be told apart.
    """
    if len(text) > LONGEST:
        text = text[:LONGEST]
    if text[:1] not in {"{", "["} or text.startswith("[tool_call] "):
        return _plain(text)
    try:
        found = cast("object", _DECODER.decode(text))
    except (ValueError, RecursionError):
        parts = [_unescaped(part) for part in _WORDS.findall(text)]
        return _joined(parts) if parts or _CUT_ENVELOPE.match(text) else text
    words = said_in(found)
    return text if words is None else words


def said_in(value: object) -> str | None:
    """The words in a value of JSON that is put around them; None where it is not."""
    if not _is_envelope(value):
        return None
    words: list[str] = []
    _collect(value, words, _DEEP)
    return _joined(words)


def _joined(words: list[str]) -> str:
    """Parts as one text: streamed ones follow each other as they are, others stand on lines of their own."""
    kept = [part for part in words if part]
    return "".join(part if part[-1].isspace() else f"{part}\n" for part in kept[:-1]) + "".join(kept[-1:])


def _plain(text: str) -> str:
    """A text that is no JSON, without requests for tools and without the name of who speaks."""
    if "[tool_call] " in text:
        text = _TOOL_CALL_LINE.sub("", text)
    found = _SPEAKER.match(text)
    return text if found is None else text[found.end() :]


def _is_envelope(value: object) -> bool:
    """Whether a value is put around words, and not itself what was said, as a model that answers in JSON says it."""
    first = cast("list[object]", value)[0] if isinstance(value, list) and value else value
    if not isinstance(first, dict):
        return False
    fields = cast("dict[str, object]", first)
    if not _MARKS.isdisjoint(fields) or fields.get("object") == "response" or _is_request(fields):
        return True
    return isinstance(value, list) and "text" in fields and fields.keys() <= _BLOCK


def _is_request(part: dict[str, object]) -> bool:
    """Whether a part asks for a tool, or is a thought."""
    kind = part.get("type")
    if isinstance(kind, str) and (kind in _NOT_SAID or (kind == "function" and "function" in part)):
        return True
    return not _REQUEST.isdisjoint(part) or ("arguments" in part and "name" in part)


def _collect(value: object, words: list[str], deep: int) -> None:
    if len(words) >= _MOST or deep < 0:
        return
    if isinstance(value, str):
        if value and (not words or words[-1] != value):
            words.append(value)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            _collect(item, words, deep - 1)
    elif isinstance(value, dict):
        known = cast("dict[str, object]", value)
        if not _is_request(known):
            names = _SAID_NAMES & known.keys()
            for name in sorted(names, key=_SAID.index) if len(names) > 1 else names:
                _collect(known[name], words, deep - 1)


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text

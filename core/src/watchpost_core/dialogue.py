"""Who said what, in the messages that a model is sent."""

from __future__ import annotations

import json
from typing import cast

from watchpost_core.utterance import said_in

MOST = 2000
"""Messages that are read of one text."""

_LISTS = ("messages", "input", "contents", "history", "prompt")
"""Where a request keeps its messages."""

_NAMED = {"developer": "system", "human": "user", "ai": "assistant", "model": "assistant", "function": "tool"}
"""Roles by other names."""


def dialogue(text: str) -> list[tuple[str, str]]:
    """The messages in a text, each as its role (`system`, `user`, `assistant`, `tool`, or as sent) and its words; none where there are none. Never raises."""
    if text[:1] not in {"{", "["}:
        return []
    try:
        found = cast("object", json.loads(text, strict=False))
    except (ValueError, RecursionError):
        return []
    if isinstance(found, dict):
        request = cast("dict[str, object]", found)
        found = next((request[name] for name in _LISTS if isinstance(request.get(name), list)), None)
    spoken: list[tuple[str, str]] = []
    for message in cast("list[object]", found)[:MOST] if isinstance(found, list) else []:
        match message:
            case {"role": str() as role} | {"type": "human" | "ai" | "system" as role}:
                words = said_in(message)
                spoken.append((_NAMED.get(role, role), json.dumps(message) if words is None else words))
            case _:
                pass
    return spoken

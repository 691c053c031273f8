"""The form of a dialect: tables from facts to attribute keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from watchpost.model.step import SpanKind

Fact = Literal[
    "kind",
    "own_session",
    "agent",
    "workflow",
    "user_id",
    "provider",
    "model",
    "tool",
    "call_id",
    "response_id",
    "error_type",
    "input",
    "output",
    "tool_input",
    "tool_output",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
]


class Dialect(msgspec.Struct, frozen=True):
    """One convention.

    `facts` gives the attribute keys of each fact, in order of preference. `kinds` maps the values of the kind attribute, in
    lower case, to span kinds. `implies` maps an attribute key to the kind of a span that carries that key and no kind
    attribute with a known value, first match first. `disguises` maps patterns of whole span names to the kind such a span really has,
    whatever it says of itself.
    """

    name: str
    facts: Mapping[Fact, tuple[str, ...]]
    kinds: Mapping[str, SpanKind] = {}
    implies: Mapping[str, SpanKind] = {}
    disguises: Mapping[str, SpanKind] = {}

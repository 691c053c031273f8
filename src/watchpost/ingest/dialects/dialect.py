"""The form of a dialect: tables from facts to the attributes that carry them."""

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
    "org_id",
    "feature",
    "release",
    "prompt",
    "prompt_version",
    "evaluator",
    "label",
    "score",
    "first_token_s",
    "first_token_ms",
    "provider",
    "model",
    "tool",
    "call_id",
    "response_id",
    "error_type",
    "error_message",
    "http_status",
    "finish",
    "offered",
    "input",
    "output",
    "tool_input",
    "tool_output",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "uncached_tokens",
    "total_input_tokens",
    "total_output_tokens",
    "total_cached_tokens",
    "total_reasoning_tokens",
]
"""What can be said of a span.

`org_id`, `feature` and `release` are whose use it was, of what, and of which version of the agent. `prompt` names a prompt from a library.
`evaluator` is who judged, with a `score` and a `label`. `first_token_s` and `first_token_ms` are how long the first token took.
`finish` is why a model stopped, `offered` the tools it could ask for. `uncached_tokens` are input tokens that leave out what
was read from and written to a cache. The `total_` counts are those of a structural span: the sum of all beneath it.
"""


class Dialect(msgspec.Struct, frozen=True):
    """One convention.

    `facts` gives the places of each fact, in order of preference. A place is the key of an attribute; `event/key` is an
    attribute of a span event, the latest of that name; `key>path.to.value` is a value within an attribute that holds JSON.
    `kinds` maps the values of the kind attribute, in lower case, to span kinds. `implies` maps a place to the kind of a span
    that carries it and no kind attribute with a known value, first match first. `disguises` maps patterns of whole span
    names to the kind such a span really has, whatever it says of itself. `named` maps patterns of the names of spans that say nothing of
    themselves to their kind; a group called `tool` is the tool's name. `failures` maps attribute keys to the values, in lower
    case, by which they say that the span failed. `doubtful` are keys of a convention that says OK of spans that
    failed: where one is present, an exception event is believed more than the status. `never_ran` maps attribute keys to
    the values by which a tool span says that the call was refused before the tool ran.
    """

    name: str
    facts: Mapping[Fact, tuple[str, ...]]
    kinds: Mapping[str, SpanKind] = {}
    implies: Mapping[str, SpanKind] = {}
    disguises: Mapping[str, SpanKind] = {}
    named: Mapping[str, SpanKind] = {}
    failures: Mapping[str, frozenset[str]] = {}
    doubtful: frozenset[str] = frozenset()
    never_ran: Mapping[str, frozenset[str]] = {}

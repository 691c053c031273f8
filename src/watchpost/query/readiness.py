"""Which required fields a service sends, and whether that is enough for production.

What is required, and in which order it counts: the minimum is a correlation id on every model call and tool call, then input and
output of every tool call, then an outcome at the end of every session. The rest is asked for, and does not decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

Of = Literal["llm", "tool", "session"]
"""What a field belongs to: each model call, each tool call or each ended session."""

Weight = Literal["decides", "expected", "optional"]
"""`decides`: without it a service is not ready. `expected`: its absence is said. `optional`: it is only counted."""

Readiness = Literal["ready", "not_ready", "too_little_seen"]

SHARE = 0.99
"""The share of calls or sessions that must have a field, unless asked otherwise: room for one process that was killed."""

FEW = 20
"""With fewer calls than this there is too little seen to tell."""

CALLS = 1000
"""The latest calls of each kind and service that are looked at."""

WEEK_NS = 7 * 86_400 * 10**9
"""How far back is looked unless asked otherwise."""

DATED_MODEL = r"[-@:_.](\d{4}-?\d{2}-?\d{2}|\d{2}-\d{2,4}|\d{3,4}|v\d+)(-preview|-exp)?([-@:/].*)?$"
"""What ends the name of an exact model: a date or a number of a version. Without it a name stands for whatever is current."""


class Field(msgspec.Struct, frozen=True):
    """One required field, `of` whatever carries it. `words` name it in a sentence; `advice` is how to send it.

    Where `ever`, it is enough that it is sent at all, since sources leave it out where it is zero.
    """

    of: Of
    name: str
    weight: Weight
    words: str
    advice: str
    ever: bool = False


_SESSION = "Set session.id on the outermost span of a run, or the framework's own conversation id."
_CONTENT = "Turn on content in the instrumentation; it is redacted before it is stored."

FIELDS: tuple[Field, ...] = (
    Field("llm", "session", "decides", "session id", _SESSION),
    Field("tool", "session", "decides", "session id", _SESSION),
    Field("tool", "arguments", "decides", "arguments", f"{_CONTENT} On a span by hand: gen_ai.tool.call.arguments."),
    Field("tool", "response", "decides", "response", f"{_CONTENT} On a span by hand: gen_ai.tool.call.result."),
    Field(
        "session",
        "outcome",
        "decides",
        "end of the run",
        "End the span around the run and flush the exporter before the process ends, also after an error.",
    ),
    Field("llm", "prompt", "expected", "prompt", f"{_CONTENT} On a span by hand: gen_ai.input.messages."),
    Field("llm", "completion", "expected", "completion", f"{_CONTENT} On a span by hand: gen_ai.output.messages."),
    Field(
        "llm", "model", "expected", "model", "Set gen_ai.response.model to the model that the provider answered with."
    ),
    Field(
        "llm",
        "input_tokens",
        "expected",
        "input tokens",
        "Set gen_ai.usage.input_tokens; streams report usage only where the request asks for it.",
    ),
    Field(
        "llm",
        "output_tokens",
        "expected",
        "output tokens",
        "Set gen_ai.usage.output_tokens; streams report usage only where the request asks for it.",
    ),
    Field("tool", "name", "expected", "tool name", "Set gen_ai.tool.name."),
    Field(
        "tool",
        "status",
        "expected",
        "status",
        "Set the status of the span, and record the exception where the tool failed; or set tool.status.",
    ),
    Field("tool", "latency", "expected", "latency", "Start the span before the tool runs and end it afterwards."),
    Field("session", "service", "expected", "service name", "Set OTEL_SERVICE_NAME."),
    Field(
        "llm",
        "cached_tokens",
        "expected",
        "cached tokens",
        "Set gen_ai.usage.cache_read.input_tokens; without it cached input is priced in full.",
        ever=True,
    ),
    Field(
        "llm",
        "reasoning_tokens",
        "expected",
        "reasoning tokens",
        "Set gen_ai.usage.reasoning.output_tokens where the model reasons.",
        ever=True,
    ),
    Field("session", "workflow", "optional", "workflow name", "Set gen_ai.workflow.name; else the root span names it."),
    Field("session", "user_id", "optional", "user id", "Set user.id on the outermost span."),
    Field("tool", "call_id", "optional", "call id", "Set gen_ai.tool.call.id."),
    Field("llm", "summary", "optional", "summary", "Set step_summary to one sentence on what the model concluded."),
    Field(
        "llm", "anomaly", "optional", "anomaly flag", "Set agent.anomaly; Watchpost raises its own flags without it."
    ),
    Field("llm", "first_token", "optional", "time to first token", "Set gen_ai.response.time_to_first_chunk."),
)
"""All of them, the ones that decide first, in the order in which they are to be mended."""

_ONE = {"llm": "model call", "tool": "tool call", "session": "ended session"}


class ReadinessFilter(msgspec.Struct, frozen=True):
    """Which services are asked about; empty text is any. Only what was received since `since_ns` counts.

    `told` gives the attribute keys or event names by which a span tells `summary`, `anomaly` and `first_token`; `flat` the patterns by
    which its raw JSON shows a `prompt` or `completion` that stands in many attributes, `logged` those by which one of its log lines does, with
    name, body and attributes one after the other; `left_out` the texts that senders put where
    they leave content out. `calls` is how many of the latest calls of each kind and service are looked at.
    """

    since_ns: int
    told: Mapping[str, tuple[str, ...]]
    flat: Mapping[str, str]
    logged: Mapping[str, str]
    left_out: tuple[str, ...]
    project: str = ""
    service: str = ""
    limit: int = 20
    calls: int = CALLS


class FieldSeen(msgspec.Struct, frozen=True):
    """In how many of how many a field was; the latest call without it, or a call of the latest session without it."""

    seen: int
    of: int
    trace_id: bytes = b""
    span_id: bytes = b""


class ServiceSeen(msgspec.Struct, frozen=True):
    """What was seen of one service. `fields` stand in the order of `FIELDS`.

    `models_elsewhere` says that runs with its tool calls hold model calls of any service. `asked` is how many tools its models
    asked for in runs without any tool call. `families` are model calls that name no version, `family` one such name.
    """

    project: str
    service: str
    llm_calls: int
    tool_calls: int
    sessions: int
    models_elsewhere: bool
    asked: int
    families: int
    family: str
    scopes: tuple[str, ...]
    fields: tuple[FieldSeen, ...]


class Reason(msgspec.Struct, frozen=True):
    """One thing that is missing: `of` and `field` as in `FIELDS`, where the field `calls` means the calls themselves."""

    of: Of
    field: str
    decides: bool
    text: str
    advice: str


def reasons(service: ServiceSeen, share: float) -> list[Reason]:
    """What a service does not send in at least this share, in the order in which it is to be mended."""
    found = list(_unseen(service))
    for field, seen in zip(FIELDS, service.fields, strict=True):
        enough = 1 if field.ever else share * seen.of
        if field.weight == "optional" or not seen.of or seen.seen >= enough:
            continue
        missing = seen.of - seen.seen
        text = f"{missing} of {seen.of} {_ONE[field.of]}{'s' * (seen.of != 1)} without {field.words}"
        found.append(Reason(field.of, field.name, field.weight == "decides", text, field.advice))
    return sorted(found, key=lambda reason: not reason.decides)


def _unseen(service: ServiceSeen) -> Iterator[Reason]:
    if not service.llm_calls and not service.models_elsewhere:
        text = "no model call seen, though agents or tools ran"
        advice = "Instrument the client of the model as well, or use an instrumentation that reports model calls."
        yield Reason("llm", "calls", decides=True, text=text, advice=advice)
    if not service.tool_calls and service.asked:
        text = f"no tool call seen, though models asked for {service.asked}"
        advice = "Put a span with gen_ai.operation.name = execute_tool around each tool."
        yield Reason("tool", "calls", decides=True, text=text, advice=advice)


def readiness(service: ServiceSeen, missing: list[Reason]) -> Readiness:
    """Whether a service is ready, for the reasons that `reasons` gave."""
    if service.llm_calls + service.tool_calls < FEW:
        return "too_little_seen"
    return "not_ready" if any(reason.decides for reason in missing) else "ready"


def hints(service: ServiceSeen) -> list[str]:
    """What could be better though nothing is missing."""
    if not service.families:
        return []
    calls = f"{service.families} of {service.llm_calls} model calls"
    return [f"{calls} name a family of models ({service.family}), not a version"]

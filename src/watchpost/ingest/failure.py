"""Whether a span failed, and how: from its status, its attributes, its exception events and the envelope of its result."""

from __future__ import annotations

import re
from typing import cast

import msgspec

from watchpost.ingest.facts import Facts, as_name
from watchpost.model.step import Status
from watchpost.model.telemetry import Span
from watchpost_core.taxonomy import Failure, classify

CONTROL_FLOW = frozenset(
    {"ParentCommand", "GraphInterrupt", "GraphBubbleUp", "Interrupt", "CallDeferred", "ApprovalRequired", "EndStrategy"}
)
"""Exceptions by which frameworks hand over, wait for a person or put a call off: no errors."""

ERROR_LENGTH = 400
"""Longest text, in characters, of an error as reported; the whole stays in the raw span."""

_REPR = re.compile(r"([A-Za-z_][\w.]{2,80})\((.*)", re.DOTALL)
"""How Python prints an exception; some exporters send this as the message and a type that says nothing."""


class Outcome(msgspec.Struct, frozen=True):
    """How a span stands, the type of its failure by the taxonomy, the error as reported, and whether the tool of a call ran."""

    status: Status
    error_type: str = ""
    error: str = ""
    ran: bool = True


_OK, _RUNNING = Outcome("ok"), Outcome("running")


def failure(span: Span, facts: Facts, kind: str, enveloped: bool) -> Outcome:
    """How a span of a kind stands; `enveloped` says that the envelope of its result calls it a failure."""
    if span.status != 2 and not (span.events or facts.failed or enveloped or facts.peek("error_type") is not None):
        return _OK if span.end_ns else _RUNNING
    exception, message = _reported(span, facts)
    failed = span.status == 2 or facts.failed or enveloped or (bool(exception) and (span.status != 1 or facts.doubtful))
    if not failed or exception.rpartition(".")[2] in CONTROL_FLOW:
        return _OK if span.end_ns else _RUNNING
    if facts.never_ran and kind == "tool":
        return Outcome("error", "llm_invalid_tool_call", _shown(exception, message), ran=False)
    status = facts.peek("http_status")
    http_status = int(status) if isinstance(status, int | str) and str(status).isdecimal() else None
    found = classify(Failure(kind, exception, message, http_status, finish(facts)))
    return Outcome("error", found or "", _shown(exception, message))


def finish(facts: Facts) -> str:
    """Why a model stopped, as one word of whoever says so; empty where nobody does."""
    said = facts.peek("finish")
    first = cast("list[object]", said)[0] if isinstance(said, list) and said else said
    return str(first).strip("[]\"' ").rpartition(".")[2].lower()[:40] if isinstance(first, str) else ""


def _reported(span: Span, facts: Facts) -> tuple[str, str]:
    """The type of the exception and its message, each as specific as anything on the span says."""
    said, text = as_name(facts.peek("error_type")), span.status_message
    for event in reversed(span.events):
        if event.name == "exception":
            thrown = as_name(event.attributes.get("exception.type"))
            said = thrown if not said or said == "_OTHER" or thrown.endswith(f".{said}") else said
            told = event.attributes.get("exception.message")
            text = told if isinstance(told, str) and told else text
            break
    if not text:
        reported = facts.peek("error_message")
        text = reported if isinstance(reported, str) else ""
    if said in {"", "Exception", "exception"} and (match := _REPR.match(text)) is not None and text != said:
        return match.group(1) if said else said, match.group(2).strip("'\")")
    return said, text


def _shown(exception: str, message: str) -> str:
    return ": ".join(filter(None, (exception, message)))[:ERROR_LENGTH]

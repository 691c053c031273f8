"""Langfuse's SDK: one JSON attribute for usage, another for input, another for output."""

from __future__ import annotations

import json

import pytest
from reading import read

from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes

USAGE = {
    "prompt_tokens": 180,
    "completion_tokens": 27,
    "total_tokens": 207,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 8},
}


def generation(usage: object) -> Attributes:
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o-mini-2024-07-18",
        "langfuse.observation.usage_details": usage,
        "langfuse.observation.input": '{"messages": []}',
        "langfuse.observation.output": '{"role": "assistant", "content": "Done."}',
        "langfuse.trace.name": "refunds",
        "session.id": "sess-1",
        "user.id": "user-1",
    }


def test_a_generation_is_a_model_call() -> None:
    reading = read(generation(json.dumps(USAGE)), "OpenAI-generation")
    assert (reading.kind, reading.model, reading.workflow) == ("llm", "gpt-4o-mini-2024-07-18", "refunds")
    assert (reading.own_session, reading.user_id, reading.asked) == ("sess-1", "user-1", 0)
    assert reading.tokens == Tokens(180, 27, 64, None, 8)
    assert (reading.input, reading.output) == ('{"messages": []}', '{"role": "assistant", "content": "Done."}')


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input": 5, "output": 2}, Tokens(5, 2)),
        ({"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}}, Tokens(5, 2, 1)),
        ({"input": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2}, Tokens(5, None, 3, 2)),
        ({"input": 5, "input_cached_tokens": 3, "output_reasoning_tokens": 1}, Tokens(5, None, 3, None, 1)),
        ({}, Tokens()),
        ("no JSON", Tokens()),
    ],
)
def test_usage_is_read_by_whichever_provider_named_it(usage: object, tokens: Tokens) -> None:
    assert read(generation(usage if isinstance(usage, str) else json.dumps(usage))).tokens == tokens


def test_the_arguments_of_a_tool_come_out_of_their_envelope() -> None:
    attributes: Attributes = {
        "langfuse.observation.type": "tool",
        "langfuse.observation.input": '{"args": [], "kwargs": {"order_id": "A1001"}}',
        "langfuse.observation.output": '{"status": "open"}',
    }
    reading = read(attributes, "get_order_status")
    assert (reading.kind, reading.tool) == ("tool", "get_order_status")
    assert (json.loads(reading.input), reading.output) == ({"order_id": "A1001"}, '{"status": "open"}')


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("agent", "agent"),
        ("span", "chain"),
        ("event", "chain"),
        ("chain", "chain"),
        ("retriever", "retrieval"),
        ("embedding", "retrieval"),
        ("guardrail", "guardrail"),
        ("evaluator", "evaluation"),
    ],
)
def test_a_type_is_a_kind(said: str, kind: str) -> None:
    assert read({"langfuse.observation.type": said}).kind == kind


def test_a_level_of_error_is_a_failure_whatever_the_status() -> None:
    said: Attributes = {"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "quota exceeded"}
    reading = read(generation("{}") | said, status=1)
    assert (reading.status, reading.error) == ("error", "quota exceeded")
    assert read(generation("{}") | {"langfuse.observation.level": "DEFAULT"}, status=1).status == "ok"

"""MLflow tracing: every value is JSON, so that a text stands in quotes of its own."""

from __future__ import annotations

import json

import pytest
from reading import read

from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes


def encoded(**values: object) -> Attributes:
    """Attributes as MLflow sends them; a double underscore stands for a dot."""
    return {f"mlflow.{key.replace('__', '.')}": json.dumps(value) for key, value in values.items()}


USAGE = {
    "input_tokens": 180,
    "output_tokens": 27,
    "total_tokens": 207,
    "cache_read_input_tokens": 64,
    "cache_creation_input_tokens": 8,
}
CALL = encoded(
    spanType="CHAT_MODEL",
    llm__model="gpt-4o-mini",
    llm__provider="openai",
    chat__tokenUsage=USAGE,
    spanInputs={"messages": [{"role": "user", "content": "hi"}]},
    spanOutputs={"choices": [{"finish_reason": "stop", "message": {"content": "Done."}}]},
    trace__session="sess-1",
    trace__user="user-1",
)


def test_a_model_call_is_read_out_of_its_quotes() -> None:
    reading = read(CALL, "Completions")
    assert (reading.kind, reading.model, reading.provider) == ("llm", "gpt-4o-mini", "openai")
    assert (reading.own_session, reading.user_id) == ("sess-1", "user-1")
    assert reading.tokens == Tokens(180, 27, 64, 8)
    assert (reading.input, reading.asked) == ('{"messages": [{"role": "user", "content": "hi"}]}', 0)


def test_what_is_not_told_apart_is_read_from_the_answer() -> None:
    outputs = {
        "model": "gpt-4o-mini-2024-07-18",
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }
    reading = read(encoded(spanType="LLM", spanOutputs=outputs))
    assert (reading.model, reading.tokens) == ("gpt-4o-mini-2024-07-18", Tokens(9, 4, 1, None, 2))


def test_a_tool_call_is_read() -> None:
    attributes = encoded(
        spanType="TOOL", spanFunctionName="get_order_status", spanInputs={"order_id": "A1"}, spanOutputs="open"
    )
    reading = read(attributes, "get_order_status_1")
    assert (reading.kind, reading.tool) == ("tool", "get_order_status")
    assert (json.loads(reading.input), reading.output) == ({"order_id": "A1"}, "open")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("LLM", "llm"),
        ("CHAT_MODEL", "llm"),
        ("AGENT", "agent"),
        ("CHAIN", "chain"),
        ("WORKFLOW", "workflow"),
        ("RETRIEVER", "retrieval"),
        ("EMBEDDING", "retrieval"),
        ("RERANKER", "retrieval"),
        ("MEMORY", "state"),
        ("GUARDRAIL", "guardrail"),
        ("EVALUATOR", "evaluation"),
        ("PARSER", "chain"),
        ("UNKNOWN", "chain"),
    ],
)
def test_a_type_is_a_kind_with_its_quotes_or_without(said: str, kind: str) -> None:
    assert read({"mlflow.spanType": json.dumps(said)}).kind == read({"mlflow.spanType": said}).kind == kind


def test_a_session_in_the_metadata_of_the_trace_is_read() -> None:
    metadata = json.dumps({"mlflow.trace.session": "sess-1", "mlflow.trace.user": "user-1"})
    reading = read(encoded(spanType="AGENT") | {"metadata": metadata})
    assert (reading.own_session, reading.user_id) == ("sess-1", "user-1")

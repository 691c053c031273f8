"""OpenTelemetry's generative AI convention."""

from __future__ import annotations

import pytest
from reading import read

from watchpost.model.step import Tokens


def test_a_model_call_is_read() -> None:
    reading = read(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.conversation.id": "chat-1",
            "gen_ai.agent.name": "support",
            "gen_ai.workflow.name": "refunds",
            "gen_ai.usage.input_tokens": 180,
            "gen_ai.usage.output_tokens": 27,
            "gen_ai.usage.cache_read.input_tokens": 64,
            "gen_ai.usage.cache_write.input_tokens": 8,
            "gen_ai.usage.reasoning.output_tokens": 5,
            "gen_ai.input.messages": "[in]",
            "gen_ai.output.messages": "[out]",
            "user.id": "u",
        }
    )
    assert (reading.kind, reading.provider, reading.model) == ("llm", "openai", "gpt-4o-mini-2024-07-18")
    assert (reading.response_id, reading.own_session) == ("chatcmpl-1", "chat-1")
    assert (reading.agent, reading.workflow, reading.user_id) == ("support", "refunds", "u")
    assert reading.tokens == Tokens(180, 27, 64, 8, 5)
    assert (reading.input, reading.output) == ("[in]", "[out]")


def test_a_tool_call_is_read() -> None:
    reading = read(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "issue_refund",
            "gen_ai.tool.call.id": "call-1",
            "gen_ai.tool.call.arguments": '{"order": 1}',
            "gen_ai.tool.call.result": "ok",
            "error.type": "OrderServiceError",
        },
        status=2,
    )
    assert (reading.kind, reading.tool, reading.call_id) == ("tool", "issue_refund", "call-1")
    assert (reading.input, reading.output) == ('{"order": 1}', "ok")
    assert (reading.status, reading.error) == ("error", "OrderServiceError")


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("chat", "llm"),
        ("generate_content", "llm"),
        ("text_completion", "llm"),
        ("embeddings", "retrieval"),
        ("retrieval", "retrieval"),
        ("search_memory", "retrieval"),
        ("upsert_memory", "state"),
        ("execute_tool", "tool"),
        ("invoke_agent", "agent"),
        ("invoke_workflow", "workflow"),
        ("create_agent", "other"),
        ("Chat", "llm"),
    ],
)
def test_an_operation_is_a_kind(operation: str, kind: str) -> None:
    assert read({"gen_ai.operation.name": operation}).kind == kind


@pytest.mark.parametrize(
    ("fact", "keys"),
    [
        ("own_session", ("gen_ai.conversation.id", "session.id")),
        ("provider", ("gen_ai.provider.name", "gen_ai.system")),
        ("model", ("gen_ai.response.model", "gen_ai.request.model")),
    ],
)
def test_the_current_spelling_is_preferred_to_the_older(fact: str, keys: tuple[str, str]) -> None:
    current, older = keys
    assert getattr(read({older: "old", current: "new"}), fact) == "new"
    assert getattr(read({older: "old"}), fact) == "old"


@pytest.mark.parametrize(
    ("fact", "keys"),
    [
        ("input", ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")),
        ("output", ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")),
        ("cached", ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")),
        ("cache_write", ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens")),
        ("reasoning", ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.details.reasoning_tokens")),
    ],
)
def test_a_count_sent_in_two_spellings_is_read_once(fact: str, keys: tuple[str, str]) -> None:
    current, older = keys
    assert getattr(read({older: 5, current: 7}).tokens, fact) == 7
    assert getattr(read({older: 5}).tokens, fact) == 5


def test_totals_over_a_whole_run_are_not_those_of_a_call() -> None:
    assert read({"gen_ai.aggregated_usage.input_tokens": 540}).tokens == Tokens()


def test_a_response_id_in_place_of_a_conversation_gives_way_to_a_session_id() -> None:
    assert read({"gen_ai.conversation.id": "resp_1", "session.id": "real"}).own_session == "real"
    assert read({"gen_ai.conversation.id": "resp_1"}).own_session == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("execute_tool (merged)", "chain"),
        ("execute_tool transfer_to_refunds", "handoff"),
        ("execute_tool search", "tool"),
    ],
)
def test_spans_in_disguise_are_what_they_are(name: str, kind: str) -> None:
    assert read({"gen_ai.operation.name": "execute_tool"}, name).kind == kind


@pytest.mark.parametrize(("key", "kind"), [("gen_ai.tool.name", "tool"), ("gen_ai.request.model", "llm")])
def test_a_span_without_an_operation_is_what_its_attributes_imply(key: str, kind: str) -> None:
    assert read({key: "x"}).kind == kind

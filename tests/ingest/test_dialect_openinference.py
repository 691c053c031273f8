"""OpenInference, alone and on spans that carry the official convention too."""

from __future__ import annotations

import pytest
from reading import read

from watchpost.model.step import Tokens


def test_a_model_call_is_read() -> None:
    reading = read(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-mini-2024-07-18",
            "llm.provider": "openai",
            "llm.token_count.prompt": 180,
            "llm.token_count.completion": 27,
            "llm.token_count.prompt_details.cache_read": 64,
            "llm.token_count.prompt_details.cache_write": 8,
            "llm.token_count.completion_details.reasoning": 5,
            "llm.token_count.total": 207,
            "input.value": "in",
            "output.value": "out",
            "session.id": "s",
            "user.id": "u",
        }
    )
    assert (reading.kind, reading.provider, reading.model) == ("llm", "openai", "gpt-4o-mini-2024-07-18")
    assert reading.tokens == Tokens(180, 27, 64, 8, 5)
    assert (reading.input, reading.output) == ("in", "out")
    assert (reading.own_session, reading.user_id) == ("s", "u")


def test_a_tool_call_is_read() -> None:
    reading = read(
        {"openinference.span.kind": "TOOL", "tool.name": "search", "input.value": "C-42", "output.value": "{}"}
    )
    assert (reading.kind, reading.tool, reading.input, reading.output) == ("tool", "search", "C-42", "{}")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("LLM", "llm"),
        ("TOOL", "tool"),
        ("AGENT", "agent"),
        ("CHAIN", "chain"),
        ("RETRIEVER", "retrieval"),
        ("RERANKER", "retrieval"),
        ("EMBEDDING", "retrieval"),
        ("GUARDRAIL", "guardrail"),
        ("EVALUATOR", "evaluation"),
        ("PROMPT", "chain"),
        ("UNKNOWN", "other"),
        ("tool", "tool"),
    ],
)
def test_a_span_kind_is_a_kind(said: str, kind: str) -> None:
    assert read({"openinference.span.kind": said}).kind == kind


@pytest.mark.parametrize(
    ("said", "name", "kind"),
    [
        ("LLM", "invoke_agent support", "agent"),
        ("LLM", "OpenAI._prepare_chat_with_tools", "chain"),
        ("LLM", "OpenAI.chat", "llm"),
        ("TOOL", "FinalAnswerTool", "chain"),
        ("TOOL", "handoff to Refunds", "handoff"),
        ("TOOL", "SimpleTool", "tool"),
    ],
)
def test_spans_in_disguise_are_what_they_are(said: str, name: str, kind: str) -> None:
    assert read({"openinference.span.kind": said}, name).kind == kind


def test_where_both_conventions_speak_the_official_one_is_heard_and_nothing_is_added() -> None:
    reading = read(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "from openinference",
            "llm.token_count.prompt": 180,
            "llm.token_count.completion": 27,
            "input.value": "from openinference",
            "gen_ai.request.model": "from gen_ai",
            "gen_ai.usage.input_tokens": 181,
            "gen_ai.input.messages": "from gen_ai",
        }
    )
    assert (reading.kind, reading.model, reading.input) == ("llm", "from gen_ai", "from gen_ai")
    assert reading.tokens == Tokens(181, 27)


@pytest.mark.parametrize("swap", [False, True])
def test_where_both_conventions_name_a_kind_the_official_one_holds_in_any_order(*, swap: bool) -> None:
    said: list[tuple[str, object]] = [("openinference.span.kind", "CHAIN"), ("gen_ai.operation.name", "invoke_agent")]
    assert read(dict(reversed(said) if swap else said)).kind == "agent"


def test_an_operation_nobody_knows_leaves_the_kind_to_openinference() -> None:
    assert read({"gen_ai.operation.name": "brew", "openinference.span.kind": "TOOL"}).kind == "tool"

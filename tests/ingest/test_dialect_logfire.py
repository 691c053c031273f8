"""Logfire and pydantic-ai, where they go beyond the official convention."""

from __future__ import annotations

import pytest
from reading import read

from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes

AGENT: Attributes = {
    "gen_ai.operation.name": "invoke_agent",
    "agent_name": "support_agent",
    "model_name": "gpt-4o-mini",
    "metadata": '{"session_id":"sess-1","user_id":"user-1"}',
    "pydantic_ai.all_messages": "[in]",
    "final_result": "Done.",
    "gen_ai.aggregated_usage.input_tokens": 540,
    "gen_ai.aggregated_usage.output_tokens": 81,
    "gen_ai.aggregated_usage.cache_read.input_tokens": 128,
    "gen_ai.aggregated_usage.details.reasoning_tokens": 24,
}


def test_an_agent_is_read_with_the_sum_of_its_calls() -> None:
    reading = read(AGENT, "invoke_agent support_agent")
    assert (reading.kind, reading.agent, reading.model) == ("agent", "support_agent", "gpt-4o-mini")
    assert (reading.own_session, reading.user_id) == ("sess-1", "user-1")
    assert (reading.input, reading.output) == ("[in]", "Done.")
    assert reading.tokens == Tokens(540, 81, 128, None, 24)


@pytest.mark.parametrize("key", ["session_id", "thread_id", "conversation_id"])
def test_the_session_stands_in_the_metadata(key: str) -> None:
    assert read({"metadata": f'{{"{key}":"sess-1"}}'}).own_session == "sess-1"
    assert read({"metadata": "no JSON"}).own_session == ""


def test_messages_make_an_agent_of_a_span_of_an_older_version() -> None:
    older: Attributes = {
        "agent_name": "support_agent",
        "all_messages_events": "[in]",
        "pydantic_ai.all_messages": "[all]",
    }
    reading = read(older, "agent run")
    assert (reading.kind, reading.agent, reading.input) == ("agent", "support_agent", "[all]")


def test_a_tool_call_of_an_older_version_is_read() -> None:
    older: Attributes = {"gen_ai.tool.name": "search", "tool_arguments": '{"q":"shoes"}', "tool_response": "2 found"}
    reading = read(older, "running tool")
    assert (reading.kind, reading.tool) == ("tool", "search")
    assert (reading.input, reading.output) == ('{"q":"shoes"}', "2 found")


def test_arguments_that_do_not_validate_are_a_call_that_never_ran() -> None:
    tool: Attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    refused = read(tool | {"pydantic_ai.tool.failure_stage": "validation"}, status=2)
    assert (refused.ran, refused.status, refused.error_type) == (False, "error", "llm_invalid_tool_call")
    assert read(tool | {"pydantic_ai.tool.failure_stage": "execution"}, status=2).ran is True


def test_feedback_is_an_evaluation() -> None:
    assert (
        read({"logfire.feedback.name": "thumbs", "logfire.feedback.value": 1}, "feedback: thumbs").kind == "evaluation"
    )


def test_a_span_of_logfire_that_is_no_work_of_an_agent_is_none() -> None:
    assert read({"logfire.msg": "GET /", "logfire.span_type": "span", "http.status_code": 200}, "GET /").kind == "other"

"""OpenLLMetry: what the application associates stands in properties, what a framework does in entities."""

from __future__ import annotations

import json

import pytest
from reading import read

from watchpost.ingest.read import raw_attributes
from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes

PROPERTIES = "traceloop.association.properties"
SUMMARY = "UsageMetrics(total_tokens=621, prompt_tokens=540, cached_prompt_tokens=128, completion_tokens=81)"


def test_a_model_call_is_read() -> None:
    reading = read(
        {
            "llm.request.type": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": 180,
            "gen_ai.usage.output_tokens": 27,
            "gen_ai.usage.cache_read_input_tokens": 64,
            "traceloop.workflow.name": "refunds",
            f"{PROPERTIES}.session_id": "sess-1",
            f"{PROPERTIES}.thread_id": "thread-1",
            f"{PROPERTIES}.user_id": "user-1",
            f"{PROPERTIES}.lc_agent_name": "support_agent",
            f"{PROPERTIES}.ls_model_name": "gpt-4o-mini",
        },
        "ChatOpenAI.chat",
    )
    assert (reading.kind, reading.model, reading.workflow) == ("llm", "gpt-4o-mini-2024-07-18", "refunds")
    assert (reading.own_session, reading.user_id, reading.agent) == ("sess-1", "user-1", "support_agent")
    assert reading.tokens == Tokens(180, 27, 64)


def test_a_tool_call_is_read_from_its_entity() -> None:
    result = {"output": {"kwargs": {"content": "open", "tool_call_id": "call-1"}}}
    attributes: Attributes = {
        "traceloop.span.kind": "tool",
        "traceloop.entity.name": "get_order_status",
        "traceloop.entity.input": '{"order_id": "A1"}',
        "traceloop.entity.output": json.dumps(result),
    }
    reading = read(attributes, "get_order_status.tool")
    assert (reading.kind, reading.tool, reading.input) == ("tool", "get_order_status", '{"order_id": "A1"}')
    assert "open" in reading.output


def test_a_tool_call_is_read_out_of_the_callback_it_was_told_to_and_kept_as_it_was() -> None:
    sent = json.dumps(
        {
            "input_str": "{'order_id': 'A1'}",
            "tags": ["seq:step:1"],
            "metadata": {"langgraph_step": 2},
            "inputs": {"order_id": "A1"},
            "kwargs": {"tool_call_id": "call-1"},
        }
    )
    came = json.dumps({"output": {"content": "open", "tool_call_id": "call-1"}, "kwargs": {"name": "get_order_status"}})
    attributes: Attributes = {
        "traceloop.span.kind": "tool",
        "gen_ai.tool.name": "get_order_status",
        "gen_ai.tool.call.arguments": sent,
        "gen_ai.tool.call.result": came,
    }
    reading = read(attributes, "execute_tool get_order_status")
    assert (reading.input, reading.output) == ('{"order_id":"A1"}', "open")
    assert raw_attributes(reading) == attributes


def test_the_arguments_of_a_handover_by_a_tool_are_read_as_those_of_a_tool() -> None:
    attributes: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "transfer_to_refund_agent",
        "gen_ai.tool.call.arguments": '{"input_str": "{\'reason\': \'late\'}", "tags": [], "metadata": {}}',
        "gen_ai.tool.call.result": "Transferred",
    }
    reading = read(attributes, "execute_tool transfer_to_refund_agent")
    assert (reading.kind, reading.input, reading.output) == ("handoff", '{"reason":"late"}', "Transferred")


@pytest.mark.parametrize("key", ["session_id", "conversation_id", "thread_id"])
def test_the_session_is_what_the_application_associates(key: str) -> None:
    assert read({f"{PROPERTIES}.{key}": "sess-1"}).own_session == "sess-1"


@pytest.mark.parametrize(
    ("key", "said", "kind"),
    [
        ("traceloop.span.kind", "workflow", "workflow"),
        ("traceloop.span.kind", "task", "chain"),
        ("traceloop.span.kind", "agent", "agent"),
        ("llm.request.type", "completion", "llm"),
        ("llm.request.type", "embedding", "retrieval"),
        ("llm.request.type", "rerank", "retrieval"),
    ],
)
def test_a_kind_is_read(key: str, said: str, kind: str) -> None:
    assert read({key: said}).kind == kind


@pytest.mark.parametrize("name", ["Triage → Refunds.handoff", "goto refund_agent"])
def test_a_handoff_is_known_by_its_name(name: str) -> None:
    assert read({"traceloop.span.kind": "task"}, name).kind == "handoff"


def test_the_total_of_a_crew_is_read_out_of_pythons_notation() -> None:
    reading = read({"traceloop.span.kind": "workflow", "crewai.crew.token_usage": SUMMARY}, "crewai.workflow")
    assert reading.tokens == Tokens(540, 81, 128)
    assert read({"traceloop.span.kind": "tool", "crewai.crew.token_usage": SUMMARY}).tokens == Tokens()

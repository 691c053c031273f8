"""LlamaIndex's own export: events with dotted keys, and Python's notation cut off."""

from __future__ import annotations

import json

import pytest
from reading import read

from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes, Event

ASKED = [{"block_type": "tool_call", "tool_call_id": "call-1", "tool_name": "lookup", "tool_kwargs": "{}"}]
STARTED = Event(1, "LLMChatStartEvent", {"model_dict.model_name": "gpt-4o-mini", "messages": "[in]"})
STEP: Attributes = {"llamaindex.run_id": "run-1"}
CALL = "ToolCall(tool_name='get_order_status', tool_kwargs={'order_id': 'A1001'}, tool_id='call-1')"


def ended(**changed: object) -> Event:
    raw = {
        "response.raw.model": "gpt-4o-mini-2024-07-18",
        "response.raw.id": "chatcmpl-1",
        "response.raw.usage.prompt_tokens": 180,
        "response.raw.usage.completion_tokens": 27,
        "response.raw.usage.prompt_tokens_details.cached_tokens": 64,
        "response.raw.usage.completion_tokens_details.reasoning_tokens": 8,
        "response.raw.choices": '[{"finish_reason": "tool_calls"}]',
        "response.message.blocks": json.dumps(ASKED),
    }
    return Event(2, "LLMChatEndEvent", raw | {key.replace("__", "."): value for key, value in changed.items()})


def test_a_model_call_is_read_from_its_events() -> None:
    reading = read(STEP, "OpenAI.achat", status=1, events=[STARTED, ended()])
    assert (reading.kind, reading.model, reading.response_id) == ("llm", "gpt-4o-mini-2024-07-18", "chatcmpl-1")
    assert reading.tokens == Tokens(180, 27, 64, None, 8)
    assert (reading.input, reading.asked) == ("[in]", 1)
    assert json.loads(reading.output) == ASKED


def test_a_model_call_that_has_not_ended_is_one_already() -> None:
    reading = read(STEP, "OpenAI.achat", end_ns=0, events=[STARTED])
    assert (reading.kind, reading.model, reading.status) == ("llm", "gpt-4o-mini", "running")


def test_why_a_model_stopped_is_read_where_its_answer_shows_no_call() -> None:
    reading = read(STEP, events=[STARTED, ended(response__message__blocks="[]")])
    assert reading.asked == 1


def test_a_tool_call_is_read_out_of_pythons_notation() -> None:
    reading = read(STEP | {"llamaindex.step.input_summary": CALL}, "FunctionTool.acall", status=1)
    assert (reading.kind, reading.tool, reading.call_id) == ("tool", "get_order_status", "call-1")
    assert json.loads(reading.input) == {"order_id": "A1001"}


def test_of_a_notation_that_was_cut_off_is_read_what_is_left() -> None:
    cut = CALL[: CALL.index("'A1001'") + 3] + "..."
    reading = read(STEP | {"llamaindex.step.input_summary": cut}, "FunctionTool.acall", status=1)
    assert (reading.tool, reading.call_id, reading.input) == ("get_order_status", "", "")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("FunctionTool.call", "tool"),
        ("QueryEngineTool.acall", "tool"),
        ("FunctionAgent.run", "agent"),
        ("RefundWorkflow.run", "agent"),
        ("BaseWorkflowAgent.call_tool", "chain"),
        ("OpenAI._prepare_chat_with_tools", "chain"),
    ],
)
def test_a_step_is_what_its_name_says(name: str, kind: str) -> None:
    assert read(STEP, name).kind == kind


@pytest.mark.parametrize(
    ("name", "kind", "agent"),
    [("FunctionAgent.run", "agent", "FunctionAgent"), ("RefundFlow.run", "workflow", "")],
)
def test_the_root_of_a_run_is_known_by_what_came_of_it(name: str, kind: str, agent: str) -> None:
    reading = read({}, name, status=1, events=[Event(2, "workflow.output", {"output": "StopEvent()"})])
    assert (reading.kind, reading.agent) == (kind, agent)


def test_the_root_of_a_run_that_failed_is_known_by_its_error() -> None:
    reading = read(
        {}, "FunctionAgent.run", status=2, events=[Event(2, "SpanDropEvent", {"err_str": "Error code: 500"})]
    )
    assert (reading.kind, reading.status) == ("agent", "error")


def test_a_step_tells_which_agent_is_at_work() -> None:
    setup = "AgentSetup(input=[4 items], current_agent_name='refund_agent')"
    reading = read(STEP | {"llamaindex.step.input_summary": setup}, "AgentWorkflow.run_agent_step")
    assert (reading.kind, reading.agent) == ("chain", "refund_agent")


def test_what_a_dropped_span_says_is_its_error() -> None:
    event = Event(2, "SpanDropEvent", {"err_str": "Error code: 500 - server had an error"})
    reading = read(STEP, "OpenAI.achat", status=2, events=[STARTED, event])
    assert (reading.kind, reading.status) == ("llm", "error")
    assert "server had an error" in reading.error

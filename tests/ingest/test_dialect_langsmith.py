"""LangSmith's export: usage within one JSON attribute, and status OK for runs that failed."""

from __future__ import annotations

import json

import pytest
from reading import read

from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes, Event

USAGE = {
    "input_tokens": 180,
    "output_tokens": 27,
    "input_token_details": {"cache_read": 64, "cache_creation": 8},
    "output_token_details": {"reasoning": 5},
}
CALL: Attributes = {
    "langsmith.span.kind": "llm",
    "langsmith.metadata.ls_provider": "openai",
    "langsmith.metadata.ls_model_name": "gpt-4o-mini",
    "langsmith.metadata.usage_metadata": json.dumps(USAGE),
    "langsmith.metadata.lc_agent_name": "support_agent",
    "langsmith.metadata.thread_id": "thread-1",
    "langsmith.metadata.user_id": "user-1",
    "gen_ai.prompt": "[in]",
    "gen_ai.completion": "[out]",
}
TOOL: Attributes = {
    "langsmith.span.kind": "tool",
    "gen_ai.tool.name": "get_order_status",
    "gen_ai.prompt": '{"order_id":"A404"}',
}
RAISED = "OrderServiceError('order service unavailable: connection refused')Traceback (most recent call last):\n"


def test_a_model_call_is_read() -> None:
    reading = read(CALL, "ChatOpenAI", status=1)
    assert (reading.kind, reading.provider, reading.model) == ("llm", "openai", "gpt-4o-mini")
    assert (reading.agent, reading.own_session, reading.user_id) == ("support_agent", "thread-1", "user-1")
    assert reading.tokens == Tokens(180, 27, 64, 8, 5)
    assert (reading.input, reading.output) == ("[in]", "[out]")


def test_a_session_id_is_preferred_to_that_of_a_thread() -> None:
    assert read(CALL | {"langsmith.metadata.session_id": "session-1"}).own_session == "session-1"


def test_an_exception_is_believed_more_than_the_status_ok() -> None:
    event = Event(1, "exception", {"exception.type": "Exception", "exception.message": RAISED})
    reading = read(TOOL, "get_order_status", status=1, events=[event])
    assert (reading.kind, reading.tool, reading.status) == ("tool", "get_order_status", "error")
    assert reading.error.startswith("OrderServiceError: order service unavailable")


def test_status_ok_without_an_exception_is_ok() -> None:
    assert read(TOOL, status=1).status == "ok"


def test_an_exception_that_hands_over_is_no_failure() -> None:
    event = Event(1, "exception", {"exception.type": "Exception", "exception.message": "ParentCommand(Command())"})
    assert read(TOOL, status=1, events=[event]).status == "ok"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("chain", "chain"),
        ("retriever", "retrieval"),
        ("embedding", "retrieval"),
        ("prompt", "chain"),
        ("parser", "chain"),
    ],
)
def test_a_kind_is_read(said: str, kind: str) -> None:
    assert read({"langsmith.span.kind": said}).kind == kind

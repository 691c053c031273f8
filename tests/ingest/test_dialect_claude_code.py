"""Claude Code and its Agent SDK: plain keys, spans, and log events that tell what its tools were given."""

from __future__ import annotations

import msgspec
import pytest
from reading import read

from watchpost.ingest.read import Reader, raw_attributes
from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes, Event, LogLine, Parcel

REQUEST: Attributes = {
    "span.type": "llm_request",
    "model": "claude-sonnet-4-5",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.conversation.id": "b3509474",
    "session.id": "b3509474",
    "stop_reason": "tool_use",
    "success": True,
    "input_tokens": 120,
    "output_tokens": 24,
    "cache_read_tokens": 64,
    "cache_creation_tokens": 16,
}
TOOL: Attributes = {
    "span.type": "tool",
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "lookup",
    "tool_use_id": "t-1",
}


def test_cached_tokens_are_added_to_input_tokens_that_leave_them_out() -> None:
    reading = read(REQUEST, "claude_code.llm_request")
    assert (reading.kind, reading.model, reading.own_session) == ("llm", "claude-sonnet-4-5", "b3509474")
    assert reading.tokens == Tokens(200, 24, 64, 16)
    assert reading.asked == 1


def test_input_tokens_of_the_official_convention_hold_the_cached_ones_already() -> None:
    assert read(REQUEST | {"gen_ai.usage.input_tokens": 200}).tokens.input == 200


def test_what_a_tool_answered_stands_in_an_event() -> None:
    reading = read(TOOL, "claude_code.tool", events=[Event(1, "tool.output", {"output": '{"tier": "gold"}'})])
    assert (reading.kind, reading.tool, reading.call_id, reading.status) == ("tool", "lookup", "t-1", "ok")
    assert reading.output == '{"tier": "gold"}'


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("interaction", "agent"),
        ("llm_request", "llm"),
        ("tool", "tool"),
        ("tool.execution", "tool"),
        ("tool.blocked_on_user", "chain"),
        ("hook", "chain"),
    ],
)
def test_a_type_is_a_kind(said: str, kind: str) -> None:
    assert read({"span.type": said}).kind == kind


@pytest.mark.parametrize(("success", "status"), [(False, "error"), ("false", "error"), (True, "ok"), ("true", "ok")])
def test_a_request_without_success_failed_though_its_status_is_unset(success: object, status: str) -> None:
    reading = read(REQUEST | {"success": success, "error": "Overloaded", "status_code": 529})
    assert (reading.status, reading.error) == (status, "Overloaded" if status == "error" else "")


def test_the_event_of_a_finished_tool_is_the_tool_call_with_its_arguments() -> None:
    attributes: Attributes = {
        "event.name": "tool_result",
        "tool_use_id": "t-1",
        "tool_parameters": '{"mcp_server_name":"shop","mcp_tool_name":"get_order_status"}',
        "tool_input": '{"order_id":"A404"}',
        "success": "false",
        "error": "order service unavailable",
        "duration_ms": "62",
    }
    line = LogLine(10**9, 9, b"t" * 16, b"s" * 8, "", "claude_code.tool_result", attributes)
    parcel = Parcel("default", {}, "com.anthropic.claude_code.events", logs=(line,))
    ((reading, _),) = Reader(parcel, 1, 1).readings()
    assert (reading.kind, reading.tool, reading.call_id) == ("tool", "get_order_status", "t-1")
    assert (reading.input, reading.status, reading.parent_id) == ('{"order_id":"A404"}', "error", b"s" * 8)
    assert (reading.start_ns, reading.end_ns) == (938_000_000, 10**9)
    assert [again for again, _ in Reader(parcel, 1, 1).readings()] == [reading]
    other = msgspec.structs.replace(line, attributes=attributes | {"tool_use_id": "t-2"})
    ((second, _),) = Reader(msgspec.structs.replace(parcel, logs=(other,)), 1, 1).readings()
    assert second.span_id != reading.span_id


def test_input_tokens_that_leave_cached_ones_out_can_be_shown_as_they_came() -> None:
    sent = {"span.type": "llm_request", "input_tokens": 7, "cache_read_tokens": 5}
    reading = read(sent)
    assert reading.tokens.input == 12
    assert raw_attributes(reading) == sent

"""AG2: the official convention, and kinds of its own beside it."""

from __future__ import annotations

import pytest
from reading import read

from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes


def test_a_model_call_is_read_with_what_ag2_calls_thinking() -> None:
    reading = read(
        {
            "gen_ai.operation.name": "chat",
            "ag2.span.type": "llm",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": 180,
            "gen_ai.usage.output_tokens": 27,
            "gen_ai.usage.cache_read_input_tokens": 64,
            "gen_ai.usage.thinking_tokens": 8,
            "gen_ai.response.finish_reasons": ["tool_calls"],
            "gen_ai.output.messages": '[{"content":null,"tool_calls":[{"id":"c","function":{"name":"issue_refund"}}]}]',
            "session.id": "sess-1",
            "user.id": "user-1",
        },
        "chat gpt-4o-mini",
    )
    assert (reading.kind, reading.model, reading.provider) == ("llm", "gpt-4o-mini-2024-07-18", "openai")
    assert (reading.own_session, reading.user_id, reading.asked) == ("sess-1", "user-1", 1)
    assert reading.tokens == Tokens(180, 27, 64, None, 8)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("llm", "llm"),
        ("tool", "tool"),
        ("agent", "agent"),
        ("conversation", "chain"),
        ("multi_conversation", "workflow"),
        ("speaker_selection", "chain"),
        ("handoff", "handoff"),
        ("human_input", "human"),
        ("code_execution", "tool"),
    ],
)
def test_a_type_is_a_kind(said: str, kind: str) -> None:
    assert read({"ag2.span.type": said}).kind == kind


@pytest.mark.parametrize("said", [{"ag2.span.type": "usage"}, {}, {"gen_ai.operation.name": "chat"}])
def test_the_record_of_what_a_call_used_is_not_the_call_again(said: Attributes) -> None:
    used: Attributes = {"gen_ai.response.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 120, **said}
    reading = read(used, "record_usage model_call")
    assert reading.kind == "chain"
    assert reading.tokens.output is None

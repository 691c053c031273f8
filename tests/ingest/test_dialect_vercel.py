"""The Vercel AI SDK: an operation around each try of a model call, and tools as JSON texts in a list."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from reading import raised, read

from watchpost.model.step import Tokens
from watchpost.model.telemetry import Attributes, Span

sys.path.append(str(Path(__file__).parents[1] / "session"))
from folding import Fold

CALL: Attributes = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.id": "gpt-4o-mini",
    "ai.model.provider": "openai.responses",
    "ai.response.model": "gpt-4o-mini-2024-07-18",
    "ai.response.id": "resp_1",
    "ai.response.finishReason": "tool-calls",
    "ai.response.toolCalls": '[{"toolCallId":"c-1","toolName":"lookup","input":"{}"}]',
    "ai.prompt.messages": "[in]",
    "ai.prompt.tools": ['{"type":"function","name":"lookup"}'],
    "ai.usage.inputTokens": 180,
    "ai.usage.outputTokens": 27,
    "ai.usage.cachedInputTokens": 64,
    "ai.usage.reasoningTokens": 8,
    "ai.telemetry.functionId": "support-agent",
    "ai.telemetry.metadata.sessionId": "sess-1",
    "ai.telemetry.metadata.userId": "user-1",
}


def test_a_model_call_is_read() -> None:
    reading = read(CALL, "ai.generateText.doGenerate")
    assert (reading.kind, reading.model, reading.provider) == ("llm", "gpt-4o-mini-2024-07-18", "openai.responses")
    assert (reading.agent, reading.own_session, reading.user_id) == ("support-agent", "sess-1", "user-1")
    assert (reading.response_id, reading.asked, reading.input) == ("resp_1", 1, "[in]")
    assert reading.tokens == Tokens(180, 27, 64, None, 8)


def test_a_tool_that_was_not_offered_is_not_one_that_runs() -> None:
    assert read(CALL | {"ai.prompt.tools": ['{"type":"function","name":"other"}']}).asked == 0


def test_a_tool_call_is_read() -> None:
    reading = read(
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "lookup",
            "ai.toolCall.id": "c-1",
            "ai.toolCall.args": '{"customer_id":"C-42"}',
            "ai.toolCall.result": '{"tier":"gold"}',
        },
        "ai.toolCall",
    )
    assert (reading.kind, reading.tool, reading.call_id) == ("tool", "lookup", "c-1")
    assert (reading.input, reading.output) == ('{"customer_id":"C-42"}', '{"tier":"gold"}')


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("ai.generateText", "agent"),
        ("ai.streamText", "agent"),
        ("ai.streamText.doStream", "llm"),
        ("ai.generateObject.doGenerate", "llm"),
        ("ai.streamObject.doStream", "llm"),
        ("ai.embed", "chain"),
        ("ai.embedMany.doEmbed", "retrieval"),
        ("ai.rerank.doRerank", "retrieval"),
    ],
)
def test_an_operation_is_a_kind(operation: str, kind: str) -> None:
    assert read({"ai.operationId": operation}).kind == kind


def test_the_whole_run_reports_the_sum_of_its_calls() -> None:
    reading = read({"ai.operationId": "ai.generateText", "ai.usage.inputTokens": 540, "ai.usage.outputTokens": 81})
    assert (reading.kind, reading.tokens) == ("agent", Tokens(540, 81))


def test_tries_of_one_call_are_one_call_with_retries() -> None:
    second = 10**9
    tried: Attributes = {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "gpt-4o-mini"}

    def span(number: int, attributes: Attributes, *, parent: bytes = b"r" * 8, failed: bool = False) -> Span:
        start = number * second
        events = (raised("AI_APICallError"),) if failed else ()
        status = 2 if failed else 0
        return Span(b"t" * 16, bytes([number] * 8), parent, "try", start, start + 5, 1, status, "", attributes, events)

    root = Span(b"t" * 16, b"r" * 8, b"", "run", 1, 9 * second, 1, 0, "", {"ai.operationId": "ai.generateText"})
    fold = Fold()
    fold.receive(root, span(1, tried, failed=True), span(2, tried, failed=True), span(3, CALL))
    totals = fold.only.totals()
    assert (totals.llm_calls, totals.retries, totals.input_tokens) == (1, 2, 180)

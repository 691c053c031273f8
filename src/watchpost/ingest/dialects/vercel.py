"""The Vercel AI SDK's own telemetry, `ai.*`. Source: its documentation and output, versions 6 and 7."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

DIALECT = Dialect(
    name="vercel",
    facts={
        "kind": ("ai.operationId",),
        "own_session": (
            "ai.telemetry.metadata.sessionId",
            "ai.telemetry.metadata.session_id",
            "ai.telemetry.metadata.threadId",
            "ai.telemetry.metadata.chatId",
        ),
        "agent": ("ai.telemetry.functionId",),
        "workflow": ("resource.name", "ai.telemetry.functionId"),
        "user_id": ("ai.telemetry.metadata.userId", "ai.telemetry.metadata.user_id"),
        "provider": ("ai.model.provider",),
        "model": ("ai.response.model", "ai.model.id"),
        "tool": ("ai.toolCall.name",),
        "call_id": ("ai.toolCall.id",),
        "response_id": ("ai.response.id",),
        "finish": ("ai.response.finishReason",),
        "offered": ("ai.prompt.tools",),
        "input": ("ai.prompt.messages", "ai.prompt", "ai.values", "ai.value"),
        "output": ("ai.response.toolCalls", "ai.response.text", "ai.response.object"),
        "tool_input": ("ai.toolCall.args", "ai.toolCall.input"),
        "tool_output": ("ai.toolCall.result", "ai.toolCall.output"),
        "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens"),
        "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "cached_tokens": ("ai.usage.cachedInputTokens", "ai.usage.inputTokenDetails.cacheReadTokens"),
        "cache_write_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
        "reasoning_tokens": ("ai.usage.reasoningTokens", "ai.usage.outputTokenDetails.reasoningTokens"),
        "total_input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens"),
        "total_output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "total_cached_tokens": ("ai.usage.cachedInputTokens",),
        "total_reasoning_tokens": ("ai.usage.reasoningTokens",),
    },
    kinds={
        "ai.generatetext": "agent",
        "ai.streamtext": "agent",
        "ai.generateobject": "agent",
        "ai.streamobject": "agent",
        "ai.generatetext.dogenerate": "llm",
        "ai.streamtext.dostream": "llm",
        "ai.generateobject.dogenerate": "llm",
        "ai.streamobject.dostream": "llm",
        "ai.toolcall": "tool",
        "ai.embed": "chain",
        "ai.embedmany": "chain",
        "ai.embed.doembed": "retrieval",
        "ai.embedmany.doembed": "retrieval",
        "ai.rerank": "chain",
        "ai.rerank.dorerank": "retrieval",
    },
)

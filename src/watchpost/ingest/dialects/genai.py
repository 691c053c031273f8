"""OpenTelemetry's generative AI convention, current spelling first.

Source: open-telemetry/semantic-conventions-genai; spellings marked older were renamed there and are still sent.
"""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

DIALECT = Dialect(
    name="gen_ai",
    facts={
        "kind": ("gen_ai.operation.name",),
        "own_session": ("gen_ai.conversation.id", "session.id"),
        "agent": ("gen_ai.agent.name",),
        "workflow": ("gen_ai.workflow.name",),
        "user_id": ("user.id", "enduser.id"),
        "provider": ("gen_ai.provider.name", "gen_ai.system"),
        "model": ("gen_ai.response.model", "gen_ai.request.model"),
        "tool": ("gen_ai.tool.name",),
        "call_id": ("gen_ai.tool.call.id",),
        "response_id": ("gen_ai.response.id",),
        "error_type": ("error.type",),
        "input": ("gen_ai.input.messages",),
        "output": ("gen_ai.output.messages",),
        "tool_input": ("gen_ai.tool.call.arguments",),
        "tool_output": ("gen_ai.tool.call.result",),
        "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        "cached_tokens": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
        "cache_write_tokens": (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ),
        "reasoning_tokens": (
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "gen_ai.usage.thinking_tokens",
        ),
    },
    kinds={
        "chat": "llm",
        "generate_content": "llm",
        "text_completion": "llm",
        "embeddings": "retrieval",
        "retrieval": "retrieval",
        "execute_tool": "tool",
        "handoff": "handoff",
        "create_agent": "chain",
        "invoke_agent": "agent",
        "invoke_workflow": "workflow",
        "plan": "chain",
        "create_memory": "state",
        "update_memory": "state",
        "upsert_memory": "state",
        "delete_memory": "state",
        "search_memory": "retrieval",
    },
    disguises={
        r"execute_tool \(merged\)": "chain",  # Google ADK: the answers of parallel calls, put together
        r"execute_tool (transfer|hand_?off)_(back_)?to_\w+": "handoff",
    },
    implies={"gen_ai.tool.name": "tool", "gen_ai.request.model": "llm"},
)

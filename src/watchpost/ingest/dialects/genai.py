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
        "error_message": ("error.message",),
        "http_status": ("http.response.status_code", "http.status_code"),
        "finish": (
            "gen_ai.response.finish_reasons",
            "gen_ai.response.finish_reason",
            "gen_ai.choice/finish_reason",
            "anthropic.message.stop_reason",
        ),
        "offered": ("gen_ai.tool.definitions", "model_request_parameters"),
        "input": (
            "gen_ai.input.messages",
            "gen_ai.client.inference.operation.details/gen_ai.input.messages",
            "gen_ai.prompt",
            "gen_ai.content.prompt/gen_ai.prompt",
            "gen_ai.user.message/content",
        ),
        "output": (
            "gen_ai.output.messages",
            "gen_ai.client.inference.operation.details/gen_ai.output.messages",
            "gen_ai.completion",
            "gen_ai.content.completion/gen_ai.completion",
            "gen_ai.choice/message",
        ),
        "tool_input": (
            "gen_ai.tool.call.arguments",
            "gen_ai.client.inference.operation.details/gen_ai.tool.call.arguments",
            "gen_ai.prompt",
            "gen_ai.tool.message/content",
        ),
        "tool_output": (
            "gen_ai.tool.call.result",
            "gen_ai.client.inference.operation.details/gen_ai.tool.call.result",
            "gen_ai.completion",
            "gen_ai.choice/message",
        ),
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
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "gen_ai.usage.thinking_tokens",
        ),
        "total_input_tokens": (
            "gen_ai.aggregated_usage.input_tokens",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
        ),
        "total_output_tokens": (
            "gen_ai.aggregated_usage.output_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
        ),
        "total_cached_tokens": (
            "gen_ai.aggregated_usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
        ),
        "total_reasoning_tokens": (
            "gen_ai.aggregated_usage.reasoning.output_tokens",
            "gen_ai.aggregated_usage.details.reasoning_tokens",
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
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
        "create_agent": "other",
        "invoke_agent": "agent",
        "invoke_workflow": "workflow",
        "plan": "chain",
        "create_memory": "state",
        "update_memory": "state",
        "upsert_memory": "state",
        "delete_memory": "state",
        "search_memory": "retrieval",
        "responses": "llm",
        "text_generation": "llm",
        "evaluate": "evaluation",
        "guardrail": "guardrail",
        "await_human_input": "human",
        "agent_step": "chain",
        "chain": "chain",
        "conversation": "chain",
        "execute_event_loop_cycle": "chain",
        "execute_task": "chain",
        "goto": "handoff",
    },
    disguises={
        r"execute_tool \(merged\)": "chain",  # Google ADK: the answers of parallel calls, put together
        r"execute_tool (transfer|hand_?off)_(back_)?to_\w+": "handoff",
    },
    implies={
        "gen_ai.evaluation.name": "evaluation",
        "gen_ai.tool.name": "tool",
        "gen_ai.usage.input_tokens": "llm",
        "gen_ai.response.model": "llm",
        "gen_ai.request.model": "llm",
    },
    failures={"gen_ai.tool.status": frozenset({"error"})},
)

"""Claude Code and the Claude Agent SDK. Source: their output; keys there carry no prefix."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

DIALECT = Dialect(
    name="claude_code",
    facts={
        "kind": ("span.type", "event.name"),
        "model": ("model",),
        "tool": ("tool_parameters>mcp_tool_name", "tool_name"),
        "call_id": ("tool_use_id",),
        "error_type": ("error_class", "error_type"),
        "error_message": ("error",),
        "http_status": ("status_code",),
        "finish": ("stop_reason",),
        "input": ("user_prompt",),
        "tool_input": ("tool_input", "tool.input/content"),
        "tool_output": ("tool.output/content", "tool.output/output"),
        "first_token_ms": ("ttft_ms",),
        "uncached_tokens": ("input_tokens",),
        "output_tokens": ("output_tokens",),
        "cached_tokens": ("cache_read_tokens",),
        "cache_write_tokens": ("cache_creation_tokens",),
    },
    kinds={
        "interaction": "agent",
        "llm_request": "llm",
        "tool": "tool",
        "tool.execution": "tool",
        "tool.blocked_on_user": "chain",
        "hook": "chain",
        "tool_result": "tool",
    },
    failures={"success": frozenset({"false"})},
)

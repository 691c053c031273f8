"""LlamaIndex's own OpenTelemetry export: what a call was stands in span events and in the names of spans. Source: its output."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

_END = "LLMChatEndEvent/response"
_USAGE = f"{_END}.raw.usage"

DIALECT = Dialect(
    name="llamaindex",
    facts={
        "agent": ("llamaindex.step.input_summary>current_agent_name",),
        "model": (f"{_END}.raw.model", "LLMChatStartEvent/model_dict.model_name"),
        "response_id": (f"{_END}.raw.id",),
        "finish": (f"{_END}.raw.choices>0.finish_reason",),
        "error_message": ("SpanDropEvent/err_str",),
        "input": ("LLMChatStartEvent/messages", "llamaindex.step.input_summary"),
        "output": (f"{_END}.message.additional_kwargs.tool_calls", f"{_END}.message.blocks"),
        "tool": ("llamaindex.step.input_summary>tool_name",),
        "call_id": ("llamaindex.step.input_summary>tool_id",),
        "tool_input": ("llamaindex.step.input_summary>tool_kwargs",),
        "input_tokens": (f"{_USAGE}.prompt_tokens", f"{_USAGE}.input_tokens"),
        "output_tokens": (f"{_USAGE}.completion_tokens", f"{_USAGE}.output_tokens"),
        "cached_tokens": (f"{_USAGE}.prompt_tokens_details.cached_tokens",),
        "reasoning_tokens": (f"{_USAGE}.completion_tokens_details.reasoning_tokens",),
    },
    implies={
        "LLMChatStartEvent/": "llm",
        "llamaindex.run_id": "chain",
        "workflow.output/": "workflow",  # the root of a run carries nothing but what came of it
        "SpanDropEvent/": "chain",
    },
    disguises={r"\w*Tool\.a?call": "tool", r"\w*(Agent|Workflow)\.run": "agent"},
)

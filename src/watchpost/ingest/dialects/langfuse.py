"""Langfuse's SDK. Source: its output."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

_USAGE = "langfuse.observation.usage_details"

DIALECT = Dialect(
    name="langfuse",
    facts={
        "kind": ("langfuse.observation.type",),
        "own_session": ("langfuse.session.id",),
        "workflow": ("langfuse.trace.name",),
        "user_id": ("langfuse.user.id",),
        "release": ("langfuse.release", "langfuse.version"),
        "prompt": ("langfuse.observation.prompt.name",),
        "prompt_version": ("langfuse.observation.prompt.version",),
        "model": ("langfuse.observation.model.name",),
        "error_message": ("langfuse.observation.status_message",),
        "input": ("langfuse.observation.input",),
        "output": ("langfuse.observation.output",),
        "tool_input": ("langfuse.observation.input",),
        "tool_output": ("langfuse.observation.output",),
        "input_tokens": (f"{_USAGE}>prompt_tokens", f"{_USAGE}>input_tokens", f"{_USAGE}>input"),
        "output_tokens": (f"{_USAGE}>completion_tokens", f"{_USAGE}>output_tokens", f"{_USAGE}>output"),
        "cached_tokens": (
            f"{_USAGE}>prompt_tokens_details.cached_tokens",
            f"{_USAGE}>input_tokens_details.cached_tokens",
            f"{_USAGE}>cache_read_input_tokens",
            f"{_USAGE}>input_cached_tokens",
        ),
        "cache_write_tokens": (f"{_USAGE}>cache_creation_input_tokens",),
        "reasoning_tokens": (
            f"{_USAGE}>completion_tokens_details.reasoning_tokens",
            f"{_USAGE}>output_tokens_details.reasoning_tokens",
            f"{_USAGE}>output_reasoning_tokens",
        ),
    },
    kinds={
        "generation": "llm",
        "tool": "tool",
        "agent": "agent",
        "chain": "chain",
        "span": "chain",
        "event": "chain",
        "retriever": "retrieval",
        "embedding": "retrieval",
        "guardrail": "guardrail",
        "evaluator": "evaluation",
    },
    failures={"langfuse.observation.level": frozenset({"error"})},
)

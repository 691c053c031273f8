"""LangSmith's OpenTelemetry export. Source: its output. It sends status OK for runs that failed."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

_USAGE = "langsmith.metadata.usage_metadata"

DIALECT = Dialect(
    name="langsmith",
    facts={
        "kind": ("langsmith.span.kind",),
        "own_session": (
            "langsmith.metadata.session_id",
            "langsmith.metadata.conversation_id",
            "langsmith.metadata.thread_id",
        ),
        "agent": ("langsmith.metadata.lc_agent_name",),
        "user_id": ("langsmith.metadata.user_id",),
        "provider": ("langsmith.metadata.ls_provider",),
        "model": ("langsmith.metadata.ls_model_name",),
        "input_tokens": (f"{_USAGE}>input_tokens",),
        "output_tokens": (f"{_USAGE}>output_tokens",),
        "cached_tokens": (f"{_USAGE}>input_token_details.cache_read",),
        "cache_write_tokens": (f"{_USAGE}>input_token_details.cache_creation",),
        "reasoning_tokens": (f"{_USAGE}>output_token_details.reasoning",),
    },
    kinds={
        "llm": "llm",
        "tool": "tool",
        "chain": "chain",
        "retriever": "retrieval",
        "embedding": "retrieval",
        "prompt": "chain",
        "parser": "chain",
    },
    doubtful=frozenset({"langsmith.span.kind"}),
)

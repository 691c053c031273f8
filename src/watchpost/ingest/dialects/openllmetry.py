"""OpenLLMetry, as Traceloop's instrumentations send it. Source: their output and opentelemetry-semantic-conventions-ai."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

DIALECT = Dialect(
    name="openllmetry",
    facts={
        "kind": ("traceloop.span.kind", "llm.request.type"),
        "own_session": (
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.conversation_id",
            "traceloop.association.properties.thread_id",
        ),
        "agent": ("traceloop.association.properties.lc_agent_name",),
        "workflow": ("traceloop.workflow.name",),
        "user_id": ("traceloop.association.properties.user_id",),
        "org_id": ("traceloop.association.properties.org_id",),
        "feature": ("traceloop.association.properties.feature_name",),
        "prompt": ("traceloop.prompt.key",),
        "prompt_version": ("traceloop.prompt.version",),
        "model": ("traceloop.association.properties.ls_model_name",),
        "tool": ("traceloop.entity.name",),
        "input": ("traceloop.entity.input",),
        "output": ("traceloop.entity.output",),
        "tool_input": ("traceloop.entity.input",),
        "tool_output": ("traceloop.entity.output",),
        "cached_tokens": ("gen_ai.usage.cache_read_input_tokens",),
        "total_input_tokens": ("crewai.crew.token_usage>prompt_tokens",),
        "total_output_tokens": ("crewai.crew.token_usage>completion_tokens",),
        "total_cached_tokens": ("crewai.crew.token_usage>cached_prompt_tokens",),
    },
    kinds={
        "workflow": "workflow",
        "task": "chain",
        "agent": "agent",
        "tool": "tool",
        "handoff": "handoff",
        "chat": "llm",
        "completion": "llm",
        "embedding": "retrieval",
        "rerank": "retrieval",
    },
    disguises={r".* → .*\.handoff": "handoff", r"goto \S+": "handoff"},
)

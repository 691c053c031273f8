"""Logfire and pydantic-ai, where they go beyond the official convention. Source: their output."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

DIALECT = Dialect(
    name="logfire",
    facts={
        "own_session": ("metadata>session_id", "metadata>thread_id", "metadata>conversation_id"),
        "agent": ("agent_name",),
        "user_id": ("metadata>user_id",),
        "org_id": ("metadata>org_id",),
        "feature": ("metadata>feature_name",),
        "evaluator": ("logfire.feedback.name",),
        "score": ("logfire.feedback.value",),
        "model": ("model_name",),
        "input": ("pydantic_ai.all_messages", "all_messages_events"),
        "output": ("final_result",),
        "tool_input": ("tool_arguments",),
        "tool_output": ("tool_response",),
    },
    implies={"logfire.feedback.name": "evaluation", "pydantic_ai.all_messages": "agent"},
    never_ran={"pydantic_ai.tool.failure_stage": frozenset({"validation"})},
)

"""What agents instrumented by hand send: Watchpost's own spelling, and the plain names of its trace fields (docs/dialects.md)."""

from __future__ import annotations

from typing import get_args

from watchpost.ingest.dialects.dialect import Dialect
from watchpost.model.step import SpanKind

DECLARED = Dialect(
    name="watchpost",
    facts={
        "kind": ("watchpost.step.kind",),
        "own_session": ("watchpost.session.id",),
        "agent": ("watchpost.agent",),
        "workflow": ("watchpost.workflow",),
        "user_id": ("watchpost.user.id",),
        "org_id": ("watchpost.org.id",),
        "feature": ("watchpost.feature",),
        "release": ("watchpost.release",),
        "prompt": ("watchpost.prompt",),
        "input": ("watchpost.input",),
        "output": ("watchpost.output",),
        "tool_input": ("watchpost.input",),
        "tool_output": ("watchpost.output",),
    },
    kinds={kind: kind for kind in get_args(SpanKind)},
)

BY_HAND = Dialect(
    name="by hand",
    facts={
        "own_session": ("session.id", "session_id"),
        "agent": ("agent.name",),
        "workflow": ("workflow", "workflow.name"),
        "user_id": ("user_id",),
        "org_id": ("org_id", "org.id", "organization.id", "tenant.id"),
        "feature": ("feature_name", "feature.name"),
        "release": ("agent.version", "app.version"),
        "prompt": ("prompt.name", "prompt.id"),
        "prompt_version": ("prompt.version",),
        "provider": ("llm.provider", "gen_ai.system"),
        "model": ("llm.model",),
        "tool": ("tool.name",),
        "call_id": ("tool.call_id",),
        "input": ("llm.prompt", "prompt"),
        "output": ("llm.completion", "completion", "step_summary"),
        "tool_input": ("tool.input",),
        "tool_output": ("tool.output", "tool.response"),
        "input_tokens": ("llm.prompt_tokens",),
        "output_tokens": ("llm.completion_tokens",),
    },
    implies={
        "tool.name": "tool",
        "tool.input": "tool",
        "tool.status": "tool",
        "llm.model": "llm",
        "llm.prompt_tokens": "llm",
    },
    named={
        r"agent\.llm\.step\.\d+": "llm",
        r"(?:agent\.)?tool(?:[.:/]|\s+)(?P<tool>[\w.-]+)": "tool",
        r"execute_tool\s+(?P<tool>[\w.-]+)": "tool",
        r"(?P<tool>[\w.-]+)\.tool": "tool",
    },
    failures={"tool.status": frozenset({"error"})},
)

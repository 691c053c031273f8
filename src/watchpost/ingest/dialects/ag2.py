"""AG2, formerly AutoGen, where it goes beyond the official convention. Source: its output."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

DIALECT = Dialect(
    name="ag2",
    facts={"kind": ("ag2.span.type",)},
    kinds={
        "llm": "llm",
        "tool": "tool",
        "agent": "agent",
        "conversation": "chain",
        "multi_conversation": "workflow",
        "speaker_selection": "chain",
        "handoff": "handoff",
        "human_input": "human",
        "code_execution": "tool",
        "usage": "chain",
    },
    disguises={r"record_usage( .*)?": "chain"},
)

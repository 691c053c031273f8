"""Watchpost's own spelling, for what no convention says: the kind of a step, and facts declared by hand."""

from __future__ import annotations

from typing import get_args

from watchpost.ingest.dialects.dialect import Dialect
from watchpost.model.step import SpanKind

DIALECT = Dialect(
    name="watchpost",
    facts={
        "kind": ("watchpost.step.kind",),
        "own_session": ("watchpost.session.id",),
        "agent": ("watchpost.agent",),
        "workflow": ("watchpost.workflow",),
        "user_id": ("watchpost.user.id",),
        "input": ("watchpost.input",),
        "output": ("watchpost.output",),
        "tool_input": ("watchpost.input",),
        "tool_output": ("watchpost.output",),
    },
    kinds={kind: kind for kind in get_args(SpanKind)},
)

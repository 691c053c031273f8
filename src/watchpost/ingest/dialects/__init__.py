"""One file per convention: which attribute says what. Tables, read by `ingest/read.py`; nothing else names a convention.

Promise of every dialect: it only says where facts stand. A span that carries two conventions is read once per fact, from the
first dialect of `DIALECTS` that has it and never by adding; a fact that no table finds is absent, not zero.
"""

from __future__ import annotations

from watchpost.ingest.dialects import (
    ag2,
    claude_code,
    genai,
    langfuse,
    langsmith,
    llamaindex,
    logfire,
    mlflow,
    native,
    openinference,
    openllmetry,
    vercel,
)
from watchpost.ingest.dialects.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (
    native.DECLARED,
    genai.DIALECT,
    openinference.DIALECT,
    openllmetry.DIALECT,
    vercel.DIALECT,
    langsmith.DIALECT,
    langfuse.DIALECT,
    mlflow.DIALECT,
    ag2.DIALECT,
    logfire.DIALECT,
    claude_code.DIALECT,
    llamaindex.DIALECT,
    native.BY_HAND,
)
"""In order of preference: what a person declared, the official convention, the others, and last plain names that anything may bear."""

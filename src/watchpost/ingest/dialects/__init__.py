"""One file per convention: which attribute says what. Tables, read by `ingest/read.py`; nothing else names a convention.

Promise of every dialect: it only says where facts stand. A span that carries two conventions is read once per fact, from the
first dialect of `DIALECTS` that has it and never by adding; a fact that no table finds is absent, not zero.
"""

from __future__ import annotations

from watchpost.ingest.dialects import genai, native, openinference
from watchpost.ingest.dialects.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (native.DIALECT, genai.DIALECT, openinference.DIALECT)
"""In order of preference: what a person declared, then the official convention, then the others."""

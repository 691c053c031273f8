"""Log lines that tell of a step: the verdict of an evaluation, and what a tool was given and answered.

Such a line becomes a span beneath the one it was written in, with an id made from its content: the same line sent again is the
same span. The line itself is kept as a log line all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from watchpost.model.telemetry import LogLine, Span

TELLING: Mapping[str, str] = {
    "gen_ai.evaluation.result": "evaluation",
    "tool_result": "claude_code.tool_result",
}
"""Event names and the names of the spans they become."""

_MILLISECOND = 10**6
_LONGEST_MS = 7 * 24 * 3600 * 1000


def told(line: LogLine) -> Span | None:
    """The span that a line tells of, None for every other line and where it stands in no trace."""
    event = line.event_name or line.attributes.get("event.name")
    name = TELLING.get(event) if isinstance(event, str) else None
    if name is None or len(line.trace_id) != 16:
        return None
    content = msgspec.json.encode([line.time_ns, line.attributes])
    return Span(
        line.trace_id,
        hashlib.blake2b(line.span_id + name.encode() + content, digest_size=8).digest(),
        line.span_id,
        name,
        max(line.time_ns - _lasted_ms(line) * _MILLISECOND, 0),
        max(line.time_ns, 1),
        1,
        0,
        "",
        line.attributes,
    )


def _lasted_ms(line: LogLine) -> int:
    said = line.attributes.get("duration_ms")
    text = str(said) if isinstance(said, str | int) else ""
    return min(int(text), _LONGEST_MS) if text.isascii() and text.isdigit() and len(text) < 16 else 0

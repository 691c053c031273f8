"""What may be kept of one request, and what is said of the rest."""

from __future__ import annotations

import msgspec

from watchpost.model.telemetry import LogLine, Span

NO_SPAN = bytes(8)
MAX_NS = 2**63 - 1
"""The last nanosecond a signed 64-bit integer holds, in April 2262."""


class Limits(msgspec.Struct, frozen=True):
    """What one request may hold; bytes and counts."""

    body_bytes: int = 16 * 1024 * 1024
    decompressed_bytes: int = 32 * 1024 * 1024
    items: int = 100_000
    attributes: int = 1024


class InvalidItemError(ValueError):
    """One span, log record or metric point that cannot be kept; the message names the field and what is wrong with it."""


class Tally:
    """What was left out of one request and why, counted per cause so that a bad client cannot make the answer grow."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._causes: dict[str, tuple[int, str]] = {}

    def reject(self, where: str, cause: str) -> None:
        """Leave out one item; the first place of each cause is kept as the example."""
        count, first = self._causes.get(cause, (0, where))
        self._causes[cause] = (count + 1, first)

    @property
    def rejected(self) -> int:
        """How many items were left out."""
        return sum(count for count, _ in self._causes.values())

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence per cause."""
        return tuple(
            f"{first}: {cause}" if count == 1 else f"{first} and {count - 1} more: {cause}"
            for cause, (count, first) in self._causes.items()
        )


def checked(span: Span) -> Span:
    """The span itself if its identity and times can be kept; `InvalidItemError` names the field that cannot."""
    if len(span.trace_id) != 16 or not any(span.trace_id):
        raise InvalidItemError("trace_id: must be 16 bytes, not all zero")
    if len(span.span_id) != 8 or not any(span.span_id):
        raise InvalidItemError("span_id: must be 8 bytes, not all zero")
    if span.parent_id and len(span.parent_id) != 8:
        raise InvalidItemError("parent_span_id: must be absent or 8 bytes")
    if span.start_ns > MAX_NS or span.end_ns > MAX_NS:
        raise InvalidItemError("start_time_unix_nano, end_time_unix_nano: must lie before 2262-04-12")
    if span.parent_id == NO_SPAN:
        return msgspec.structs.replace(span, parent_id=b"")
    return span


def checked_line(line: LogLine) -> LogLine:
    """The log line itself if its ids and time can be kept; `InvalidItemError` names the field that cannot."""
    if line.trace_id and len(line.trace_id) != 16:
        raise InvalidItemError("trace_id: must be absent or 16 bytes")
    if line.span_id and len(line.span_id) != 8:
        raise InvalidItemError("span_id: must be absent or 8 bytes")
    if line.time_ns > MAX_NS:
        raise InvalidItemError("time_unix_nano: must lie before 2262-04-12")
    return line

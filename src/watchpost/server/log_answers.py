"""Log lines as API, pages and CLI answer them."""

from __future__ import annotations

import base64

import msgspec

from watchpost.model.session import Summary
from watchpost.server.answers import LogAnswer, moment
from watchpost.server.problem import ParameterError
from watchpost.store.readers import FoundLine


class LineAnswer(LogAnswer, frozen=True, kw_only=True):
    """One log line and where it belongs: `session` is the key of its session, and null where it carries no trace of one.

    `trace_id` and `step_id` are those it carries, null where it carries none; the step may be a span that is not counted as one.
    """

    project: str
    received_at: str | None
    trace_id: str | None
    step_id: str | None
    session: str | None
    session_id: str | None


class LinesAnswer(msgspec.Struct, frozen=True):
    """A page of log lines, the latest first; `next` is the cursor of the following page, null at the end.

    `searched_since` is when the earliest line came in that was searched for a text, null where all were, or no text was asked for.
    """

    lines: list[LineAnswer]
    next: str | None
    searched_since: str | None = None


def line_answer(found: FoundLine, session: Summary | None) -> LineAnswer:
    """A line with the session its trace belongs to."""
    line = found.line
    return LineAnswer(
        time=moment(line.time_ns),
        severity=line.severity,
        event_name=line.event_name,
        body=line.body,
        attributes=line.attributes,
        project=found.project,
        received_at=moment(found.received_ns),
        trace_id=line.trace_id.hex() or None,
        step_id=line.span_id.hex() or None,
        session=session.key if session else None,
        session_id=session.session_id if session else None,
    )


def write_log_cursor(last: FoundLine) -> str:
    """Where a list of lines continues after this one, as opaque text."""
    place = f"{last.line.time_ns}:{last.seq}:{last.place}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_log_cursor(text: str) -> tuple[int, int, int] | None:
    """What the `before` of a filter takes; None for empty text. Raises `ParameterError` for what no list gave out."""
    if not text:
        return None
    try:
        time_ns, seq, place = map(int, base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split(":"))
    except ValueError as error:
        raise ParameterError("cursor", "not a cursor that a list gave out") from error
    if not (-(2**63) <= time_ns < 2**63 and 0 <= seq < 2**64 and 0 <= place < 2**32):
        raise ParameterError("cursor", "not a cursor that a list gave out")
    return time_ns, seq, place

"""Which log lines are wanted."""

from __future__ import annotations

import msgspec


class LogFilter(msgspec.Struct, frozen=True):
    """Conditions on log lines; empty text, ids and lists, 0 and None leave a condition out.

    `session` is a project and session id. `severity` is the least wanted, as OTLP's SeverityNumber. `attributes` are names with the value
    that each must have. `text` stands in body or attributes as it is, in small or capital letters. `since_ns` and `until_ns` bound the
    line's own time, the first included and the second not; `received_since_ns` is since when it came in, by our clock.
    `before` continues a list: (`time_ns`, `seq`, `place`) of the last line already shown.
    """

    project: str = ""
    session: tuple[str, str] | None = None
    trace_id: bytes = b""
    span_id: bytes = b""
    event_name: str = ""
    severity: int = 0
    attributes: tuple[tuple[str, str], ...] = ()
    text: str = ""
    since_ns: int = 0
    until_ns: int = 0
    received_since_ns: int = 0
    before: tuple[int, int, int] | None = None
    limit: int = 100

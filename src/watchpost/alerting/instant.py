"""Instants as events write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(text: str) -> datetime | None:
    """The moment that ISO 8601 names, in UTC unless it says otherwise; None where the text names none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def timestamp(at_ns: int) -> str:
    """Unix nanoseconds as ISO 8601 in UTC with milliseconds, cut and not rounded."""
    moment = _EPOCH + timedelta(milliseconds=at_ns // 1_000_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

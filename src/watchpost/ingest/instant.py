"""ISO 8601, as programs write times into JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from watchpost.ingest.items import InvalidItemError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ns(text: str, field: str) -> int:
    """Nanoseconds since 1970, to the microsecond; without an offset it is UTC. `InvalidItemError` names the field of what is no time."""
    try:
        instant = datetime.fromisoformat(text)
        since = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise InvalidItemError(f"{field}: is no ISO 8601 time") from error
    return since // timedelta(microseconds=1) * 1000

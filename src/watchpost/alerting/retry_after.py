"""How long a receiver asks us to wait."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 24 * 3600.0
"""A receiver may not put an alert off for longer than the longest pause of our own schedule."""


def retry_after_s(value: str, now_ns: int) -> float | None:
    """Seconds from now that a `Retry-After` header asks for, 0 to 24 hours; None where it says nothing readable.

    Both forms of RFC 9110, 10.2.3: whole seconds, or an HTTP date, which is read in UTC.
    """
    text = value.strip()
    if re.fullmatch(r"[0-9]+", text):
        return LONGEST_S if len(text) > 9 else min(float(text), LONGEST_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        wait = (aware - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds()
    except OverflowError:
        return None
    return min(max(wait, 0.0), LONGEST_S)

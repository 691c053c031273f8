"""The clock. Everything else is told the time."""

from __future__ import annotations

import time


def now_ns() -> int:
    """Unix nanoseconds, now."""
    return time.time_ns()

"""Days by the clock of a place, and moments as parameters name them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

import msgspec

from watchpost.server.problem import ParameterError
from watchpost.server.unpriced import since_ns

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = {"today": 0, "yesterday": 1}


class Days(msgspec.Struct, frozen=True):
    """Where midnight is. A day in which clocks change has 23 or 25 hours."""

    zone: tzinfo = UTC

    def of(self, at_ns: int) -> date:
        """The day of a moment."""
        return (_EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(self.zone).date()

    def start_ns(self, day: date) -> int:
        """When a day begins, in Unix nanoseconds."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return (midnight - _EPOCH) // timedelta(microseconds=1) * 1000

    def moment_ns(self, text: str, parameter: str, now_ns: int) -> int:
        """A moment as ISO 8601 writes it, UTC unless it says otherwise, or the beginning of `today` or `yesterday`; empty is 0.

        Raises `ParameterError` for anything else.
        """
        if text in _AGO:
            return self.start_ns(self.of(now_ns) - timedelta(days=_AGO[text]))
        return since_ns(text, parameter)

    def named(self, text: str, parameter: str, now_ns: int) -> date:
        """A day as ISO 8601 writes it, `today` or `yesterday`; empty is today. Raises `ParameterError` for anything else, and for days to come."""
        today = self.of(now_ns)
        if not text or text in _AGO:
            return today - timedelta(days=_AGO.get(text, 0))
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise ParameterError(parameter, "no day, such as 2026-11-20, today or yesterday") from error
        if not date(1970, 1, 15) <= day <= today:
            raise ParameterError(parameter, "a day from 1970-01-15 to today")
        return day


UTC_DAYS = Days()

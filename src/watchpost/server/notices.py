"""Who was told of an alert, when and by which channel, and what the channel said."""

from __future__ import annotations

import msgspec

from watchpost.model.notice import DeliveryState, NoticeAction
from watchpost.server.answers import moment
from watchpost.store.state import NoticeReader, StoredNotice

SHOWN = 50
"""Notices about one alert that are shown."""


class NoticeAnswer(msgspec.Struct, frozen=True):
    """One notice. `told_at` is when it was tried last, null before, `again_at` when it is tried again, null for not; `detail` is what the channel said.

    `by` is who acknowledged where it says that.
    """

    id: str
    channel: str
    action: NoticeAction
    state: DeliveryState
    attempts: int
    told_at: str | None
    again_at: str | None
    detail: str
    by: str


class NoticesAnswer(msgspec.Struct, frozen=True):
    """The notices about one alert, the latest first."""

    notices: list[NoticeAnswer]


class NoticeLog:
    """Answers who was told what. It reads the state store and blocks; call it from a worker thread."""

    def __init__(self, reader: NoticeReader) -> None:
        self._reader = reader

    def about(self, alert_id: str) -> NoticesAnswer:
        """The notices that name an alert, none where nobody was told."""
        return NoticesAnswer([notice_answer(each) for each in self._reader.notices_about(alert_id, SHOWN)])

    def last_tries(self) -> list[NoticeAnswer]:
        """Of each channel the last try, and the last that it did not take."""
        return [notice_answer(each) for each in self._reader.last_tries()]


def notice_answer(stored: StoredNotice) -> NoticeAnswer:
    """A notice as it is answered."""
    notice = stored.notice
    return NoticeAnswer(
        notice.id,
        notice.channel,
        notice.action,
        stored.state,
        stored.attempts,
        moment(stored.tried_ns) if stored.tried_ns else None,
        moment(stored.retry_at_ns) if stored.state == "waiting" and stored.retry_at_ns else None,
        stored.detail,
        notice.by,
    )

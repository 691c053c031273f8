"""Channels tried out on request, and what they last answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from watchpost.alerting.notifier import Notifier
from watchpost.alerting.trial import Tried, try_out
from watchpost.server.answers import moment
from watchpost.server.problem import NotFoundError

OWNER = "whoever pressed the button on Watchpost's settings page"


class TrialAnswer(msgspec.Struct, frozen=True):
    """What a channel answered to a test at a time: to a trigger and, where it took that, to its end. `works` where it took both."""

    channel: str
    at: str | None
    works: bool
    answers: list[Tried]


class ChannelTrials:
    """Sends tests. What it sends goes out at once and is not repeated; one channel is tried by one test at a time."""

    def __init__(self, channels: Mapping[str, Notifier], now_ns: Callable[[], int]) -> None:
        self._channels = channels
        self._now_ns = now_ns
        self._busy = {name: asyncio.Lock() for name in channels}
        self._last: dict[str, TrialAnswer] = {}

    @property
    def last(self) -> Mapping[str, TrialAnswer]:
        """By channel, what the last test since the start of the process came to."""
        return self._last

    async def try_out(self, channel: str) -> TrialAnswer:
        """Send a test and its end; raises `NotFoundError` for a channel that there is not."""
        if channel not in self._channels:
            raise NotFoundError(f"no channel {channel}")
        async with self._busy[channel]:
            at_ns = self._now_ns()
            answers = await try_out(channel, self._channels[channel], at_ns, OWNER)
        found = TrialAnswer(channel, moment(at_ns), all(each.answer == "taken" for each in answers), answers)
        self._last[channel] = found
        return found

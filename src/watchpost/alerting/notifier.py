"""The seam that every kind of channel fulfils, and the answers it can give."""

from __future__ import annotations

from typing import Protocol

import msgspec

from watchpost.model.notice import Notice


class Sent(msgspec.Struct, frozen=True):
    """The channel has taken the notice. `handle` is what it calls it, for later notices of the same conversation; empty where it has no such thing."""

    detail: str
    handle: str = ""


class Throttled(msgspec.Struct, frozen=True):
    """The channel asks to come back after this many seconds, and not before."""

    retry_after_s: float
    detail: str


class Failed(msgspec.Struct, frozen=True):
    """The channel has not taken the notice; `permanent` where the same notice would be refused again."""

    permanent: bool
    detail: str


Answer = Sent | Throttled | Failed


class Notifier(Protocol):
    """Tells one channel."""

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        """Try once, within a bounded time. Whatever the far end does is an answer, never an exception.

        `handle` is what the channel called the first notice of the same conversation that it took, empty where it took none.
        `detail` is for an operator's eyes: it says what happened, and holds no secret and no address with a token in it.
        """
        ...

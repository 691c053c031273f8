"""Whether a channel works, tried out: a notice that says of itself that it is a test, and its end after it."""

from __future__ import annotations

from typing import Literal

import msgspec

from watchpost.alerting.notifier import Failed, Notifier, Sent, Throttled
from watchpost.model.notice import AlertEvent, Notice, NoticeAction, timestamp


class Tried(msgspec.Struct, frozen=True):
    """What a channel answered to a notice."""

    channel: str
    action: NoticeAction
    answer: Literal["taken", "busy", "refused", "not reached"]
    detail: str


async def try_out(name: str, notifier: Notifier, at_ns: int, owner: str) -> list[Tried]:
    """The answers to a trigger, and where that was taken to its resolve. `owner` is who asked for the test."""
    tried: list[Tried] = []
    handle = ""
    for action in ("trigger", "resolve"):
        notice = _notice(name, action, at_ns, owner)
        match await notifier.send(notice, handle):
            case Sent(detail, given):
                tried.append(Tried(name, notice.action, "taken", detail))
                handle = handle or given
            case Throttled(after_s, detail):
                return [*tried, Tried(name, notice.action, "busy", f"{detail}, come back in {after_s:g} s")]
            case Failed(permanent, detail):
                return [*tried, Tried(name, notice.action, "refused" if permanent else "not reached", detail)]
    return tried


def _notice(channel: str, action: Literal["trigger", "resolve"], at_ns: int, owner: str) -> Notice:
    """Each run is a conversation of its own."""
    key = f"watchpost-test-{at_ns}"
    event = AlertEvent(
        timestamp=timestamp(at_ns),
        service="watchpost",
        metric="TEST",
        tool="",
        value=1.0,
        threshold=0.0,
        window="now",
        severity="info",
        owner=owner,
        runbook="nothing to do",
        sessions=[],
        summary=f"This is a test of the channel {channel}; nothing is wrong.",
        rule="watchpost-notify-test",
    )
    return Notice(f"{key}-{action}", channel, event, action, key)

"""`watchpost notify`: whether channels work, tried out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
import typer

from watchpost.alerting.notifier import Failed, Notifier, Sent, Throttled
from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.options import Json
from watchpost.cli.printable import printable
from watchpost.cli.tables import print_json
from watchpost.model.notice import AlertEvent, Notice, NoticeAction
from watchpost.runtime.channels import open_channels
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import read_settings

app = typer.Typer(help="Channels, and whether they work.", no_args_is_help=True)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tried(msgspec.Struct, frozen=True):
    """What a channel answered to a notice."""

    channel: str
    action: NoticeAction
    answer: Literal["taken", "busy", "refused", "not reached"]
    detail: str


@app.callback()
def _notify() -> None:
    """Channels, and whether they work."""


@app.command(name="test")
def try_out(
    channel: Annotated[str, typer.Argument(help="The name of a channel.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every channel.")] = False,
    as_json: Json = False,
) -> None:
    """Send a test alert at once, and its end after it; exit 1 if a channel does not take them."""
    found = open_channels(read_settings())
    tried = asyncio.run(_try_all(_chosen(found, channel, every=every), now_ns()))
    if as_json:
        print_json(tried)
    else:
        for one in tried:
            sys.stdout.write(f"{one.channel}: {one.action}: {one.answer}: {printable(one.detail)}\n")
    if failed := sorted({one.channel for one in tried if one.answer != "taken"}):
        raise CommandError(f"not delivered to: {', '.join(failed)}")


def _chosen(found: Mapping[str, Notifier], channel: str, *, every: bool) -> dict[str, Notifier]:
    if not found:
        raise CommandError("no channels are set; docs/channels.md says how", Exit.USAGE)
    if every:
        return dict(found)
    if channel in found:
        return {channel: found[channel]}
    asked = f"there is no channel {channel}" if channel else "name a channel, or give --all"
    raise CommandError(f"{asked}; there are: {', '.join(sorted(found))}", Exit.NOT_FOUND if channel else Exit.USAGE)


async def _try_all(channels: Mapping[str, Notifier], at_ns: int) -> list[Tried]:
    done = await asyncio.gather(*(_try(name, notifier, at_ns) for name, notifier in channels.items()))
    return [one for tried in done for one in tried]


async def _try(name: str, notifier: Notifier, at_ns: int) -> list[Tried]:
    """The answers to a trigger, and where that was taken to its resolve."""
    tried: list[Tried] = []
    handle = ""
    for action in ("trigger", "resolve"):
        notice = _notice(name, action, at_ns)
        match await notifier.send(notice, handle):
            case Sent(detail, given):
                tried.append(Tried(name, notice.action, "taken", detail))
                handle = handle or given
            case Throttled(after_s, detail):
                return [*tried, Tried(name, notice.action, "busy", f"{detail}, come back in {after_s:g} s")]
            case Failed(permanent, detail):
                return [*tried, Tried(name, notice.action, "refused" if permanent else "not reached", detail)]
    return tried


def _notice(channel: str, action: Literal["trigger", "resolve"], at_ns: int) -> Notice:
    """A notice that says of itself that it is a test; each run is a conversation of its own."""
    key = f"watchpost-test-{at_ns}"
    moment = _EPOCH + timedelta(milliseconds=at_ns // 1_000_000)
    event = AlertEvent(
        timestamp=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        service="watchpost",
        metric="TEST",
        tool="",
        value=1.0,
        threshold=0.0,
        window="now",
        severity="info",
        owner="whoever ran `watchpost notify test`",
        runbook="nothing to do",
        sessions=[],
        summary=f"This is a test of the channel {channel}; nothing is wrong.",
        rule="watchpost-notify-test",
    )
    return Notice(f"{key}-{action}", channel, event, action, key)

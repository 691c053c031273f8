"""`watchpost notify`: whether channels work, tried out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from watchpost.alerting import trial
from watchpost.alerting.notifier import Notifier
from watchpost.alerting.trial import Tried
from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.options import Json
from watchpost.cli.printable import printable
from watchpost.cli.tables import print_json
from watchpost.runtime.channels import open_channels
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import read_settings

app = typer.Typer(help="Channels, and whether they work.", no_args_is_help=True)

OWNER = "whoever ran `watchpost notify test`"


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
    trials = (trial.try_out(name, notifier, at_ns, OWNER) for name, notifier in channels.items())
    return [one for tried in await asyncio.gather(*trials) for one in tried]

"""`watchpost silence`, `watchpost silences` and `watchpost unsilence`: quiet about some alerts for a while."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from watchpost.alerting.duration import read_duration
from watchpost.cli.alert_desk import open_silences
from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.tables import add_row, console, print_json, table
from watchpost.runtime.settings import read_settings
from watchpost.server.alerts import SilenceAnswer, SilenceGiven


def silence(  # noqa: PLR0917 - typer passes options by name
    matchers: Annotated[
        list[str],
        typer.Argument(metavar="MATCHER...", help="Such as alertname=Loops or tool=~'get_.*'; all must match."),
    ],
    length: Annotated[str, typer.Option("--for", help="How long, such as 30m, 2h or 1d.")],
    by: Annotated[str, typer.Option(help="Who asks for it.")],
    comment: Annotated[str, typer.Option(help="Why; others will read it.")],
    starts: Annotated[str, typer.Option("--in", help="When it begins, such as 30m; now.")] = "0",
    project: Annotated[str, typer.Option(help="Only alerts of this project.")] = "",
    everything: Annotated[
        bool, typer.Option("--everything", help="Matchers that match all alerts are meant so.")
    ] = False,
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Tell nobody about the alerts that the matchers match, for a while."""
    seconds, starts_in = _seconds("--for", length), _seconds("--in", starts)
    given = SilenceGiven(matchers, by, comment, seconds, starts_in, project, everything)
    with open_silences(read_settings(data=data), server) as book:
        found = book.silence(given)
    _print_one(found, as_json=as_json)


def silences(
    data: Data = None,
    server: Server = "",
    expired: Annotated[bool, typer.Option("--expired", help="Those that are over as well.")] = False,
    as_json: Json = False,
) -> None:
    """List silences, those that end last first."""
    with open_silences(read_settings(data=data), server) as book:
        found = book.silences(expired=expired).silences
    if as_json:
        print_json(found)
        return
    shown = table("state", "from", "until", "matchers", "project", "by", "comment", key="silence")
    for one in found:
        starts, ends = (one.starts_at or "-")[:19], (one.ends_at or "-")[:19]
        add_row(
            shown, [one.id, one.state, starts, ends, ", ".join(one.matchers), one.project or "all", one.by, one.comment]
        )
    console().print(shown)


def unsilence(
    silence_id: Annotated[
        str, typer.Argument(metavar="SILENCE", help="The id of a silence, from `watchpost silences`.")
    ],
    by: Annotated[str, typer.Option(help="Who ends it.")] = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """End a silence now."""
    with open_silences(read_settings(data=data), server) as book:
        found = book.expire(silence_id, by)
    _print_one(found, as_json=as_json)


def _seconds(option: str, text: str) -> float:
    try:
        return read_duration(text) / 1e9
    except ValueError as error:
        raise CommandError(f"{option}: {error}", Exit.USAGE) from error


def _print_one(one: SilenceAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    when = {
        "active": f"are silent until {one.ends_at}",
        "pending": f"are silent from {one.starts_at} until {one.ends_at}",
        "expired": "are told of again",
    }[one.state]
    said = f"alerts with {', '.join(one.matchers)} {when}: {one.id}"
    sys.stdout.write(f"{printable(said)}\n")

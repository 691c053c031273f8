"""`watchpost versions`: what each version costs and how well it does."""

from __future__ import annotations

from typing import Annotated, cast

import httpx
import typer

from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.remote import get
from watchpost.cli.tables import add_row, check_choice, console, print_json, table
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import read_settings
from watchpost.server.days import Days
from watchpost.server.release_versions import BY, SHOWN, By, VersionAnswer, Versions, VersionsAnswer

_HEADS = ("cost per completed", "completed", "liked", "tool errors", "p95 seconds")


def versions(  # noqa: PLR0917 - typer passes options by name
    data: Data = None,
    server: Server = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    workflow: Annotated[str, typer.Option(help="Only of this workflow.")] = "",
    by: Annotated[str, typer.Option(help="release of the agent, model or prompt.")] = "release",
    since: Annotated[str, typer.Option(help="From when on: ISO 8601, today or yesterday; 30 days before.")] = "",
    until: Annotated[str, typer.Option(help="Until when; now.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=50)] = 20,
    as_json: Json = False,
) -> None:
    """Compare versions by what they cost and how well they do."""
    check_choice("--by", by or "nothing", BY)
    settings = read_settings(data=data)
    with open_watchpost(settings, server) as opened, answering():
        if isinstance(opened, httpx.Client):
            asked = {"project": project, "workflow": workflow, "by": by, "since": since, "until": until}
            query = {name: value for name, value in asked.items() if value}
            found = get(opened, "/api/versions", {**query, "limit": str(limit)}, VersionsAnswer)
        else:
            store = opened.stores.telemetry
            desk = Versions(store, now_ns, Days(settings.spending.zone))
            found = desk.answer(project, workflow, cast("By", by), since, until, limit)
    if as_json:
        print_json(found)
        return
    shown = table("sessions", *_HEADS, key=by)
    for one in found.versions:
        add_row(shown, [one.version or "(none)", str(one.sessions), *(_cell(one, name) for name in SHOWN)])
    out = console()
    out.print(shown)
    if found.more:
        out.print(f"and {found.more} more")


def _cell(one: VersionAnswer, name: str) -> str:
    told = one.measures[name]
    if told.value is None:
        return "-"
    value = f"{told.value:.4g}" if isinstance(told.value, float) else str(told.value)
    return f"{value} of {told.counted}"

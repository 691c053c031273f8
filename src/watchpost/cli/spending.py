"""`watchpost spending`: what a day costs, against others, and by its end."""

from __future__ import annotations

from typing import Annotated, cast

import httpx
import typer
from rich.markup import escape

from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import get
from watchpost.cli.tables import add_row, check_choice, console, print_json, table
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import read_settings
from watchpost.server.days import Days
from watchpost.server.spending import BY, By, ForecastAnswer, Spending, SpendingAnswer, SpentAnswer


def spending(  # noqa: PLR0917 - typer passes options by name
    data: Data = None,
    server: Server = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    by: Annotated[
        str, typer.Option(help="Told apart by workflow, model, tool, user_id, org_id, feature_name or agent.")
    ] = "",
    day: Annotated[str, typer.Option(help="Another day: such as 2026-11-20, or yesterday.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=200)] = 20,
    as_json: Json = False,
) -> None:
    """Tell what today costs so far, against yesterday and last week, and by its end."""
    check_choice("--by", by, BY)
    settings = read_settings(data=data)
    with open_watchpost(settings, server) as opened, answering():
        if isinstance(opened, httpx.Client):
            asked = {"project": project, "by": by, "day": day}
            query = {name: value for name, value in asked.items() if value}
            found = get(opened, "/api/spending", {**query, "limit": str(limit)}, SpendingAnswer)
        else:
            desk = Spending(opened.stores.telemetry, now_ns, Days(settings.spending.zone))
            found = desk.answer(project, cast("By", by), day, limit)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: SpendingAnswer) -> None:
    out = console()
    out.print(escape(f"{found.day}, {found.timezone}: {_forecast(found.forecast)}"))
    shown = table("until", "usd", "per completed session", "calls with a price", "without", key="day")
    rows = {"this day": found.today, "day before": found.yesterday, "week before": found.last_week}
    for name, spent in rows.items():
        add_row(shown, [name, (spent.until or "-")[:19], *_cells(spent)])
    out.print(shown)
    if not found.by:
        return
    told = table(
        "usd", "per completed session", "calls with a price", "without", "day before", "week before", key=found.by
    )
    for one in found.groups:
        earlier = (one.yesterday_usd or "-", one.last_week_usd or "-")
        add_row(told, [one.value or "(none)", *_cells(one.today), *earlier])
    out.print(told)
    if found.more:
        out.print(f"and {found.more} more")


def _forecast(made: ForecastAnswer) -> str:
    if made.reason:
        return printable(f"no forecast, {made.reason}")
    return f"by its end {made.expected_usd} usd, from {made.low_usd} to {made.high_usd} by {made.days} days before"


def _cells(spent: SpentAnswer) -> list[str]:
    return [
        spent.spent_usd or "-",
        spent.per_completed_session_usd or "-",
        str(spent.calls),
        str(spent.unpriced_calls),
    ]

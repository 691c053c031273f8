"""`watchpost alerts`, `watchpost alert` and `watchpost ack`: what fires, how it came to that, and who is on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, get_args

import typer

from watchpost.cli.alert_desk import AlertBook, open_alerts
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.tables import add_row, check_choice, console, print_json, table
from watchpost.model.flag import Severity
from watchpost.runtime.settings import read_settings
from watchpost.server.alerts import AcknowledgementGiven, AlertAnswer, AlertDetail, StateName

AlertId = Annotated[str, typer.Argument(help="The id of an alert, from `watchpost alerts`.")]


def alerts(  # noqa: PLR0917 - typer passes options by name
    data: Data = None,
    server: Server = "",
    state: Annotated[str, typer.Option(help="Only pending, firing or resolved ones.")] = "",
    rule: Annotated[str, typer.Option(help="Only of this rule.")] = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    severity: Annotated[str, typer.Option(help="Only critical, high, error, warning or info ones.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """List alerts, the latest change first."""
    check_choice("--state", state, get_args(StateName))
    check_choice("--severity", severity, get_args(Severity))
    asked = {"state": state, "rule": rule, "project": project, "severity": severity}
    with open_alerts(read_settings(data=data), server) as book:
        found = list(_every(book, {option: value for option, value in asked.items() if value}, limit))
    if as_json:
        print_json(found)
        return
    shown = table(
        "state", "severity", "rule", "value", "owner", "since", "acknowledged", "held back", "what", key="alert"
    )
    for one in found:
        add_row(shown, [one.id, *_cells(one)])
    console().print(shown)


def alert(alert_id: AlertId, data: Data = None, server: Server = "", as_json: Json = False) -> None:
    """Show one alert with its history, the latest change first."""
    with open_alerts(read_settings(data=data), server) as book:
        found = book.one(alert_id)
    _print_one(found, as_json=as_json)


def ack(
    alert_id: AlertId,
    by: Annotated[str, typer.Option(help="Who is on it.")],
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Say that somebody is on it: nobody is told again until it gets graver."""
    with open_alerts(read_settings(data=data), server) as book:
        found = book.acknowledge(alert_id, AcknowledgementGiven(by))
    if as_json:
        print_json(found)
    else:
        sys.stdout.write(f"{printable(f'{by.strip()} is on {found.alert.rule}: {alert_id}')}\n")


def _every(book: AlertBook, query: Mapping[str, str], limit: int) -> Iterator[AlertAnswer]:
    cursor: str | None = ""
    while cursor is not None and limit > 0:
        page = book.page(query, cursor)
        yield from page.alerts[:limit]
        limit -= len(page.alerts)
        cursor = page.next


def _cells(one: AlertAnswer) -> list[str]:
    return [
        one.state,
        one.severity,
        one.rule,
        f"{one.value:g} against {one.threshold:g}",
        one.owner,
        (one.since or "-")[:19],
        one.acknowledged_by or "-",
        "; ".join(_held_back(one)) or "-",
        one.summary,
    ]


def _held_back(one: AlertAnswer) -> Iterator[str]:
    """Each reason why somebody is not told."""
    if one.silenced_by:
        yield "silenced"
    yield from (f"inhibited by {source.rule}" for source in one.inhibited_by)
    yield from (f"muted {why}" for why in one.muted_by)


def _print_one(found: AlertDetail, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    one = found.alert
    lines = {
        "alert": f"{one.rule}, {one.severity}, {one.state} since {one.since}",
        "what": one.summary,
        "value": f"{one.value:g} against {one.threshold:g} in {one.window} ({one.metric})",
        "labels": ", ".join(f"{name}={value}" for name, value in sorted(one.labels.items())),
        "project": one.project,
        "owner": one.owner,
        "runbook": one.runbook,
        "sessions": " ".join(one.sessions),
        "acknowledged by": one.acknowledged_by,
        "silenced by": " ".join(one.silenced_by),
        "inhibited by": ", ".join(f"{source.rule} ({source.id})" for source in one.inhibited_by),
        "muted": "; ".join(map(str, one.muted_by)),
    }
    for name, said in lines.items():
        if said:
            sys.stdout.write(f"{name}: {printable(said)}\n")
    shown = table("state", "value", "what", key="from")
    for change in found.history:
        add_row(shown, [(change.at or "-")[:19], change.state, f"{change.value:g}", change.summary])
    console().print(shown)

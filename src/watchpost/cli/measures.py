"""`watchpost measures`: the catalogue, and what a measure comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Protocol
from urllib.parse import quote

import httpx
import typer
from rich.markup import escape

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.release import release_cells
from watchpost.cli.remote import get
from watchpost.cli.tables import add_row, console, print_json, table
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, read_settings
from watchpost.server.days import Days
from watchpost.server.measures import MeasuredAnswer, Measures, MeasuresAnswer, PointAnswer, SeriesAnswer

Parameters = Sequence[tuple[str, str]]


def measures(  # noqa: PLR0917 - typer passes options by name
    name: Annotated[str, typer.Argument(help="A measure; without one, all measures are listed.")] = "",
    data: Data = None,
    server: Server = "",
    since: Annotated[
        str, typer.Option(help="From when on: ISO 8601, today or yesterday; 24 hours before --until.")
    ] = "",
    until: Annotated[str, typer.Option(help="Until when; now.")] = "",
    step: Annotated[str, typer.Option(help="One point for each so long, such as 10m, 1h or 1d.")] = "",
    by: Annotated[str, typer.Option(help="Group by up to three dimensions, joined by commas.")] = "",
    where: Annotated[list[str] | None, typer.Option(help="Only where DIMENSION=VALUE; may be repeated.")] = None,
    quantile: Annotated[str, typer.Option(help="Of durations, such as 0.5 or p99; p95.")] = "",
    compare: Annotated[
        str, typer.Option(help="With the window before: previous, how much earlier, such as 7d, or release:ID.")
    ] = "",
    top: Annotated[str, typer.Option(help="Tell only so many groups apart.")] = "",
    as_json: Json = False,
) -> None:
    """List all measures, or tell what one comes to."""
    asked = {
        "since": since,
        "until": until,
        "step": step,
        "by": by,
        "quantile": quantile,
        "compare": compare,
        "top": top,
    }
    parameters = [(option, value) for option, value in asked.items() if value] + [_filter(one) for one in where or ()]
    if not name:
        _list(as_json=as_json)
        return
    with _open_gauge(read_settings(data=data), server) as gauge:
        found = gauge.answer(name, parameters)
    if as_json:
        print_json(found)
    else:
        _print(found)


class _Gauge(Protocol):
    """Answers as the API gives them."""

    def answer(self, name: str, parameters: Parameters) -> MeasuredAnswer:
        """What a measure comes to."""
        ...


@contextmanager
def _open_gauge(settings: Settings, server: str) -> Iterator[_Gauge]:
    with open_watchpost(settings, server) as found, answering():
        if isinstance(found, httpx.Client):
            yield _Remote(found)
        else:
            stores, days = found.stores, Days(settings.spending.zone)
            yield Measures(stores.telemetry, stores.state, now_ns, days)


class _Remote:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def answer(self, name: str, parameters: Parameters) -> MeasuredAnswer:
        query: dict[str, str | list[str]] = {key: [] for key, _ in parameters}
        for key, value in parameters:
            query[key] = [*query[key], value]
        return get(self._client, f"/api/measures/{quote(name, safe='')}", query, MeasuredAnswer)


def _filter(text: str) -> tuple[str, str]:
    dimension, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--where {text}: it is written DIMENSION=VALUE", Exit.USAGE)
    return dimension, value


def _list(*, as_json: bool) -> None:
    found: MeasuresAnswer = Measures.catalogue()
    if as_json:
        print_json(found.measures)
        return
    shown = table("tier", "unit", "of", "means", key="measure")
    for one in found.measures:
        add_row(shown, [one.name, one.tier, one.unit, one.of, one.means])
    console().print(shown)


def _print(found: MeasuredAnswer) -> None:
    out = console()
    at = f" at {found.quantile}" if found.quantile is not None else ""
    out.print(escape(printable(f"{found.measure.name}{at}, {found.measure.unit}, {found.since} to {found.until}")))
    compared = found.series and found.series[0].total.before is not None
    columns = ["from", "value", *(["before"] if compared else []), "sessions", "counted", "not told"]
    shown = table(*columns, key="group")
    for one in (*found.series, *([found.rest] if found.rest else [])):
        for point in one.points or [one.total]:
            add_row(shown, [_name(one), (point.since or "-")[:19], *_numbers(point)])
    out.print(shown)
    changed = [each for each in found.releases if not each.began]
    if changed:
        released = table("kind", "name", "version", "workflow", "known by", "id", key="released")
        for each in changed:
            add_row(released, [*release_cells(each), each.id])
        out.print(released)


def _name(series: SeriesAnswer) -> str:
    if series.group:
        return ", ".join(value or "(none)" for value in series.group.values())
    return f"{series.groups} others" if series.groups != 1 else "all"


def _numbers(point: PointAnswer) -> list[str]:
    before = [_text(point.before.value)] if point.before else []
    return [_text(point.value), *before, str(point.sessions), str(point.counted), str(point.untold)]


def _text(value: float | str | None) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)

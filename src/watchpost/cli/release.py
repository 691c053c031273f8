"""`watchpost release` and `watchpost releases`: what is told of releases, what was seen of them, and what is taken back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Protocol, cast, get_args
from urllib.parse import quote

import httpx
import typer

from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import get, post
from watchpost.cli.tables import add_row, check_choice, console, print_json, table
from watchpost.model.release import ReleaseKind
from watchpost.query.releases import ReleaseFilter
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, read_settings
from watchpost.runtime.wiring import Watchpost
from watchpost.server.archive import read_cursor
from watchpost.server.days import Days
from watchpost.server.releases import (
    ReleaseAnswer,
    ReleaseBook,
    ReleaseGiven,
    ReleasesAnswer,
    RetractionGiven,
    said_of,
)

PAGE = 200


class _Book(Protocol):
    """Answers as the API gives them."""

    def page(self, query: Mapping[str, str], cursor: str) -> ReleasesAnswer:
        """A page of the releases that a query of the API asks for."""
        ...

    def tell(self, given: ReleaseGiven) -> ReleaseAnswer:
        """Tell of one."""
        ...

    def retract(self, release_id: str, given: RetractionGiven) -> ReleaseAnswer:
        """Take one back."""
        ...


def release(  # noqa: PLR0917 - typer passes options by name
    kind: Annotated[str, typer.Argument(help="agent, model, prompt, tool, index or other.")],
    name: Annotated[str, typer.Argument(help="What it is a version of, such as a service, a prompt or an index.")],
    version: Annotated[str, typer.Argument(help="The version.")],
    workflow: Annotated[str, typer.Option(help="The workflow that it changes; every one of the project.")] = "",
    project: Annotated[str, typer.Option(help="The project.")] = "default",
    at: Annotated[str, typer.Option(help="When, as ISO 8601; now.")] = "",
    by: Annotated[str, typer.Option(help="Who says so.")] = "",
    note: Annotated[str, typer.Option(help="What is to be known of it.")] = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Tell of a release, to be drawn on every series."""
    check_choice("kind", kind or "nothing", get_args(ReleaseKind))
    given = ReleaseGiven(cast("ReleaseKind", kind), name, version, project, workflow, at, by, note)
    with _open_book(read_settings(data=data), server) as book:
        found = book.tell(given)
    _print_one(found, as_json=as_json)


def releases(  # noqa: PLR0917 - typer passes options by name
    data: Data = None,
    server: Server = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    workflow: Annotated[str, typer.Option(help="Only those that change this workflow.")] = "",
    kind: Annotated[str, typer.Option(help="Only agent, model, prompt, tool, index or other.")] = "",
    since: Annotated[str, typer.Option(help="Only from this time on: ISO 8601, today or yesterday.")] = "",
    until: Annotated[str, typer.Option(help="Only before this time.")] = "",
    retract: Annotated[str, typer.Option(help="Say that the release of this id was none.")] = "",
    by: Annotated[str, typer.Option(help="With --retract: who says so.")] = "",
    note: Annotated[str, typer.Option(help="With --retract: why.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """List releases, the latest first, or take one back."""
    check_choice("--kind", kind, get_args(ReleaseKind))
    asked = {"project": project, "workflow": workflow, "kind": kind, "since": since, "until": until}
    with _open_book(read_settings(data=data), server) as book:
        if retract:
            _print_one(book.retract(retract, RetractionGiven(by, note)), as_json=as_json)
            return
        found = list(_every(book, {option: value for option, value in asked.items() if value}, limit))
    if as_json:
        print_json(found)
        return
    shown = table("at", "kind", "name", "version", "workflow", "known by", key="release")
    for one in found:
        add_row(shown, [one.id, *release_cells(one)])
    console().print(shown)


def release_cells(one: ReleaseAnswer) -> list[str]:
    """A release as a row: when, what kind, of what, which version, for whom, and how it is known."""
    source = f"{one.source}{', the first' if one.began else ''}{f', {one.by}' if one.by else ''}"
    return [(one.at or "-")[:19], one.kind, one.name or "-", one.version, one.workflow or "all", source]


def _print_one(one: ReleaseAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    what = "is taken back" if one.retracted else "is noted"
    line = f"{one.kind} {one.name} {one.version} at {one.at} {what}: {one.id}"
    sys.stdout.write(f"{printable(line)}\n")


@contextmanager
def _open_book(settings: Settings, server: str) -> Iterator[_Book]:
    with open_watchpost(settings, server) as found, answering():
        days = Days(settings.spending.zone)
        yield _Remote(found) if isinstance(found, httpx.Client) else _Local(found, days)


class _Local:
    def __init__(self, watchpost: Watchpost, days: Days) -> None:
        self._flow = watchpost.flow
        self._book = ReleaseBook(watchpost.stores.state, watchpost.flow, now_ns, days)

    def page(self, query: Mapping[str, str], cursor: str) -> ReleasesAnswer:
        wanted = ReleaseFilter(
            tuple(filter(None, [query.get("project")])),
            tuple(filter(None, [query.get("workflow")])),
            query.get("kind", ""),
            self._book.moment_ns(query.get("since", ""), "since"),
            self._book.moment_ns(query.get("until", ""), "until"),
            before=read_cursor(cursor),
            limit=PAGE,
        )
        return self._book.page(wanted)

    def tell(self, given: ReleaseGiven) -> ReleaseAnswer:
        told = self._book.told(given)
        asyncio.run(self._flow.note((told,)))
        self._flow.catch_up(now_ns())
        return self._book.one(said_of(told).id)

    def retract(self, release_id: str, given: RetractionGiven) -> ReleaseAnswer:
        asyncio.run(self._flow.note((self._book.retraction(release_id, given),)))
        self._flow.catch_up(now_ns())
        return self._book.one(release_id)


class _Remote:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def page(self, query: Mapping[str, str], cursor: str) -> ReleasesAnswer:
        return get(self._client, "/api/releases", {**query, "cursor": cursor, "limit": str(PAGE)}, ReleasesAnswer)

    def tell(self, given: ReleaseGiven) -> ReleaseAnswer:
        return post(self._client, "/api/releases", given, ReleaseAnswer)

    def retract(self, release_id: str, given: RetractionGiven) -> ReleaseAnswer:
        return post(self._client, f"/api/releases/{quote(release_id, safe='')}/retract", given, ReleaseAnswer)


def _every(book: _Book, query: Mapping[str, str], limit: int) -> Iterator[ReleaseAnswer]:
    cursor: str | None = ""
    while cursor is not None and limit > 0:
        page = book.page(query, cursor)
        yield from page.releases[:limit]
        limit -= len(page.releases)
        cursor = page.next

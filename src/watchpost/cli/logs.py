"""`watchpost logs`: the log lines that agents sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Protocol
from urllib.parse import quote

import httpx
import msgspec
import typer

from watchpost.cli.library import answering, open_watchpost, search
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.remote import get
from watchpost.cli.tables import add_row, console, print_json, say, table
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, read_settings
from watchpost.server.log_answers import LineAnswer, LinesAnswer, read_log_cursor
from watchpost.server.log_routes import log_filter
from watchpost.server.problem import MovedError
from watchpost.server.search import Search

_PAGE = 200


def logs(  # noqa: PLR0917 - typer passes options by name
    text: Annotated[str, typer.Argument(help="What a line holds; without it, all lines are listed.")] = "",
    data: Data = None,
    server: Server = "",
    session: Annotated[str, typer.Option(help="Only of the session with this key.")] = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    trace: Annotated[str, typer.Option(help="Only with this trace id.")] = "",
    step: Annotated[str, typer.Option(help="Only with this span id.")] = "",
    severity: Annotated[str, typer.Option(help="Only this severe or more, such as warn or error.")] = "",
    event: Annotated[str, typer.Option(help="Only of this event name.")] = "",
    where: Annotated[list[str] | None, typer.Option(help="Only where attribute NAME=VALUE; may be repeated.")] = None,
    since: Annotated[str, typer.Option(help="Only since then, as ISO 8601, or so long ago, such as 24h.")] = "",
    until: Annotated[str, typer.Option(help="Only before then.")] = "",
    received_since: Annotated[str, typer.Option(help="Search lines received since then.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many lines.")] = 100,
    as_json: Json = False,
) -> None:
    """List log lines, the latest first."""
    asked = {
        "text": text,
        "project": project,
        "trace": trace,
        "step": step,
        "severity": severity,
        "event": event,
        "since": since,
        "until": until,
        "received_since": received_since,
    }
    with answering():
        log_filter(asked, now_ns(), where or ())
    found: list[LineAnswer] = []
    searched = None
    with _open_lines(read_settings(data=data), server) as lines:
        cursor: str | None = ""
        while cursor is not None and len(found) < limit:
            page = lines.page(session, asked, where or (), cursor)
            found += page.lines
            searched = searched or page.searched_since
            cursor = page.next
    if searched:
        say(f"lines received since {searched} were searched; --received-since goes further back")
    if as_json:
        print_json(found[:limit])
    else:
        _print(found[:limit])


class _Lines(Protocol):
    """Answers as the API gives them."""

    def page(self, session: str, asked: dict[str, str], where: Sequence[str], cursor: str) -> LinesAnswer:
        """A page of lines, of one session where its key is not empty."""
        ...


@contextmanager
def _open_lines(settings: Settings, server: str) -> Iterator[_Lines]:
    with open_watchpost(settings, server) as found, answering():
        yield _Remote(found) if isinstance(found, httpx.Client) else _Local(search(found))


class _Local:
    def __init__(self, search: Search) -> None:
        self._search = search

    def page(self, session: str, asked: dict[str, str], where: Sequence[str], cursor: str) -> LinesAnswer:
        wanted = msgspec.structs.replace(log_filter(asked, now_ns(), where, _PAGE), before=read_log_cursor(cursor))
        if not session:
            return self._search.lines(wanted)
        try:
            return self._search.lines_of(session, wanted)
        except MovedError as moved:
            return self._search.lines_of(moved.key, wanted)


class _Remote:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def page(self, session: str, asked: dict[str, str], where: Sequence[str], cursor: str) -> LinesAnswer:
        path = f"/api/sessions/{quote(session, safe='')}/logs" if session else "/api/logs"
        query: dict[str, str | list[str]] = {**asked, "attribute": list(where), "cursor": cursor, "limit": str(_PAGE)}
        return get(self._client, path, query, LinesAnswer)


def _print(lines: Sequence[LineAnswer]) -> None:
    shown = table("severity", "event", "body", "session", "step", key="time")
    for line in lines:
        body = line.body if isinstance(line.body, str) else msgspec.json.encode(line.body).decode()
        cells = [str(line.severity), line.event_name or "-", body, line.session or "-", line.step_id or "-"]
        add_row(shown, [line.time or "-", *cells])
    console().print(shown)

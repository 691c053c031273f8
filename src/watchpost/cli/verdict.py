"""`watchpost flags`, `watchpost verdict` and `watchpost precision`: what was flagged, what people say of it, how often it is right."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Literal, Protocol, cast, get_args
from urllib.parse import quote

import httpx
import typer
from rich.markup import escape

from watchpost.cli.library import answering, archive, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import get, post
from watchpost.cli.tables import add_row, check_choice, console, print_json, table
from watchpost.model.fact import VerdictKind
from watchpost.model.flag import FlagState
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, read_settings
from watchpost.runtime.wiring import Watchpost
from watchpost.server.answers import FlagDetail, FlagEntry, FlagsAnswer
from watchpost.server.review import PrecisionAnswer, PrecisionsAnswer, Review, VerdictGiven, way_on
from watchpost.server.verdicts import flag_filter

PAGE = 200


class _Desk(Protocol):
    """Answers as the API gives them."""

    def flags(self, query: Mapping[str, str], cursor: str) -> FlagsAnswer:
        """A page of the flags that a query of the API asks for."""
        ...

    def give(self, flag_id: str, given: VerdictGiven) -> FlagDetail:
        """Say something of a flag."""
        ...

    def precision(self, project: str) -> PrecisionsAnswer:
        """How often flags are right."""
        ...


def flags(  # noqa: PLR0917 - typer passes options by name
    data: Data = None,
    server: Server = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    kind: Annotated[str, typer.Option(help="Only of this kind, such as LOOP_DETECTED.")] = "",
    tool: Annotated[str, typer.Option(help="Only about this tool.")] = "",
    state: Annotated[str, typer.Option(help="Only provisional, confirmed or withdrawn ones.")] = "",
    verdict: Annotated[str, typer.Option(help="Only with this verdict: confirm, dismiss, or none.")] = "",
    session: Annotated[str, typer.Option(help="Only of the session of this key.")] = "",
    since: Annotated[str, typer.Option(help="Only of steps at or after this time, ISO 8601.")] = "",
    until: Annotated[str, typer.Option(help="Only of steps before this time, ISO 8601.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """List flags, the latest first."""
    check_choice("--state", state, get_args(FlagState))
    check_choice("--verdict", verdict, (*get_args(VerdictKind), "none"))
    asked = {
        "project": project,
        "kind": kind,
        "tool": tool,
        "state": state,
        "verdict": verdict,
        "session": session,
        "since": since,
        "until": until,
    }
    with _open_desk(read_settings(data=data), server) as desk:
        found = list(_every_flag(desk, {name: value for name, value in asked.items() if value}, limit))
    if as_json:
        print_json(found)
        return
    shown = table("at", "kind", "tool", "state", "verdict", "session", key="flag")
    for one in found:
        said = one.verdict.verdict if one.verdict else "-"
        add_row(shown, [one.id, (one.at or "-")[:19], one.kind, one.tool or "-", one.state, said, one.session])
    out = console()
    out.print(shown)
    for kind_, reason in dict.fromkeys((one.kind, one.muted) for one in found if one.muted):
        out.print(escape(printable(f"{kind_}: {reason}")))


def verdict(  # noqa: PLR0917 - typer passes options by name
    flag: Annotated[str, typer.Argument(help="The id of a flag, from `watchpost flags`.")],
    what: Annotated[
        str, typer.Argument(help="confirm: the flag is right; dismiss: it is wrong.", metavar="confirm|dismiss")
    ],
    by: Annotated[str, typer.Option(help="Who says so.")] = "",
    note: Annotated[str, typer.Option(help="Why.")] = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Confirm or dismiss a flag."""
    check_choice("verdict", what or "nothing", get_args(VerdictKind))
    with _open_desk(read_settings(data=data), server) as desk:
        found = desk.give(flag, VerdictGiven(cast("VerdictKind", what), by, note))
    if as_json:
        print_json(found)
        return
    said = "confirmed" if what == "confirm" else "dismissed"
    lines = [f"{found.kind} at step {found.step} of {found.session_id} is {said}"]
    if found.muted:
        lines.append(f"{found.kind}: {found.muted}")
    if command := way_on(found, found.project):
        lines.append(f"if the response changed for good, accept its new contract: {command}")
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)


def precision(
    data: Data = None,
    server: Server = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    as_json: Json = False,
) -> None:
    """Tell how often each kind of flag is right, by what people confirmed and dismissed."""
    with _open_desk(read_settings(data=data), server) as desk:
        found = desk.precision(project)
    if as_json:
        print_json(found)
        return
    shown = table("tool", "project", "precision", "95 % interval", "confirmed", "dismissed", "pages", key="flag")
    for one in found.detectors:
        add_row(shown, [one.kind, "all", one.project, *_cells(one), one.paging])
        for tool in one.tools:
            pages = (tool.muted or "yes") if tool.own else "as the others"
            add_row(shown, ["", tool.tool or "-", "", *_cells(tool), pages])
    console().print(shown)


def _cells(one: PrecisionAnswer) -> list[str]:
    share = "-" if one.precision is None else f"{one.precision:.2f}"
    low, high = one.interval
    return [share, f"{low:.2f} to {high:.2f}", str(one.confirmed), str(one.dismissed)]


@contextmanager
def _open_desk(settings: Settings, server: str) -> Iterator[_Desk]:
    with open_watchpost(settings, server) as found, answering():
        yield _Remote(found) if isinstance(found, httpx.Client) else _Local(found)


class _Local:
    def __init__(self, watchpost: Watchpost) -> None:
        stores = watchpost.stores
        self._flow = watchpost.flow
        self._review = Review(archive(watchpost), stores.state, watchpost.flow, watchpost.precision, now_ns)

    def flags(self, query: Mapping[str, str], cursor: str) -> FlagsAnswer:
        asked = {name: value for name, value in query.items() if name not in {"session", "state", "verdict"}}
        state = cast("FlagState | Literal['']", query.get("state", ""))
        said = cast("VerdictKind | Literal['', 'none']", query.get("verdict", ""))
        wanted = flag_filter(**asked, now_ns=now_ns(), state=state, verdict=said, cursor=cursor, limit=PAGE)
        return self._review.page(wanted, query.get("session", ""))

    def give(self, flag_id: str, given: VerdictGiven) -> FlagDetail:
        asyncio.run(self._flow.note((self._review.verdict(flag_id, given),)))
        self._flow.catch_up(now_ns())
        return self._review.flag(flag_id)

    def precision(self, project: str) -> PrecisionsAnswer:
        return self._review.precision(project)


class _Remote:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def flags(self, query: Mapping[str, str], cursor: str) -> FlagsAnswer:
        return get(self._client, "/api/flags", {**query, "cursor": cursor, "limit": str(PAGE)}, FlagsAnswer)

    def give(self, flag_id: str, given: VerdictGiven) -> FlagDetail:
        return post(self._client, f"/api/flags/{quote(flag_id, safe='')}/verdict", given, FlagDetail)

    def precision(self, project: str) -> PrecisionsAnswer:
        return get(self._client, "/api/precision", {"project": project}, PrecisionsAnswer)


def _every_flag(desk: _Desk, query: Mapping[str, str], limit: int) -> Iterator[FlagEntry]:
    cursor: str | None = ""
    while cursor is not None and limit > 0:
        page = desk.flags(query, cursor)
        yield from page.flags[:limit]
        limit -= len(page.flags)
        cursor = page.next

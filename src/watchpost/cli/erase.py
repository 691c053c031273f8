"""`watchpost erase`: take a session, or everything of a user, out of all that is kept."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Protocol
from urllib.parse import quote

import httpx
import typer

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import get, post
from watchpost.cli.tables import print_json
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, read_settings
from watchpost.runtime.wiring import Watchpost
from watchpost.server.answers import SessionAnswer
from watchpost.server.erasure import ErasureAnswer, ErasureAsked, ErasureDesk, ErasureGiven, ErasureMeant


class _Desk(Protocol):
    """Answers as the API gives them."""

    def of_session(self, key: str, by: str, reason: str) -> ErasureGiven:
        """What is to be given for the session of a key."""
        ...

    def meant(self, given: ErasureGiven) -> ErasureMeant:
        """What it would take."""
        ...

    def give(self, given: ErasureGiven) -> ErasureAnswer:
        """Do it, and tell how far it is."""
        ...


def erase(  # noqa: PLR0917 - typer passes options by name
    session: Annotated[str, typer.Option(help="The key of a session, from `watchpost sessions`.")] = "",
    user: Annotated[str, typer.Option(help="The id of a user, everything of whom is to go.")] = "",
    project: Annotated[str, typer.Option(help="Only in this project; every project if not given.")] = "",
    by: Annotated[str, typer.Option(help="Who asks for it. It stays on record.")] = "",
    reason: Annotated[str, typer.Option(help="Why. It stays on record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it is done.")] = False,
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Erase a session, or everything of a user. It cannot be undone."""
    if bool(session) == bool(user):
        raise CommandError("give one of --session and --user", Exit.USAGE)
    for name, text in (("--by", by), ("--reason", reason)):
        if not text.strip():
            raise CommandError(f"{name} must be given: it stays on record", Exit.USAGE)
    with _open_desk(read_settings(data=data), server) as desk:
        given = (
            desk.of_session(session, by, reason)
            if session
            else ErasureGiven(user_id=user, project=project, by=by, reason=reason)
        )
        if not yes:
            _confirm(desk.meant(given))
        done = desk.give(given)
    if as_json:
        print_json(done)
        return
    gone = ", ".join(f"{count} of {table}" for table, count in sorted(done.rows.items())) or "none"
    sys.stdout.write(
        printable(f"erasure {done.id} is {done.state}: {done.sessions} sessions; rows gone: {gone}") + "\n"
    )


def _confirm(meant: ErasureMeant) -> None:
    sys.stderr.write(f"{meant.sessions} sessions with {meant.traces} traces will be erased for good. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was erased", Exit.USAGE)


@contextmanager
def _open_desk(settings: Settings, server: str) -> Iterator[_Desk]:
    with open_watchpost(settings, server) as found, answering():
        yield _Remote(found) if isinstance(found, httpx.Client) else _Local(found)


class _Local:
    def __init__(self, watchpost: Watchpost) -> None:
        stores = watchpost.stores
        self._watchpost = watchpost
        self._desk = ErasureDesk(
            stores.telemetry,
            stores.telemetry.eraser,
            stores.state.eraser,
            notes=watchpost.flow,
            redact=watchpost.redactor.delivery,
            secret=stores.folder.key,
            now_ns=now_ns,
        )

    def of_session(self, key: str, by: str, reason: str) -> ErasureGiven:
        return self._desk.of_session(key, by, reason)

    def meant(self, given: ErasureGiven) -> ErasureMeant:
        return self._desk.meant(given)

    def give(self, given: ErasureGiven) -> ErasureAnswer:
        asked = asyncio.run(self._desk.give(given, 0.0))
        self._watchpost.flow.catch_up(now_ns())
        self._watchpost.eraser.purge()
        return self._desk.one(asked.id)


class _Remote:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def of_session(self, key: str, by: str, reason: str) -> ErasureGiven:
        found = get(self._client, f"/api/sessions/{quote(key, safe='')}", {}, SessionAnswer)
        return ErasureGiven(session_id=found.session_id, project=found.project, by=by, reason=reason)

    def meant(self, given: ErasureGiven) -> ErasureMeant:
        asked = ErasureGiven(given.session_id, given.user_id, given.project, dry_run=True)
        return post(self._client, "/api/erasures", asked, ErasureMeant)

    def give(self, given: ErasureGiven) -> ErasureAnswer:
        asked = post(self._client, "/api/erasures", given, ErasureAsked)
        return get(self._client, f"/api/erasures/{asked.id}", {}, ErasureAnswer)

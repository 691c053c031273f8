"""Where a command looks sessions up: in the running server that holds the data folder, else in the folder itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote

import httpx
import msgspec

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.remote import connect, get
from watchpost.ingest.request import OverloadedError
from watchpost.query.sessions import SessionFilter
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings
from watchpost.runtime.wiring import Watchpost, assemble, open_stores
from watchpost.server.answers import SessionAnswer, SessionsAnswer, StepsAnswer
from watchpost.server.archive import Archive, read_cursor
from watchpost.server.problem import MovedError, NotFoundError, ParameterError
from watchpost.store.folder import FolderHeldError

PAGE = 200
TIMEOUT_S = 30.0


class Library(Protocol):
    """Answers as the API gives them."""

    def page(self, wanted: SessionFilter, cursor: str) -> SessionsAnswer:
        """A page of sessions; the filter's `limit` and `before` are not looked at."""
        ...

    def session(self, key: str) -> SessionAnswer:
        """One session; `CommandError` if there is none."""
        ...

    def steps(self, key: str, after: int) -> StepsAnswer:
        """A page of its steps."""
        ...


def every_session(library: Library, wanted: SessionFilter) -> Iterator[SessionAnswer]:
    """All sessions that fit, latest activity first."""
    cursor: str | None = ""
    while cursor is not None:
        page = library.page(wanted, cursor)
        yield from page.sessions
        cursor = page.next


@contextmanager
def open_library(settings: Settings, server: str) -> Iterator[Library]:
    """The sessions of a server, or of a data folder, whoever holds it."""
    with open_watchpost(settings, server) as found:
        if isinstance(found, httpx.Client):
            yield _Remote(found)
        else:
            stores = found.stores
            yield _Local(Archive(stores.telemetry, stores.state, stores.telemetry, stores.state))


@contextmanager
def open_watchpost(settings: Settings, server: str) -> Iterator[Watchpost | httpx.Client]:
    """A Watchpost on a data folder, caught up with its log, or a client of the server that is given or that holds the folder."""
    if server:
        with connect(server, TIMEOUT_S) as client:
            yield client
        return
    if not (settings.data / "lock").exists():
        raise CommandError(f"{settings.data} is no data folder of Watchpost", Exit.USAGE)
    try:
        with open_stores(settings) as stores:
            watchpost = assemble(settings, stores, patient=False)
            try:
                watchpost.flow.catch_up(now_ns())
                yield watchpost
            finally:
                watchpost.flow.close()
    except FolderHeldError as error:
        if not error.holder.address:
            raise
        with connect(error.holder.address, TIMEOUT_S) as client:
            yield client


@contextmanager
def answering() -> Iterator[None]:
    """Let what keeps a folder from answering end a command as it ends a request to a server."""
    try:
        yield
    except NotFoundError as error:
        raise CommandError(str(error), Exit.NOT_FOUND) from error
    except ParameterError as error:
        raise CommandError(f"{error.fault.parameter}: {error.fault.detail}", Exit.USAGE) from error
    except OverloadedError as error:
        raise CommandError(error.detail) from error


class _Local:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def page(self, wanted: SessionFilter, cursor: str) -> SessionsAnswer:
        return self._archive.page(msgspec.structs.replace(wanted, limit=PAGE, before=read_cursor(cursor)))

    def session(self, key: str) -> SessionAnswer:
        try:
            return self._archive.session(key)
        except MovedError as moved:
            return self.session(moved.key)
        except NotFoundError as error:
            raise CommandError(str(error), Exit.NOT_FOUND) from error

    def steps(self, key: str, after: int) -> StepsAnswer:
        return self._archive.steps(self.session(key).key, after, PAGE)


class _Remote:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def page(self, wanted: SessionFilter, cursor: str) -> SessionsAnswer:
        fields = msgspec.structs.asdict(wanted)
        query = {name: value for name, value in fields.items() if isinstance(value, str) and value}
        return get(self._client, "/api/sessions", {**query, "cursor": cursor, "limit": str(PAGE)}, SessionsAnswer)

    def session(self, key: str) -> SessionAnswer:
        return get(self._client, f"/api/sessions/{quote(key, safe='')}", {}, SessionAnswer)

    def steps(self, key: str, after: int) -> StepsAnswer:
        query = {"after": str(after), "limit": str(PAGE)}
        return get(self._client, f"/api/sessions/{quote(key, safe='')}/steps", query, StepsAnswer)

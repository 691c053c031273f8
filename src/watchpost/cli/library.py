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
from watchpost.server.kept_traces import KeptTraces
from watchpost.server.problem import MovedError, NotFoundError, ParameterError
from watchpost.server.search import Search, parameters
from watchpost.store.folder import FolderHeldError

PAGE = 200
TIMEOUT_S = 30.0


class Library(Protocol):
    """Answers as the API gives them."""

    def page(self, wanted: SessionFilter, cursor: str, anything: str = "") -> SessionsAnswer:
        """A page of sessions, found by `anything` where it is not empty; the filter's `limit` and `before` are not looked at."""
        ...

    def session(self, key: str) -> SessionAnswer:
        """One session; `CommandError` if there is none."""
        ...

    def steps(self, key: str, after: int) -> StepsAnswer:
        """A page of its steps."""
        ...


def every_page(library: Library, wanted: SessionFilter, anything: str = "") -> Iterator[SessionsAnswer]:
    """All sessions that fit, latest activity first, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        page = library.page(wanted, cursor, anything)
        yield page
        cursor = page.next


@contextmanager
def open_library(settings: Settings, server: str) -> Iterator[Library]:
    """The sessions of a server, or of a data folder, whoever holds it."""
    with open_watchpost(settings, server) as found:
        yield _Remote(found) if isinstance(found, httpx.Client) else _Local(archive(found), search(found))


def archive(watchpost: Watchpost) -> Archive:
    """What a Watchpost on a data folder holds."""
    stores = watchpost.stores
    return Archive(stores.telemetry, stores.state, stores.telemetry, stores.state, kept_traces(watchpost))


def kept_traces(watchpost: Watchpost) -> KeptTraces:
    """What is left of its traces."""
    stores = watchpost.stores
    return KeptTraces(stores.telemetry, stores.state)


def search(watchpost: Watchpost) -> Search:
    """The same, searched."""
    telemetry = watchpost.stores.telemetry
    return Search(archive(watchpost), telemetry, telemetry, watchpost.redactor.delivery)


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
    def __init__(self, archive: Archive, search: Search) -> None:
        self._archive = archive
        self._search = search

    def page(self, wanted: SessionFilter, cursor: str, anything: str = "") -> SessionsAnswer:
        with answering():
            asked = msgspec.structs.replace(wanted, limit=PAGE, before=read_cursor(cursor))
            return self._search.sessions(asked, anything)

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

    def page(self, wanted: SessionFilter, cursor: str, anything: str = "") -> SessionsAnswer:
        query = {**parameters(wanted), "q": anything, "cursor": cursor, "limit": str(PAGE)}
        return get(self._client, "/api/sessions", query, SessionsAnswer)

    def session(self, key: str) -> SessionAnswer:
        return get(self._client, f"/api/sessions/{quote(key, safe='')}", {}, SessionAnswer)

    def steps(self, key: str, after: int) -> StepsAnswer:
        query = {"after": str(after), "limit": str(PAGE)}
        return get(self._client, f"/api/sessions/{quote(key, safe='')}/steps", query, StepsAnswer)

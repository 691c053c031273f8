"""Alerts and silences for commands: those of a running server, or of a data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote

import httpx

from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.remote import delete, get, post
from watchpost.model.fact import Fact
from watchpost.query.alerts import AlertFilter
from watchpost.runtime.alerting import routing
from watchpost.runtime.clock import now_ns
from watchpost.runtime.flow import Flow
from watchpost.runtime.settings import Settings
from watchpost.server.alerts import (
    AcknowledgementGiven,
    AlertDetail,
    Alerts,
    AlertsAnswer,
    SilenceAnswer,
    SilenceGiven,
    SilencesAnswer,
)
from watchpost.server.archive import read_cursor

PAGE = 200


class AlertBook(Protocol):
    """Alerts as the API gives them."""

    def page(self, query: Mapping[str, str], cursor: str) -> AlertsAnswer:
        """A page of the alerts that a query of the API asks for."""
        ...

    def one(self, alert_id: str) -> AlertDetail:
        """One with its history."""
        ...

    def acknowledge(self, alert_id: str, given: AcknowledgementGiven) -> AlertDetail:
        """Say that somebody is on it."""
        ...


class SilenceBook(Protocol):
    """Silences as the API gives them."""

    def silences(self, *, expired: bool) -> SilencesAnswer:
        """Those that hold or are to come, and where asked for those that are over."""
        ...

    def silence(self, given: SilenceGiven) -> SilenceAnswer:
        """Ask for one."""
        ...

    def expire(self, silence_id: str, by: str) -> SilenceAnswer:
        """End one."""
        ...


@contextmanager
def open_alerts(settings: Settings, server: str) -> Iterator[AlertBook]:
    """The alerts of a server, or of a data folder, whoever holds it."""
    with _open(settings, server) as found:
        yield found


@contextmanager
def open_silences(settings: Settings, server: str) -> Iterator[SilenceBook]:
    """Its silences."""
    with _open(settings, server) as found:
        yield found


@contextmanager
def _open(settings: Settings, server: str) -> Iterator[_Local | _Remote]:
    with open_watchpost(settings, server) as found, answering():
        if isinstance(found, httpx.Client):
            yield _Remote(found)
        else:
            state = found.stores.state
            yield _Local(Alerts(state, state, _Notes(found.flow), now_ns, routing=routing(settings)))


class _Notes:
    """What people say, taken in at once: nobody else works on the folder."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    async def note(self, facts: Sequence[Fact]) -> int:
        return await self._flow.note(facts)

    async def settled(self, seq: int, timeout_s: float) -> bool:
        del seq, timeout_s
        self._flow.catch_up(now_ns())
        return True


class _Local:
    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts

    def page(self, query: Mapping[str, str], cursor: str) -> AlertsAnswer:
        return self._alerts.page(AlertFilter(**query, before=read_cursor(cursor), limit=PAGE))

    def one(self, alert_id: str) -> AlertDetail:
        return self._alerts.one(alert_id)

    def acknowledge(self, alert_id: str, given: AcknowledgementGiven) -> AlertDetail:
        return asyncio.run(self._alerts.acknowledge(alert_id, given))[0]

    def silences(self, *, expired: bool) -> SilencesAnswer:
        return self._alerts.silences(expired=expired)

    def silence(self, given: SilenceGiven) -> SilenceAnswer:
        return asyncio.run(self._alerts.silence(given))[0]

    def expire(self, silence_id: str, by: str) -> SilenceAnswer:
        return asyncio.run(self._alerts.expire(silence_id, by))[0]


class _Remote:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def page(self, query: Mapping[str, str], cursor: str) -> AlertsAnswer:
        return get(self._client, "/api/alerts", {**query, "cursor": cursor, "limit": str(PAGE)}, AlertsAnswer)

    def one(self, alert_id: str) -> AlertDetail:
        return get(self._client, f"/api/alerts/{quote(alert_id, safe='')}", {}, AlertDetail)

    def acknowledge(self, alert_id: str, given: AcknowledgementGiven) -> AlertDetail:
        return post(self._client, f"/api/alerts/{quote(alert_id, safe='')}/acknowledge", given, AlertDetail)

    def silences(self, *, expired: bool) -> SilencesAnswer:
        return get(self._client, "/api/silences", {"expired": str(expired).lower()}, SilencesAnswer)

    def silence(self, given: SilenceGiven) -> SilenceAnswer:
        return post(self._client, "/api/silences", given, SilenceAnswer)

    def expire(self, silence_id: str, by: str) -> SilenceAnswer:
        return delete(self._client, f"/api/silences/{quote(silence_id, safe='')}", {"by": by}, SilenceAnswer)

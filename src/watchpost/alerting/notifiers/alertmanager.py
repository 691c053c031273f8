"""Prometheus Alertmanager, by its API v2: the alerts of a group as alerts of its own, which it then groups, routes and silences.

Alertmanager ends an alert by itself when nobody repeats it. Watchpost repeats only as often as its own routing says, so every firing
alert is sent with an end that lies `hold_s` ahead, longer than that; each repetition moves it on, a resolve brings it forward, and should
Watchpost fall silent the alert ends there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from watchpost.alerting.bounds import TEXT, bounded
from watchpost.alerting.egress import Outbound
from watchpost.alerting.http_call import HttpCall, judge
from watchpost.alerting.instant import instant
from watchpost.alerting.message import headline, is_web, page
from watchpost.alerting.notifier import Answer, Failed
from watchpost.alerting.plain_text import one_line
from watchpost.model.notice import AlertEvent, Notice, Told

HOLD_S = 5 * 3600.0
"""An hour longer than the four hours after which an alert is repeated unless a route says otherwise."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Alertmanager:
    """Posts the alerts of each notice; fulfils `watchpost.alerting.notifier.Notifier`.

    `url` is where Alertmanager is reached, without `/api/v2`. `authorization`, where it is not empty, is sent as the header of that name.
    """

    def __init__(
        self, url: str, outbound: Outbound, *, public_url: str = "", authorization: str = "", hold_s: float = HOLD_S
    ) -> None:
        self._call = HttpCall(f"{url.rstrip('/')}/api/v2/alerts", outbound)
        self._public_url = public_url
        self._headers = {"authorization": authorization} if authorization else {}
        self._now_ns = outbound.now_ns
        self._hold_s = hold_s

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        """Try once. An alert is known by its labels, so one that is told twice stays one. An acknowledgement repeats what fires."""
        del handle  # labels say which alert it is
        now = EPOCH + timedelta(microseconds=self._now_ns() // 1000)
        reply = await self._call.post(self._headers, encode(notice, self._public_url, now, self._hold_s))
        return reply if isinstance(reply, Failed) else judge(reply, self._now_ns())


def encode(notice: Notice, public_url: str, now: datetime, hold_s: float) -> bytes:
    """All alerts of a notice, none left out, for a group whose rest is not told goes on firing there."""
    kept = bounded(notice, len(notice.alerts)).notice
    told = kept.alerts or [_alone(kept)]
    return msgspec.json.encode([_alert(one, public_url, now, hold_s) for one in told])


def _alone(notice: Notice) -> Told:
    """The one alert of a notice that names none."""
    event, over = notice.event, notice.action == "resolve"
    labels = {
        "alertname": event.rule or event.metric,
        "service": event.service,
        "metric": event.metric,
        "tool": event.tool,
        "severity": event.severity,
        "owner": event.owner,
        "watchpost_notice": notice.conversation,
    }
    ended = event.timestamp if over else ""
    return Told(notice.id, "resolved" if over else "firing", labels, event, event.timestamp, ended)


def _alert(told: Told, public_url: str, now: datetime, hold_s: float) -> dict[str, object]:
    event = told.event
    started = instant(told.started_at) or instant(event.timestamp) or now
    ended = (instant(told.ended_at) or now) if told.status == "resolved" else now + timedelta(seconds=hold_s)
    found: dict[str, object] = {
        "labels": labels(told.labels, event),
        "annotations": _annotations(event),
        "startsAt": _written(started),
        "endsAt": _written(max(started, ended)),  # an end before the start is refused
    }
    url = page(event, public_url)
    return {**found, "generatorURL": url} if is_web(url) else found


def labels(given: dict[str, str], event: AlertEvent) -> dict[str, str]:
    """Labels that Alertmanager takes: names of letters, digits and underscores, no empty value, and an `alertname` among them."""
    named = {
        re.sub(r"\A(?=[0-9])|[^a-zA-Z0-9_]", "_", name) or "_": value for name, value in sorted(given.items()) if value
    }
    return {"alertname": event.rule or event.metric or "watchpost", **named}


def _annotations(event: AlertEvent) -> dict[str, str]:
    found = {
        "summary": headline(event),
        "runbook_url": event.runbook,
        "value": f"{event.value:g}",
        "threshold": f"{event.threshold:g}",
        "window": event.window,
        "sessions": ",".join(event.sessions),
    }
    return {name: one_line(value, TEXT) for name, value in found.items() if value}


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

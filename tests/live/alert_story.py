"""A story of alerts and silences, told to Watchpost's dispatcher on a clock of its own and to a real Alertmanager as time goes by."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Literal

import msgspec
from alertmanager_process import AlertmanagerProcess, WebhookReceiver

from watchpost.alerting.dispatch import Dispatcher
from watchpost.alerting.matcher import Matcher, read_matchers
from watchpost.alerting.route_file import Routing
from watchpost.model.alert import Alert, Firing, Resolved, alert_id
from watchpost.model.notice import AlertEvent, Notice
from watchpost.model.silence import Silence

START_NS = 1_800_000_000 * 10**9


LATE_S = 0.35


class TooLateError(Exception):
    """A step was told too long after its time."""


class Fires(msgspec.Struct, frozen=True):
    at_s: float
    labels: dict[str, str]
    since_s: float | None = None


class Ends(msgspec.Struct, frozen=True):
    at_s: float
    labels: dict[str, str]


class Silenced(msgspec.Struct, frozen=True):
    at_s: float
    until_s: float
    matcher: str


Step = Fires | Ends | Silenced


class Told(msgspec.Struct, frozen=True, order=True):
    """What one channel was told about one case: which alerts fire and which ended."""

    at_s: float
    channel: str
    case: str
    status: Literal["firing", "resolved"]
    firing: tuple[str, ...]
    ended: tuple[str, ...]

    def content(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        return self.status, self.firing, self.ended


def _event(labels: dict[str, str]) -> AlertEvent:
    severity: Literal["critical", "warning"] = "critical" if labels.get("severity") == "critical" else "warning"
    return AlertEvent("", "shop", "m", "", 1.0, 0.0, "5m", severity, "team", "https://runbooks.example", [], "", "rule")


def as_watchpost_tells(routing: Routing, story: list[Step], end_s: float) -> list[Told]:
    """What the dispatcher gives when it is asked whenever something is due."""
    dispatcher = Dispatcher(routing.root, routing.inhibitions, routing.intervals)
    told: list[Told] = []
    for step in [*sorted(story, key=lambda step: step.at_s), None]:
        until_ns = _ns(end_s if step is None else step.at_s)
        while (due_ns := dispatcher.due_ns()) is not None and due_ns <= until_ns:
            told += [_told(notice, due_ns) for notice in dispatcher.flush(due_ns)]
        if step is not None:
            _take(dispatcher, step)
            told += [_told(notice, until_ns) for notice in dispatcher.flush(until_ns)]
    return told


def _ns(at_s: float) -> int:
    return START_NS + round(at_s * 1e9)


def _take(dispatcher: Dispatcher, step: Step) -> None:
    now_ns = _ns(step.at_s)
    match step:
        case Silenced(until_s=until_s, matcher=matcher):
            dispatcher.silence(Silence(matcher, "", (matcher,), now_ns, _ns(until_s), "me", "test", now_ns))
        case Fires(labels=labels, since_s=since_s):
            fired_ns = now_ns if since_s is None else _ns(since_s)
            dispatcher.heed([_alert(labels, Firing(fired_ns, fired_ns, now_ns))], now_ns)
        case Ends(labels=labels):
            dispatcher.heed([_alert(labels, Resolved(now_ns, now_ns, now_ns))], now_ns)


def _alert(labels: dict[str, str], state: Firing | Resolved) -> Alert:
    return Alert(alert_id("p", "rule", labels), "p", "rule", labels, state, _event(labels))


def _told(notice: Notice, at_ns: int) -> Told:
    said = [(each.labels, each.status) for each in notice.alerts]
    status: Literal["firing", "resolved"] = "resolved" if notice.action == "resolve" else "firing"
    return _of((at_ns - START_NS) / 1e9, notice.channel, status, said)


def _of(at_s: float, channel: str, status: str, said: Sequence[tuple[dict[str, str], str]]) -> Told:
    def names(of: str) -> tuple[str, ...]:
        return tuple(sorted(labels["alertname"] for labels, each in said if each == of))

    case = said[0][0]["case"]
    return Told(
        at_s, channel, case, "resolved" if status == "resolved" else "firing", names("firing"), names("resolved")
    )


def as_alertmanager_tells(
    alertmanager: AlertmanagerProcess, receiver: WebhookReceiver, story: list[Step], end_s: float
) -> list[Told]:
    """What Alertmanager posts when the story takes place; each step is told once, the alerts of one time in one request.

    Raises `TooLateError` where this process was held up for so long that the story became another.
    """
    receiver.arrivals.clear()
    start_s = time.time()
    for at_s, steps in groupby(sorted(story, key=lambda step: step.at_s), key=lambda step: step.at_s):
        time.sleep(max(0.0, start_s + at_s - time.time()))
        _post(alertmanager, list(steps), start_s)
        if time.time() - start_s - at_s > LATE_S:
            raise TooLateError
    time.sleep(max(0.0, start_s + end_s - time.time()))
    return [
        _of(
            arrival.at_s - start_s,
            arrival.channel,
            arrival.message.status,
            [(said.labels, said.status) for said in arrival.message.alerts],
        )
        for arrival in list(receiver.arrivals)
    ]


def _post(alertmanager: AlertmanagerProcess, steps: list[Step], start_s: float) -> None:
    now = _iso(time.time())
    alerts: list[dict[str, object]] = []
    for step in steps:
        match step:
            case Silenced(until_s=until_s, matcher=matcher):
                silence = {"startsAt": now, "endsAt": _iso(start_s + until_s), "createdBy": "me", "comment": "test"}
                alertmanager.post(
                    "silences", silence | {"matchers": [_matcher(each) for each in read_matchers(matcher)]}
                )
            case Fires(labels=labels, since_s=since_s):
                alerts.append({"labels": labels, "startsAt": now if since_s is None else _iso(start_s + since_s)})
            case Ends(labels=labels):
                alerts.append({"labels": labels, "endsAt": now})
    if alerts:
        alertmanager.post("alerts", alerts)


def _matcher(matcher: Matcher) -> dict[str, object]:
    kind = {"isRegex": "~" in matcher.operator, "isEqual": not matcher.operator.startswith("!")}
    return {"name": matcher.name, "value": matcher.value, **kind}


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()

"""PagerDuty, by Events API v2: one alert for each conversation, triggered, acknowledged and resolved; and a change event for each release.

Source: PagerDuty/developer-docs, "Events API v2"; limits as Alertmanager keeps them: 1024 characters of summary, 512,000 bytes in all.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from watchpost.alerting.bounds import Bounded, bounded
from watchpost.alerting.egress import Outbound
from watchpost.alerting.http_call import HttpCall, Reply, judge
from watchpost.alerting.message import cause, headline, links, page
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.alerting.plain_text import one_line
from watchpost.model.flag import Severity
from watchpost.model.notice import AlertEvent, Notice

EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"
"""Of the service region US; for the EU it is https://events.eu.pagerduty.com/v2/enqueue."""

ENQUEUE, CHANGE = "/v2/enqueue", "/v2/change/enqueue"
"""How the addresses end to which alerts and changes are sent."""

RULESET = "R"
"""What the key of a ruleset begins with. Change events are for services alone."""

ROUTING_KEY = 32
SUMMARY = 1024
DEDUP_KEY = 255
LARGEST = 512_000

BUSY_S = 180.0
"""How long to stay away after a 429 that does not say so: the documentation advises a few minutes."""

PagerDutySeverity = Literal["critical", "error", "warning", "info"]

SEVERITY: dict[Severity, PagerDutySeverity] = {
    "critical": "critical",
    "high": "error",
    "error": "error",
    "warning": "warning",
    "info": "info",
}


class RoutingKeyError(ValueError):
    """A routing key that PagerDuty cannot have given. The message never repeats it."""


class PagerDuty:
    """Enqueues an event for each notice; fulfils `watchpost.alerting.notifier.Notifier`. `RoutingKeyError` for a key of the wrong form."""

    def __init__(self, routing_key: str, outbound: Outbound, *, public_url: str = "", url: str = EVENTS_URL) -> None:
        if len(routing_key) != ROUTING_KEY or not routing_key.isalnum() or not routing_key.isascii():
            raise RoutingKeyError(
                f"routing_key: an integration key of Events API v2 is {ROUTING_KEY} letters and digits"
            )
        self._routing_key = routing_key
        self._public_url = public_url
        self._now_ns = outbound.now_ns
        self._call = HttpCall(url, outbound)
        self._change = HttpCall(url.removesuffix(ENQUEUE) + CHANGE, outbound)

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        """Try once. An event that PagerDuty has seen, told again, changes nothing: it is applied to the same alert. A change stands there twice."""
        if notice.change:
            reply = await self._change.post({}, encode_change(notice, self._routing_key, self._public_url))
            return reply if isinstance(reply, Failed) else self._judge(reply, "")
        key = handle or dedup_key(notice.conversation)
        reply = await self._call.post({}, encode(notice, key, self._routing_key, self._public_url))
        return reply if isinstance(reply, Failed) else self._judge(reply, key)

    def _judge(self, reply: Reply, key: str) -> Answer:
        answer = judge(reply, self._now_ns(), key)
        match answer:
            case Sent() if reply.status != 202:
                return Failed(permanent=False, detail=f"HTTP {reply.status}, where PagerDuty answers 202")
            case Failed(permanent=False, detail=detail) if reply.status == 429:
                return Throttled(BUSY_S, detail)
            case _:
                return answer


def check_changes(routing_key: str, url: str) -> None:
    """Raise `ValueError` where change events cannot be sent by this key or to this address."""
    if routing_key.startswith(RULESET):
        raise ValueError(
            "changes: this routing_key is of a ruleset, and change events go to services: take a service's"
        )
    if not url.endswith(ENQUEUE):
        raise ValueError(f"changes: where url does not end with {ENQUEUE}, nobody knows where change events go")


def encode_change(notice: Notice, routing_key: str, public_url: str) -> bytes:
    """The body of a change event."""
    event = notice.event
    payload = {
        "summary": one_line(event.summary, SUMMARY) or "release",
        "source": one_line(event.service, SUMMARY) or "unknown",
        "timestamp": event.timestamp,
        "custom_details": notice.change,
    }
    found = [{"href": link.url, "text": link.text} for link in links(event, public_url)]
    return msgspec.json.encode({"routing_key": routing_key, "payload": payload, "links": found})


def dedup_key(conversation: str) -> str:
    """The conversation as PagerDuty takes it: itself, or a digest of it where it is too long or not one line."""
    if len(conversation) <= DEDUP_KEY and conversation.isprintable():
        return conversation
    return hashlib.blake2b(conversation.encode("utf-8", "replace"), digest_size=16).hexdigest()


def encode(notice: Notice, key: str, routing_key: str, public_url: str) -> bytes:
    """The body of an event, at most `LARGEST` bytes: where it would be more, the alerts of the group and then all details are left out."""
    kept = bounded(notice)
    event = kept.notice.event
    body: dict[str, object] = {
        "routing_key": routing_key,
        # What nobody knows to be over stays open there, and says so.
        "event_action": "trigger" if notice.action == "no_word" else notice.action,
        "dedup_key": key,
        "client": "Watchpost",
    }
    if client_url := page(event, public_url):
        body["client_url"] = client_url
    if notice.action in {"acknowledge", "resolve"}:
        return msgspec.json.encode(body)
    body["links"] = [{"href": link.url, "text": link.text} for link in links(event, public_url)]
    for details in _details(kept):
        encoded = msgspec.json.encode({**body, "payload": _payload(event, details)})
        if len(encoded) <= LARGEST:
            break
    return encoded


def _payload(event: AlertEvent, details: dict[str, object]) -> dict[str, object]:
    error = event.error
    found = {
        "summary": one_line(headline(event), SUMMARY) or one_line(f"{event.service}: {event.metric}", SUMMARY),
        "source": one_line(event.service, SUMMARY) or "unknown",
        "severity": SEVERITY[event.severity],
        "timestamp": event.timestamp,
        "component": one_line(event.tool or (error.agent_name if error else ""), SUMMARY),
        "group": one_line(event.rule, SUMMARY),
        "class": one_line(cause(event), SUMMARY),
    }
    return {**{name: value for name, value in found.items() if value}, "custom_details": details}


def _details(kept: Bounded) -> list[dict[str, object]]:
    """What stands beside the summary, from the most to the least that can be said."""
    event = kept.notice.event
    plain = {name: value for name, value in msgspec.structs.asdict(event).items() if name != "error"}
    error = event.error
    if error:
        plain |= {name: value for name, value in msgspec.structs.asdict(error).items() if value}
    full: dict[str, object] = {**plain, "alerts": kept.notice.alerts, "more_alerts": kept.more}
    return [full, {**plain, "cut": "the alerts of the group, for their size"}, {"cut": "all details, for their size"}]

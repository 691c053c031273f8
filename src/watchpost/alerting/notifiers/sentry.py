"""Sentry: each trigger as an event of the error behind it, which Sentry groups by cause and counts over time.

The SDK makes the envelope and does nothing else: its client is this channel's own, without integrations, sessions, reports or personal
data of its own accord, and what it made is sent here, so that an address is checked and a failure is seen as on every channel.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from sentry_sdk.client import Client
from sentry_sdk.transport import Transport
from sentry_sdk.utils import BadDsn, Dsn

from watchpost.alerting.bounds import bounded
from watchpost.alerting.egress import Outbound
from watchpost.alerting.http_call import HttpCall, judge
from watchpost.alerting.instant import instant
from watchpost.alerting.message import cause, headline, page
from watchpost.alerting.notifier import Answer, Failed, Sent
from watchpost.alerting.plain_text import one_line
from watchpost.model.flag import Severity
from watchpost.model.notice import AlertEvent, ErrorContext, Notice

if TYPE_CHECKING:
    from sentry_sdk._types import Event, LogLevelStr
    from sentry_sdk.envelope import Envelope

TAG = 200
"""Characters that Sentry keeps of a tag."""

LEVEL: dict[Severity, LogLevelStr] = {
    "critical": "fatal",
    "high": "error",
    "error": "error",
    "warning": "warning",
    "info": "info",
}

FRAME = re.compile(
    r'^ {2}File "(?P<file>[^"\n]{1,500})", line (?P<line>[0-9]{1,7}), in (?P<function>[^\n]{1,200})', re.MULTILINE
)
"""One frame of a Python traceback."""


class SentryDsnError(ValueError):
    """A DSN that is none. The message never repeats it."""


class _Held(Transport):
    """Keeps the envelopes that a client makes until they are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep it."""
        self.envelopes.append(envelope)


class Sentry:
    """Reports the error of each trigger; fulfils `watchpost.alerting.notifier.Notifier`. `SentryDsnError` or `HttpAddressError` for a DSN that cannot work.

    `environment` stands where the error does not name its own.
    """

    def __init__(self, dsn: str, outbound: Outbound, *, public_url: str = "", environment: str = "production") -> None:
        try:
            auth = Dsn(dsn).to_auth("watchpost")
        except (BadDsn, ValueError):
            raise SentryDsnError("dsn: is written https://key@host/project") from None
        self._call = HttpCall(auth.get_api_url(), outbound)
        self._headers = {"x-sentry-auth": auth.to_header(), "content-type": "application/x-sentry-envelope"}
        self._held = _Held()
        self._client = Client(
            dsn=dsn,
            transport=self._held,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            enable_backpressure_handling=False,
            debug=False,
            spotlight=False,
            environment=environment,
            release="",
            server_name="",
        )
        self._environment = environment
        self._public_url = public_url
        self._now_ns = outbound.now_ns

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        """Try once. The event's id is the same at every try, so Sentry keeps one. What becomes of an alert is nothing that Sentry takes."""
        del handle  # every event stands alone
        if notice.action != "trigger":
            return Sent(f"nothing to send: Sentry is told of errors, not of {notice.action.replace('_', ' ')}")
        self._client.capture_event(event_of(notice, self._environment, self._public_url))
        if not self._held.envelopes:
            return Failed(permanent=True, detail="the SDK made no envelope of the notice")
        reply = await self._call.post(self._headers, self._held.envelopes.pop().serialize())
        return reply if isinstance(reply, Failed) else judge(reply, self._now_ns())


def event_of(notice: Notice, environment: str, public_url: str) -> Event:
    """The notice as an event of Sentry."""
    told = bounded(notice).notice.event
    error = told.error or ErrorContext("", "")
    agent = {
        "conversation_id": error.conversation_id,
        "user_id": error.user_id,
        "error_type": error.error_type or told.metric,
        "model": error.model,
        "tool_name": error.tool_name or told.tool,
        "step": error.step or None,
    }
    event: Event = {
        "event_id": hashlib.blake2b(notice.id.encode("utf-8", "replace"), digest_size=16).hexdigest(),
        "timestamp": instant(told.timestamp),
        "platform": "other",  # type: ignore[typeddict-item] # the SDK's type knows its own platform alone
        "logger": "watchpost",
        "level": LEVEL[told.severity],
        "environment": one_line(error.environment, 64).replace("/", "-") or environment,
        "tags": {name: value for name, value in _tags(told, error).items() if value},
        "contexts": {"agent": {name: value for name, value in agent.items() if value}},
        "extra": _extra(told, error, public_url),
        "fingerprint": ["watchpost", cause(told), told.service, error.tool_name or told.tool],
    }
    if error.release:
        event["release"] = one_line(error.release, 200).replace("/", "-")
    if told.error is None:
        event["logentry"] = {"message": headline(told), "formatted": headline(told)}
    else:
        event["exception"] = {"values": [_exception(told, error)]}
    return event


def _tags(told: AlertEvent, error: ErrorContext) -> dict[str, str]:
    tags = {
        "error_type": error.error_type or told.metric,
        "severity": told.severity,
        "agent_name": error.agent_name or "unknown",
        "service": told.service,
        "tool_name": error.tool_name or told.tool,
        "rule": told.rule,
        "owner": told.owner,
    }
    return {name: one_line(value, TAG) for name, value in tags.items()}


def _extra(told: AlertEvent, error: ErrorContext, public_url: str) -> dict[str, object]:
    found: dict[str, object] = {
        "summary": told.summary,
        "metric": told.metric,
        "value": told.value,
        "threshold": told.threshold,
        "window": told.window,
        "runbook": told.runbook,
        "sessions": told.sessions,
        "watchpost": page(told, public_url),
    }
    if error.stack_trace and not FRAME.search(error.stack_trace):
        found["stack_trace"] = error.stack_trace
    return found


def _exception(told: AlertEvent, error: ErrorContext) -> dict[str, object]:
    """The error as Sentry shows exceptions; frames, the oldest first, where the stack trace is Python's."""
    frames = [
        {"filename": found["file"], "lineno": int(found["line"]), "function": found["function"]}
        for found in FRAME.finditer(error.stack_trace)
    ]
    shown: dict[str, object] = {
        "type": cause(told),
        "value": error.message,
        "mechanism": {"type": "watchpost", "handled": True},
    }
    return {**shown, "stacktrace": {"frames": frames}} if frames else shown

"""For each kind of channel the service at its far end, how a channel of that kind is set to it, and the faults it can have."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
from receiver import HANG, RESET, TAKEN, Service, answer
from service_alertmanager import AlertmanagerService
from service_mail import MailService
from service_pagerduty import ROUTING_KEY, PagerDutyService
from service_sentry import SentryService
from service_slack import TOKEN, SlackService
from service_teams import TeamsService
from service_webhook import SECRET, WebhookService

from watchpost.alerting.channels import Reach, open_channel
from watchpost.alerting.egress import Resolve, SystemResolver
from watchpost.alerting.notifier import Notifier
from watchpost.model.notice import AlertEvent, ErrorContext, Notice, NoticeAction, Told, ToldStatus

HOSTILE = "\x00\x1b[31m\u202etxt.exe\u202c <!channel> <@U1> & </td><script>alert(1)</script> [x](http://e) *b* `c`\r\nBcc: a@b\ud800 שלום "
SIGNING = "5igning"
URL = "https://watch.example/app"

Section = dict[str, object]


def now_ns() -> int:
    return int(datetime.now(UTC).timestamp()) * 1_000_000_000


class FarEnd(msgspec.Struct, frozen=True):
    """`start` makes the service with faults: later, no, busy (HTTP alone), hang, reset, lost (taken, then reset), held (taken, then silent)."""

    start: Callable[[Sequence[str]], Service | MailService]
    section: Callable[[int], Section]
    drops_copies: bool
    secrets: tuple[str, ...]
    is_http: bool = True


HTTP_FAULTS = {
    "later": answer("500 Later", body=b"oops"),
    "no": answer("400 No", body=b"never\x1b"),
    "busy": answer("429 Busy", "Retry-After: 7"),
    "hang": HANG,
    "reset": RESET,
    "lost": TAKEN + RESET,
    "held": TAKEN + HANG,
}
SMTP_FAULTS = {
    "later": "451 4.3.0 oops",
    "no": "550 5.7.1 never",
    "hang": "hang",
    "reset": "reset",
    "lost": "taken reset",
    "held": "taken hang",
}


def _answers(faults: Sequence[str]) -> list[bytes]:
    return [HTTP_FAULTS[fault] for fault in faults]


def _at(kind: str, path: str, **more: object) -> Callable[[int], Section]:
    return lambda port: {"type": kind, "url": f"http://127.0.0.1:{port}{path}", "allow_private": True, **more}


FAR_ENDS: dict[str, FarEnd] = {
    "pagerduty": FarEnd(
        start=lambda faults: PagerDutyService(*_answers(faults)),
        section=_at("pagerduty", "/v2/enqueue", routing_key=ROUTING_KEY),
        drops_copies=True,
        secrets=(ROUTING_KEY,),
    ),
    "slack": FarEnd(
        start=lambda faults: SlackService(*_answers(faults)),
        section=_at("slack", "/api", token=TOKEN, channel="#incidents", signing_secret=SIGNING),
        drops_copies=False,
        secrets=(TOKEN, SIGNING),
    ),
    "teams": FarEnd(
        start=lambda faults: TeamsService(*_answers(faults)),
        section=_at("teams", "/hook?sig=s1gned"),
        drops_copies=False,
        secrets=("s1gned",),
    ),
    "mail": FarEnd(
        start=lambda faults: MailService(*(SMTP_FAULTS[fault] for fault in faults)),
        section=lambda port: {
            "type": "mail",
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "sender": "watchpost@a.example",
            "to": ["ops@a.example", "dev@b.example"],
            "allow_private": True,
        },
        drops_copies=True,
        secrets=(),
        is_http=False,
    ),
    "webhook": FarEnd(
        start=lambda faults: WebhookService(*_answers(faults)),
        section=_at("webhook", "/in", secrets=[SECRET]),
        drops_copies=True,
        secrets=(SECRET, SECRET.removeprefix("whsec_")),
    ),
    "alertmanager": FarEnd(
        start=lambda faults: AlertmanagerService(*_answers(faults)),
        section=_at("alertmanager", "/am", authorization="Bearer t0ken"),
        drops_copies=True,
        secrets=("t0ken",),
    ),
    "sentry": FarEnd(
        start=lambda faults: SentryService(*_answers(faults)),
        section=lambda port: {"type": "sentry", "dsn": f"http://pub1ic@127.0.0.1:{port}/7", "allow_private": True},
        drops_copies=True,
        secrets=("pub1ic",),
    ),
}
"""Mailboxes may drop a copy by its Message-ID; what a workflow or Slack posted twice stands there twice."""


def opened(name: str, port: int, resolver: Callable[[], Resolve] = SystemResolver, /, **more: object) -> Notifier:
    """A channel of this kind whose far end listens at a port of this machine."""
    reach = Reach(resolver, now_ns, ssl.create_default_context(), URL)
    return open_channel({**FAR_ENDS[name].section(port), **more}, reach)


def event(summary: str = "get_order timed out", **changed: object) -> AlertEvent:
    values: dict[str, object] = {
        "timestamp": "2026-11-21T05:00:00.123Z",
        "service": "refunds",
        "metric": "tool_error_rate",
        "tool": "get_order",
        "value": 0.18,
        "threshold": 0.1,
        "window": "10m",
        "severity": "high",
        "owner": "team-agents",
        "runbook": "https://runbooks.example/tools?id=1",
        "sessions": ["mzxw6ytboi2dgnbv", "other"],
        "summary": summary,
        "rule": "AgentToolHighFailureRate",
        "error": ErrorContext(
            "tool_timeout",
            "no answer from orders-db",
            "refund-agent",
            "conv-7",
            "user-9",
            "gpt-4o-2024-11-20",
            "get_order",
            4,
            "production",
            "1.4.2",
            'Traceback (most recent call last):\n  File "agent.py", line 7, in main\n    run()\n  File "tools.py", line 42, in get_order\n',
        ),
        **changed,
    }
    return AlertEvent(**values)  # type: ignore[arg-type] # names are checked at run time


def told(
    action: NoticeAction = "trigger", name: str = "", key: str = "0f" * 16, alerts: int = 2, **changed: object
) -> Notice:
    """A notice about a group; on a resolve all of its alerts have ended, and without word of any nobody knows."""
    about = event(**changed)  # type: ignore[arg-type] # names are checked at run time
    statuses: dict[NoticeAction, ToldStatus] = {"resolve": "resolved", "no_word": "no_word"}
    status = statuses.get(action, "firing")
    ended = "" if status == "firing" else "2026-11-21T06:00:00.000Z"
    group = [
        Told(
            f"alert{n}",
            status,
            {
                "alertname": about.rule,
                "severity": about.severity,
                "tool": f"get_order{n}",
                "0 odd-name": about.summary,
                "gone": "",
            },
            about,
            "2026-11-21T04:50:00.000Z",
            ended,
        )
        for n in range(alerts)
    ]
    by = "ana <b>" if action == "acknowledge" else ""
    return Notice(name or f"{key[:8]}-{action}", "ops", about, action, key, group, by)


def hostile(action: NoticeAction = "trigger") -> Notice:
    """A notice in which every text that others wrote is ten megabytes of what breaks formats, in a group of a thousand."""
    text = HOSTILE * (10_000_000 // len(HOSTILE))
    short = HOSTILE * 40
    texts = dict.fromkeys(("service", "metric", "tool", "window"), short)
    error = ErrorContext(short, short, short, short, short, short, short, 3, short, short, short * 100)
    found = told(action, alerts=0, **texts, error=error, sessions=[short] * 100, runbook=short)
    found = msgspec.structs.replace(found, event=msgspec.structs.replace(found.event, summary=text), by=short)
    one = told(action, alerts=1, error=error).alerts[0]
    group = [msgspec.structs.replace(one, labels={**one.labels, "n": str(n), HOSTILE: short}) for n in range(1000)]
    return msgspec.structs.replace(found, alerts=group)

"""What a notice says to people, before a channel gives it a form: plain text on single lines, and links that lead to the web."""

from __future__ import annotations

from typing import Literal

import msgspec

from watchpost.alerting.bounds import bounded
from watchpost.alerting.plain_text import one_line
from watchpost.model.flag import Severity
from watchpost.model.notice import AlertEvent, ErrorContext, Notice, NoticeAction, Told

MessageState = Literal["firing", "acknowledged", "resolved", "no word"]

STATES: dict[NoticeAction, MessageState] = {
    "trigger": "firing",
    "acknowledge": "acknowledged",
    "resolve": "resolved",
    "no_word": "no word",
}
"""What each action makes of the alert."""

TITLE = 140
SUMMARY = 1000
VALUE = 300
SHOWN_ALERTS = 10
LINK = 2000


class Link(msgspec.Struct, frozen=True):
    """A web address, http:// or https:// only, and what stands on it."""

    text: str
    url: str


class Message(msgspec.Struct, frozen=True):
    """Everything in it is one line of bounded length. `facts` are names and values; `alerts` are the first of the group, `more` how many others."""

    state: MessageState
    severity: Severity
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    links: tuple[Link, ...]
    alerts: tuple[str, ...]
    more: int
    by: str


def message(notice: Notice, public_url: str) -> Message:
    """What a notice says. `public_url` is where people reach these pages, empty where that is not known."""
    kept = bounded(notice, SHOWN_ALERTS)
    event, state = kept.notice.event, STATES[notice.action]
    lead = f"[{event.severity.upper()}] " if state == "firing" else f"{state.capitalize()}: "
    return Message(
        state=state,
        severity=event.severity,
        title=one_line(f"{lead}{event.service}: {cause(event)}", TITLE),
        summary=one_line(headline(event), SUMMARY),
        facts=tuple((name, one_line(value, VALUE)) for name, value in _facts(event) if value.strip()),
        links=tuple(links(event, public_url)),
        alerts=tuple(_line(told) for told in kept.notice.alerts) if len(notice.alerts) > 1 else (),
        more=kept.more,
        by=one_line(kept.notice.by, VALUE),
    )


def cause(event: AlertEvent) -> str:
    """What the event is about, in a word: the type of its error, else its metric."""
    return (event.error and event.error.error_type) or event.metric


def headline(event: AlertEvent) -> str:
    """`Agent error: <type> - <message>` where the event is about an error of a known type, else its summary."""
    error = event.error
    return f"Agent error: {error.error_type} - {error.message}" if error and error.error_type else event.summary


def links(event: AlertEvent, public_url: str) -> list[Link]:
    """The runbook, where it stands on the web, and the page of the first example session."""
    found = [Link("Runbook", event.runbook)] if is_web(event.runbook) else []
    if public_url:
        found.append(Link("Open in Watchpost", page(event, public_url)))
    return found


def page(event: AlertEvent, public_url: str) -> str:
    """Where to look: the first example session, else the front page; empty where `public_url` is."""
    if not public_url:
        return ""
    root = public_url.rstrip("/")
    return f"{root}/sessions/{event.sessions[0]}" if event.sessions else f"{root}/"


def is_web(text: str) -> bool:
    """Whether a text is a web address that can stand in a link as it is."""
    plain = text.isascii() and text.isprintable() and not set(text) & set(' "<>|\\^`{}')
    return plain and len(text) <= LINK and text.startswith(("https://", "http://"))


def _facts(event: AlertEvent) -> list[tuple[str, str]]:
    found = [
        ("severity", event.severity),
        ("service", event.service),
        ("metric", event.metric),
        ("tool", event.tool),
        ("value", f"{event.value:g}"),
        ("threshold", f"{event.threshold:g} in {event.window}" if event.window else f"{event.threshold:g}"),
        ("owner", event.owner),
        ("rule", event.rule),
        ("since", event.timestamp),
        ("sessions", ", ".join(event.sessions)),
    ]
    if event.error:
        found += _of_error(event.error)
    return found if is_web(event.runbook) else [*found, ("runbook", event.runbook)]


def _of_error(error: ErrorContext) -> list[tuple[str, str]]:
    return [
        ("agent", error.agent_name),
        ("conversation", error.conversation_id),
        ("model", error.model),
        ("step", str(error.step) if error.step else ""),
    ]


def _line(told: Told) -> str:
    labels = ", ".join(f"{name}={value}" for name, value in told.labels.items() if name != "alertname")
    name = told.labels.get("alertname", told.event.rule)
    return one_line(f"{told.status.replace('_', ' ')}: {name} {labels}", 200)

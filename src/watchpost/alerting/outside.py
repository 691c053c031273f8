"""Alerts of another Alertmanager as alerts of Watchpost, so that its routing, silences and acknowledgements hold for them too."""

from __future__ import annotations

import math

from watchpost.alerting.plain_text import one_line
from watchpost.model.alert import Alert, AlertState, Firing, Resolved, alert_id
from watchpost.model.flag import Severity
from watchpost.model.notice import AlertEvent, timestamp
from watchpost.model.outside_alert import OutsideAlert

UNNAMED = "outside alert"
"""The rule of an alert without a label `alertname`."""

SEVERITY: dict[str, Severity] = {
    "critical": "critical",
    "emergency": "critical",
    "fatal": "critical",
    "page": "critical",
    "disaster": "critical",
    "high": "high",
    "major": "high",
    "error": "error",
    "average": "error",
    "warning": "warning",
    "warn": "warning",
    "minor": "warning",
    "info": "info",
    "information": "info",
    "informational": "info",
    "none": "info",
    "debug": "info",
}
"""What people write into the label `severity`, and what it means here; any other word, or none, is a warning."""

_SUMMARY, _NAME, _LINK = 1000, 200, 2000


def alert_of(outside: OutsideAlert) -> Alert:
    """The alert that it is here. The same labels always give the same id, which no rule of Watchpost's own gives.

    Labels are as sent, but for `severity`, which is mapped, and `alertname`, `owner` and `project`, which every alert has. It counts as
    judged by a `rate`, so that somebody may be woken for it, unless a label of that name says otherwise.
    """
    sent = outside.labels
    rule = one_line(sent.get("alertname", ""), _NAME) or UNNAMED
    severity = SEVERITY.get(sent.get("severity", "").strip().lower(), "warning")
    owner = _first(outside, "owner", "team") or "unknown"
    labels = {
        "rate": "yes",
        **sent,
        "alertname": rule,
        "owner": owner,
        "project": outside.project,
        "severity": severity,
    }
    return Alert(
        outside_id(outside.project, rule, labels),
        outside.project,
        rule,
        labels,
        _state(outside),
        AlertEvent(
            timestamp=timestamp(_started_ns(outside)),
            service=_first(outside, "service", "job") or "unknown",
            metric=rule,
            tool=_first(outside, "tool"),
            value=_value(outside.annotations.get("value", "")),
            threshold=0.0,
            window="",
            severity=severity,
            owner=owner,
            runbook=one_line(_said(outside, "runbook_url", "runbook") or outside.url, _LINK),
            sessions=[],
            summary=one_line(_said(outside, "summary", "description", "message") or rule, _SUMMARY),
            rule=rule,
        ),
    )


def is_outside(alert: Alert) -> bool:
    """Whether an alert came from another Alertmanager, and is none that a rule of ours must end."""
    return alert.id == outside_id(alert.project, alert.rule, alert.labels)


def outside_id(project: str, rule: str, labels: dict[str, str]) -> str:
    """32 hexadecimal digits that are the same for the same labels in any order. No rule has a line break in its name."""
    return alert_id(project, f"outside\n{rule}", labels)


def _state(outside: OutsideAlert) -> AlertState:
    started_ns = _started_ns(outside)
    if outside.status == "firing":
        return Firing(started_ns, started_ns, outside.at_ns)
    ended_ns = min(outside.ends_ns or outside.at_ns, outside.at_ns)
    return Resolved(started_ns, started_ns, max(started_ns, ended_ns))


def _started_ns(outside: OutsideAlert) -> int:
    """No later than it came in: a sender's clock may be ahead."""
    return min(outside.starts_ns or outside.at_ns, outside.at_ns)


def _first(outside: OutsideAlert, *names: str) -> str:
    """What one of these labels says, else one of these annotations."""
    found = (one_line(texts.get(name, ""), _NAME) for texts in (outside.labels, outside.annotations) for name in names)
    return next(filter(None, found), "")


def _said(outside: OutsideAlert, *names: str) -> str:
    return next((text for name in names if (text := outside.annotations.get(name, "").strip())), "")


def _value(text: str) -> float:
    """What an annotation says of the value; 1, as of a thing that happened once, where it says nothing that is a number."""
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return value if math.isfinite(value) else 1.0

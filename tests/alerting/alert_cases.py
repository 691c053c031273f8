"""Alerts to dispatch, by a name and a few labels, and times in seconds."""

from __future__ import annotations

from watchpost.model.alert import Alert, Firing, Pending, Resolved, alert_id
from watchpost.model.flag import Severity
from watchpost.model.notice import AlertEvent, Notice

START_S = 1_800_000_000


def ns(at_s: float) -> int:
    return round((START_S + at_s) * 1e9)


def event(severity: Severity = "warning", summary: str = "too many errors") -> AlertEvent:
    return AlertEvent(
        timestamp="2027-01-15T08:00:00.000Z",
        service="shop",
        metric="tool_error_rate",
        tool="",
        value=0.2,
        threshold=0.1,
        window="5m",
        severity=severity,
        owner="team-shop",
        runbook="https://runbooks.example/errors",
        sessions=[],
        summary=summary,
        rule="ToolErrors",
    )


def _alert(
    state: Pending | Firing | Resolved, name: str, severity: Severity, project: str, labels: dict[str, str]
) -> Alert:
    every = {"alertname": name, **labels}
    return Alert(alert_id(project, name, every), project, name, every, state, event(severity))


def firing(name: str, at_s: float = 0, severity: Severity = "warning", project: str = "p", **labels: str) -> Alert:
    return _alert(Firing(ns(at_s), ns(at_s), ns(at_s)), name, severity, project, labels)


def ended(name: str, at_s: float = 0, severity: Severity = "warning", project: str = "p", **labels: str) -> Alert:
    return _alert(Resolved(ns(at_s), ns(at_s), ns(at_s)), name, severity, project, labels)


def pending(name: str, at_s: float = 0, **labels: str) -> Alert:
    return _alert(Pending(ns(at_s)), name, "warning", "p", labels)


def said(notice: Notice) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    """Channel, action, and the names of the alerts that fire and that ended."""

    def names(status: str) -> tuple[str, ...]:
        return tuple(sorted(each.labels["alertname"] for each in notice.alerts if each.status == status))

    return notice.channel, notice.action, names("firing"), names("resolved")

"""What an alert says: labels that tell it from others, and the event that says where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter

import msgspec

from watchpost.model.flag import SEVERITIES, Severity
from watchpost.model.notice import AlertEvent, timestamp
from watchpost.query.measures import Group, Unit
from watchpost.rules.quantity import amount_text, duration_text
from watchpost.rules.rule import OfFlags, OfMeasure, OfSession, Rule, Subject

RESERVED = ("alertname", "flapping", "owner", "project", "severity")
"""Labels that every alert has, or may have."""

SUMMARY_NAMES = ("value", "threshold", "window", "project", "latest")
"""What a summary may name beside the dimensions that its rule groups by; `latest` is what the latest flag says."""

_LONGEST = 1000
_LONGEST_NAME = 200


class Verdict(msgspec.Struct, frozen=True):
    """What a rule says of a group: whether its condition holds, None to leave all as it is, and by what numbers.

    `since_ns` is when the condition began to hold where the data tell it, 0 where that is now.
    """

    holds: bool | None
    value: float = 0.0
    threshold: float = 0.0
    window_ns: int = 0
    since_ns: int = 0


class Look(msgspec.Struct, frozen=True):
    """Where to look: keys of example sessions, the service and tool they have in common as far as is known, and what the latest flag says."""

    sessions: Sequence[str] = ()
    service: str = ""
    tool: str = ""
    latest: str = ""


def dimensions_of(subject: Subject) -> tuple[str, ...]:
    """The names of what a rule groups by, beside the project."""
    match subject:
        case OfMeasure(by=by) | OfFlags(by=by):
            return tuple(by)
        case OfSession():
            return ("session",)


def metric_of(subject: Subject) -> str:
    """What is looked at, by name."""
    match subject:
        case OfMeasure(measure=measure) | OfSession(measure=measure):
            return measure.name
        case OfFlags(kinds=kinds):
            return ",".join(kinds) or "flags"


def unit_of(subject: Subject) -> Unit:
    """In what values are told."""
    return "count" if isinstance(subject, OfFlags) else subject.measure.unit


def severity_of(rule: Rule, group: Group) -> Severity:
    """How severe an alert of a group is: as its flags where a rule tells them apart by that, else as the rule says."""
    told = dict(zip(dimensions_of(rule.subject), group[1:], strict=True)).get("severity")
    return next((each for each in SEVERITIES if each == told), rule.severity)


def labels_of(rule: Rule, group: Group) -> dict[str, str]:
    """What tells an alert from all others of its project.

    `rate` says that it is not about a single run, so that somebody may be woken for it; a rule's own labels may say otherwise.
    """
    return {
        **({} if isinstance(rule.subject, OfSession) else {"rate": "yes"}),
        **rule.labels,
        **dict(zip(dimensions_of(rule.subject), group[1:], strict=True)),
        "alertname": rule.name,
        "owner": rule.owner,
        "project": group[0],
        "severity": severity_of(rule, group),
    }


def group_of(rule: Rule, project: str, labels: Mapping[str, str]) -> Group | None:
    """The group that has these labels; None where the rule would not give them."""
    names = dimensions_of(rule.subject)
    if any(name not in labels for name in names):
        return None
    group = (project, *[labels[name] for name in names])
    return group if labels_of(rule, group) == {k: v for k, v in labels.items() if k != "flapping"} else None


def event_of(rule: Rule, group: Group, verdict: Verdict, look: Look, at_ns: int) -> AlertEvent:
    """The event of a time at which the condition holds."""
    known = {"service": look.service, "tool": look.tool} | _single(rule.subject)
    known |= dict(zip(dimensions_of(rule.subject), group[1:], strict=True))
    return AlertEvent(
        timestamp=timestamp(at_ns),
        service=one_line(known["service"] or rule.labels.get("service") or "unknown", _LONGEST_NAME),
        metric=one_line(known.get("flag") or metric_of(rule.subject), _LONGEST_NAME),
        tool=one_line(known["tool"], _LONGEST_NAME),
        value=verdict.value,
        threshold=verdict.threshold,
        window=duration_text(verdict.window_ns or rule.window_ns),
        severity=severity_of(rule, group),
        owner=rule.owner,
        runbook=rule.runbook,
        sessions=list(look.sessions),
        summary=one_line(_summary(rule, group, verdict, look), _LONGEST),
        rule=rule.name,
    )


def one_line(text: str, limit: int) -> str:
    """One line of at most `limit` characters: names from traces end up in subjects, headers and terminals."""
    line = "".join(char if char.isprintable() else " " for char in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _single(subject: Subject) -> dict[str, str]:
    """What a rule looks at alone."""
    return {name: values[0] for name, values in subject.where if len(values) == 1 and name in {"service", "tool"}}


def _summary(rule: Rule, group: Group, verdict: Verdict, look: Look) -> str:
    unit = unit_of(rule.subject)
    names = {
        "value": amount_text(verdict.value, unit),
        "threshold": amount_text(verdict.threshold, unit),
        "window": duration_text(verdict.window_ns or rule.window_ns),
        "project": group[0],
        "latest": look.latest,
        **{name: value or "(none)" for name, value in zip(dimensions_of(rule.subject), group[1:], strict=True)},
    }
    template = rule.summary or f"{metric_of(rule.subject)} is {{value}}, the threshold {{threshold}}, over {{window}}"
    return "".join(
        literal + (names[name] if name is not None else "") for literal, name, _, _ in Formatter().parse(template)
    )

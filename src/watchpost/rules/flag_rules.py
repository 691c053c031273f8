"""Who is told about which flags: a rule is a row of data, and judging flags by rules gives notices.

A rule that cannot say who owns the answer and where the runbook stands is refused: an alert that nobody can act on
teaches people to ignore the next one.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from watchpost.model.flag import SEVERITIES, Flag, Severity
from watchpost.model.notice import AlertEvent, Notice, timestamp
from watchpost.model.session import session_key
from watchpost.rules.event import one_line

SUMMARY_LIMIT = 1000
NAME_LIMIT = 200
"""Characters kept of a summary and of any other text; an event stays far below the 20 kB that receivers like."""

FIELD = re.compile(r"(?:field `|\$\.)(?P<name>\w+)")
"""How a validation error of msgspec names the field."""


class RuleError(ValueError):
    """A rule that cannot be used. `rule` is its name, or its place in the list (`#1` is the first) where it has none."""

    def __init__(self, rule: str, field: str, detail: str) -> None:
        super().__init__(f"rule {rule}: {field}: {detail}" if field else f"rule {rule}: {detail}")
        self.rule = rule
        self.field = field
        self.detail = detail


class FlagRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row: flags of these kinds (none named: of any kind) and of at least this severity go to these channels.

    `service` stands in the event where the flagged session does not name its own.
    """

    name: str
    severity: Severity = "warning"
    owner: str = ""
    runbook: str = ""
    channels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    service: str = ""

    def matches(self, flag: Flag) -> bool:
        """Whether the rule speaks about this flag: kind and severity fit, and the flag is confirmed."""
        return (
            flag.state == "confirmed"
            and (not self.kinds or flag.kind in self.kinds)
            and SEVERITIES.index(flag.severity) <= SEVERITIES.index(self.severity)
        )


class Subject(msgspec.Struct, frozen=True):
    """A flag with what its session and step say about where it stands; empty text where they say nothing."""

    flag: Flag
    service: str = ""
    tool: str = ""


def _nobody(flag: Flag) -> bool:
    del flag
    return False


class FlagRules:
    """A checked list of rules. Raises `RuleError` for the first rule that lacks what it needs."""

    def __init__(self, rules: Iterable[FlagRule]) -> None:
        self._rules = tuple(rules)
        names: set[str] = set()
        for place, rule in enumerate(self._rules, 1):
            _check(rule, place, names)
            names.add(rule.name)

    @property
    def channels(self) -> frozenset[str]:
        """Every channel that some rule sends to."""
        return frozenset(channel for rule in self._rules for channel in rule.channels)

    def judge(self, subjects: Sequence[Subject], is_muted: Callable[[Flag], bool] = _nobody) -> list[Notice]:
        """One notice per rule, channel and ongoing anomaly, by time; the order of `subjects` makes no difference.

        Provisional and withdrawn flags tell nobody, and neither do those whose detector `is_muted`. Of several flags of one anomaly
        (same project, kind, subject and trace) the most severe speaks, and among equals the earliest.
        """
        best: dict[str, tuple[tuple[int, str, bytes], Notice]] = {}
        for subject in subjects:
            for rule in self._rules:
                if not rule.matches(subject.flag) or is_muted(subject.flag):
                    continue
                event = _event(rule, subject)
                rank = SEVERITIES.index(event.severity), event.timestamp, msgspec.json.encode(event)
                for channel in rule.channels:
                    notice = Notice(id=notice_id(rule.name, channel, subject.flag), channel=channel, event=event)
                    if notice.id not in best or rank < best[notice.id][0]:
                        best[notice.id] = rank, notice
        return sorted((notice for _, notice in best.values()), key=lambda notice: (notice.event.timestamp, notice.id))


def read_rules(rows: Sequence[object]) -> FlagRules:
    """Rules as settings hold them: one table per rule, with the fields of `FlagRule`.

    Raises `RuleError` that names the rule and the field for a missing, unknown or mistyped field.
    """
    rules = []
    for place, row in enumerate(rows, 1):
        name = row.get("name") if isinstance(row, dict) else None
        try:
            rules.append(msgspec.convert(row, FlagRule))
        except msgspec.ValidationError as error:
            field = FIELD.search(str(error))
            raise RuleError(str(name or f"#{place}"), field["name"] if field else "", str(error)) from error
    return FlagRules(rules)


def notice_id(rule: str, channel: str, flag: Flag) -> str:
    """32 hexadecimal digits that name an ongoing anomaly to one channel.

    The step and the session are left out: an anomaly moves on to later steps, and a session's id may become known late.
    """
    parts = (rule, channel, flag.project, flag.kind, flag.subject, flag.trace_id.hex())
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()


def _check(rule: FlagRule, place: int, names: set[str]) -> None:
    if not rule.name.strip():
        raise RuleError(f"#{place}", "name", "is empty; name the rule, its alerts carry the name")
    if rule.name in names:
        raise RuleError(rule.name, "name", "stands on two rules; give each its own")
    if not rule.owner.strip():
        raise RuleError(rule.name, "owner", "is missing; name the team or person who answers this alert")
    if not rule.runbook.strip():
        raise RuleError(rule.name, "runbook", "is missing; say where the reader finds what to do")
    if not rule.channels or not all(channel.strip() for channel in rule.channels):
        raise RuleError(rule.name, "channels", "name at least one channel, and none of them empty")


def _event(rule: FlagRule, subject: Subject) -> AlertEvent:
    flag = subject.flag
    window = flag.evidence.get("window")
    return AlertEvent(
        timestamp=timestamp(flag.at_ns),
        service=one_line(subject.service or rule.service or "unknown", NAME_LIMIT),
        metric=one_line(flag.kind, NAME_LIMIT),
        tool=one_line(subject.tool, NAME_LIMIT),
        value=_number(flag.evidence.get("value"), 1.0),
        threshold=_number(flag.evidence.get("threshold"), 0.0),
        window=one_line(window, NAME_LIMIT) if isinstance(window, str) and window else "session",
        severity=flag.severity,
        owner=rule.owner,
        runbook=rule.runbook,
        sessions=[session_key(flag.project, flag.session_id)],
        summary=one_line(flag.summary, SUMMARY_LIMIT),
        rule=rule.name,
    )


def _number(value: object, absent: float) -> float:
    """Evidence as a finite number; a flag that counts nothing is one occurrence where none is allowed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return absent
    try:
        number = float(value)
    except OverflowError:
        return absent
    return number if math.isfinite(number) else absent

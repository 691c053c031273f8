"""Rules on flags: how many were heard of in the last time, judged the moment one is heard of.

A flag counts from when it is heard of, for it may be confirmed minutes after its step; one that is told an hour or more after its step, as of an
imported session, counts at the time of its step. Only confirmed flags count, and one that is withdrawn counts no more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container, Sequence

import msgspec

from watchpost.model.flag import Flag
from watchpost.model.session import Summary, session_key
from watchpost.query.measures import MOST_GROUPS, SESSION_DIMENSIONS, Dimension, Group
from watchpost.rules.counting import attribute
from watchpost.rules.event import Look, Verdict
from watchpost.rules.history import History
from watchpost.rules.rule import FlagDimension, Limit, OfFlags, OfMeasure, Rule
from watchpost.rules.source import ACTIVE_SESSIONS, Source, Tapes
from watchpost.rules.tally import EXAMPLES
from watchpost.rules.tape import OTHERS

LATE_NS = 3600 * 10**9
"""A flag told this long after its step counts at the time of its step."""


class _Heard(msgspec.Struct, frozen=True, order=True):
    at_ns: int
    id: str
    group: Group
    session_id: str
    service: str
    tool: str
    summary: str


class FlagWatch:
    """Holds the flags in the window of one rule."""

    def __init__(self, rule: Rule, subject: OfFlags, limit: Limit, tapes: Tapes, history: History | None) -> None:
        self._rule = rule
        self._subject = subject
        self._limit = limit
        self._kinds = frozenset(subject.kinds)
        self._where = tuple((name, frozenset(values)) for name, values in subject.where)
        self._heard: dict[str, _Heard] = {}
        self._groups: dict[Group, list[_Heard]] = {}
        self._active: Source | None = None
        if rule.share_of_sessions is not None:
            self._active = Source(tapes, history, _active(subject), rule.window_ns)
            self._places = (0, *[n for n, name in enumerate(subject.by, 1) if _of_session(name)])

    def take(self, flag: Flag, session: Summary | None, heard_ns: int | None, now_ns: int) -> bool:
        """Hear of a flag, now or at a time, with its session where that is known; whether anything changed."""
        known = self._heard.get(flag.id)
        wanted = flag.state == "confirmed" and (not self._kinds or flag.kind in self._kinds)
        if wanted and known is None:
            at_ns = heard_ns
            if at_ns is None:
                at_ns = now_ns if flag.at_ns > now_ns - LATE_NS else flag.at_ns
            return at_ns > now_ns - self._rule.window_ns and self._add(flag, session, at_ns)
        if not wanted and known is not None:
            self._remove(known)
            return True
        return False

    @property
    def counts_sessions(self) -> bool:
        """Whether all sessions in the window are looked at beside the flags."""
        return self._active is not None

    def due_ns(self) -> int:
        """When the next flag leaves the window."""
        oldest = min((each[0].at_ns for each in self._groups.values()), default=1 << 62)
        return oldest + self._rule.window_ns

    def judge(self, now_ns: int, end_ns: int, held_since_ns: int) -> dict[Group, Verdict]:
        """A verdict for every group with enough flags."""
        for group in list(self._groups):
            self._expire(group, now_ns - self._rule.window_ns)
        is_known = self._active is None or self._active.look(end_ns, held_since_ns)
        verdicts: dict[Group, Verdict] = {}
        for group, heard in self._groups.items():
            count = len(heard)
            holds = count > self._limit.value or (self._limit.how == "at_least" and count == self._limit.value)
            if holds and count >= self._rule.at_least_count and is_known and self._is_wide(group):
                verdicts[group] = Verdict(holds=True, value=float(count), threshold=self._limit.value)
        return verdicts

    def look(self, group: Group) -> Look:
        """The latest sessions of a group, and what the latest flag says."""
        heard = self._groups.get(group, [])
        if not heard:
            return Look()
        sessions = dict.fromkeys(session_key(group[0], each.session_id) for each in reversed(heard))
        latest = heard[-1]
        return Look(list(sessions)[:EXAMPLES], latest.service, latest.tool, latest.summary)

    def erase(self, refs: Container[tuple[str, str]]) -> bool:
        """Forget the flags of these sessions, by project and id, and what the history said; whether any is gone."""
        if self._active is not None:
            self._active.forget()
        gone = [each for each in self._heard.values() if (each.group[0], each.session_id) in refs]
        for heard in gone:
            self._remove(heard)
        return bool(gone)

    def _add(self, flag: Flag, session: Summary | None, at_ns: int) -> bool:
        if any(_dimension(name, flag, session) not in values for name, values in self._where):
            return False
        group = (flag.project, *[_dimension(name, flag, session) for name in self._subject.by])
        if group not in self._groups and len(self._groups) >= MOST_GROUPS:
            group = (flag.project, *[OTHERS] * len(self._subject.by))
        service = session.service if session is not None else ""
        heard = _Heard(at_ns, flag.id, group, flag.session_id, service, flag.tool, flag.summary)
        self._heard[flag.id] = heard
        insort(self._groups.setdefault(group, []), heard)
        return True

    def _remove(self, heard: _Heard) -> None:
        del self._heard[heard.id]
        held = self._groups[heard.group]
        del held[bisect_left(held, heard)]
        if not held:
            del self._groups[heard.group]

    def _expire(self, group: Group, until_ns: int) -> None:
        gone: Sequence[_Heard] = [each for each in self._groups[group] if each.at_ns <= until_ns]
        for heard in gone:
            del self._heard[heard.id]
        del self._groups[group][: len(gone)]
        if not self._groups[group]:
            del self._groups[group]

    def _is_wide(self, group: Group) -> bool:
        """Whether enough of the sessions in the window are affected."""
        if self._active is None or self._rule.share_of_sessions is None:
            return True
        everyone = self._active.cell(tuple(group[place] for place in self._places))
        affected = len({each.session_id for each in self._groups[group]})
        return everyone is not None and affected >= self._rule.share_of_sessions * everyone.over


def _of_session(name: FlagDimension) -> Dimension | None:
    """The dimension of all steps of a session that this is; None for what a flag alone has."""
    return next((each for each in SESSION_DIMENSIONS if each == name), None)


def _active(subject: OfFlags) -> OfMeasure:
    """The sessions in which a step began, of those that the rule looks at."""
    where = tuple((of, values) for name, values in subject.where if (of := _of_session(name)) is not None)
    by = tuple(of for name in subject.by if (of := _of_session(name)) is not None)
    return OfMeasure(ACTIVE_SESSIONS, where, by)


def _dimension(name: FlagDimension, flag: Flag, session: Summary | None) -> str:
    match name:
        case "project":
            return flag.project
        case "tool":
            return flag.tool
        case "flag":
            return flag.kind
        case "severity":
            return flag.severity
        case "session":
            return session_key(flag.project, flag.session_id)
        case _:
            return "" if session is None else str(getattr(session, attribute(name)) or "")

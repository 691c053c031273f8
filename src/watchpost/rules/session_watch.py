"""Rules on every single session: one run that costs too much, or has been running for too long, judged the moment it does.

An alert is about one session and stands until that is no more so, or until the session's last step is older than the window. The age of
a running session counts from the start of its first step, less the delay with which it came, and so does the rule's `for`: a run that has been going on for ten minutes has been too
long for that rule since then. A session that was reopened does not count as running, for its age is not that of a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from watchpost.model.session import Summary, session_key
from watchpost.query.measures import PER_UNIT, Field, Group, Mean, Quantile
from watchpost.rules.counting import SESSION_FIELDS, attribute, session_takes
from watchpost.rules.event import Look, Verdict
from watchpost.rules.rule import Limit, OfSession, Rule


class SessionWatch:
    """Holds the sessions that one rule has something to say of, and those that run while their age counts."""

    def __init__(self, rule: Rule, subject: OfSession, limit: Limit) -> None:
        self._rule = rule
        self._each = subject.each
        self._limit = limit
        self._where = tuple((attribute(name), frozenset(values)) for name, values in subject.where)
        self._field = field_of(subject)
        formula = subject.measure.formula
        self._takes = session_takes(formula.where) if isinstance(formula, Mean | Quantile) else None
        self._scale = PER_UNIT.get(self._field, 1)
        self._sessions: dict[str, Summary] = {}
        self._over: dict[str, Verdict] = {}
        self._due: list[tuple[int, str]] = []

    def take(self, session: Summary, now_ns: int) -> bool:
        """Hear how a session stands now; whether it must be judged."""
        before = self._sessions.pop(session.key, None)
        is_over = self._over.pop(session.key, None) is not None
        if session.moved_to or not self._counts(session) or _last_ns(session) + self._rule.window_ns <= now_ns:
            return is_over
        ages = self._ages(session)
        if not ages and not self._is_over(self._number(session)):
            return is_over
        self._sessions[session.key] = session
        if before is None or not ages or _began_ns(before) != _began_ns(session):
            self._await(session)
        self._judge(session, now_ns)
        return True

    def due_ns(self) -> int:
        """When a session must be judged though nothing is heard of it."""
        return self._due[0][0] if self._due else 1 << 62

    def judge(self, now_ns: int) -> dict[Group, Verdict]:
        """A verdict for every session that is beyond the threshold."""
        while self._due and self._due[0][0] <= now_ns:
            session = self._sessions.get(heappop(self._due)[1])
            if session is not None:
                self._judge(session, now_ns)
                if session.key in self._sessions and _last_ns(session) + self._rule.window_ns > now_ns:
                    heappush(self._due, (_last_ns(session) + self._rule.window_ns, session.key))
        return {(self._sessions[key].project, key): verdict for key, verdict in self._over.items()}

    def look(self, group: Group) -> Look:
        """The session itself."""
        session = self._sessions.get(group[1])
        return Look([group[1]], session.service if session is not None else "")

    def erase(self, refs: Iterable[tuple[str, str]]) -> bool:
        """Forget these sessions, by project and id; whether any is gone."""
        gone = [self._sessions.pop(session_key(*ref), None) for ref in refs]
        for session in gone:
            if session is not None:
                self._over.pop(session.key, None)
        return any(gone)

    def _judge(self, session: Summary, now_ns: int) -> None:
        self._over.pop(session.key, None)
        ages = self._ages(session)
        if _last_ns(session) + self._rule.window_ns <= now_ns:
            del self._sessions[session.key]
            return
        number = (now_ns - _began_ns(session)) // 1000 if ages else self._number(session)
        if number is not None and self._is_over(number):
            since_ns = _began_ns(session) if ages else 0
            self._over[session.key] = Verdict(
                holds=True, value=number / self._scale, threshold=self._limit.value, since_ns=since_ns
            )

    def _await(self, session: Summary) -> None:
        """Note when time alone changes what is to be said of a session."""
        if len(self._due) > 4 * len(self._sessions) + 64:
            self._due = []
            for each in self._sessions.values():
                if each is not session:
                    self._await(each)
        if self._ages(session):
            limit_ns = int(self._limit.value * 10**9)
            heappush(self._due, (_began_ns(session) + limit_ns + 1000 * (self._limit.how == "above"), session.key))
        heappush(self._due, (_last_ns(session) + self._rule.window_ns, session.key))

    def _counts(self, session: Summary) -> bool:
        if self._each not in {"session", session.state}:
            return False
        if any((getattr(session, name) or "") not in values for name, values in self._where):
            return False
        return self._takes is None or self._takes(session)

    def _ages(self, session: Summary) -> bool:
        """Whether time alone brings the session nearer to the threshold."""
        return self._field == "duration" and session.state == "running" and session.started_ns > 0

    def _number(self, session: Summary) -> int | None:
        return SESSION_FIELDS[self._field](session)

    def _is_over(self, number: int | None) -> bool:
        if number is None:
            return False
        value = number / self._scale
        return value > self._limit.value or (self._limit.how == "at_least" and value == self._limit.value)


def _last_ns(session: Summary) -> int:
    return max(session.started_ns, session.ended_ns)


def _began_ns(session: Summary) -> int:
    """When a session began by our clock: by how much its last step came late, as one that is brought in does, is no part of its age."""
    return session.started_ns + max(0, session.received_ns - _last_ns(session))


def field_of(subject: OfSession) -> Field:
    """The number of a session that a measure is made of; raises ValueError for a measure that is made of none."""
    formula = subject.measure.formula
    if subject.measure.of != "session" or not isinstance(formula, Mean | Quantile):
        raise ValueError(f"{subject.measure.name} is no number of a single session")
    return formula.field

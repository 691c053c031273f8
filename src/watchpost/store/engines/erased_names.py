"""Names taken out of alerts and notices that say something of others too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import re2

from watchpost.model.alert import Alert
from watchpost.model.notice import AlertEvent, ErrorContext, Notice, Told
from watchpost.model.session import session_key
from watchpost.query.measures import STEP_DIMENSIONS, VERSION_DIMENSIONS
from watchpost.store.erasure import Erasure

ERASED = "[erased]"

_LONG = 12
"""From so many characters on a name is one wherever it stands in a text; a shorter one only as a whole word."""

_TELLING = 6
"""A label names somebody if a name of so many characters stands in it; a shorter one, such as a number, only if it is all of it."""

_STAYS = frozenset(
    {"alertname", "flapping", "owner", "severity", "rate", "flag", *STEP_DIMENSIONS, *VERSION_DIMENSIONS}
) - {"user_id"}
"""Labels that are of nobody: a tool or a workflow keeps its name also where somebody is called the same."""

_AT_ONCE = 2000
"""Names in one expression."""

_STATES = 64 << 20
_ESCAPED = frozenset('"\\')


class _Expression(Protocol):
    def search(self, text: str) -> object:
        """Something true if it matches anywhere."""
        ...


class Names:
    """What is to be known no more: keys and ids of sessions, ids of users, traces and flags. An `Unnaming`, of notices too."""

    def __init__(self, names: Iterable[str]) -> None:
        held = {_storable(name) for name in names if name}
        self._names = frozenset(held)
        self._by_length: dict[int, set[str]] = {}
        for name in held:
            self._by_length.setdefault(len(name), set()).add(name)
        self._anywhere = _compiled(held)
        self._is_plain = not any(char in _ESCAPED or ord(char) < 32 for name in held for char in name)

    def may_stand_in(self, document: str) -> bool:
        """False only where none can stand in a document of JSON."""
        return bool(self._names) and (not self._is_plain or self._stand_in(document))

    def alert(self, alert: Alert) -> Alert:
        """An alert without them: an equal one where none stands in it. One of which the labels change was about what is erased."""
        return msgspec.structs.replace(alert, labels=self.labels(alert.labels), event=self.event(alert.event))

    def notice(self, notice: Notice) -> Notice:
        """A notice without them."""
        alerts = [self._told(told) for told in notice.alerts]
        change = self.labels(notice.change)
        return msgspec.structs.replace(notice, event=self.event(notice.event), alerts=alerts, change=change)

    def are_all_of(self, notice: Notice) -> bool:
        """Whether a notice is about nothing else: all of its alerts are about what is erased, or, where it has none, all of its sessions are."""
        if notice.alerts:
            return not notice.omitted and all(self.labels(told.labels) != told.labels for told in notice.alerts)
        return bool(notice.event.sessions) and not self.event(notice.event).sessions

    def _told(self, told: Told) -> Told:
        return msgspec.structs.replace(told, labels=self.labels(told.labels), event=self.event(told.event))

    def labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """See `Unnaming`."""
        return {name: ERASED if name not in _STAYS and self._is_of(value) else value for name, value in labels.items()}

    def event(self, event: AlertEvent) -> AlertEvent:
        """See `Unnaming`. An event speaks in the words of the first of its sessions: where that goes, so do they."""
        sessions = [key for key in event.sessions if key not in self._names]
        error = event.error and self._error(event.error)
        if sessions[:1] != event.sessions[:1]:
            return msgspec.structs.replace(event, sessions=sessions, summary=ERASED, error=None)
        return msgspec.structs.replace(
            event, sessions=sessions, summary=self._text(event.summary), runbook=self._text(event.runbook), error=error
        )

    def _error(self, error: ErrorContext) -> ErrorContext:
        told = {
            name: self._text(getattr(error, name)) for name in ("message", "stack_trace", "user_id", "conversation_id")
        }
        return msgspec.structs.replace(error, **told)

    def _text(self, text: str) -> str:
        return ERASED if self._are_in(text, 1) else text

    def _is_of(self, value: str) -> bool:
        return value in self._names or self._are_in(value, _TELLING)

    def _are_in(self, text: str, least: int) -> bool:
        """Whether one of at least so many characters stands in a text: one that is not long, as a word."""
        if not self._stand_in(text):
            return False
        return any(
            text[start : start + length] in names and (length >= _LONG or _is_word(text, start, start + length))
            for length, names in self._by_length.items()
            if length >= least
            for start in range(len(text) - length + 1)
        )

    def _stand_in(self, text: str) -> bool:
        """Whether the characters of one stand anywhere in a text."""
        storable = _storable(text)
        return any(expression.search(storable) for expression in self._anywhere)


def names_of(erasures: Iterable[Erasure], flags: Sequence[str] = ()) -> Names:
    """All that names what these erase."""
    names = set(flags)
    for erasure in erasures:
        names |= {erasure.user_id}
        for project, session_id in erasure.found.sessions:
            names |= {session_id, session_key(project, session_id)}
        names |= {trace_id.hex() for _, trace_id in erasure.found.traces}
    return Names(names)


def _storable(name: str) -> str:
    return name.encode(errors="replace").decode()


def _is_word(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return not any(char.isalnum() or char == "_" for char in (before, after) if char)


def _compiled(names: Iterable[str]) -> tuple[_Expression, ...]:
    """Expressions without any class of characters, for these grow with the number of names and not with that of letters there are."""
    held = sorted(map(re2.escape, names))
    options = re2.Options()
    options.never_capture = True
    options.max_mem = _STATES
    return tuple(
        re2.compile("|".join(held[start : start + _AT_ONCE]), options=options)
        for start in range(0, len(held), _AT_ONCE)
    )

"""Alerts of another Alertmanager of which nothing is heard any more: it says the same again and again while it lives, and not when it is over for itself."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from watchpost.alerting.erased import unnamed
from watchpost.alerting.outside import is_outside
from watchpost.alerting.plain_text import one_line
from watchpost.model.alert import Alert, Firing, Resolved
from watchpost.model.notice import timestamp
from watchpost.model.unnaming import Unnaming

SUMMARY = 1000


class OutsideWatch:
    """Ends those of which there was no word for `patience_ns`; 0 waits for ever. What was known at the start may take as long again from then on.

    While Watchpost was down nobody could tell it anything.
    """

    def __init__(self, standing: Iterable[Alert], patience_ns: int, now_ns: int) -> None:
        self._patience_ns = patience_ns
        self._began_ns = now_ns
        self._firing: dict[str, tuple[Alert, Firing]] = {}
        self._heard_ns: dict[str, int] = {}
        self._due_ns: int | None = None
        self.take(each for each in standing if is_outside(each))

    def take(self, alerts: Iterable[Alert]) -> None:
        """What is said of some of them now."""
        for alert in alerts:
            self._drop(alert.id)
            if isinstance(alert.state, Firing):
                self._firing[alert.id] = alert, alert.state
                self._heard_ns[alert.id] = max(alert.state.held_ns, self._began_ns)
        self._plan()

    def due_ns(self) -> int | None:
        """When `end` next has something to end; None while all is well."""
        return self._due_ns

    def end(self, now_ns: int) -> list[Alert]:
        """Those of which there was no word for too long, ended."""
        if self._due_ns is None or now_ns < self._due_ns:
            return []
        late = [each for each, heard_ns in self._heard_ns.items() if heard_ns + self._patience_ns <= now_ns]
        ended = [_ended(*self._firing[each], now_ns) for each in late]
        for each in late:
            self._drop(each)
        self._plan()
        return ended

    def erase(self, names: Unnaming) -> None:
        """Name nothing that was erased; what was about it has ended."""
        for each, (alert, state) in list(self._firing.items()):
            clean = unnamed(alert, names)
            if clean.labels == alert.labels:
                self._firing[each] = clean, state
            else:
                self._drop(each)
        self._plan()

    def _drop(self, alert_id: str) -> None:
        self._firing.pop(alert_id, None)
        self._heard_ns.pop(alert_id, None)

    def _plan(self) -> None:
        heard_ns = min(self._heard_ns.values(), default=None)
        self._due_ns = None if heard_ns is None or not self._patience_ns else heard_ns + self._patience_ns


def _ended(alert: Alert, state: Firing, now_ns: int) -> Alert:
    event = alert.event
    said = f"No word since {timestamp(state.held_ns)}, so nobody knows whether this still holds: {event.summary}"
    over = Resolved(state.since_ns, state.fired_ns, now_ns, no_word=True)
    return msgspec.structs.replace(
        alert, state=over, event=msgspec.structs.replace(event, summary=one_line(said, SUMMARY))
    )

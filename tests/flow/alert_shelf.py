"""What alerting goes on from after a restart, in memory."""

from __future__ import annotations

from watchpost.model.alert import Alert, Resolved
from watchpost.model.silence import Silence
from watchpost.store.alerts import AlertGroup, AlertNews


class AlertShelf:
    """An AlertMemory over what batches wrote."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}
        self._told: dict[str, Alert] = {}
        self._groups: dict[str, AlertGroup] = {}
        self._silences: dict[str, Silence] = {}

    def take(self, news: AlertNews) -> None:
        """What one batch changed."""
        self._alerts.update({alert.id: alert for alert in news.alerts})
        self._told.update({alert.id: alert for alert in news.dispatched})
        self._groups.update({group.id: group for group in news.groups})
        self._silences.update({silence.id: silence for silence in news.silences})
        for gone in news.lapsed:
            self._alerts.pop(gone, None)
        for gone in news.undispatched:
            self._told.pop(gone, None)
        for gone in news.disbanded:
            self._groups.pop(gone, None)

    def standing(self) -> list[Alert]:
        """As promised."""
        return [alert for alert in self._alerts.values() if not isinstance(alert.state, Resolved)]

    def dispatched(self) -> list[Alert]:
        """As promised."""
        return list(self._told.values())

    def alert_groups(self) -> list[AlertGroup]:
        """As promised."""
        return list(self._groups.values())

    def silences(self, ended_after_ns: int) -> list[Silence]:
        """As promised."""
        return [each for _, each in sorted(self._silences.items()) if each.ends_ns > ended_after_ns]

"""What an erasure asks of those who hold alerts in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from watchpost.model.notice import AlertEvent


class Unnaming(Protocol):
    """Takes what was erased out of alerts; what names nothing of it comes back equal."""

    def labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Labels without it: an alert of which these differ was about what is erased, and is over with it."""
        ...

    def event(self, event: AlertEvent) -> AlertEvent:
        """An event without it."""
        ...

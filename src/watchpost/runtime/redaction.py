"""Redaction of what people type, by the same secret as that of what agents send."""

from __future__ import annotations

from threading import Lock

from watchpost.ingest.redact import Redactor
from watchpost.model.telemetry import Delivery


class SharedRedactor:
    """A redactor that any number of threads may use, one at a time."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._lock = Lock()

    def delivery(self, delivery: Delivery) -> Delivery:
        """See `Redactor.delivery`."""
        with self._lock:
            return self._redactor.delivery(delivery)

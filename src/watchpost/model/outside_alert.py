"""What another alerting system says of one of its alerts."""

from __future__ import annotations

import msgspec

from watchpost.model.notice import AlertStatus


class OutsideAlert(msgspec.Struct, frozen=True, array_like=True, tag="outside_alert"):
    """How an alert of an Alertmanager stands. It is known by its labels; of several with the same the latest holds.

    Times are Unix nanoseconds, 0 where it tells none; `at_ns` is when this came in. `url` is where its rule can be looked at.
    """

    project: str
    fingerprint: str
    status: AlertStatus
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_ns: int
    ends_ns: int
    at_ns: int
    url: str = ""

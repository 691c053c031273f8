"""Watchpost watches itself: samples of its own numbers, sent the way of all metrics, so that measures and rules can ask for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from watchpost.ingest.request import OverloadedError
from watchpost.model.telemetry import MetricPoint, Parcel
from watchpost.query.metrics import OWN_PROJECT, own_metric
from watchpost.server.health import Health, HealthNumbers

PAUSE_S = 30.0
"""Seconds between samples."""

_MICRO = 10**6

Send = Callable[[Parcel], Awaitable[object]]
"""Takes telemetry of our own the way of all telemetry; raises `OverloadedError` where it cannot now."""


class SelfWatch:
    """Samples what the flow says of itself. A sample that finds no room is let go: the next one says as much."""

    def __init__(self, health: Health, now_ns: Callable[[], int], pause_s: float = PAUSE_S) -> None:
        self._health = health
        self._now_ns = now_ns
        self._pause_s = pause_s

    async def run(self, send: Send, stop: asyncio.Event) -> None:
        """Take a sample now and after every pause, until `stop` is set."""
        while not stop.is_set():
            numbers = await asyncio.to_thread(self._health.numbers)
            parcel = parcel_of(numbers, self._now_ns())
            with contextlib.suppress(OverloadedError):
                await send(parcel)
            try:
                async with asyncio.timeout(self._pause_s):
                    await stop.wait()
            except TimeoutError:
                continue


def parcel_of(numbers: HealthNumbers, at_ns: int) -> Parcel:
    """One gauge or sum for each number that `query.catalogue.own` names, as integers in its scale."""
    levels = [
        MetricPoint(
            own_metric(name), "1", "gauge", "", monotonic=False, attributes={}, start_ns=0, time_ns=at_ns, value=value
        )
        for name, value in _levels(numbers).items()
    ]
    sums = [
        MetricPoint(
            own_metric(name),
            "1",
            "sum",
            "cumulative",
            monotonic=True,
            attributes={},
            start_ns=0,
            time_ns=at_ns,
            value=value,
        )
        for name, value in _sums(numbers).items()
    ]
    return Parcel(OWN_PROJECT, {"service.name": "watchpost"}, "watchpost", metrics=(*levels, *sums))


def _levels(numbers: HealthNumbers) -> Mapping[str, int]:
    return {
        "react_lag": round(numbers.react_lag_s * _MICRO),
        "log_lag": numbers.log_lag_bytes,
        "open_sessions": numbers.open_sessions,
        "notices_waiting": _notices(numbers, "waiting"),
        "stored_bytes": sum(numbers.telemetry_bytes.values()),
    }


def _sums(numbers: HealthNumbers) -> Mapping[str, int]:
    return {
        "apply": round(numbers.apply_seconds * _MICRO),
        "accepted_spans": numbers.accepted_spans,
        "refused_items": numbers.rejected_spans + numbers.rejected_logs + numbers.rejected_points,
        "requests_put_off": numbers.put_off,
        "notices_failed": _notices(numbers, "failed"),
        "notices_delivered": _notices(numbers, "delivered"),
        "checkpoints_unmeasured": numbers.drift_failed,
    }


def _notices(numbers: HealthNumbers, state: str) -> int:
    return sum(count for (_, each), count in numbers.outbox.items() if each == state)

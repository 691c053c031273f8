"""Which of the metrics that agents sent are wanted."""

from __future__ import annotations

import msgspec

OWN_PROJECT = "watchpost"
"""Where the samples stand that Watchpost takes of itself, among the metrics that agents sent."""


def own_metric(sample: str) -> str:
    """The name of the metric that a sample is kept as."""
    return f"watchpost.{sample}"


class StreamKey(msgspec.Struct, frozen=True, array_like=True):
    """What tells two streams of points apart, and orders them."""

    name: str
    project: str
    unit: str
    type: str
    temporality: str
    monotonic: bool


class StreamFilter(msgspec.Struct, frozen=True):
    """Conditions on streams; empty text and None leave a condition out. `after` continues a list: the key of the last one shown."""

    project: str = ""
    after: StreamKey | None = None
    limit: int = 50


class PointFilter(msgspec.Struct, frozen=True):
    """Conditions on the points of the metric `name`; empty text and None leave a condition out.

    `before` continues a list: the (`time_ns`, id) of the last point already shown.
    """

    name: str
    project: str = ""
    before: tuple[int, bytes] | None = None
    limit: int = 50

"""What a metric point may hold, however it was encoded."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import isnan
from typing import get_args

import msgspec

from watchpost.ingest.items import MAX_NS, NO_SPAN, InvalidItemError
from watchpost.model.telemetry import (
    Attributes,
    Exemplar,
    Histogram,
    MetricPoint,
    MetricType,
    PointValue,
    Temporality,
)

MAX_PARTS = 1024
"""How many buckets, quantiles or exemplars one point may have; SDKs keep 160 buckets at most unless told otherwise."""

MAX_NAME = 1024
"""The longest name and unit of a metric, in characters; OpenTelemetry's SDKs allow 255 and 63."""

NO_TYPE = f"data: is none of {', '.join(get_args(MetricType))}"

_NO_TRACE = bytes(16)
_NO_RECORDED_VALUE = 1
_TEMPORALITIES: Mapping[int, Temporality] = {1: "delta", 2: "cumulative"}


class Head(msgspec.Struct, frozen=True):
    """What a metric says of all its points; `temporality` is OTLP's number."""

    name: str
    unit: str
    type: MetricType
    temporality: int
    monotonic: bool


def few(count: int, field: str) -> None:
    """Raise `InvalidItemError` for more parts than a point may have."""
    if count > MAX_PARTS:
        raise InvalidItemError(f"{field}: more than {MAX_PARTS}")


def point(
    head: Head,
    attributes: Attributes,
    *,
    start_ns: int,
    time_ns: int,
    flags: int,
    value: PointValue,
    exemplars: tuple[Exemplar, ...] = (),
) -> MetricPoint:
    """The point, if it can be kept; `InvalidItemError` names the field that cannot.

    `value` is None where the point holds none, which it may if `flags` say that none was recorded.
    """
    if not 0 < len(head.name) <= MAX_NAME:
        raise InvalidItemError(f"name: must have 1 to {MAX_NAME} characters")
    if len(head.unit) > MAX_NAME:
        raise InvalidItemError(f"unit: must have at most {MAX_NAME} characters")
    if start_ns > MAX_NS or time_ns > MAX_NS:
        raise InvalidItemError("start_time_unix_nano, time_unix_nano: must lie before 2262-04-12")
    if flags & _NO_RECORDED_VALUE:
        value = None
    elif value is None:
        raise InvalidItemError("value: is missing, and the flags do not say that none was recorded")
    _check(value)
    temporality = _TEMPORALITIES.get(head.temporality, "")
    named = (head.name, head.unit, head.type, temporality, head.monotonic)
    return MetricPoint(*named, attributes, start_ns, time_ns, value, exemplars)


def exemplar(time_ns: int, value: float | None, trace_id: bytes, span_id: bytes, attributes: Attributes) -> Exemplar:
    """The exemplar, with ids that are all zero left out; `InvalidItemError` names the field that cannot be kept."""
    if value is None:
        raise InvalidItemError("exemplars: value: is missing")
    if trace_id and len(trace_id) != 16:
        raise InvalidItemError("exemplars: trace_id: must be absent or 16 bytes")
    if span_id and len(span_id) != 8:
        raise InvalidItemError("exemplars: span_id: must be absent or 8 bytes")
    trace_id = b"" if trace_id == _NO_TRACE else trace_id
    span_id = b"" if span_id == NO_SPAN else span_id
    return Exemplar(min(time_ns, MAX_NS), value, trace_id, span_id, attributes)


def _check(value: PointValue) -> None:
    match value:
        case int() if not -(2**63) <= value < 2**63:
            raise InvalidItemError("as_int: must fit 64 bits with a sign")
        case Histogram(bounds=bounds, counts=counts):
            if counts and len(counts) != len(bounds) + 1:
                raise InvalidItemError("bucket_counts: must be one more than explicit_bounds, or none")
            if any(map(isnan, bounds)) or any(low >= high for low, high in pairwise(bounds)):
                raise InvalidItemError("explicit_bounds: must increase")
        case _:
            pass

"""What every telemetry store promises of metric points, through the embedded engine and through ClickHouse's HTTP interface."""

from __future__ import annotations

import math

import msgspec
import pytest

from watchpost.model.telemetry import (
    Exemplar,
    ExponentialBuckets,
    ExponentialHistogram,
    Histogram,
    MetricPoint,
    MetricType,
    PointValue,
    Quantiles,
)
from watchpost.query.metrics import PointFilter, StreamFilter, StreamKey
from watchpost.store.contracts import StoredMetric, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.readers import MetricStream

NOW = 1_790_000_000_000_000_000
DAY = 86_400_000_000_000


def a_point(value: PointValue = 1, kind: MetricType = "sum", name: str = "tokens", **changed: object) -> MetricPoint:
    point = MetricPoint(name, "{token}", kind, "delta", True, {"model": "m", "n": [1, None]}, NOW - 9, NOW, value)  # noqa: FBT003 - OTLP's isMonotonic
    return msgspec.structs.replace(point, **changed)


def stored(project: str, number: int, point: MetricPoint, received_ns: int = NOW) -> StoredMetric:
    return StoredMetric(number.to_bytes(16, "big"), project, received_ns, {"service.name": "shop"}, "a.scope", point)


def points(store: ClickHouse, project: str, name: str = "tokens", **asked: object) -> list[StoredMetric]:
    return store.points(msgspec.structs.replace(PointFilter(name, project), **asked))


VALUES: list[tuple[MetricType, PointValue]] = [
    ("gauge", 1.5),
    ("gauge", None),
    ("gauge", math.inf),
    ("sum", 0),
    ("sum", -(2**63)),
    ("sum", 2**63 - 1),
    ("histogram", Histogram(3, 4.5, -1.0, 5.0, (0.0, 5.0, math.inf), (1, 2, 0, 2**64 - 1))),
    ("histogram", Histogram(2**64 - 1, None, None, None)),
    ("histogram", None),
    (
        "exponential_histogram",
        ExponentialHistogram(
            7, 1.0, None, -math.inf, -10, 2, 1e-300, ExponentialBuckets(-5, (1, 0, 2**64 - 1)), ExponentialBuckets()
        ),
    ),
    ("summary", Quantiles(4, 2.5, ((0.0, 0.5), (1.0, math.inf)))),
    ("summary", Quantiles(0, 0.0)),
]


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_a_point_of_any_type_comes_back_as_it_was_written(
    telemetry: ClickHouse, project: str, number: int, kind: MetricType, value: PointValue
) -> None:
    exemplars = (
        Exemplar(NOW - 1, 2.5, b"\xfft" * 8, b"\x00s\xc3(" * 2, {"tool_use_id": "é'\\"}),
        Exemplar(0, -math.inf, b"", b"", {}),
    )
    written = stored(project, number, a_point(value, kind, exemplars=exemplars))
    telemetry.write(TelemetryBatch(number, metrics=[written]))
    assert points(telemetry, project) == [written]


def test_numbers_that_are_none_stay_so(telemetry: ClickHouse, project: str, number: int) -> None:
    histogram = Histogram(1, math.nan, math.nan, None, (1.0,), (0, 1))
    written = [
        stored(project, 1, a_point(math.nan, "gauge", time_ns=2)),
        stored(
            project, 2, a_point(histogram, "histogram", time_ns=1, exemplars=(Exemplar(1, math.nan, b"", b"", {}),))
        ),
    ]
    telemetry.write(TelemetryBatch(number, metrics=written))
    number_point, histogram_point = (found.point for found in points(telemetry, project))
    assert isinstance(number_point.value, float)
    assert math.isnan(number_point.value)
    assert isinstance(histogram_point.value, Histogram)
    assert histogram_point.value.sum is not None
    assert math.isnan(histogram_point.value.sum)
    assert histogram_point.value.max is None
    assert math.isnan(histogram_point.exemplars[0].value)


def test_a_point_that_is_sent_again_counts_once(telemetry: ClickHouse, project: str, number: int) -> None:
    point = a_point()
    for again in range(3):
        telemetry.write(
            TelemetryBatch(
                number + again,
                metrics=[stored(project, 7, point, NOW + again * DAY), stored(project, again + 8, point)],
            )
        )
    telemetry.write(TelemetryBatch(number, metrics=[stored(project, 99, point)]))
    assert [found.id[-1] for found in points(telemetry, project)] == [10, 9, 8, 7]
    [stream] = telemetry.streams(StreamFilter(project))
    assert (stream.points, stream.name) == (4, "tokens")


def test_points_are_paged_from_the_latest(telemetry: ClickHouse, project: str, number: int) -> None:
    written = [stored(project, n, a_point(n, time_ns=NOW - n // 3)) for n in range(20)]
    others = [stored(f"{project}-other", 50, a_point()), stored(project, 51, a_point(name="other"))]
    telemetry.write(TelemetryBatch(number, metrics=[*written, *others]))
    telemetry.write(TelemetryBatch(number + 1, metrics=written))
    assert len(points(telemetry, project, limit=7)) == 7
    found: list[StoredMetric] = []
    before = None
    while page := points(telemetry, project, before=before, limit=7):
        found += page
        before = (page[-1].point.time_ns, page[-1].id)
    assert found == sorted(written, key=lambda one: (one.point.time_ns, one.id), reverse=True)


def test_without_a_project_the_points_of_every_project_are_told(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    name = f"of {project}"
    written = [stored(f"{project}{n}", n, a_point(name=name, time_ns=NOW - n)) for n in range(3)]
    telemetry.write(TelemetryBatch(number, metrics=written))
    assert points(telemetry, "", name) == written
    assert [s.project for s in telemetry.streams(StreamFilter(limit=10_000)) if s.name == name] == [
        f"{project}{n}" for n in range(3)
    ]


def test_streams_are_told_apart_by_unit_and_type_and_paged_by_name(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    kinds = [
        a_point(name="b'\\"),
        a_point(name="a", unit="token"),
        a_point(name="a", unit="{token}"),
        a_point(1.0, "gauge", "a", temporality="", monotonic=False),
        a_point(name="a", temporality="cumulative"),
        a_point(name="a", monotonic=False),
    ]
    rows = [stored(project, n, p, NOW + n) for n, p in enumerate([*kinds, kinds[0]])]
    telemetry.write(TelemetryBatch(number, metrics=rows))
    found: list[MetricStream] = []
    after = None
    while page := telemetry.streams(StreamFilter(project, after, 4)):
        found += page
        last = page[-1]
        after = StreamKey(last.name, last.project, last.unit, last.type, last.temporality, last.monotonic)
    by_key = sorted(kinds, key=lambda p: (p.name, p.unit, p.type, p.temporality, p.monotonic))
    assert [(s.name, s.unit, s.type, s.temporality, s.monotonic) for s in found] == [
        (p.name, p.unit, p.type, p.temporality, p.monotonic) for p in by_key
    ]
    assert found[-1] == MetricStream(project, "b'\\", "{token}", "sum", "delta", True, 2, NOW + 6)  # noqa: FBT003 - OTLP's isMonotonic is true


@pytest.mark.parametrize("time", [0, 2**63 - 1])
def test_points_of_absurd_clocks_are_kept(telemetry: ClickHouse, project: str, number: int, time: int) -> None:
    written = stored(project, number, a_point(start_ns=time, time_ns=time))
    telemetry.write(TelemetryBatch(number, metrics=[written]))
    assert points(telemetry, project) == [written]


def test_text_that_utf_8_cannot_hold_is_stored_with_a_replacement(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    telemetry.write(TelemetryBatch(number, metrics=[stored(project, 1, a_point(attributes={"a\ud800": "\udfff"}))]))
    assert points(telemetry, project)[0].point.attributes == {"a\ufffd": "\ufffd"}

"""The API of the metrics that agents sent: its fields, numbers that JSON has none for, paging, and every bad parameter named."""

from __future__ import annotations

import base64
import functools
import math
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_fakes import House

from watchpost.model.telemetry import (
    Exemplar,
    ExponentialBuckets,
    ExponentialHistogram,
    Histogram,
    MetricPoint,
    PointValue,
    Quantiles,
)

AT = 1_780_000_000_123_456_000
TOKENS = MetricPoint("gen_ai.tokens", "{token}", "sum", "delta", True, {"model": "m"}, AT - 10**9, AT, 120)  # noqa: FBT003 - OTLP's isMonotonic


def a_point(value: PointValue = 120, **fields: object) -> MetricPoint:
    return msgspec.structs.replace(TOKENS, value=value, **fields)


def test_metrics_are_listed_with_unit_type_and_when_they_were_last_seen() -> None:
    house = House()
    house.shelf.add_point(TOKENS)
    house.shelf.add_point(a_point(3))
    house.shelf.add_point(a_point(3, unit="token"), "other")
    answer = house.get("/api/received-metrics").json()
    assert answer["next"] is None
    assert answer["metrics"][0] == {
        "name": "gen_ai.tokens",
        "project": "default",
        "unit": "{token}",
        "type": "sum",
        "temporality": "delta",
        "monotonic": True,
        "points": 2,
        "last_seen": "2026-05-28T20:26:41.123456Z",
    }
    assert [(one["project"], one["unit"]) for one in answer["metrics"]] == [("default", "{token}"), ("other", "token")]
    other = house.get("/api/received-metrics?project=other").json()
    assert other["metrics"] == answer["metrics"][1:]


def test_a_point_is_answered_with_the_fields_of_the_contract() -> None:
    house = House()
    exemplars = (Exemplar(AT, 7.0, b"t" * 16, b"s" * 8, {"call": "c"}), Exemplar(0, 1.0, b"", b"", {}))
    house.shelf.add_point(a_point(exemplars=exemplars))
    assert house.get("/api/received-metrics/gen_ai.tokens").json() == {
        "points": [
            {
                "project": "default",
                "unit": "{token}",
                "type": "sum",
                "temporality": "delta",
                "monotonic": True,
                "started_at": "2026-05-28T20:26:39.123456Z",
                "time": "2026-05-28T20:26:40.123456Z",
                "received_at": "2026-05-28T20:26:40.123456Z",
                "attributes": {"model": "m"},
                "value": 120,
                "count": None,
                "sum": None,
                "min": None,
                "max": None,
                "histogram": None,
                "exponential_histogram": None,
                "quantiles": None,
                "exemplars": [
                    {
                        "time": "2026-05-28T20:26:40.123456Z",
                        "value": 7.0,
                        "trace_id": "74" * 16,
                        "step_id": "73" * 8,
                        "attributes": {"call": "c"},
                    },
                    {"time": None, "value": 1.0, "trace_id": None, "step_id": None, "attributes": {}},
                ],
                "scope": "a.scope",
                "resource": {"service.name": "shop"},
            }
        ],
        "next": None,
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, {"value": "NaN"}),
        (math.inf, {"value": "Infinity"}),
        (-math.inf, {"value": "-Infinity"}),
        (2**63 - 1, {"value": 2**63 - 1}),
        (0.1, {"value": 0.1}),
        (None, {"value": None, "count": None}),
        (
            Histogram(3, math.nan, None, 2.5, (1.0, math.inf), (1, 2, 0)),
            {
                "value": None,
                "count": 3,
                "sum": "NaN",
                "min": None,
                "max": 2.5,
                "histogram": {"bounds": [1.0, "Infinity"], "counts": [1, 2, 0]},
            },
        ),
        (
            ExponentialHistogram(2**64 - 1, 1.5, 1.0, 2.0, -3, 4, 0.5, ExponentialBuckets(-7, (1,)), ExponentialBuckets()),
            {
                "count": 2**64 - 1,
                "sum": 1.5,
                "min": 1.0,
                "exponential_histogram": {
                    "scale": -3,
                    "zero_count": 4,
                    "zero_threshold": 0.5,
                    "positive": {"offset": -7, "counts": [1]},
                    "negative": {"offset": 0, "counts": []},
                },
            },
        ),
        (
            Quantiles(2, 3.0, ((0.5, -math.inf),)),
            {"count": 2, "sum": 3.0, "min": None, "quantiles": [{"quantile": 0.5, "value": "-Infinity"}]},
        ),
    ],
)  # fmt: skip
def test_every_kind_of_value_is_shown_and_none_is_lost(value: PointValue, shown: dict[str, object]) -> None:
    house = House()
    house.shelf.add_point(a_point(value))
    [point] = house.get("/api/received-metrics/gen_ai.tokens").json()["points"]
    assert {name: point[name] for name in shown} == shown


@pytest.mark.parametrize("name", ["a/b", "a b%", "ü", "..", "a?b=c", "next"])
def test_a_metric_is_found_whatever_its_name(name: str) -> None:
    house = House()
    house.shelf.add_point(a_point(name=name))
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    assert len(house.get(f"/api/received-metrics/{quoted}").json()["points"]) == 1


def test_pages_follow_each_other_without_gap_or_overlap() -> None:
    house = House()
    for number in range(7):
        house.shelf.add_point(a_point(number, time_ns=AT + number // 2))
        house.shelf.add_point(a_point(name=f"n{number}"))
    values = [point["value"] for point in pages(house, "/api/received-metrics/gen_ai.tokens?limit=3", "points")]
    assert set(values) == set(range(7))
    assert (len(values), values[0]) == (7, 6)
    names = [metric["name"] for metric in pages(house, "/api/received-metrics?limit=3", "metrics")]
    assert names == ["gen_ai.tokens", *(f"n{number}" for number in range(7))]


def pages(house: House, address: str, member: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = house.get(f"{address}&cursor={cursor}").json()
        assert len(answer[member]) <= 3
        found += answer[member]
        cursor = answer["next"]
    return found


def test_a_metric_that_nobody_sent_is_not_found() -> None:
    house = House()
    house.shelf.add_point(TOKENS)
    for address in ("nothing", "gen_ai.tokens?project=other"):
        answer = house.get(f"/api/received-metrics/{address}")
        assert answer.status_code == 404
        assert address.partition("?")[0] in answer.json()["detail"]


FORGED = st.binary(min_size=1, max_size=20) | st.recursive(
    st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=15) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
).map(msgspec.msgpack.encode)


@functools.cache
def empty_house() -> House:
    """For requests that change nothing."""
    return House()


@given(st.text(min_size=1, max_size=40) | FORGED.map(lambda forged: base64.urlsafe_b64encode(forged).decode()))
@settings(deadline=None, max_examples=60)
def test_a_cursor_that_no_list_gave_out_is_a_422(text: str) -> None:
    house = empty_house()
    for address in ("/api/received-metrics", "/api/received-metrics/gen_ai.tokens"):
        answer = house.get(f"{address}?cursor={quote(text)}")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "cursor"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=" + "a" * 30_000])
def test_a_parameter_out_of_range_is_named(query: str) -> None:
    answer = House().get(f"/api/received-metrics?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]

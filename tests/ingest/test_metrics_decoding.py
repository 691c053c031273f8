"""Metrics are read as they were sent, in protobuf and in JSON; what cannot be kept costs only itself and is said."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path

import msgspec
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_messages import GOOD, POINTS, metric_request, wire_metric
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint
from otlp_messages import ATTRIBUTES, TEXT, UNTIMED, as_json, length_delimited, raw_request

from watchpost.ingest.items import MAX_NS, Limits
from watchpost.ingest.otlp import Decoded, decode
from watchpost.ingest.points import MAX_NAME, MAX_PARTS
from watchpost.ingest.request import OtlpRequest, RefusedError
from watchpost.model.telemetry import (
    Delivery,
    Exemplar,
    ExponentialBuckets,
    ExponentialHistogram,
    Histogram,
    MetricPoint,
    Quantiles,
    point_ids,
)

JSON = "application/json"
FIXTURES = Path(__file__).parents[1] / "fixtures"
CAPTURED = sorted(FIXTURES.glob("*.metrics.pb"))
Encode = Callable[[ExportMetricsServiceRequest], OtlpRequest]


def protobuf(request: ExportMetricsServiceRequest) -> OtlpRequest:
    return OtlpRequest("metrics", request.SerializeToString())


def in_json(request: ExportMetricsServiceRequest) -> OtlpRequest:
    return OtlpRequest("metrics", as_json(request), JSON)


BOTH = pytest.mark.parametrize("encode", [protobuf, in_json])


def read(request: OtlpRequest, limits: Limits | None = None) -> Decoded:
    return decode(request, limits or Limits())


def points(decoded: Decoded) -> list[MetricPoint]:
    return [point for parcel in decoded.parcels for point in parcel.metrics]


def but(**fields: object) -> MetricPoint:
    return msgspec.structs.replace(GOOD, **fields)


def captured(name: str) -> Decoded:
    return read(OtlpRequest("metrics", (FIXTURES / f"{name}.metrics.pb").read_bytes()))


def refusal_of(request: OtlpRequest) -> int | None:
    """The status of a refusal that names a field and a reason, None if there is none."""
    try:
        read(request)
    except RefusedError as refusal:
        return refusal.status if refusal.field and refusal.detail else 0
    return None


@BOTH
@given(sent=st.lists(POINTS, max_size=4), resource=ATTRIBUTES, scope=TEXT)
@UNTIMED
def test_points_are_read_as_they_were_sent(
    encode: Encode, sent: list[MetricPoint], resource: dict[str, object], scope: str
) -> None:
    decoded = read(encode(metric_request(sent, resource, scope)))
    assert (decoded.rejected, decoded.reasons) == (0, ())
    (parcel,) = decoded.parcels
    assert (parcel.resource, parcel.scope) == (resource, scope)
    assert list(parcel.metrics) == sent


@given(sent=st.lists(POINTS, min_size=1, max_size=3))
@UNTIMED
def test_the_log_gives_points_back_as_they_were_kept(sent: list[MetricPoint]) -> None:
    (parcel,) = read(protobuf(metric_request(sent, {"b": 1, "a": 2}))).parcels
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(Delivery(7, (parcel,))), type=Delivery)
    assert kept == Delivery(7, (parcel,))
    assert point_ids(kept.parcels[0]) == point_ids(parcel)


def test_a_log_written_before_there_were_metrics_is_read() -> None:
    before = [7, [["shop", {"service.name": "a"}, "scope", [], [[1, 9, b"", b"", "event", "body", {}]]]]]
    (parcel,) = msgspec.msgpack.decode(msgspec.msgpack.encode(before), type=Delivery).parcels
    assert (parcel.project, parcel.logs[0].body, parcel.metrics) == ("shop", "body", ())


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.name)
def test_captured_metrics_are_read_alike_in_both_encodings(path: Path) -> None:
    body = path.read_bytes()
    request = ExportMetricsServiceRequest.FromString(body)
    decoded = read(OtlpRequest("metrics", body))
    assert decoded.rejected == 0
    assert len(points(decoded)) >= 2
    assert read(in_json(request)) == decoded


def test_a_delta_counter_keeps_what_claude_code_says_of_it() -> None:
    (parcel,) = captured("claude_code").parcels
    tokens = [point for point in parcel.metrics if point.name == "claude_code.token.usage"]
    assert {(p.unit, p.type, p.temporality, p.monotonic) for p in tokens} == {("tokens", "sum", "delta", True)}
    found = {str(point.attributes["type"]): point.value for point in tokens}
    assert found == {"input": 120.0, "output": 24.0, "cacheRead": 0.0, "cacheCreation": 16.0}
    assert (parcel.scope, parcel.resource["service.name"]) == ("com.anthropic.claude_code", "support-agent")


def test_an_exponential_histogram_keeps_what_logfire_says_of_it() -> None:
    [point] = [p for p in points(captured("logfire")) if p.name == "operation.cost"]
    buckets = (ExponentialBuckets(-15638092, (1,)), ExponentialBuckets(0, (0,)))
    assert point.value == ExponentialHistogram(1, 3.24e-05, 3.24e-05, 3.24e-05, 20, 0, 0.0, *buckets)
    assert (point.unit, point.temporality) == ("{USD}", "cumulative")


def test_an_exemplar_keeps_the_step_that_it_was_taken_in() -> None:
    point = points(captured("strands"))[0]
    (exemplar,) = point.exemplars
    assert exemplar.trace_id.hex() == "1d37cb35b43b2732168dda9cea71d09b"
    assert exemplar.span_id.hex() == "9c2c3116b80bbd72"
    assert (exemplar.value, point.value) == (1.0, 1)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstd.compress)],
)
@BOTH
def test_every_encoding_is_undone(encode: Encode, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    request = encode(metric_request([GOOD]))
    packed = msgspec.structs.replace(request, body=compress(request.body), content_encoding=encoding)
    assert points(read(packed)) == [GOOD]


@BOTH
def test_numbers_that_are_none_are_read_as_such(encode: Encode) -> None:
    histogram = Histogram(1, math.nan, -math.inf, math.inf, (0.0, math.inf), (1, 0, 0))
    sent = [but(value=math.nan), but(value=math.inf), but(type="histogram", value=histogram)]
    nan, infinite, spread = (point.value for point in points(read(encode(metric_request(sent)))))
    assert isinstance(nan, float)
    assert math.isnan(nan)
    assert infinite == math.inf
    assert isinstance(spread, Histogram)
    assert math.isnan(float(str(spread.sum)))
    assert (spread.min, spread.max, spread.bounds) == (-math.inf, math.inf, (0.0, math.inf))


@given(
    body=st.binary(max_size=200) | POINTS.map(lambda point: metric_request([point]).SerializeToString()),
    cut=st.integers(0, 400),
    media=st.sampled_from(["", JSON]),
)
@settings(UNTIMED, max_examples=300)
def test_whatever_the_bytes_only_a_refusal_is_raised(body: bytes, cut: int, media: str) -> None:
    assert refusal_of(OtlpRequest("metrics", body[:cut], media)) in {None, 400}


@given(parts=st.lists(st.tuples(st.integers(1, 14), st.binary(max_size=30)), max_size=6), kind=st.sampled_from([5, 7, 9, 10, 11]))  # fmt: skip
@settings(UNTIMED, max_examples=300)
def test_whatever_stands_in_a_point_the_next_metric_is_read(parts: list[tuple[int, bytes]], kind: int) -> None:
    point = b"".join(length_delimited(number, content) for number, content in parts)
    odd = length_delimited(1, b"odd") + length_delimited(kind, length_delimited(1, point))
    decoded = read(OtlpRequest("metrics", raw_request(odd, wire_metric(GOOD).SerializeToString())))
    assert points(decoded)[-1] == GOOD
    assert len(points(decoded)) == 2 - decoded.rejected


MEMBERS = [
    "resourceMetrics", "scopeMetrics", "metrics", "name", "unit", "gauge", "sum", "histogram", "exponentialHistogram",
    "summary", "dataPoints", "aggregationTemporality", "isMonotonic", "attributes", "key", "value", "stringValue",
    "startTimeUnixNano", "timeUnixNano", "asInt", "asDouble", "flags", "exemplars", "filteredAttributes", "traceId",
    "count", "min", "max", "bucketCounts", "explicitBounds", "scale", "zeroCount", "zeroThreshold", "positive", "offset",
    "quantileValues", "quantile",
]  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=30,
)


@given(document=JSON_VALUES)
@settings(UNTIMED, max_examples=300)
def test_whatever_the_json_only_a_refusal_is_raised(document: object) -> None:
    assert refusal_of(OtlpRequest("metrics", json.dumps(document).encode(), JSON)) in {None, 400}


@given(sent=POINTS, value=JSON_VALUES, name=st.sampled_from(MEMBERS))
@settings(UNTIMED, max_examples=400)
def test_whatever_stands_in_a_json_point_the_next_metric_is_read(sent: MetricPoint, value: object, name: str) -> None:
    document = json.loads(as_json(metric_request([sent, GOOD])))
    metric = document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]
    [body] = [metric[kind] for kind in metric if isinstance(metric[kind], dict)]
    body["dataPoints"][0][name] = value
    decoded = read(OtlpRequest("metrics", json.dumps(document).encode(), JSON))
    assert points(decoded)[-1] == GOOD
    assert len(points(decoded)) == 2 - decoded.rejected


@BOTH
@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (but(name=""), "name"),
        (but(name="n" * (MAX_NAME + 1)), "name"),
        (but(unit="u" * (MAX_NAME + 1)), "unit"),
        (but(start_ns=MAX_NS + 1), "start_time_unix_nano"),
        (but(time_ns=2**64 - 1), "time_unix_nano"),
        (but(attributes={str(number): 1 for number in range(1025)}), "attributes"),
        (but(exemplars=(Exemplar(1, 1.0, b"t" * 15, b"", {}),)), "trace_id"),
        (but(exemplars=(Exemplar(1, 1.0, b"", b"s", {}),)), "span_id"),
        (but(exemplars=(Exemplar(1, 1.0, b"", b"", {}),) * (MAX_PARTS + 1)), "exemplars"),
        (but(exemplars=(Exemplar(1, 1.0, b"", b"", {str(n): 1 for n in range(1025)}),)), "ttributes"),
        (but(type="histogram", value=Histogram(1, None, None, None, (1.0,), (1,))), "bucket_counts"),
        (but(type="histogram", value=Histogram(1, None, None, None, (1.0, 1.0), (1, 0, 0))), "explicit_bounds"),
        (but(type="histogram", value=Histogram(1, None, None, None, (math.nan,), (1, 0))), "explicit_bounds"),
        (but(type="histogram", value=Histogram(1, None, None, None, (), (1,) * (MAX_PARTS + 1))), "ounts"),
        (but(type="summary", value=Quantiles(1, 1.0, ((0.5, 1.0),) * (MAX_PARTS + 1))), "uantile"),
        (
            but(
                type="exponential_histogram",
                value=ExponentialHistogram(
                    1, None, None, None, 0, 0, 0.0, ExponentialBuckets(), ExponentialBuckets(0, (0,) * (MAX_PARTS + 1))
                ),
            ),
            "ounts",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_point_that_cannot_be_kept_is_left_out_with_the_field_at_fault(
    encode: Encode, bad: MetricPoint, field: str
) -> None:
    decoded = read(encode(metric_request([GOOD, bad, GOOD])))
    assert points(decoded) == [GOOD, GOOD]
    assert decoded.rejected == 1
    (reason,) = decoded.reasons
    assert reason.startswith(("metric[1].data_points[0]: ", "metrics[1].dataPoints[0]: "))
    assert field in reason


@BOTH
@pytest.mark.parametrize(
    "odd",
    [
        but(start_ns=0, time_ns=0),
        but(start_ns=9, time_ns=3),
        but(time_ns=MAX_NS),
        but(unit=""),
        but(name="a/b c?ü"),
        but(value=-5),
        but(temporality=""),
        but(value=None),
        but(attributes={str(number): 1 for number in range(1024)}),
        but(type="histogram", value=Histogram(9, None, None, None, (), (1,))),
        but(type="histogram", value=Histogram(9, None, None, None, (1.0, 2.0), ())),
    ],
)
def test_an_odd_point_is_kept_as_it_is(encode: Encode, odd: MetricPoint) -> None:
    odd = odd if odd.type == "sum" else msgspec.structs.replace(odd, monotonic=False)
    assert points(read(encode(metric_request([odd])))) == [odd]


@BOTH
def test_ids_of_an_exemplar_that_are_all_zero_are_none(encode: Encode) -> None:
    sent = but(exemplars=(Exemplar(1, 1.0, bytes(16), bytes(8), {}),))
    (point,) = points(read(encode(metric_request([sent]))))
    assert (point.exemplars[0].trace_id, point.exemplars[0].span_id) == (b"", b"")


@BOTH
def test_a_point_without_a_value_is_left_out_unless_it_says_that_there_was_none(encode: Encode) -> None:
    request = metric_request([GOOD])
    body = request.resource_metrics[0].scope_metrics[0].metrics[0].sum
    body.data_points.add(flags=1)
    body.data_points.add(flags=2)
    decoded = read(encode(request))
    assert [point.value for point in points(decoded)] == [5, None]
    assert "value" in decoded.reasons[0]
    assert "[2]" in decoded.reasons[0]


@BOTH
def test_a_metric_of_no_known_type_is_said(encode: Encode) -> None:
    request = metric_request([GOOD])
    request.resource_metrics[0].scope_metrics[0].metrics.append(Metric(name="newer"))
    decoded = read(encode(request))
    assert points(decoded) == [GOOD]
    assert decoded.rejected == 1
    assert "exponential_histogram" in decoded.reasons[0]


def test_a_metric_that_breaks_off_counts_as_one_and_costs_only_itself() -> None:
    whole = wire_metric(GOOD).SerializeToString()
    decoded = read(OtlpRequest("metrics", raw_request(whole[:-3], whole, b"\xff" * 9)))
    assert points(decoded) == [GOOD]
    assert (decoded.rejected, decoded.reasons) == (2, ("metric[0] and 1 more: not a well-formed message",))


def test_a_point_that_breaks_off_costs_only_itself() -> None:
    good = NumberDataPoint(time_unix_nano=2, as_int=5).SerializeToString()
    body = b"".join(length_delimited(1, point) for point in (good[:-2], good, b"\xff"))
    decoded = read(OtlpRequest("metrics", raw_request(length_delimited(1, b"name") + length_delimited(5, body))))
    assert [point.value for point in points(decoded)] == [5]
    assert decoded.reasons == ("metric[0].data_points[0] and 1 more: not a well-formed message",)


@BOTH
def test_a_request_of_too_many_points_is_refused_whole(encode: Encode) -> None:
    request = metric_request([GOOD] * 2)
    request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points.add(as_int=6)
    assert len(points(read(encode(request), Limits(items=3)))) == 3
    with pytest.raises(RefusedError) as caught:
        read(encode(request), Limits(items=2))
    assert (caught.value.status, caught.value.field[-7:]) == (413, "metrics")


def test_a_point_of_a_million_empty_buckets_is_left_out() -> None:
    buckets = length_delimited(2, bytes(1_000_000))
    body = length_delimited(10, length_delimited(1, length_delimited(8, buckets)))
    decoded = read(OtlpRequest("metrics", raw_request(length_delimited(1, b"name") + body)))
    assert decoded.rejected == 1
    assert str(MAX_PARTS) in decoded.reasons[0]


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("asInt", str(2**63), "as_int"),
        ("asInt", "five", "asInt"),
        ("asInt", 1.5, "asInt"),
        ("asDouble", "5", "asDouble"),
        ("asDouble", True, "asDouble"),
        ("flags", -1, "flags"),
        ("timeUnixNano", "-1", "timeUnixNano"),
        ("exemplars", [{"asDouble": 1, "traceId": "xy"}], "traceId"),
        ("exemplars", [{}], "value"),
        ("exemplars", {}, "exemplars"),
    ],
)
def test_a_json_member_of_the_wrong_type_costs_its_point_alone(name: str, value: object, field: str) -> None:
    document = json.loads(as_json(metric_request([GOOD, GOOD])))
    [point] = document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"]
    del point["asInt"]
    point[name] = value
    decoded = read(OtlpRequest("metrics", json.dumps(document).encode(), JSON))
    assert points(decoded) == [GOOD]
    assert field in decoded.reasons[0]


def test_names_of_temporalities_are_read_like_their_numbers() -> None:
    document = json.loads(as_json(metric_request([GOOD])))
    body = document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["sum"]
    body["aggregationTemporality"] = "AGGREGATION_TEMPORALITY_CUMULATIVE"
    (point,) = points(read(OtlpRequest("metrics", json.dumps(document).encode(), JSON)))
    assert point.temporality == "cumulative"


def test_a_point_has_an_id_of_its_own_wherever_it_differs_and_no_other_when_it_is_sent_again() -> None:
    different = [GOOD, but(name="n"), but(unit=""), but(type="gauge"), but(temporality=""), but(monotonic=False), but(attributes={}), but(start_ns=0), but(time_ns=3), but(value=6), but(value=5.0)]  # fmt: skip
    resources: list[dict[str, object]] = [{}, {"a": 1}]
    ids = [
        identity
        for resource, scope, project in product(resources, ("", "s"), ("p", "q"))
        for parcel in read(
            OtlpRequest("metrics", metric_request(different, resource, scope).SerializeToString(), project=project)
        ).parcels
        for identity in point_ids(parcel)
    ]
    assert len(set(ids)) == len(ids) == 8 * len(different)
    (one,) = read(protobuf(metric_request([but(attributes={"a": 1, "b": 2})], {"c": 1, "d": 2}))).parcels
    (again,) = read(in_json(metric_request([but(attributes={"b": 2, "a": 1})], {"d": 2, "c": 1}))).parcels
    assert point_ids(one) == point_ids(again)

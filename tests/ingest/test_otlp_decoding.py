"""What was sent is what is read, in protobuf and in JSON; what cannot be read costs only itself and is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_messages import (
    ATTRIBUTES,
    LINES,
    SPANS,
    TEXT,
    UNTIMED,
    VALUES,
    Request,
    any_value,
    as_json,
    length_delimited,
    log_request,
    raw_request,
    trace_request,
    wire_span,
)

from watchpost.ingest.items import MAX_NS, Limits
from watchpost.ingest.otlp import Decoded, decode
from watchpost.ingest.request import OtlpRequest, RefusedError
from watchpost.ingest.wire import MAX_DEPTH
from watchpost.model.telemetry import Event, Link, LogLine, Span

JSON = "application/json"
Encode = Callable[[Request], OtlpRequest]
GOOD = Span(b"t" * 16, b"s" * 8, b"", "good", 1, 2, 0, 0, "", {"key": "value"})


def protobuf(request: Request, signal: Literal["traces", "logs"] = "traces") -> OtlpRequest:
    return OtlpRequest(signal, request.SerializeToString())


def in_json(request: Request, signal: Literal["traces", "logs"] = "traces") -> OtlpRequest:
    return OtlpRequest(signal, as_json(request), JSON)


BOTH = pytest.mark.parametrize("encode", [protobuf, in_json])


def read(request: OtlpRequest, limits: Limits | None = None) -> Decoded:
    return decode(request, limits or Limits())


def spans(decoded: Decoded) -> list[Span]:
    return [span for parcel in decoded.parcels for span in parcel.spans]


def refused(request: OtlpRequest, limits: Limits | None = None) -> tuple[int, str]:
    with pytest.raises(RefusedError) as caught:
        read(request, limits)
    assert caught.value.detail
    return caught.value.status, caught.value.field


def refusal_of(request: OtlpRequest) -> int | None:
    """The status of a refusal that names a field and a reason, None if there is none."""
    try:
        read(request)
    except RefusedError as refusal:
        return refusal.status if refusal.field and refusal.detail else 0
    return None


def but(**fields: object) -> Span:
    return msgspec.structs.replace(GOOD, **fields)


@BOTH
@given(sent=st.lists(SPANS, max_size=3), resource=ATTRIBUTES, scope=TEXT)
@UNTIMED
def test_spans_are_read_as_they_were_sent(
    encode: Encode, sent: list[Span], resource: dict[str, object], scope: str
) -> None:
    decoded = read(encode(trace_request(sent, resource, scope)))
    assert (decoded.rejected, decoded.reasons) == (0, ())
    (parcel,) = decoded.parcels
    assert (parcel.resource, parcel.scope) == (resource, scope)
    assert list(parcel.spans) == sent


@given(sent=st.lists(LINES, max_size=3), resource=ATTRIBUTES)
@UNTIMED
def test_log_records_are_read_as_they_were_sent(sent: list[LogLine], resource: dict[str, object]) -> None:
    request = log_request(sent, resource)
    for encoded in (protobuf(request, "logs"), in_json(request, "logs")):
        (parcel,) = read(encoded).parcels
        assert parcel.resource == resource
        assert list(parcel.logs) == sent


@BOTH
def test_numbers_that_are_none_are_read_as_such(encode: Encode) -> None:
    sent: dict[str, object] = {"nan": math.nan, "up": math.inf, "down": -math.inf}
    (span,) = spans(read(encode(trace_request([but(attributes=sent)]))))
    assert math.isnan(float(str(span.attributes.pop("nan"))))
    assert span.attributes == {"up": math.inf, "down": -math.inf}


@given(
    body=st.binary(max_size=200) | SPANS.map(lambda span: trace_request([span]).SerializeToString()),
    cut=st.integers(0, 400),
    signal=st.sampled_from(["traces", "logs"]),
    media=st.sampled_from(["", JSON]),
)
@settings(UNTIMED, max_examples=300)
def test_whatever_the_bytes_only_a_refusal_is_raised(
    body: bytes, cut: int, signal: Literal["traces", "logs"], media: str
) -> None:
    assert refusal_of(OtlpRequest(signal, body[:cut], media)) in {None, 400}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "resource",
                    "scope",
                    "attributes",
                    "key",
                    "value",
                    "traceId",
                    "spanId",
                    "parentSpanId",
                    "name",
                    "kind",
                    "startTimeUnixNano",
                    "endTimeUnixNano",
                    "events",
                    "links",
                    "status",
                    "code",
                    "message",
                    "stringValue",
                    "boolValue",
                    "intValue",
                    "doubleValue",
                    "arrayValue",
                    "kvlistValue",
                    "bytesValue",
                    "values",
                    "resourceLogs",
                    "scopeLogs",
                    "logRecords",
                    "severityNumber",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(document=JSON_VALUES, signal=st.sampled_from(["traces", "logs"]))
@settings(UNTIMED, max_examples=400)
def test_whatever_the_json_only_a_refusal_is_raised(document: object, signal: Literal["traces", "logs"]) -> None:
    assert refusal_of(OtlpRequest(signal, json.dumps(document).encode(), JSON)) in {None, 400}


@given(value=JSON_VALUES, key=st.sampled_from(["attributes", "events", "links", "status", "name", "kind", "traceId"]))
@settings(UNTIMED, max_examples=400)
def test_whatever_stands_in_a_json_span_the_next_one_is_read(value: object, key: str) -> None:
    document = json.loads(as_json(trace_request([GOOD, GOOD])))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0][key] = value
    decoded = read(OtlpRequest("traces", json.dumps(document).encode(), JSON))
    assert len(spans(decoded)) == 2 - decoded.rejected
    assert spans(decoded)[-1] == GOOD
    assert msgspec.json.encode(spans(decoded)[0].attributes)


@given(broken=SPANS, cut=st.integers(1, 10))
@UNTIMED
def test_a_span_that_breaks_off_costs_only_itself(broken: Span, cut: int) -> None:
    body = raw_request(
        wire_span(GOOD).SerializeToString(), wire_span(broken).SerializeToString()[:-cut] + b"\xff" * 12, b"\xff" * 9
    )
    decoded = read(OtlpRequest("traces", body))
    assert spans(decoded) == [GOOD]
    assert decoded.rejected == 2
    assert decoded.reasons == ("span[1] and 1 more: not a well-formed message",)


@BOTH
@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (but(trace_id=b"t" * 15), "trace_id"),
        (but(trace_id=b""), "trace_id"),
        (but(trace_id=bytes(16)), "trace_id"),
        (but(span_id=b"s" * 9), "span_id"),
        (but(span_id=b""), "span_id"),
        (but(span_id=bytes(8)), "span_id"),
        (but(parent_id=b"p" * 16), "parent_span_id"),
        (but(start_ns=MAX_NS + 1), "start_time_unix_nano"),
        (but(end_ns=2**64 - 1), "end_time_unix_nano"),
        (but(attributes={str(number): 1 for number in range(1025)}), "attributes"),
    ],
)
def test_a_span_that_cannot_be_kept_is_left_out_with_the_field_at_fault(encode: Encode, bad: Span, field: str) -> None:
    decoded = read(encode(trace_request([GOOD, bad, GOOD])))
    assert spans(decoded) == [GOOD, GOOD]
    assert decoded.rejected == 1
    (reason,) = decoded.reasons
    assert "[1]: " in reason
    assert field in reason


@BOTH
@pytest.mark.parametrize(
    "odd",
    [
        but(start_ns=0),
        but(start_ns=5, end_ns=3),
        but(start_ns=0, end_ns=0),
        but(end_ns=MAX_NS),
        but(name=""),
        but(name="n" * 100_000),
        but(attributes={str(number): 1 for number in range(1024)}),
        but(events=(Event(0, "", {}),)),
        but(links=(Link(b"", b"", {}),)),
    ],
)
def test_an_odd_span_is_kept_as_it_is(encode: Encode, odd: Span) -> None:
    assert spans(read(encode(trace_request([odd])))) == [odd]


@BOTH
def test_an_all_zero_parent_is_a_root(encode: Encode) -> None:
    assert spans(read(encode(trace_request([but(parent_id=bytes(8))])))) == [GOOD]


@BOTH
def test_the_time_of_an_event_beyond_2262_becomes_the_last_one_that_fits(encode: Encode) -> None:
    (span,) = spans(read(encode(trace_request([but(events=(Event(2**64 - 1, "late", {}),))]))))
    assert span.events == (Event(MAX_NS, "late", {}),)


@BOTH
def test_values_may_nest_as_deep_as_said_and_deeper_ones_cost_their_span(encode: Encode) -> None:
    deep: object = "end"
    for _ in range(MAX_DEPTH):
        deep = [deep]
    fitting, too_deep = but(attributes={"deep": deep}), but(attributes={"deep": [deep]})
    decoded = read(encode(trace_request([fitting, too_deep])))
    assert spans(decoded) == [fitting]
    assert str(MAX_DEPTH) in decoded.reasons[0]


def test_a_thousand_causes_of_one_kind_are_one_reason() -> None:
    decoded = read(protobuf(trace_request([but(trace_id=b"short")] * 1000)))
    assert decoded.rejected == 1000
    assert decoded.reasons == ("span[0] and 999 more: trace_id: must be 16 bytes, not all zero",)


@BOTH
def test_a_request_of_too_many_spans_is_refused_whole(encode: Encode) -> None:
    few = Limits(items=3)
    assert len(spans(read(encode(trace_request([GOOD] * 3)), few))) == 3
    assert refused(encode(trace_request([GOOD] * 4)), few)[0] == 413


def test_a_request_of_100_001_spans_is_refused_without_reading_one() -> None:
    status, field = refused(OtlpRequest("traces", raw_request(*[b"\x0a\x00"] * 100_001)))
    assert (status, field) == (413, "resource_spans")


@pytest.mark.parametrize("body", [b"\x0a\x00" * 4, length_delimited(1, b"\x12\x00" * 4)], ids=["resources", "scopes"])
def test_a_request_of_too_many_empty_groups_is_refused_too(body: bytes) -> None:
    assert refused(OtlpRequest("traces", body), Limits(items=3)) == (413, "resource_spans")
    assert spans(read(OtlpRequest("traces", body), Limits(items=4))) == []


def test_a_json_request_of_too_many_empty_groups_is_refused_too() -> None:
    request = OtlpRequest("traces", b'{"resourceSpans": [{"scopeSpans": [{}, {}]}, {"scopeSpans": [{}, {}]}]}', JSON)
    assert refused(request, Limits(items=3)) == (413, "spans")
    assert spans(read(request, Limits(items=4))) == []


@BOTH
def test_a_key_sent_twice_keeps_the_last_value(encode: Encode) -> None:
    request = trace_request([GOOD])
    request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="key").value.string_value = "again"
    assert spans(read(encode(request)))[0].attributes == {"key": "again"}


@pytest.mark.parametrize(
    ("number", "field"), [(5, "name"), (9, "value"), (11, "events")], ids=["name", "value", "event name"]
)
def test_text_that_is_no_utf_8_is_replaced(number: int, field: str) -> None:
    inside = {
        "name": b"a\xffb",
        "value": length_delimited(1, b"k") + length_delimited(2, length_delimited(1, b"a\xffb")),
        "events": length_delimited(2, b"a\xffb"),
    }
    body = raw_request(wire_span(GOOD).SerializeToString() + length_delimited(number, inside[field]))
    (span,) = spans(read(OtlpRequest("traces", body)))
    shown = {"name": span.name, "value": span.attributes.get("k"), "events": span.events[0].name if span.events else ""}
    assert shown[field] == "a\ufffdb"


def test_a_key_that_is_no_utf_8_costs_its_span_alone() -> None:
    key = length_delimited(9, length_delimited(1, b"k\xff") + length_delimited(2, length_delimited(1, b"v")))
    good = wire_span(GOOD).SerializeToString()
    decoded = read(OtlpRequest("traces", raw_request(good, good + key)))
    assert spans(decoded) == [GOOD]
    assert decoded.reasons == ("span[1]: not a well-formed message",)


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_an_empty_body_is_a_request_of_nothing(signal: Literal["traces", "logs"]) -> None:
    assert read(OtlpRequest(signal, b"")) == Decoded((), 0, ())
    assert read(OtlpRequest(signal, b"{}", JSON)) == Decoded((), 0, ())


def test_unknown_fields_are_overlooked() -> None:
    newer = wire_span(GOOD).SerializeToString() + length_delimited(14, b"new") + b"\xf8\x3f\x05"
    assert spans(read(OtlpRequest("traces", raw_request(newer) + length_delimited(9, b"new")))) == [GOOD]
    document = json.loads(as_json(trace_request([GOOD])))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["new"] = {"deep": [1]}
    document["new"] = 1
    assert spans(read(OtlpRequest("traces", json.dumps(document).encode(), JSON))) == [GOOD]


@given(value=VALUES)
@UNTIMED
def test_a_value_takes_the_same_way_in_json_as_in_protobuf(value: object) -> None:
    request = trace_request([but(attributes={"value": value})])
    assert spans(read(protobuf(request))) == spans(read(in_json(request)))


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"boolValue": "true"}, "boolValue"),
        ({"boolValue": [[[]]]}, "boolValue"),
        ({"doubleValue": "1.5"}, "doubleValue"),
        ({"doubleValue": {"deep": [1]}}, "doubleValue"),
        ({"intValue": 1.5}, "intValue"),
        ({"intValue": True}, "intValue"),
        ({"intValue": str(2**64)}, "intValue"),
        ({"intValue": "9" * 5000}, "intValue"),
        ({"bytesValue": "ä"}, "bytesValue"),
        ({"bytesValue": "A"}, "bytesValue"),
        ({"stringValue": 1}, "stringValue"),
        ({"arrayValue": {"values": {}}}, "values"),
        ("text", "str"),
    ],
)
def test_a_json_value_of_the_wrong_type_costs_its_span_alone(value: object, field: str) -> None:
    document = json.loads(as_json(trace_request([GOOD, GOOD])))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] = [{"key": "k", "value": value}]
    decoded = read(OtlpRequest("traces", json.dumps(document).encode(), JSON))
    assert spans(decoded) == [GOOD]
    assert field in decoded.reasons[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("startTimeUnixNano", -1),
        ("endTimeUnixNano", "-5"),
        ("kind", 2**31),
        ("status", {"code": 2**40}),
        ("traceId", "xy"),
    ],
)
def test_a_json_number_out_of_range_costs_its_span_alone(key: str, value: object) -> None:
    document = json.loads(as_json(trace_request([GOOD, GOOD])))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0][key] = value
    decoded = read(OtlpRequest("traces", json.dumps(document).encode(), JSON))
    assert spans(decoded) == [GOOD]
    assert (key if key != "status" else "code") in decoded.reasons[0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b'{"resourceSpans": 1' + b"0" * 6000 + b"}", "body"),
        (b"\xff\xfe{}", "body"),
        (b"[" * 5000, "body"),
        (b"[]", "list"),
        (b'{"resourceSpans": 1}', "resourceSpans"),
        (b'{"resourceSpans": [{"scopeSpans": {}}]}', "scopeSpans"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": 1}]}]}', "spans"),
        (b'{"resourceSpans": [{"resource": [], "scopeSpans": [{}]}]}', "list"),
    ],
)
def test_a_body_that_is_no_json_request_is_refused_with_the_field_at_fault(body: bytes, field: str) -> None:
    assert refused(OtlpRequest("traces", body, JSON)) == (400, field)


def test_names_of_kinds_and_states_are_read_like_their_numbers() -> None:
    document = json.loads(as_json(trace_request([GOOD])))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= {
        "kind": "SPAN_KIND_CLIENT",
        "status": {"code": "STATUS_CODE_ERROR"},
    }
    assert spans(read(OtlpRequest("traces", json.dumps(document).encode(), JSON))) == [but(kind=3, status=2)]


@pytest.mark.parametrize("media", ["", "application/x-protobuf", "Application/X-Protobuf; charset=utf-8"])
def test_protobuf_is_what_a_body_is_unless_it_says_otherwise(media: str) -> None:
    assert spans(read(OtlpRequest("traces", trace_request([GOOD]).SerializeToString(), media))) == [GOOD]


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/grpc"])
def test_another_type_is_refused(media: str) -> None:
    assert refused(OtlpRequest("traces", b"", media)) == (415, "content-type")


def test_a_body_that_is_too_large_is_refused_unread() -> None:
    assert refused(OtlpRequest("traces", b"x" * 101), Limits(body_bytes=100)) == (413, "body")


@pytest.mark.parametrize(
    ("admitted", "resource", "project"),
    [
        ("", {}, "default"),
        ("", {"watchpost.project": "shop"}, "shop"),
        ("", {"watchpost.project": 7}, "default"),
        ("bank", {"watchpost.project": "shop"}, "bank"),
    ],
)
def test_the_project_is_the_callers_else_the_resources_else_the_default(
    admitted: str, resource: dict[str, object], project: str
) -> None:
    request = OtlpRequest("traces", trace_request([GOOD], resource).SerializeToString(), project=admitted)
    (parcel,) = read(request).parcels
    assert parcel.project == project


def test_a_record_without_a_time_has_the_time_it_was_observed() -> None:
    request = log_request([LogLine(0, 0, b"", b"", "", "hi", {})])
    request.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano = 7
    for encoded in (protobuf(request, "logs"), in_json(request, "logs")):
        assert read(encoded).parcels[0].logs[0].time_ns == 7


def test_a_record_with_a_broken_id_or_time_is_left_out() -> None:
    lines = [
        LogLine(1, 0, b"t" * 3, b"", "", None, {}),
        LogLine(1, 0, b"", b"s", "", None, {}),
        LogLine(2**63, 0, b"", b"", "", None, {}),
    ]
    decoded = read(protobuf(log_request(lines), "logs"))
    assert decoded.rejected == 3
    assert [reason.partition(": ")[2].partition(":")[0] for reason in decoded.reasons] == [
        "trace_id",
        "span_id",
        "time_unix_nano",
    ]


def test_a_resource_that_cannot_be_read_refuses_the_request() -> None:
    deep: object = "end"
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    assert refused(protobuf(trace_request([GOOD], {"deep": deep})))[0] == 400
    assert any_value(deep).HasField("array_value")

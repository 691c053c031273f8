"""Spans that lie, overflow or repeat: what can be kept is kept, what cannot is left out and said, one reason per cause."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from refusals import left_out
from served import BASE_NS, JSON, SECOND, Served, Step, batch, eventually, tool_span, trace_of

DAY = 86_400 * SECOND
LAST_NS = 2**63 - 1


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("spans"), "[flow]\nbatch_seconds = 0.05\n") as server:
        yield server


@pytest.fixture
def server(running: Served) -> Iterator[Served]:
    """The server; whatever the test did to it, it still works."""
    yield running
    running.works()


def only_step(server: Served, session_id: str) -> Step:
    """The one step of a session."""
    (step,) = server.steps(server.session(session_id)).steps
    return step


class Detail(msgspec.Struct):
    name: str
    attributes: dict[str, object]
    missing: str | None


def detail(server: Served, session_id: str) -> Detail:
    """The one step of a session with all that it carried, once that is written; its pages can be read too."""
    session = server.session(session_id)
    (step,) = server.steps(session).steps

    def probe() -> Detail | None:
        answer = server.client.get(f"/api/sessions/{session.key}/steps/{step.step_id}")
        assert answer.status_code == 200, answer.text
        step_detail = msgspec.json.decode(answer.content, type=Detail)
        return None if "being written" in (step_detail.missing or "") else step_detail

    found = eventually(probe)
    for page in (f"/sessions/{session.key}", f"/sessions/{session.key}/steps/{step.step_id}"):
        assert server.client.get(page).status_code == 200
    return found


def in_json(session_id: str, **changed: object) -> bytes:
    """One model call as OTLP's JSON, with some of its fields replaced."""
    conversation = {"key": "gen_ai.conversation.id", "value": {"stringValue": session_id}}
    span: dict[str, object] = {
        "traceId": trace_of(session_id).hex(),
        "spanId": "0000000000000001",
        "name": "call",
        "startTimeUnixNano": str(BASE_NS),
        "endTimeUnixNano": str(BASE_NS + SECOND),
        "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}, conversation],
    } | changed
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def test_spans_with_ids_of_a_wrong_length_are_left_out_and_the_others_kept(server: Served) -> None:
    good = tool_span(trace_of("ids"), 1, "ids")
    bad = [tool_span(trace_of("ids"), number, "ids") for number in range(2, 8)]
    bad[0].trace_id = b"short"
    bad[1].trace_id = bytes(16)
    bad[2].span_id = b"123456789"
    bad[3].span_id = b""
    bad[4].span_id = bytes(8)
    bad[5].parent_span_id = b"123"
    rejected, why = left_out(server.post(batch([good, *bad])))
    assert rejected == 6
    for field in ("trace_id", "span_id", "parent_span_id"):
        assert field in why
    assert server.session("ids").totals.steps == 1


@pytest.mark.parametrize(
    ("field", "value"), [("traceId", "xyz"), ("traceId", "00"), ("spanId", 7), ("spanId", "0" * 16)]
)
def test_ids_in_json_that_are_none_are_left_out_and_named(server: Served, field: str, value: object) -> None:
    rejected, why = left_out(server.post(in_json("never", **{field: value}), JSON))
    assert rejected == 1
    assert field.removesuffix("Id") in why


def test_an_end_before_its_start_is_kept_and_has_no_duration(server: Served) -> None:
    span = tool_span(trace_of("backwards"), 1, "backwards")
    span.end_time_unix_nano = span.start_time_unix_nano - 1
    assert left_out(server.post(batch([span]))) == (0, "")
    assert only_step(server, "backwards").duration_ms is None


def test_clocks_that_are_hours_off_leave_sessions_whole(server: Served) -> None:
    spans = [tool_span(trace_of("clocks"), number, "clocks") for number in (1, 2, 3)]
    for span, hours in zip(spans, (-30, 0, 30), strict=True):
        span.start_time_unix_nano += hours * 3600 * SECOND
        span.end_time_unix_nano += hours * 3600 * SECOND
    assert left_out(server.post(batch(spans))) == (0, "")
    assert [step.name for step in server.steps(server.session("clocks", 3)).steps] == ["call 1", "call 2", "call 3"]


def test_a_time_of_zero_and_the_last_one_in_2262_are_kept(server: Served) -> None:
    ends = [tool_span(trace_of("ends"), number, "ends") for number in (1, 2)]
    ends[0].start_time_unix_nano, ends[0].end_time_unix_nano = 0, 1000
    ends[1].start_time_unix_nano, ends[1].end_time_unix_nano = LAST_NS, LAST_NS
    assert left_out(server.post(batch(ends))) == (0, "")
    steps = server.steps(server.session("ends", 2)).steps
    assert [step.started_at for step in steps] == [None, "2262-04-11T23:47:16.854775Z"]


def test_a_time_beyond_2262_is_left_out_and_said(server: Served) -> None:
    span = tool_span(trace_of("beyond"), 1, "beyond")
    span.end_time_unix_nano = LAST_NS + 1
    rejected, why = left_out(server.post(batch([span])))
    assert rejected == 1
    assert "end_time_unix_nano: must lie before 2262-04-12" in why


@pytest.mark.parametrize("value", ["soon", str(2**64), 1.5, [1], {}])
def test_a_time_in_json_that_is_none_is_left_out_and_named(server: Served, value: object) -> None:
    rejected, why = left_out(server.post(in_json("never", startTimeUnixNano=value), JSON))
    assert rejected == 1
    assert "startTimeUnixNano" in why


def test_times_as_numbers_instead_of_text_are_read(server: Served) -> None:
    body = in_json("numbers", startTimeUnixNano=BASE_NS, endTimeUnixNano=BASE_NS + 2 * SECOND)
    assert left_out(server.post(body, JSON)) == (0, "")
    assert only_step(server, "numbers").duration_ms == 2000


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ("12", 12),
        ("-12", None),
        ("1e3", None),
        ("many", None),
        ("9" * 5000, None),
        (-1, None),
        (2**62, None),
        (12.0, 12),
        (12.5, None),
        (float("nan"), None),
        (float("inf"), None),
        (-0.0, 0),
        (True, None),
    ],
)
def test_tokens_that_are_no_count_are_not_reported(server: Served, said: str | float, counted: int | None) -> None:
    session_id = f"tokens-{type(said).__name__}-{str(said)[:6]}"
    usage: dict[str, str | float] = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": said}
    assert left_out(server.post(batch([tool_span(trace_of(session_id), 1, session_id, **usage)]))) == (0, "")
    assert server.session(session_id).totals.input_tokens == counted
    assert only_step(server, session_id).input_tokens == counted


@pytest.mark.parametrize("value", [{"intValue": "twelve"}, {"intValue": 1.5}, {"stringValue": 7}, {"bytesValue": "%"}])
def test_a_value_in_json_of_another_type_than_it_says_is_left_out_and_named(server: Served, value: object) -> None:
    body = in_json("never", attributes=[{"key": "gen_ai.usage.input_tokens", "value": value}])
    rejected, why = left_out(server.post(body, JSON))
    assert rejected == 1
    assert "Value: must be" in why


def test_text_that_is_not_utf_8_is_kept_with_the_faulty_bytes_replaced(server: Served) -> None:
    span = tool_span(trace_of("utf-8"), 1, "utf-8", note="0123")
    body = batch([span]).replace(b"0123", b"a\xff\xfeb").replace(b"call 1", b"call\xc0\x80")
    assert left_out(server.post(body)) == (0, "")
    found = detail(server, "utf-8")
    assert (found.name, found.attributes["note"]) == ("call\ufffd\ufffd", "a\ufffd\ufffdb")


def test_deeply_nested_values_are_left_out_and_said(server: Served) -> None:
    spans = [tool_span(trace_of("deep"), number, "deep") for number in (1, 2)]
    held = spans[0].attributes.add(key="deep").value
    for _ in range(40):
        held = held.array_value.values.add()
    rejected, why = left_out(server.post(batch(spans)))
    assert rejected == 1
    assert "nest 32 deep" in why
    assert server.session("deep").totals.steps == 1


def test_arguments_of_brackets_and_endless_digits_are_kept_as_text(server: Served) -> None:
    texts = ["[" * 100_000, "[" * 50_000 + "]" * 50_000, '{"a":' * 5_000 + "1" + "}" * 5_000, f'{{"a":{"9" * 50_000}}}']
    spans = [
        tool_span(trace_of("brackets"), number, "brackets", **{"gen_ai.tool.call.arguments": text})
        for number, text in enumerate(texts, 1)
    ]
    assert left_out(server.post(batch(spans))) == (0, "")
    assert server.session("brackets", len(texts)).totals.steps == len(texts)


def test_an_attribute_of_ten_megabytes_is_kept_whole(server: Served) -> None:
    text = "0123456789 " * 1_000_000
    assert left_out(server.post(batch([tool_span(trace_of("big"), 1, "big", note=text)]))) == (0, "")
    assert detail(server, "big").attributes["note"] == text


def test_more_attributes_than_are_read_leave_their_span_out(server: Served) -> None:
    spans = [tool_span(trace_of("many"), number, "many") for number in (1, 2)]
    for number in range(1025):
        spans[0].attributes.add(key=f"key {number}").value.int_value = number
    rejected, why = left_out(server.post(batch(spans)))
    assert (rejected, "attributes: more than 1024" in why) == (1, True)
    assert server.session("many").totals.steps == 1


def test_the_same_batch_fifty_times_is_counted_once(server: Served) -> None:
    usage: dict[str, str | float] = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7}
    body = batch([tool_span(trace_of("fifty"), number, "fifty", **usage) for number in (1, 2, 3)])
    for _ in range(50):
        assert left_out(server.post(body)) == (0, "")
    server.works()
    session = server.session("fifty", 3)
    assert (session.totals.steps, session.totals.input_tokens) == (3, 21)
    assert len(server.steps(session).steps) == 3


@pytest.mark.parametrize("apart", [1, 310], ids=["a year", "all centuries"])
def test_three_hundred_distinct_days_in_one_batch_are_one_session(server: Served, apart: int) -> None:
    session_id = f"days-{apart}"
    spans = [tool_span(trace_of(session_id), number, session_id) for number in range(1, 301)]
    for number, span in enumerate(spans):
        span.start_time_unix_nano = DAY + number * apart * DAY
        span.end_time_unix_nano = span.start_time_unix_nano + SECOND
    assert spans[-1].end_time_unix_nano < LAST_NS
    assert left_out(server.post(batch(spans))) == (0, "")
    steps = server.steps(server.session(session_id, 300)).steps
    assert [step.name for step in steps] == [f"call {number}" for number in range(1, 301)]
    assert steps[0].started_at == "1970-01-02T00:00:00.000000Z"


def test_a_session_of_fifty_thousand_steps_is_all_there(server: Served) -> None:
    total, each = 50_000, 2_500
    template = tool_span(trace_of("long"), 1, "long")
    for first in range(1, total + 1, each):
        spans = []
        for number in range(first, first + each):
            span = Span()
            span.CopyFrom(template)
            span.span_id = number.to_bytes(8, "big")
            span.start_time_unix_nano = BASE_NS + number * SECOND // 100
            span.end_time_unix_nano = span.start_time_unix_nano + 1000
            span.attributes[3].value.string_value = f'{{"order": {number}}}'
            spans.append(span)
        assert left_out(server.post(batch(spans))) == (0, "")
    session = server.session("long", total)
    after, seen = 0, 0
    while True:
        page = server.steps(session, after)
        assert [step.step_id for step in page.steps] == [
            f"{number:016x}" for number in range(seen + 1, seen + len(page.steps) + 1)
        ]
        seen += len(page.steps)
        if page.next is None:
            break
        after = page.next
    assert (session.totals.steps, seen) == (total, total)


def test_spans_that_name_each_other_as_parents_hang_nothing_up(server: Served) -> None:
    spans = [tool_span(trace_of("circle"), number, "circle") for number in (1, 2, 3)]
    spans[0].parent_span_id = spans[1].span_id
    spans[1].parent_span_id = spans[0].span_id
    spans[2].parent_span_id = spans[2].span_id
    assert left_out(server.post(batch(spans))) == (0, "")
    assert server.session("circle").session_id == "circle"

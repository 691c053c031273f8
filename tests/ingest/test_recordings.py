from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from recorded import FIXTURES, Import, session, step, write

from watchpost.ingest import recorded_file
from watchpost.ingest.items import Limits
from watchpost.ingest.otlp import decode
from watchpost.ingest.recordings import UnreadableRecordingError, requests
from watchpost.ingest.request import OtlpRequest, RefusedError, Signal

TRACES = (FIXTURES / "pydantic_ai.traces.pb").read_bytes()
LOGS = (FIXTURES / "openai_sdk.logs.pb").read_bytes()
METRICS = (FIXTURES / "strands.metrics.pb").read_bytes()
OTLP_JSON = (FIXTURES / "vercel_ai.traces.otlp.json").read_text("utf-8")
PACKINGS: tuple[Callable[[bytes], bytes], ...] = (bytes, gzip.compress, zstd.compress)


def saved(folder: Path, content: bytes, name: str = "recording") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def span(**fields: object) -> dict[str, object]:
    bare: dict[str, object] = {
        "name": "pay",
        "start_time": 5_000,
        "end_time": 6_000,
        "parent_id": None,
        "attributes": {},
    }
    return bare | {"context": {"trace_id": "0x" + "ab" * 16, "span_id": "0x" + "cd" * 8}} | fields


# --- OTLP


@pytest.mark.parametrize("packed", PACKINGS)
@pytest.mark.parametrize(("signal", "body"), [("traces", TRACES), ("logs", LOGS), ("metrics", METRICS)])
def test_an_otlp_body_is_passed_on_as_sent_whatever_its_name_and_compression(
    tmp_path: Path, packed: Callable[[bytes], bytes], signal: Signal, body: bytes
) -> None:
    assert Import(saved(tmp_path, packed(body))).requests == [OtlpRequest(signal, body)]


def test_a_recorded_gzip_body_holds_its_spans() -> None:
    (reading,) = Import(FIXTURES / "pydantic_ai.traces.pb.gz").readings
    assert (reading.kind, reading.service) == ("llm", "support-agent")


def test_otlp_json_is_read_as_one_document_and_one_per_line(tmp_path: Path) -> None:
    one = Import(write(tmp_path / "one", OTLP_JSON))
    pretty = Import(write(tmp_path / "pretty", json.dumps(json.loads(OTLP_JSON), indent=2)))
    metric = {"name": "seats", "gauge": {"dataPoints": [{"asInt": "5"}]}}
    metrics = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    lines = Import(write(tmp_path / "lines", OTLP_JSON, '{"resourceMetrics": []}', metrics, OTLP_JSON))
    assert one.spans == pretty.spans
    assert lines.spans == one.spans * 2
    assert len(one.spans) > 0
    assert [request.signal for request in lines.requests] == ["traces", "metrics", "traces"]
    assert lines.said == []


def test_otlp_json_may_hold_logs(tmp_path: Path) -> None:
    record = {"timeUnixNano": "7", "body": {"stringValue": "hello"}}
    imported = Import(write(tmp_path / "a", {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}))
    assert [line.body for line in imported.logs] == ["hello"]


def repeated(body: bytes, times: int) -> bytes:
    """The same message content again and again: protobuf concatenates repeated fields."""
    return body * times


def test_a_body_too_large_for_the_door_is_cut_without_losing_a_span(tmp_path: Path) -> None:
    once = Import(saved(tmp_path, TRACES)).spans
    times = 20 * 1024 * 1024 // len(TRACES)
    imported = Import(saved(tmp_path, repeated(TRACES, times)))
    assert max(len(request.body) for request in imported.requests) < 5 * 2**20
    assert max(len(parcel.spans) for parcel in imported.parcels) <= 5000
    assert imported.spans == once * times


def test_a_json_document_too_large_for_the_door_is_cut_without_losing_a_span(tmp_path: Path) -> None:
    document = json.loads(OTLP_JSON)
    once = Import(write(tmp_path / "once", document)).spans
    document["resourceSpans"] *= 600
    imported = Import(write(tmp_path / "many", document))
    assert max(len(request.body) for request in imported.requests) < 5 * 2**20
    assert imported.spans == once * 600


# --- span objects


def test_a_real_run_list_gives_its_spans_kinds_tools_and_errors() -> None:
    imported = Import(FIXTURES / "smoltrace.traces.json.gz")
    with gzip.open(FIXTURES / "smoltrace.traces.json.gz", "rt", encoding="utf-8") as file:
        recorded = [span for run in json.load(file) for span in run["spans"]]
    assert imported.said == imported.refused == []
    assert [span.trace_id.hex() for span in imported.spans] == [span["trace_id"][2:] for span in recorded]
    assert [span.start_ns for span in imported.spans] == [span["start_time"] for span in recorded]
    assert [span.status for span in imported.spans] == [span["status"]["code"] for span in recorded]
    kinds = [span["attributes"].get("openinference.span.kind", "OTHER").lower() for span in recorded]
    disguised = [
        "chain" if span["name"] == "FinalAnswerTool" else kind for span, kind in zip(recorded, kinds, strict=True)
    ]
    assert [reading.kind for reading in imported.readings] == disguised
    assert {"get_current_time", "get_weather"} & {reading.tool for reading in imported.readings}
    assert any(reading.error_type for reading in imported.readings)


def sdk_spans() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("run") as root:
        link = trace.Link(root.get_span_context(), {"why": "retry"})
        with tracer.start_as_current_span("refund", links=[link], kind=trace.SpanKind.CLIENT) as call:
            call.set_attributes({"openinference.span.kind": "TOOL", "tool.name": "refund", "tags": ["a", "b"], "n": 3})
            call.record_exception(ValueError("too late"))
            call.set_status(trace.Status(trace.StatusCode.ERROR, "too late"))
    return exporter


@pytest.mark.parametrize("indent", [None, 4])
def test_spans_printed_by_the_sdk_come_back_whole(tmp_path: Path, indent: int | None) -> None:
    finished = sdk_spans().get_finished_spans()
    imported = Import(write(tmp_path / "a", *[span.to_json(indent=indent) for span in finished]))
    assert imported.said == imported.refused == []
    call, root = imported.spans
    sent, context = finished[0], finished[0].get_span_context()
    assert context is not None
    assert (int.from_bytes(call.trace_id), int.from_bytes(call.span_id)) == (context.trace_id, context.span_id)
    assert (call.parent_id, root.parent_id) == (root.span_id, b"")
    assert abs(call.start_ns - (sent.start_time or 0)) <= 1000  # printed in microseconds
    assert (call.kind, call.status, call.status_message) == (3, 2, "too late")
    assert call.attributes == {"openinference.span.kind": "TOOL", "tool.name": "refund", "tags": ["a", "b"], "n": 3}
    assert [event.attributes["exception.message"] for event in call.events] == ["too late"]
    assert [(link.span_id, link.attributes) for link in call.links] == [(root.span_id, {"why": "retry"})]
    reading = imported.readings[0]
    assert (reading.kind, reading.tool, reading.error.partition(":")[0]) == ("tool", "refund", "ValueError")
    assert reading.service == sent.resource.attributes["service.name"]


def test_a_phoenix_span_with_nested_attributes_is_flattened(tmp_path: Path) -> None:
    messages = [{"message": {"role": "user", "content": "hi"}}]
    recorded = {
        "name": "ChatOpenAI",
        "context": {"trace_id": "ab" * 16, "span_id": "cd" * 8},
        "span_kind": "LLM",
        "parent_id": "ef" * 8,
        "start_time": "2026-03-01T10:00:00.5+00:00",
        "end_time": "2026-03-01T10:00:02",
        "status_code": "ERROR",
        "status_message": "quota",
        "attributes": {
            "llm": {"model_name": "m", "token_count": {"prompt": 7, "completion": 2}, "input_messages": messages},
            "session": {"id": "s-9"},
            "input.value": "hi",
        },
        "events": [],
    }
    imported = Import(write(tmp_path / "a", json.dumps([recorded])))
    (reading,) = imported.readings
    assert (reading.kind, reading.model, reading.tokens.input, reading.tokens.output) == ("llm", "m", 7, 2)
    assert (reading.own_session, reading.input, reading.status) == ("s-9", "hi", "error")
    assert reading.end_ns - reading.start_ns == 1_500_000_000
    assert imported.spans[0].attributes["llm.input_messages.0.message.content"] == "hi"


def test_a_span_without_an_end_is_still_running(tmp_path: Path) -> None:
    (reading,) = Import(write(tmp_path / "a", span(end_time=None))).readings
    assert reading.status == "running"


def test_an_id_without_its_leading_zeros_is_the_same_id(tmp_path: Path) -> None:
    (read,) = Import(write(tmp_path / "a", span(context={"trace_id": "0x1f", "span_id": "0x2"}))).spans
    assert (read.trace_id, read.span_id) == (bytes(15) + b"\x1f", bytes(7) + b"\x02")


@pytest.mark.parametrize("code", ["ERROR", "StatusCode.ERROR", "STATUS_CODE_ERROR", 2])
def test_every_spelling_of_an_error_is_one(tmp_path: Path, code: object) -> None:
    (read,) = Import(write(tmp_path / "a", span(status={"code": code}))).spans
    assert read.status == 2


def deep(levels: int) -> object:
    return {"x": deep(levels - 1)} if levels else 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("context", {"trace_id": "xyz", "span_id": "cd" * 8}),
        ("context", {"trace_id": "ab" * 16, "span_id": 5}),
        ("start_time", None),
        ("start_time", -1),
        ("start_time", 2**63),
        ("start_time", "yesterday"),
        ("end_time", "0001-01-01T00:00:00+23:59"),
        ("attributes", [1]),
        ("attributes", deep(40)),
        ("events", {"name": "x"}),
        ("links", [{"context": {}}]),
        ("parent_id", "q"),
    ],
)
def test_a_span_that_cannot_be_read_is_said_by_field_and_the_others_are_read(
    tmp_path: Path, field: str, value: object
) -> None:
    imported = Import(write(tmp_path / "a", [span(**{field: value}), span(name="good")]))
    assert [read.name for read in imported.spans] == ["good"]
    (said,) = imported.said
    assert said.startswith(f"{tmp_path / 'a'}: line 1, [0]: ")
    assert field in said or (field == "context" and "_id" in said)


def test_a_span_of_a_run_may_leave_its_trace_id_to_the_run(tmp_path: Path) -> None:
    own = {"span_id": "cd" * 8, "name": "x", "start_time": 1}
    (read,) = Import(write(tmp_path / "a", [{"trace_id": "ab" * 16, "spans": [own]}])).spans
    assert read.trace_id == b"\xab" * 16


# --- files, folders, and what is no recording


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"# a text\n", "line 1: is no JSON"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither JSON nor an OTLP request"),
        (b"\x0a\x05\x0a\x01x\x12\x00", "neither JSON nor an OTLP request"),
        (b'{"a": 1}', "is neither OTLP nor a session nor a span"),
        (b"[]", "is empty"),
        (b"7", "is neither OTLP nor a session nor a span"),
        (b'{"trace": {}, "observations": []}', "Langfuse"),
        (b'{"resourceSpans": 5}', "resourceSpans: must be an array"),
        (b"[" * 100_000, "nests too deep"),
        (b"\xff\xfe\x00{", "neither JSON nor an OTLP request"),
        (b'"\xff"', "is not UTF-8"),
        (gzip.compress(b"x" * 5000, mtime=0)[:20], "cannot be read on"),
        (zstd.compress(b"x" * 5000)[:12], "cannot be read on"),
        (b"\x1f\x8bnonsense", "cannot be read on"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableRecordingError) as refused:
        Import(saved(tmp_path, content))
    assert reason in refused.value.reason
    assert str(refused.value).startswith(str(tmp_path / "recording"))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRecordingError, match="is no file"):
        Import(tmp_path / "nothing")


def test_a_compressed_file_that_ends_early_gives_what_came_before_and_says_so(tmp_path: Path) -> None:
    lines = "".join(
        json.dumps(session([step("llm", output=f"{n:x}" * 50)], session_id=f"s{n}")) + "\n" for n in range(900)
    )
    whole = gzip.compress(lines.encode())
    imported = Import(saved(tmp_path, whole[: len(whole) // 2]))
    assert 0 < len(imported.steps) < 900
    assert "cannot be read on" in imported.said[-1]


@pytest.mark.parametrize("packed", PACKINGS[1:])
def test_a_bomb_is_refused_without_holding_what_it_unpacks_to(
    tmp_path: Path, packed: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_file, "MAX_VALUE_BYTES", 1_000_000)
    monkeypatch.setattr(recorded_file, "ROOM", 2_000_000)
    monkeypatch.setattr(recorded_file, "RATIO", 1)
    for bomb in (b"{" * 8_000_000, bytes(8_000_000), b"\n" * 3_000_000):
        with pytest.raises(UnreadableRecordingError, match=r"more than|too large"):
            Import(saved(tmp_path, packed(bomb)))


def test_a_folder_is_read_in_name_order_and_what_is_no_recording_in_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write(tmp_path / "b" / "1.jsonl", session([step("llm")], session_id="third"))
    write(tmp_path / "a2.jsonl", session([step("llm")], session_id="second"))
    write(tmp_path / "a1.jsonl", session([step("llm")], session_id="first"))
    write(tmp_path / "README.md", "hello")
    imported = Import(tmp_path)
    assert list(dict.fromkeys(reading.own_session for reading in imported.readings)) == ["first", "second", "third"]
    assert [said.startswith(f"left out {tmp_path / 'README.md'}: ") for said in imported.said] == [True]


def test_a_folder_without_a_recording_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "README.md", "hello")
    with pytest.raises(UnreadableRecordingError, match="holds no recording"):
        Import(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    line = json.dumps(session([step("llm")])).encode()
    assert len(Import(saved(tmp_path, b"\xef\xbb\xbf" + line + b"\r\n")).steps) == 1


# --- anything at all

KEYS = st.sampled_from(
    [
        "resourceSpans",
        "scopeSpans",
        "spans",
        "resourceLogs",
        "scopeLogs",
        "logRecords",
        "session_id",
        "steps",
        "kind",
        "agent",
        "context",
        "trace_id",
        "span_id",
        "start_time",
        "end_time",
        "status",
        "attributes",
        "events",
        "links",
        "tokens",
        "trace",
        "observations",
        "resourceMetrics",
        "error",
        "source",
        "task",
        "parent_id",
        "resource",
        "name",
        "input",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["llm", "tool", "system", "ab" * 16, "cd" * 8, "2026-01-01", "s"])
    | st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=25
)


def read_whatever(path: Path) -> None:
    """Only the two refusals that an import knows may come of it."""
    try:
        for request in requests(path, lambda _: None):
            decode(request, Limits())
    except (UnreadableRecordingError, RefusedError):
        pass


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\x0a", b"{", b"[", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"]),
    st.sampled_from(PACKINGS),
)
def test_arbitrary_bytes_are_read_or_refused(
    tmp_path: Path, content: bytes, start: bytes, packed: Callable[[bytes], bytes]
) -> None:
    read_whatever(saved(tmp_path, packed(start + content)))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON, min_size=1, max_size=3))
def test_arbitrary_json_is_read_or_refused(tmp_path: Path, values: list[object]) -> None:
    read_whatever(write(tmp_path / "a", *[json.dumps(value) for value in values]))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([TRACES, LOGS, METRICS, OTLP_JSON.encode()]),
    st.integers(0, 6000),
    st.integers(0, 255),
    st.booleans(),
)
def test_a_damaged_body_is_read_or_refused(tmp_path: Path, body: bytes, place: int, byte: int, cut: bool) -> None:
    place %= len(body)
    read_whatever(saved(tmp_path, body[:place] if cut else body[:place] + bytes([byte]) + body[place + 1 :]))


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_step_of_any_session_is_one_step(tmp_path: Path, data: st.DataObject) -> None:
    value = (
        st.none()
        | st.text(max_size=8)
        | st.integers()
        | st.dictionaries(st.text(max_size=3), st.booleans(), max_size=2)
    )
    steps = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {"kind": st.sampled_from(["llm", "tool", "agent", "user"])},
                optional={
                    "agent": st.none() | st.sampled_from(["system", "assistant", "Ada"]) | st.text(max_size=8),
                    "name": st.none() | st.text(max_size=8),
                    "input": value,
                    "output": value,
                    "error": value | st.booleans(),
                    "tokens": value,
                    "thought": value,
                },
            ),
            max_size=6,
        )
    )
    imported = Import(write(tmp_path / "a", session(list(steps))))
    assert imported.refused == []
    assert len(imported.steps) == len(steps)
    assert [reading.status == "error" for reading in imported.steps] == [bool(step.get("error")) for step in steps]

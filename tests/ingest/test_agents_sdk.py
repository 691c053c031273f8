"""What the OpenAI Agents SDK's own exporter posts is read whole, in one vocabulary; one bad object costs only itself."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import msgspec
import pytest
from agents_sdk_objects import TRACE, USAGE, decoded, function, name_of, request, response, run, sdk_span, span, trace
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import Import, write

from watchpost.ingest import agents_sdk
from watchpost.ingest.items import Limits
from watchpost.ingest.otlp import decode
from watchpost.ingest.read import Reader, raw_attributes
from watchpost.ingest.request import OtlpRequest, RefusedError
from watchpost.ingest.wire import MAX_DEPTH
from watchpost.model.step import Reading, Tokens
from watchpost.model.telemetry import Delivery, Span

NOON_NS = 1_795_262_400 * 10**9


def sent(*objects: object) -> list[Span]:
    """The spans of objects of which none is left out."""
    found = decoded(*objects)
    assert found.reasons == ()
    (parcel,) = found.parcels
    assert parcel.scope == "openai.agents"
    return list(parcel.spans)


def read(*objects: object) -> list[Reading]:
    found = decoded(*objects)
    assert found.reasons == ()
    return [Reader(parcel, 1, 1).read(each) for parcel in found.parcels for each in parcel.spans]


# --- identity and time


def test_a_span_keeps_its_place_in_the_trace_under_eight_byte_ids() -> None:
    above, below = sent(span(1, sdk_span("task", name="run")), span(2, function(), 1))
    assert above.trace_id == below.trace_id == bytes.fromhex("ab" * 16)
    assert (above.parent_id, below.parent_id) == (b"", above.span_id)
    assert len({above.span_id, below.span_id}) == 2
    assert below.span_id == agents_sdk.span_id(name_of(2))
    assert below.attributes["openai.agents.span_id"] == name_of(2)
    assert below.attributes["openai.agents.parent_id"] == name_of(1)


def test_ids_of_an_applications_own_making_are_as_good() -> None:
    one, other = sent(
        span(1, function(), id="my span", trace_id="trace_order-7"),
        span(2, function(), id="trace_order-7", trace_id="trace_order-7", parent_id="my span"),
    )
    assert one.trace_id == other.trace_id == agents_sdk.trace_id("trace_order-7")
    assert (len(one.trace_id), len(one.span_id), other.parent_id) == (16, 8, one.span_id)


def test_times_are_read_to_the_microsecond_and_a_span_without_an_end_is_running() -> None:
    started = "2026-11-21T13:00:00.000001+01:00"
    ended, running = sent(
        span(1, function(), started_at=started, ended_at="2026-11-21T12:00:01Z"), span(2, function(), ended_at=None)
    )
    assert (ended.start_ns, ended.end_ns) == (NOON_NS + 1000, NOON_NS + 10**9)
    assert (running.end_ns, read(span(2, function(), ended_at=None))[0].status) == (0, "running")


# --- what each object says


def test_a_trace_object_names_session_workflow_and_user_and_is_neither_a_step_nor_a_root() -> None:
    (reading,) = read(trace())
    assert (reading.own_session, reading.workflow, reading.user_id) == ("chat-1", "order-support", "u-7")
    assert (reading.kind, reading.start_ns, reading.end_ns) == ("chain", 0, 0)
    assert reading.parent_id
    attributes = sent(trace(color="red"))[0].attributes
    assert attributes["openai.agents.metadata"] == {"user_id": "u-7", "tenant": "acme"}
    assert attributes["openai.agents.color"] == "red"


def test_a_trace_object_is_the_same_span_whatever_stands_beside_it() -> None:
    assert sent(trace())[0] == sent(span(1, function()), trace())[1]


def test_a_trace_object_without_a_group_names_no_session() -> None:
    assert read(trace(group_id=None, metadata=None))[0].own_session == ""


def test_only_a_model_call_has_tokens_though_turns_and_tasks_repeat_them() -> None:
    tokens = {reading.kind: reading.tokens for reading in read(*run()) if reading.tokens != Tokens()}
    assert tokens == {"llm": Tokens(120, 24, 64, 0, 8)}


def test_a_run_is_read_as_what_it_was() -> None:
    said = {(r.kind, r.name, r.agent, r.tool) for r in read(*run())}
    assert said == {
        ("chain", "order-support", "", ""),
        ("guardrail", "no_pii", "", ""),
        ("llm", "response", "", ""),
        ("tool", "get_order", "", "get_order"),
        ("turn", "turn 1", "support", ""),
        ("agent", "support", "support", ""),
        ("workflow", "order-support", "", ""),
    }


def test_a_call_of_the_responses_api_has_its_id_and_no_model() -> None:
    (reading,) = read(span(1, response()))
    assert (reading.response_id, reading.model) == ("resp_1", "")
    assert sent(span(1, response()))[0].attributes["openai.agents.span_data.usage"] == USAGE


def test_a_model_call_of_any_other_api_has_model_input_and_output() -> None:
    asked, answered = [{"role": "user", "content": "Where?"}], [{"role": "assistant", "content": "There."}]
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
    data = {"type": "generation", "input": asked, "output": answered, "model": "gpt-4o", "model_config": {"top_p": 1}}
    (reading,) = read(span(1, data | {"usage": usage}))
    assert (reading.kind, reading.name, reading.model) == ("llm", "chat gpt-4o", "gpt-4o")
    assert (json.loads(reading.input), json.loads(reading.output)) == (asked, answered)
    assert reading.tokens == Tokens(9, 4, 3)
    assert sent(span(1, data))[0].attributes["openai.agents.span_data.model_config"] == {"top_p": 1}


def test_tokens_that_were_not_reported_are_unknown() -> None:
    assert read(span(1, response(usage=None)))[0].tokens == Tokens()
    assert read(span(1, response(usage={"requests": 1})))[0].tokens == Tokens()


def test_a_tool_call_keeps_arguments_and_result_as_sent() -> None:
    (reading,) = read(span(1, function(mcp_data={"server": "shop"})))
    assert (reading.input, reading.output) == ('{"order_id": "A1"}', '{"status":"open"}')
    assert raw_attributes(reading)["gen_ai.tool.call.result"] == "{'status': 'open'}"
    (kept,) = sent(span(1, function(mcp_data={"server": "shop"})))
    assert kept.attributes["openai.agents.span_data.mcp_data"] == {"server": "shop"}


def test_a_handoff_is_a_step_that_says_from_whom_to_whom() -> None:
    handoff = span(1, {"type": "handoff", "from_agent": "triage", "to_agent": "refunds"})
    (reading,) = read(handoff)
    assert (reading.kind, reading.name, reading.status) == ("handoff", "handoff to refunds", "ok")
    assert sent(handoff)[0].attributes["openai.agents.span_data.from_agent"] == "triage"
    assert sent(handoff)[0].attributes["openai.agents.span_data.to_agent"] == "refunds"


@pytest.mark.parametrize(("triggered", "said"), [(True, ("error", "guardrail_triggered")), (False, ("ok", ""))])
def test_a_guardrail_failed_exactly_when_it_was_triggered(triggered: bool, said: tuple[str, str]) -> None:
    (reading,) = read(span(1, {"type": "guardrail", "name": "no_pii", "triggered": triggered}))
    assert (reading.kind, reading.status, reading.error_type) == ("guardrail", *said)


def test_an_error_keeps_its_message_and_all_its_data() -> None:
    data = {"tool_name": "get_order", "error": "no such order", "error_type": "OrderError"}
    failed = span(1, function(), error={"message": "Error running tool", "data": data})
    (kept,) = sent(failed)
    assert (kept.status, kept.status_message) == (2, "Error running tool")
    assert kept.attributes["error.message"] == "no such order"
    assert kept.attributes["openai.agents.error.data.tool_name"] == "get_order"
    assert [(r.status, r.error.partition(":")[0]) for r in read(failed)] == [("error", "OrderError")]
    assert [(r.status, r.error) for r in read(span(1, function(), error={"message": "?", "data": None}))] == [
        ("error", "?")
    ]


@pytest.mark.parametrize(
    ("data", "kind", "name"),
    [
        ({"type": "custom", "name": "sandbox.exec", "data": {"op": "exec"}}, "chain", "sandbox.exec"),
        ({"type": "mcp_tools", "server": "shop", "result": ["get_order"]}, "chain", "mcp_tools shop"),
        ({"type": "speech_group", "input": "Hello"}, "chain", "speech_group"),
        ({"type": "speech", "input": "Hello", "model": "tts-1", "output": {"data": "AA=="}}, "llm", "speech tts-1"),
        ({"type": "transcription", "input": {"data": "AA=="}, "model": None, "output": "Hi"}, "llm", "transcription"),
        ({"type": "custom", "name": "mine", "data": {"sdk_span_type": ["turn"]}}, "chain", "mine"),
        ({"type": "of tomorrow", "depth": {"a": [1]}}, "chain", "of tomorrow"),
    ],
)
def test_every_other_type_is_read_with_all_it_says(data: dict[str, object], kind: str, name: str) -> None:
    (reading,), (kept,) = read(span(1, data)), sent(span(1, data))
    assert (reading.kind, reading.name) == (kind, name)
    values = json.dumps(list(kept.attributes.values()))
    assert all(json.dumps(value) in values for value in data.values() if value is not None)


# --- what cannot be read


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (7, "must be an object"),
        ({"object": "response"}, "object: must be trace or trace.span"),
        ({"object": ["trace"]}, "object: must be trace or trace.span"),
        (trace(id=None), "id: must be text"),
        (trace(id="trace_" + "0" * 32), "trace_id: must be 16 bytes, not all zero"),
        (span(1, function(), id=""), "id: must be text"),
        (span(1, function(), trace_id=5), "trace_id: must be text"),
        (span(1, function(), parent_id=["x"]), "parent_id: must be text"),
        (span(1, function(), started_at=None), "started_at: must be an ISO 8601 time"),
        (span(1, function(), ended_at="soon"), "ended_at: is no ISO 8601 time"),
        (span(1, function(), ended_at="2300-01-01"), "ended_at: must lie between 1970 and 2262"),
        (span(1, function(), span_data=None), "span_data: must be an object"),
        (span(1, {"name": "x"}), "span_data.type: must be text"),
        (span(1, function(output=2**64)), "integers must fit 64 bits"),
        (span(1, {"type": "x"} | {str(n): n for n in range(1024)}), "attributes: more than 1024"),
    ],
)
def test_a_bad_object_costs_only_itself_and_is_said_with_its_place(bad: object, reason: str) -> None:
    found = decoded(span(2, function()), bad, span(3, function()))
    assert (found.rejected, found.reasons) == (1, (f"data[1]: {reason}",))
    assert [each.name for parcel in found.parcels for each in parcel.spans] == ["get_order"] * 2


def test_values_may_nest_as_deep_as_in_otlp() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    assert decoded(trace(metadata=deep)).reasons == (f"data[0]: values may nest {MAX_DEPTH} deep",)


@pytest.mark.parametrize("body", [b"[]", b"7", b"{}", b'{"data":null}', b'{"data":{}}'])
def test_a_body_without_a_list_of_objects_is_refused_by_its_field(body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        decode(OtlpRequest("agents_sdk", body, "application/json"), Limits())
    assert (refused.value.status, refused.value.field) == (400, "data")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"data":["\\ud800"]}', b'{"data":' + b"[" * 10**5])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        decode(OtlpRequest("agents_sdk", body, "application/json"), Limits())
    assert (refused.value.status, refused.value.field) == (400, "body")


def test_too_many_objects_are_refused_before_any_is_read() -> None:
    with pytest.raises(RefusedError) as refused:
        decode(request(*[trace()] * 3), Limits(items=2))
    assert (refused.value.status, refused.value.field) == (413, "data")


@pytest.mark.parametrize("media", ["", "application/x-protobuf", "text/plain"])
def test_only_json_is_read(media: str) -> None:
    with pytest.raises(RefusedError) as refused:
        decode(OtlpRequest("agents_sdk", request(trace()).body, media), Limits())
    assert (refused.value.status, refused.value.field) == (415, "content-type")


def test_the_project_that_the_caller_names_is_that_of_all_spans() -> None:
    named = msgspec.structs.replace(request(trace()), project="shop")
    assert [parcel.project for parcel in decode(named, Limits()).parcels] == ["shop"]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ANY = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
TYPES = ("response", "generation", "function", "agent", "handoff", "guardrail", "custom", "speech", "mcp_tools")
KEYS = st.sampled_from(
    [
        "name",
        "input",
        "output",
        "model",
        "usage",
        "data",
        "sdk_span_type",
        "response",
        "triggered",
        "input_tokens",
        "error",
    ]
)
DATA = st.dictionaries(KEYS, ANY | st.dictionaries(KEYS, ANY), max_size=5)


def twisted(good: dict[str, object]) -> st.SearchStrategy[object]:
    """A good object of which up to three fields hold anything."""
    return st.dictionaries(st.sampled_from(sorted(good)), ANY, max_size=3).map(lambda changes: good | changes)


OBJECTS = st.one_of(
    twisted(trace()),
    twisted(span(1, function(), 2)),
    st.builds(
        lambda kind, data, error: span(1, data | {"type": kind}, error=error), st.sampled_from(TYPES), DATA, DATA | ANY
    ),
    ANY,
)


@settings(max_examples=300)
@given(st.lists(OBJECTS, max_size=4))
def test_whatever_is_sent_is_kept_or_refused_and_what_is_kept_can_be_stored(objects: list[object]) -> None:
    try:
        found = decoded(*objects)
    except RefusedError:
        return
    spans = [each for parcel in found.parcels for each in parcel.spans]
    assert len(spans) + found.rejected == len(objects)
    delivery = Delivery(1, found.parcels)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(delivery), type=Delivery) == delivery
    for parcel in found.parcels:
        for each in parcel.spans:
            Reader(parcel, 1, 1).read(each)


@given(st.binary(max_size=200) | ANY.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_bodies_are_refused_or_read(body: bytes) -> None:
    with contextlib.suppress(RefusedError):
        decode(OtlpRequest("agents_sdk", body, "application/json"), Limits())


# --- files


def test_files_of_requests_of_objects_and_of_events_are_imported_alike(tmp_path: Path) -> None:
    bodies = Import(write(tmp_path / "bodies", {"data": run()[:3]}, {"data": run()[3:]}))
    lines = Import(write(tmp_path / "lines", *run()))
    listed = Import(write(tmp_path / "listed", json.dumps(run(), indent=1)))
    events = Import(write(tmp_path / "events", *({"event": "span_end", "export": each} for each in run())))
    assert [spans.spans for spans in (lines, listed, events)] == [bodies.spans] * 3
    assert bodies.spans == sent(*run())
    assert [each.said for each in (bodies, lines, listed, events)] == [[]] * 4
    assert [len(each.requests) for each in (bodies, lines, listed, events)] == [1] * 4


def test_an_event_adds_what_the_sdk_does_not_export(tmp_path: Path) -> None:
    output = [{"type": "function_call", "name": "get_order", "arguments": "{}", "call_id": "call_1"}]
    live = {"response": {"id": "resp_1", "model": "gpt-4o-mini-2024-07-18", "output": output, "temperature": 1.0}}
    event = {
        "event": "span_end",
        "export": span(1, response()),
        "span_data_attrs": live | {"input": "Where?", "usage": 0},
    }
    (reading,) = Import(write(tmp_path / "events", event)).readings
    assert (reading.model, reading.input, json.loads(reading.output)) == ("gpt-4o-mini-2024-07-18", "Where?", output)
    assert (reading.response_id, reading.tokens) == ("resp_1", Tokens(120, 24, 64, 0, 8))
    assert '"openai.agents.response.temperature":1.0' in reading.rest


def test_a_file_says_nothing_of_its_good_objects_and_everything_of_its_bad_ones(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "mixed", {"data": [trace(), 7]}, {"data": [7]}, {"object": "other"}))
    assert imported.refused == ["data[1]: must be an object"]
    assert [said.rpartition(": ")[2] for said in imported.said] == ["is neither OTLP nor a session nor a span"] * 2


def test_the_trace_of_every_span_is_that_of_its_trace_object() -> None:
    assert {each.trace_id for each in sent(*run())} == {agents_sdk.trace_id(TRACE)}

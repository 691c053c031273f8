"""What a span says is read in one vocabulary, whatever it says; and what it said can be shown again."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_messages import SPANS, UNTIMED, VALUES
from reading import raised, read, span_with

from watchpost.ingest.dialects import DIALECTS
from watchpost.ingest.facts import NAME_LENGTH
from watchpost.ingest.read import Reader, raw_attributes
from watchpost.model.step import STEP_KINDS, Tokens
from watchpost.model.telemetry import Attributes, Event, Link, Parcel, Span

KEYS = sorted({key for dialect in DIALECTS for keys in dialect.facts.values() for key in keys})
SAID = st.sampled_from(
    ["chat", "execute_tool", "LLM", "TOOL", "AGENT", "llm", "tool", "agent", "", "resp_1", "nonsense"]
)
NUMBERS = st.sampled_from(["1", "-1", "1.5", "9" * 11, 0, 7, -7, 2**40, 7.0, 7.5, math.inf, True, None])
READABLE = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), VALUES | SAID | NUMBERS, max_size=12)


def in_json(value: object) -> object:
    """What JSON keeps of a value: bytes become base64 text, what is no number becomes null."""
    return msgspec.json.decode(msgspec.json.encode(value))


@given(
    attributes=READABLE,
    name=st.sampled_from(["x", "execute_tool (merged)", "transfer_to_b", "n" * 300]),
    status=st.integers(0, 2),
)
@settings(UNTIMED, max_examples=500)
def test_the_attributes_of_a_span_can_be_shown_as_they_came(attributes: Attributes, name: str, status: int) -> None:
    reading = read(attributes, name, status=status)
    assert raw_attributes(reading) == in_json(attributes)
    assert json.loads(reading.rest)["resource"] == {"service.name": "shop"}


def test_json_cannot_keep_bytes_and_what_is_no_number() -> None:
    sent: Attributes = {"bytes": b"\xff\x00", "nan": math.nan, "inf": math.inf}
    assert raw_attributes(read(sent)) == {"bytes": "/wA=", "nan": None, "inf": None}


@given(span=SPANS, attributes=READABLE, resource=READABLE)
@UNTIMED
def test_any_span_is_read(span: Span, attributes: Attributes, resource: Attributes) -> None:
    whole = msgspec.structs.replace(span, attributes={**span.attributes, **attributes})
    reading = Reader(Parcel("p", resource, "scope", (whole,)), 5, 9).read(whole)
    assert (reading.trace_id, reading.span_id, reading.parent_id) == (span.trace_id, span.span_id, span.parent_id)
    assert (reading.start_ns, reading.end_ns) == (span.start_ns, span.end_ns)
    assert raw_attributes(reading) == in_json(whole.attributes)
    rest = json.loads(reading.rest)
    assert [event[1] for event in rest.get("events", [])] == [event.name for event in span.events]
    assert [link[0] for link in rest.get("links", [])] == [link.trace_id.hex() for link in span.links]


@given(attributes=READABLE, seed=st.randoms(use_true_random=False))
@UNTIMED
def test_the_order_of_attributes_changes_nothing(attributes: Attributes, seed: object) -> None:
    keys = list(attributes)
    seed.shuffle(keys)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    one, other = read(attributes), read({key: attributes[key] for key in keys})
    assert msgspec.structs.replace(one, rest="", refs="") == msgspec.structs.replace(other, rest="", refs="")


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        (7, 7),
        (0, 0),
        ("7", 7),
        ("0012", 12),
        (7.0, 7),
        (2**32 - 1, 2**32 - 1),
        (-1, None),
        ("-1", None),
        (2**32, None),
        ("99999999999", None),
        (7.5, None),
        ("7.0", None),
        ("", None),
        ("seven", None),
        ("٧", None),
        (math.nan, None),
        (math.inf, None),
        (True, None),
        (None, None),
        ([7], None),
        ({"n": 7}, None),
        (b"7", None),
    ],
)
def test_a_token_count_is_a_whole_number_from_zero_or_not_reported(sent: object, count: int | None) -> None:
    reading = read({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": sent})
    assert reading.tokens == Tokens(input=count)


@pytest.mark.parametrize(
    ("status", "said", "events", "shown"),
    [
        (0, None, [], ("ok", "")),
        (1, None, [], ("ok", "")),
        (2, None, [], ("error", "")),
        (2, "ValueError", [], ("error", "ValueError")),
        (0, "ValueError", [], ("error", "ValueError")),
        (1, "ValueError", [], ("ok", "")),
        (0, None, [raised("KeyError")], ("error", "KeyError")),
        (1, None, [raised("KeyError")], ("ok", "")),
        (2, None, [raised("KeyError"), raised("OSError")], ("error", "OSError")),
        (2, "ValueError", [raised("KeyError")], ("error", "ValueError")),
        (2, None, [Event(1, "log", {"exception.type": "KeyError"})], ("error", "")),
        (2, None, [Event(1, "exception", {})], ("error", "")),
        (2, None, [raised("langgraph.errors.ParentCommand")], ("ok", "")),
        (2, "GraphInterrupt", [], ("ok", "")),
        (2, "my.GraphInterrupted", [], ("error", "my.GraphInterrupted")),
    ],
)
def test_a_span_failed_if_its_status_or_an_exception_says_so_and_control_flow_is_none(
    status: int, said: str | None, events: list[Event], shown: tuple[str, str]
) -> None:
    reading = read({"error.type": said} if said else {}, status=status, events=events)
    assert (reading.status, reading.error) == shown


def test_a_span_without_an_end_is_running_unless_it_failed() -> None:
    assert read({}, end_ns=0).status == "running"
    assert read({}, end_ns=0, status=2).status == "error"


def test_an_end_beats_a_start_event_whatever_came_first() -> None:
    assert read({}, end_ns=2).ver > read({}, end_ns=0).ver
    late = Reader(Parcel("p", {}, "", ()), 0, 2**40).read(span_with({}, end_ns=0))
    assert read({}, end_ns=2).ver > late.ver


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("model", "gen_ai.request.model"),
        ("tool", "gen_ai.tool.name"),
        ("agent", "gen_ai.agent.name"),
        ("own_session", "session.id"),
        ("user_id", "user.id"),
    ],
)
def test_a_long_name_is_cut_in_its_field_and_kept_whole_beside_it(field: str, key: str) -> None:
    long, longest = "n" * (NAME_LENGTH + 1), "n" * NAME_LENGTH
    assert getattr(read({key: longest}), field) == longest
    reading = read({key: long})
    assert getattr(reading, field) == longest
    assert json.loads(reading.rest)["attributes"] == {key: long}


def test_a_long_span_name_is_cut_and_kept_whole_beside_it() -> None:
    reading = read({}, "n" * 1000)
    assert reading.name == "n" * NAME_LENGTH
    assert json.loads(reading.rest)["name"] == "n" * 1000


@pytest.mark.parametrize("value", [7, 7.5])
def test_a_name_that_is_a_number_is_read_as_text(value: object) -> None:
    assert read({"session.id": value}).own_session == str(value)


@pytest.mark.parametrize("value", [None, [], ["a"], {"a": 1}, b"a"])
def test_a_name_that_is_no_text_at_all_is_absent(value: object) -> None:
    assert read({"session.id": value}).own_session == ""


def test_input_that_is_no_text_is_shown_as_json() -> None:
    assert read({"input.value": {"a": [1, 2]}}).input == '{"a":[1,2]}'


@pytest.mark.parametrize(
    "tool",
    [
        "transfer_to_refund_agent",
        "transfer_back_to_triage",
        "handoff_to_agent",
        "hand_off_to_agent",
        "HandOff_To_Sales",
        "handoff",
        "Delegate work to coworker",
        "delegate_task_to_member",
    ],
)
@pytest.mark.parametrize("kind", ["TOOL", "AGENT"])
def test_a_tool_named_for_handing_over_is_a_handoff(tool: str, kind: str) -> None:
    reading = read({"openinference.span.kind": kind, "tool.name": tool})
    assert (reading.kind, reading.tool) == ("handoff", tool)


def test_a_tool_span_without_a_tool_is_a_call_of_what_it_is_named() -> None:
    reading = read({"openinference.span.kind": "TOOL"}, "search")
    assert (reading.kind, reading.tool) == ("tool", "search")
    assert read({"openinference.span.kind": "TOOL"}, "transfer_to_sales").kind == "handoff"


@pytest.mark.parametrize(
    "tool", ["transfer_money", "transfer", "handoffs", "transfer_to_", "delegate", "wire_transfer_to_bank"]
)
def test_a_tool_that_hands_nothing_over_is_a_tool(tool: str) -> None:
    assert read({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}).kind == "tool"


def test_a_model_call_is_no_handoff_whatever_its_name() -> None:
    assert read({"gen_ai.operation.name": "chat"}, "handoff").kind == "llm"


def test_a_span_that_says_nothing_is_no_step() -> None:
    reading = read({"http.method": "GET"})
    assert reading.kind == "other"
    assert reading.kind not in STEP_KINDS


def test_an_agent_without_a_name_is_named_by_its_span() -> None:
    assert read({"gen_ai.operation.name": "invoke_agent"}, "support").agent == "support"


def test_events_and_links_are_kept() -> None:
    span = Span(
        b"t" * 16,
        b"s" * 8,
        b"",
        "n",
        1,
        2,
        3,
        2,
        "why",
        {},
        (Event(5, "e", {"a": 1}),),
        (Link(b"l" * 16, b"m" * 8, {}),),
    )
    rest = json.loads(Reader(Parcel("p", {}, "", (span,)), 1, 1).read(span).rest)
    assert rest["events"] == [[5, "e", {"a": 1}]]
    assert rest["links"] == [[(b"l" * 16).hex(), (b"m" * 8).hex(), {}]]
    assert (rest["kind"], rest["status"], rest["status_message"]) == (3, 2, "why")


@pytest.mark.parametrize(
    ("operation", "key"), [("invoke_agent", "gen_ai.agent.name"), ("execute_tool", "gen_ai.tool.name")]
)
def test_an_empty_name_gives_way_to_that_of_the_span_and_is_shown_as_it_came(operation: str, key: str) -> None:
    sent: Attributes = {"gen_ai.operation.name": operation, key: ""}
    reading = read(sent, "given")
    assert "given" in {reading.agent, reading.tool}
    assert raw_attributes(reading) == sent

"""What the demo sends is a recorded run told anew, and an agent that loops while it is watched."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from trace_sink import TraceSink, attributes_of, spans_of

from watchpost.cli.demo.agents import APART_NS, run_agents
from watchpost.cli.demo.captures import SESSION_KEYS, Capture, captures, retell
from watchpost.cli.demo.refund_agent import CALLS, ORDER
from watchpost.cli.demo.sending import NotAcceptedError

NOW_NS = 1_800_000_000_000_000_000
CAPTURES = captures()


class Time:
    """A clock that only `pause` moves."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def read(self) -> int:
        return self.now_ns

    def pause(self, seconds: float) -> None:
        self.now_ns += round(seconds * 10**9)


def seeded(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def play(url: str, seed: int = 1) -> list[str]:
    said: list[str] = []
    time = Time()
    run_agents(url, said.append, now_ns=time.read, new_bytes=seeded(seed), pause=time.pause)
    return said


def recorded(capture: Capture) -> list[Span]:
    return [span for body in capture.bodies for span in spans_of(ExportTraceServiceRequest.FromString(body))]


def retold(capture: Capture, seed: int = 1) -> list[Span]:
    bodies = retell(capture, ended_ns=NOW_NS, new_bytes=seeded(seed))
    return [span for body in bodies for span in spans_of(ExportTraceServiceRequest.FromString(body))]


def sessions(spans: list[Span]) -> set[str | int]:
    return {attributes_of(span)[key] for span in spans for key in SESSION_KEYS if key in attributes_of(span)}


def ids(spans: list[Span]) -> set[bytes]:
    return {one for span in spans for one in (span.trace_id, span.span_id, span.parent_span_id) if one}


def test_the_package_holds_six_to_eight_captures() -> None:
    assert 6 <= len(CAPTURES) <= 8
    assert all(capture.bodies for capture in CAPTURES)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
class TestRetelling:
    def test_the_tree_stays_as_recorded_under_new_ids(self, capture: Capture) -> None:
        old, new = recorded(capture), retold(capture)
        renamed: dict[bytes, bytes] = {b"": b""}
        for before, after in zip(old, new, strict=True):
            for was, now in (
                (before.trace_id, after.trace_id),
                (before.span_id, after.span_id),
                (before.parent_span_id, after.parent_span_id),
            ):
                assert renamed.setdefault(was, now) == now
                assert len(was) == len(now)
        assert len(set(renamed.values())) == len(renamed)
        assert not ids(old) & ids(new)

    def test_no_old_id_is_left_anywhere(self, capture: Capture) -> None:
        body = b"".join(retell(capture, ended_ns=NOW_NS, new_bytes=seeded(1)))
        old = ids(recorded(capture))
        left = [one.hex() for one in old if one in body or one.hex().encode() in body]
        assert left == []
        assert [name for name in sessions(recorded(capture)) if str(name).encode() in body] == []

    def test_all_times_are_shifted_alike_and_the_last_span_ends_now(self, capture: Capture) -> None:
        old, new = recorded(capture), retold(capture)
        shifts = {
            after - before
            for was, now in zip(old, new, strict=True)
            for before, after in [
                (was.start_time_unix_nano, now.start_time_unix_nano),
                (was.end_time_unix_nano, now.end_time_unix_nano),
                *zip((e.time_unix_nano for e in was.events), (e.time_unix_nano for e in now.events), strict=True),
            ]
        }
        assert len(shifts) == 1
        assert max(span.end_time_unix_nano for span in new) == NOW_NS

    def test_everything_else_stays_as_recorded(self, capture: Capture) -> None:
        for before, after in zip(recorded(capture), retold(capture), strict=True):
            assert (before.name, before.kind, before.status) == (after.name, after.kind, after.status)
            was, now = attributes_of(before), attributes_of(after)
            assert was.keys() == now.keys()
            assert [key for key in was if isinstance(was[key], int) and was[key] != now[key]] == []

    def test_each_telling_is_another_session(self, capture: Capture) -> None:
        first, second = retold(capture, seed=1), retold(capture, seed=2)
        assert not ids(first) & ids(second)
        assert not sessions(first) & sessions(second)
        assert len(sessions(first)) == len(sessions(second)) == len(sessions(recorded(capture)))


def test_the_demo_sends_every_capture_and_then_the_agent_that_loops() -> None:
    with TraceSink() as sink:
        said = play(sink.url)
        spans = sink.spans()
    assert [line for line in said if line.startswith("replayed")] == [f"replayed {each.name}" for each in CAPTURES]
    live = [span for span in spans if attributes_of(span).get("gen_ai.tool.name") == "get_order"]
    assert len(live) == CALLS
    traces = dict.fromkeys(span.trace_id for span in spans)
    assert list(traces)[-1] == live[0].trace_id
    ends = sorted(max(span.end_time_unix_nano for span in spans if span.trace_id == trace) for trace in traces)
    assert NOW_NS - len(CAPTURES) * APART_NS <= ends[0]


def live_requests(seed: int = 1) -> list[list[Span]]:
    with TraceSink() as sink:
        play(sink.url, seed)
        requests = [spans_of(request) for request in sink.requests]
    trace = requests[-1][0].trace_id
    return [spans for spans in requests if spans[0].trace_id == trace]


def test_the_looping_agent_sends_each_call_when_it_was_answered_and_the_root_last() -> None:
    requests = live_requests()
    spans = [span for request in requests for span in request]
    (root,) = [span for span in spans if not span.parent_span_id]
    assert len(requests) == CALLS + 1
    assert requests[-1][-1] == root
    assert root.name.startswith("invoke_agent")
    assert {span.parent_span_id for span in spans if span is not root} == {root.span_id}
    assert len({span.span_id for span in spans}) == len(spans) == 2 * CALLS + 2
    ends = [request[-1].end_time_unix_nano for request in requests]
    assert all(before < after for before, after in itertools.pairwise(ends))
    assert 4 * 10**9 < ends[-1] - root.start_time_unix_nano < 6 * 10**9


def test_the_looping_agent_asks_for_the_same_order_and_hears_the_same_without_any_error() -> None:
    spans = [span for request in live_requests() for span in request]
    attributes = [attributes_of(span) for span in spans]
    tools = [each for each in attributes if each["gen_ai.operation.name"] == "execute_tool"]
    results = [json.loads(str(each["gen_ai.tool.call.result"])) for each in tools]
    assert [json.loads(str(each["gen_ai.tool.call.arguments"])) for each in tools] == [{"order_id": ORDER}] * CALLS
    assert {(each["http_status"], each["refund"]) for each in results} == {(200, "pending")}
    assert {span.status.code for span in spans} == {0}
    assert len({each["gen_ai.conversation.id"] for each in attributes}) == 1


def test_the_looping_agents_model_calls_carry_tokens_and_the_whole_conversation() -> None:
    attributes = [attributes_of(span) for request in live_requests() for span in request]
    chats = [each for each in attributes if each["gen_ai.operation.name"] == "chat"]
    tokens = [int(each["gen_ai.usage.input_tokens"]) for each in chats]
    messages = [len(json.loads(str(each["gen_ai.input.messages"]))) for each in chats]
    assert {each["gen_ai.request.model"] for each in chats} == {"gpt-4o-mini"}
    assert len(chats) == CALLS + 1
    assert tokens == sorted(set(tokens))
    assert messages == [1 + 2 * call for call in range(CALLS + 1)]
    assert all(int(each["gen_ai.usage.output_tokens"]) > 0 for each in chats)


def test_two_runs_of_the_demo_share_no_session() -> None:
    with TraceSink() as first, TraceSink() as second:
        play(first.url, seed=1)
        play(second.url, seed=2)
        assert not ids(first.spans()) & ids(second.spans())
        assert not sessions(first.spans()) & sessions(second.spans())


@pytest.mark.parametrize(
    ("sink", "why"), [(TraceSink(status=503), "HTTP 503"), (TraceSink(rejected=2), "2 spans refused: span id")]
)
def test_spans_that_are_not_taken_end_the_demo_and_say_why(sink: TraceSink, why: str) -> None:
    with sink, pytest.raises(NotAcceptedError, match=why):
        play(sink.url)


def test_an_address_where_nothing_listens_ends_the_demo_and_names_it() -> None:
    with TraceSink() as gone:
        url = gone.url
    with pytest.raises(NotAcceptedError, match=url):
        play(url)

"""What the demo sends is a recorded run told anew, and incidents played as if they went on now."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from trace_sink import TraceSink, attributes_of, spans_of

from watchpost.cli.demo.agents import run_agents
from watchpost.cli.demo.captures import SESSION_KEYS, Capture, captures, relive, retell
from watchpost.cli.demo.incidents import APPLICATION, HEALTHY_LOANS, INCOME, incidents, loan
from watchpost.cli.demo.sending import NotAcceptedError

NOW_NS = 1_800_000_000_000_000_000
CAPTURES = captures()
INCIDENTS = {capture.name: capture for capture in captures("incidents.zip")}
PLAYED = list(incidents())
LIVE_TRACES = len(PLAYED)


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


def test_the_demo_tells_of_the_past_first_and_then_plays_every_incident() -> None:
    with TraceSink() as sink:
        said = play(sink.url)
        traces = dict.fromkeys(span.trace_id for span in sink.spans())
        ends = [max(s.end_time_unix_nano for s in sink.spans() if s.trace_id == trace) for trace in traces]
    told = [line for line in said if line.startswith("replayed")]
    assert told[:-1] == [f"replayed {each.name}" for each in CAPTURES]
    assert [line.partition(": ")[2] for line in said if line.startswith("live")] == [each.happens for each in PLAYED]
    past = len(CAPTURES) + HEALTHY_LOANS
    assert all(ended <= NOW_NS for ended in ends[:-LIVE_TRACES])
    assert all(ended > NOW_NS for ended in ends[-LIVE_TRACES:])
    assert len(traces) >= past + LIVE_TRACES


def lived(name: str, seconds: float = 5) -> tuple[list[Span], list[float]]:
    """The spans of an incident in the order in which they are sent, and when."""
    sent = relive(INCIDENTS[name], started_ns=NOW_NS, seconds=seconds, new_bytes=seeded(1))
    requests = [spans_of(ExportTraceServiceRequest.FromString(each.body)) for each in sent]
    assert [len(request) for request in requests] == [1] * len(requests)
    return [span for [span] in requests], [each.after_s for each in sent]


@pytest.mark.parametrize("name", INCIDENTS)
class TestPlaying:
    def test_every_span_is_sent_when_it_has_ended_and_the_run_takes_as_long_as_it_should(self, name: str) -> None:
        spans, after = lived(name)
        assert after == sorted(after)
        assert [round(each, 6) for each in after] == [round((s.end_time_unix_nano - NOW_NS) / 1e9, 6) for s in spans]
        assert after[-1] == pytest.approx(5)
        assert min(span.start_time_unix_nano for span in spans) == NOW_NS

    def test_the_spans_are_those_recorded_under_new_ids(self, name: str) -> None:
        old, new = recorded(INCIDENTS[name]), lived(name)[0]
        assert sorted(span.name for span in new) == sorted(span.name for span in old)
        assert not ids(old) & ids(new)
        assert not sessions(old) & sessions(new)
        known = {span.span_id for span in new}
        assert all(span.parent_span_id in known for span in new if span.parent_span_id)

    def test_order_and_nesting_are_as_recorded(self, name: str) -> None:
        old = sorted(recorded(INCIDENTS[name]), key=lambda span: span.end_time_unix_nano)
        starts = sorted(range(len(old)), key=lambda place: old[place].start_time_unix_nano)
        new = lived(name)[0]
        assert [new[place].start_time_unix_nano for place in starts] == sorted(s.start_time_unix_nano for s in new)


def test_the_texts_of_a_run_can_be_others() -> None:
    [capture] = [capture for name, capture in INCIDENTS.items() if name == "loan-approved"]
    body = b"".join(retell(capture, ended_ns=NOW_NS, new_bytes=seeded(1), texts=loan(7)))
    assert APPLICATION.encode() not in body
    assert INCOME.encode() not in body
    assert b"A-10007" in body
    assert b"47450" in body


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

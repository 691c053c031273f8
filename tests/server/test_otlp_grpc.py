"""OTLP over gRPC, asked by a real client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from server_fakes import House, served

from watchpost.ingest.request import Accepted, OverloadedError, RefusedError
from watchpost.server.app import ServerSettings

METRICS = (Path(__file__).parents[1] / "fixtures" / "strands.metrics.pb").read_bytes()


def request(name: str = "step") -> ExportTraceServiceRequest:
    span = Span(trace_id=bytes(16), span_id=bytes(8), name=name)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])])


class Client:
    """The published client stubs, which come without types."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.traces = TraceServiceStub(channel).Export  # type: ignore[no-untyped-call]  # generated code comes without types
        self.logs = LogsServiceStub(channel).Export  # type: ignore[no-untyped-call]  # generated code comes without types
        self.metrics = MetricsServiceStub(channel).Export  # type: ignore[no-untyped-call]  # generated code comes without types


@contextmanager
def line(house: House) -> Iterator[Client]:
    with served(house) as address:
        house.address = address
        with grpc.insecure_channel(f"127.0.0.1:{house.app.state.grpc_port}") as channel:
            yield Client(channel)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_an_export_reaches_the_door_as_bytes(compression: grpc.Compression) -> None:
    house = House(ServerSettings(grpc_port=0))
    metrics = ExportMetricsServiceRequest.FromString(METRICS)
    with line(house) as client:
        metadata = (("x-watchpost-project", "shop"),)
        client.traces(request("a" * 5000), compression=compression, metadata=metadata)
        client.logs(ExportLogsServiceRequest())
        client.metrics(metrics, compression=compression, metadata=metadata)
    traces, logs, points = house.door.taken
    assert (traces.signal, traces.project, traces.content_encoding) == ("traces", "shop", "")
    assert traces.body == request("a" * 5000).SerializeToString()
    assert (logs.signal, logs.project, logs.body) == ("logs", "", b"")
    assert (points.signal, points.project, points.body) == ("metrics", "shop", metrics.SerializeToString())


def test_a_partial_success_says_how_many_and_why() -> None:
    house = House(ServerSettings(grpc_port=0))
    house.door.answer = Accepted(1, ("span_id: has 7 bytes",))
    with line(house) as client:
        partial = client.traces(request()).partial_success
        points = client.metrics(ExportMetricsServiceRequest()).partial_success
    assert (partial.rejected_spans, partial.error_message) == (1, "span_id: has 7 bytes")
    assert (points.rejected_data_points, points.error_message) == (1, "span_id: has 7 bytes")


def test_overload_is_resource_exhausted_with_the_time_to_wait() -> None:
    house = House(ServerSettings(grpc_port=0))
    house.door.answer = OverloadedError("the log is behind", 9)
    with line(house) as client, pytest.raises(grpc.RpcError) as caught:
        client.traces(request())
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    delay = RetryInfo()
    assert Status.FromString(details).details[0].Unpack(delay)
    assert delay.retry_delay.seconds == 9


def test_a_refusal_is_invalid_argument_and_names_the_field() -> None:
    house = House(ServerSettings(grpc_port=0))
    house.door.answer = RefusedError(400, "ends early", "body")
    with line(house) as client, pytest.raises(grpc.RpcError) as caught:
        client.traces(request())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "body: ends early"


def test_a_project_that_cannot_be_a_name_is_refused() -> None:
    house = House(ServerSettings(grpc_port=0))
    with line(house) as client, pytest.raises(grpc.RpcError) as caught:
        client.traces(request(), metadata=(("x-watchpost-project", "a" * 129),))
    assert "x-watchpost-project" in (caught.value.details() or "")
    assert house.door.taken == []


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_message_over_the_limit_never_reaches_the_door(compression: grpc.Compression) -> None:
    house = House(ServerSettings(grpc_port=0, max_body_bytes=10_000))
    with line(house) as client, pytest.raises(grpc.RpcError) as caught:
        client.traces(request("a" * 1_000_000), compression=compression)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert house.door.taken == []


def test_another_service_is_unimplemented() -> None:
    with line(House(ServerSettings(grpc_port=0))) as client, pytest.raises(grpc.RpcError) as caught:
        client.channel.unary_unary("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_port_is_closed_when_the_application_has_stopped() -> None:
    house = House(ServerSettings(grpc_port=0))
    with line(house):
        pass
    port = house.app.state.grpc_port
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as caught:
        Client(channel).traces(request(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_an_export_in_flight_is_answered_before_the_application_stops() -> None:
    house = House(ServerSettings(grpc_port=0))
    house.door.pause_s = 0.5
    house.door.answer = Accepted(3)
    with ExitStack() as server:
        server.enter_context(served(house))
        with grpc.insecure_channel(f"127.0.0.1:{house.app.state.grpc_port}") as channel:
            waiting = Client(channel).traces.future(request())
            assert house.door.entered.wait(10)
            server.close()
            assert waiting.result().partial_success.rejected_spans == 3


def test_answers_over_grpc_are_counted() -> None:
    house = House(ServerSettings(grpc_port=0))
    with line(house) as client:
        client.traces(request())
        text = httpx.get(f"{house.address}/metrics").text
    assert 'watchpost_otlp_answers_total{signal="traces",status="OK",transport="grpc"} 1.0' in text

"""OTLP over HTTP: what is taken in, what is refused and how, and that limits hold before memory is spent."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from server_fakes import House, served

from watchpost.ingest.request import Accepted, OverloadedError, RefusedError
from watchpost.server.app import ServerSettings

PATHS = ("/v1/traces", "/v1/logs", "/v1/metrics")


@pytest.mark.parametrize("path", PATHS)
def test_a_protobuf_export_reaches_the_door_as_it_was_sent(path: str) -> None:
    house = House()
    answer = house.post(path, b"\x0a\x00raw", content_encoding="gzip", x_watchpost_project="shop")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    taken = house.door.taken[0]
    assert (taken.signal, taken.body, taken.content_type) == (path[4:], b"\x0a\x00raw", "application/x-protobuf")
    assert (taken.content_encoding, taken.project) == ("gzip", "shop")


def test_a_json_export_is_answered_in_json() -> None:
    house = House()
    answer = house.post("/v1/traces", b'{"resourceSpans":[]}', content_type="application/json; charset=utf-8")
    assert answer.json() == {}
    assert answer.headers["content-type"] == "application/json"
    assert house.door.taken[0].content_type == "application/json"
    assert house.door.taken[0].project == ""


def test_a_partial_success_says_how_many_and_why_in_protobuf() -> None:
    house = House()
    house.door.answer = Accepted(300, ("span_id: has 7 bytes", "end before start"))
    traces = ExportTraceServiceResponse.FromString(house.post("/v1/traces").content)
    assert traces.partial_success.rejected_spans == 300
    assert traces.partial_success.error_message == "span_id: has 7 bytes; end before start"
    logs = ExportLogsServiceResponse.FromString(house.post("/v1/logs").content)
    assert logs.partial_success.rejected_log_records == 300
    metrics = ExportMetricsServiceResponse.FromString(house.post("/v1/metrics").content)
    assert metrics.partial_success.rejected_data_points == 300
    assert metrics.partial_success.error_message == traces.partial_success.error_message


def test_a_partial_success_says_how_many_and_why_in_json() -> None:
    house = House()
    house.door.answer = Accepted(2, ("too many attributes",))
    traces = house.post("/v1/traces", b"{}", content_type="application/json").json()
    assert traces == {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too many attributes"}}
    logs = house.post("/v1/logs", b"{}", content_type="application/json").json()
    assert logs["partialSuccess"]["rejectedLogRecords"] == "2"
    metrics = house.post("/v1/metrics", b"{}", content_type="application/json").json()
    assert metrics["partialSuccess"]["rejectedDataPoints"] == "2"


def test_a_refusal_is_a_status_that_names_the_field() -> None:
    house = House()
    house.door.answer = RefusedError(400, "the body ends early", "body")
    answer = house.post("/v1/traces", b"x")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/x-protobuf")
    status = Status.FromString(answer.content)
    assert (status.code, status.message) == (3, "body: the body ends early")
    detail = BadRequest()
    assert status.details[0].Unpack(detail)
    assert detail.field_violations[0].field == "body"
    in_json = house.post("/v1/traces", b"x", content_type="application/json").json()
    assert (in_json["code"], in_json["message"]) == (3, "body: the body ends early")
    assert in_json["details"][0]["fieldViolations"][0]["field"] == "body"


def test_overload_is_503_with_retry_after() -> None:
    house = House()
    house.door.answer = OverloadedError("the log is behind", 7)
    answer = house.post("/v1/logs")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    status = Status.FromString(answer.content)
    delay = RetryInfo()
    assert status.details[0].Unpack(delay)
    assert (status.code, status.message, delay.retry_delay.seconds) == (14, "the log is behind", 7)
    in_json = house.post("/v1/logs", content_type="application/json").json()
    assert in_json["details"][0]["retryDelay"] == "7s"


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_other_content_types_are_415(media: str) -> None:
    house = House()
    answer = house.post("/v1/traces", b"x", content_type=media)
    assert answer.status_code == 415
    assert "content-type" in answer.json()["message"]
    assert house.door.taken == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405_and_name_the_one_allowed(method: str) -> None:
    answer = House().ask(method, "/v1/traces")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a" * 129, "a\u202eb".encode()])
def test_a_project_that_cannot_be_a_name_is_refused(name: bytes) -> None:
    house = House()
    headers: dict[str, str | bytes] = {"content-type": "application/json", "x-watchpost-project": name}
    answer = house.ask("POST", "/v1/traces", headers=headers, body=b"{}")
    assert answer.status_code == 400
    assert "x-watchpost-project" in answer.json()["message"]
    assert house.door.taken == []


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    house = House(ServerSettings(max_body_bytes=1000))
    assert house.post("/v1/traces", bytes(1000)).status_code == 200
    answer = house.post("/v1/traces", bytes(1001))
    assert answer.status_code == 413
    assert "1000" in Status.FromString(answer.content).message
    assert len(house.door.taken) == 1


def test_bodies_that_do_not_fit_beside_each_other_are_to_be_sent_again() -> None:
    house = House(ServerSettings(max_body_bytes=1000, max_held_bytes=500))
    assert house.post("/v1/traces", bytes(501)).headers["retry-after"] == "1"
    for _ in range(3):
        assert house.post("/v1/traces", bytes(500)).status_code == 200


def test_a_declared_length_over_the_limit_is_refused_before_the_body_is_sent() -> None:
    with served(House(ServerSettings(max_body_bytes=1000))) as address:
        request = (
            b"POST /v1/traces HTTP/1.1\r\nHost: %b\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: 99000000000\r\n\r\n"
        )
        assert raw(address, request).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_over_the_limit_is_refused_while_it_still_comes() -> None:
    house = House(ServerSettings(max_body_bytes=100_000))
    with served(house) as address:
        start = (
            b"POST /v1/traces HTTP/1.1\r\nHost: %b\r\nContent-Type: application/x-protobuf\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        assert raw(address, start + b"10000\r\n" + bytes(0x10000) + b"\r\n10000\r\n" + bytes(0xA000)).startswith(
            b"HTTP/1.1 413 "
        )
    assert house.door.taken == []


def test_a_chunked_body_is_read_whole() -> None:
    house = House()

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"0123456789" * 1000

    with served(house) as address:
        headers = {"content-type": "application/x-protobuf"}
        assert httpx.post(f"{address}/v1/traces", content=chunks(), headers=headers).status_code == 200
    assert house.door.taken[0].body == b"0123456789" * 100_000


def test_a_body_without_a_length_is_empty() -> None:
    house = House()
    with served(house) as address:
        request = b"POST /v1/traces HTTP/1.1\r\nHost: %b\r\nContent-Type: application/x-protobuf\r\n\r\n"
        assert raw(address, request).startswith(b"HTTP/1.1 200 ")
    assert house.door.taken[0].body == b""


def test_a_caller_that_leaves_early_leaves_nothing_behind() -> None:
    house = House(ServerSettings(max_held_bytes=70_000))
    with served(house) as address:
        request = (
            b"POST /v1/traces HTTP/1.1\r\nHost: %b\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: 65536\r\n\r\nhalf"
        )
        for _ in range(3):
            with connected(address) as line:
                line.sendall(request % address.removeprefix("http://").encode() + bytes(60_000))
        headers = {"content-type": "application/x-protobuf"}
        for _ in range(3):
            response = httpx.post(f"{address}/v1/traces", content=bytes(65_536), headers=headers)
        assert response.status_code == 200
    assert all(len(taken.body) == 65_536 for taken in house.door.taken)


def test_a_json_status_is_json_whatever_the_reason_holds() -> None:
    house = House()
    house.door.answer = RefusedError(400, 'a "quote"\n\u202e\x00', "body")
    body = house.post("/v1/traces", content_type="application/json").content
    assert json.loads(body)["message"] == 'body: a "quote"\n\u202e\x00'


def connected(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def raw(address: str, request: bytes) -> bytes:
    """Send bytes as they are, `%b` standing for the address, and read the beginning of the answer."""
    with connected(address) as line:
        line.sendall(request.replace(b"%b", address.removeprefix("http://").encode()))
        return line.recv(1000)

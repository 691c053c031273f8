"""Requests that no sender should make: each has a clear answer, and the server takes the next good batch and shows it."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from backports import zstd
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from refusals import left_out, refusal
from served import JSON, PROTOBUF, Served, batch, tool_span, trace_of

MIB = 1 << 20
GOOD = batch([tool_span(trace_of("refused"), 1, "refused")])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("requests"), "[flow]\nbatch_seconds = 0.05\n") as server:
        yield server


@pytest.fixture
def server(running: Served) -> Iterator[Served]:
    """The server; whatever the test did to it, it still works."""
    yield running
    running.works()


def test_a_truncated_protobuf_body_is_refused_whole(server: Served) -> None:
    for size in range(1, len(GOOD)):
        refused = refusal(server.post(GOOD[:size]))
        assert (refused.status, refused.field) == (400, "resource_spans"), size
    assert server.client.get("/api/sessions", params={"session_id": "refused"}).json()["sessions"] == []


def test_a_truncated_json_body_is_refused_whole(server: Served) -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0123"}]}]}]}'
    for size in range(1, len(body)):
        refused = refusal(server.post(body[:size], JSON))
        assert (refused.status, refused.field) == (400, "body"), size


@pytest.mark.parametrize("media", [PROTOBUF, JSON])
def test_random_bytes_are_refused_or_hold_nothing(server: Served, media: str) -> None:
    seeded = random.Random(8484)
    for _ in range(100):
        answer = server.post(seeded.randbytes(seeded.randint(1, 2000)), media)
        assert answer.status_code in {200, 400}
        if answer.status_code == 400:
            assert refusal(answer).field in {"resource_spans", "body"}


def test_an_empty_body_is_an_export_of_nothing_in_protobuf_and_no_json(server: Served) -> None:
    assert left_out(server.post(b"")) == (0, "")
    assert refusal(server.post(b"", JSON)).field == "body"
    assert left_out(server.post(b"{}", JSON)) == (0, "")


@pytest.mark.parametrize("body", [b"[]", b"7", b'"spans"', b'{"resourceSpans":{}}', b'{"resourceSpans":[7]}'])
def test_json_that_is_no_export_is_refused(server: Served, body: bytes) -> None:
    refused = refusal(server.post(body, JSON))
    assert refused.status == 400
    assert refused.message.startswith(f"{refused.field}: ")


def test_a_gigantic_body_is_refused_by_its_length_and_while_it_comes(server: Served) -> None:
    body = bytes(16 * MIB + 1)
    refused = refusal(server.post(body))
    assert (refused.status, refused.field) == (413, "body")
    chunks = (body[: 4 * MIB] for _ in range(5))
    streamed = server.client.post("/v1/traces", content=chunks, headers={"content-type": PROTOBUF})
    assert (refusal(streamed).status, refusal(streamed).field) == (413, "body")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_by_what_it_unpacks_to(server: Served, encoding: str) -> None:
    content = bytes(33 * MIB)
    pack: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}
    packed = pack[encoding](content)
    assert len(packed) < MIB
    refused = refusal(server.post(packed, content_encoding=encoding))
    assert (refused.status, refused.field) == (413, "body")
    assert "33554432" in refused.message


def test_a_bomb_inside_a_bomb_is_unpacked_once(server: Served) -> None:
    packed = gzip.compress(gzip.compress(bytes(60 * MIB)))
    refused = refusal(server.post(packed, content_encoding="gzip"))
    assert (refused.status, refused.field) == (400, "resource_spans")
    refused = refusal(server.post(packed, content_encoding="gzip, gzip"))
    assert (refused.status, refused.field) == (415, "content-encoding")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_body_that_is_not_packed_as_it_says_is_refused(server: Served, encoding: str) -> None:
    refused = refusal(server.post(GOOD, content_encoding=encoding))
    assert (refused.status, refused.field) == (400, "body")


def test_a_packed_body_that_ends_early_is_refused(server: Served) -> None:
    refused = refusal(server.post(gzip.compress(GOOD)[:-9], content_encoding="gzip"))
    assert (refused.status, refused.field) == (400, "body")


def test_deeply_nested_json_is_refused(server: Served) -> None:
    body = b'{"resourceSpans":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    refused = refusal(server.post(body, JSON))
    assert (refused.status, refused.message) == (400, "body: the body nests too deep")


def test_deeply_nested_values_of_a_resource_are_refused(server: Served) -> None:
    value = b'{"arrayValue":{"values":[' * 40 + b"{}" + b"]}}" * 40
    body = b'{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":%b}]},"scopeSpans":[{}]}]}' % value
    refused = refusal(server.post(body, JSON))
    assert (refused.status, refused.field) == (400, "attributes")
    in_protobuf = ExportTraceServiceRequest()
    resource = in_protobuf.resource_spans.add()
    resource.scope_spans.add()
    held = resource.resource.attributes.add(key="a").value
    for _ in range(40):
        held = held.array_value.values.add()
    refused = refusal(server.post(in_protobuf.SerializeToString()))
    assert (refused.status, refused.field) == (400, "resource_spans")


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_another_content_type_is_refused_and_both_right_ones_named(server: Served, media: str) -> None:
    refused = refusal(server.post(GOOD, media))
    assert (refused.status, refused.field) == (415, "content-type")
    assert "application/x-protobuf or application/json" in refused.message


def test_protobuf_called_json_and_json_called_protobuf_are_refused(server: Served) -> None:
    assert refusal(server.post(GOOD, JSON)).status == 400
    assert refusal(server.post(b'{"resourceSpans":[]}', PROTOBUF)).status == 400


def test_json_that_is_not_utf_8_is_refused(server: Served) -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\xff\xfe"}]}]}]}'
    refused = refusal(server.post(body, JSON))
    assert (refused.status, refused.field) == (400, "body")


def test_a_project_that_cannot_be_a_name_is_refused(server: Served) -> None:
    for project in ("p" * 129, "a\tb"):
        refused = refusal(server.post(GOOD, x_watchpost_project=project))
        assert (refused.status, refused.field) == (400, "x-watchpost-project")


def test_a_request_that_is_no_post_is_told_so(server: Served) -> None:
    answer = server.client.get("/v1/traces")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/api/sessions", "/", "/metrics"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_a_page_of_another_origin_gets_nothing(server: Served, path: str, origin: str) -> None:
    method = "POST" if path.startswith("/v1") else "GET"
    answer = server.client.request(method, path, headers={"origin": origin, "content-type": PROTOBUF})
    assert answer.status_code == 403
    assert "another origin" in answer.json()["detail"]
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_page_under_another_host_name_gets_nothing(server: Served) -> None:
    port = urlsplit(server.url).port
    for host in (f"evil.example:{port}", "127.0.0.1:1", "", f"127.0.0.1.evil.example:{port}"):
        answer = server.client.get("/api/sessions", headers={"host": host})
        assert answer.status_code in {400, 403}, host
        assert "sessions" not in answer.text


def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing(server: Served) -> None:
    def breaking() -> Iterator[bytes]:
        yield GOOD[:20]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError), httpx.Client(base_url=server.url, trust_env=False) as client:
        client.post("/v1/traces", content=breaking(), headers={"content-type": PROTOBUF})
    assert server.client.get("/api/sessions", params={"session_id": "refused"}).json()["sessions"] == []


def test_reading_with_parameters_that_mean_nothing_names_them(server: Served) -> None:
    for query in ("limit=0", "limit=x", "state=asleep", "cursor=%ff", "outcome=fine"):
        answer = server.client.get(f"/api/sessions?{query}")
        assert answer.status_code == 422, query
        assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]
    for key in ("nobody", "..%2f..%2fetc", "%00", "k" * 5000):
        assert server.client.get(f"/api/sessions/{key}").status_code == 404

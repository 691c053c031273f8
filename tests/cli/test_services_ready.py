"""What `doctor` says of the services that send: through the server that holds the folder, and in the folder."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, tool_span, trace_of


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served"), "[flow]\nbatch_seconds = 0.05\n") as server:
        yield server


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def a_run(session_id: str, calls: int, *, whole: bool) -> list[Span]:
    """An ended run of model calls and a tool call for each, with all that decides or without what the tools answer."""
    trace = trace_of(session_id)
    spans: list[Span] = []
    for number in range(1, calls + 1):
        payload = {"gen_ai.tool.call.result": "open" if whole else ""}
        spans.append(tool_span(trace, 2 * number, session_id, **payload))
        model = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.input.messages": "[]"}
        spans.append(tool_span(trace, 2 * number + 1, session_id, **model))
    for span in spans:
        span.parent_span_id = b"root" * 2
        span.start_time_unix_nano = time.time_ns() - 10**9
        span.end_time_unix_nano = span.start_time_unix_nano + 10**6
    root = tool_span(trace, 1, session_id, **{"gen_ai.operation.name": "invoke_agent"})
    root.span_id = b"root" * 2
    return [*spans, root]


def export(service: str, spans: list[Span]) -> bytes:
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add()
    sent.resource.attributes.add(key="service.name").value.string_value = service
    sent.scope_spans.add().spans.extend(spans)
    encoded: bytes = request.SerializeToString()
    return encoded


def test_doctor_says_which_services_are_ready_and_what_the_others_lack(server: Served, shell: Shell) -> None:
    for service, calls, whole in (("whole", 11, True), ("halved\x1b", 10, False), ("new", 2, True)):
        assert server.post(export(service, a_run(service, calls, whole=whole))).status_code == 200
        server.session(service, 2 * calls)
    server.works()  # spans are written after what is counted; a later batch after both
    said = [
        "  whole: ready: 11 of 11",
        "  halved\\x1b: not ready: 10 of 10 tool calls without response\n",
        "  new: too little seen to tell: ",
    ]
    ended = shell("doctor", "--data", str(server.data))
    assert ended.code == 0
    assert [line for line in said if line not in ended.out] == []
    assert server.stop() == 0
    ended = shell("doctor", "--data", str(server.data))
    assert ended.code == 0
    assert [line for line in said if line not in ended.out] == []
    checks = json.loads(shell("doctor", "--data", str(server.data), "--json").out)
    (services,) = [check["readiness"]["services"] for check in checks if check["name"] == "services"]
    verdicts = {service["service"]: (service["verdict"], service["ready"]) for service in services}
    assert verdicts["whole"] == ("ready", True)
    assert verdicts["halved\x1b"] == ("not_ready", False)
    assert verdicts["new"] == ("too_little_seen", False)
    assert [check["name"] for check in checks if "readiness" in check] == ["services"]


def test_doctor_says_that_nothing_was_sent(shell: Shell) -> None:
    assert "ok    services: nothing sent in the last 7 days\n" in shell("doctor", "--data", "data").out

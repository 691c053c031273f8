"""What a sender of metrics may count on, asked of a real server: durable when acknowledged, redacted, counted once."""

from __future__ import annotations

import gzip
import signal
import sys
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import PROTOBUF, Served, eventually

FIXTURES = Path(__file__).parents[1] / "fixtures"
CYCLES = "strands.event_loop.cycle_count"


def points(server: Served, name: str) -> list[dict[str, object]] | None:
    answer = server.client.get(f"/api/received-metrics/{name}")
    found: list[dict[str, object]] = answer.json().get("points", [])
    return found or None


def send(server: Served, body: bytes, **headers: str) -> ExportMetricsServiceResponse:
    answer = server.client.post("/v1/metrics", content=body, headers={"content-type": PROTOBUF} | headers)
    assert answer.status_code == 200, answer.text
    response: ExportMetricsServiceResponse = ExportMetricsServiceResponse.FromString(answer.content)
    return response


def test_points_survive_a_kill_and_are_kept_once_however_often_they_are_sent(tmp_path: Path) -> None:
    body = (FIXTURES / "strands.metrics.pb").read_bytes()
    with Served(tmp_path, "[flow]\nbatch_seconds = 5\n") as server:
        assert send(server, body) == ExportMetricsServiceResponse()
        assert points(server, CYCLES) is None
        server.stop(signal.SIGKILL)
    with Served(tmp_path, "[flow]\nbatch_seconds = 0.05\n") as server:
        [point] = eventually(lambda: points(server, CYCLES))
        assert (point["value"], point["unit"], point["temporality"]) == (1, "Count", "cumulative")
        send(server, gzip.compress(body), **{"content-encoding": "gzip"})
        send(server, (FIXTURES / "claude_code.metrics.pb").read_bytes())
        eventually(lambda: points(server, "claude_code.cost.usage"))
        metrics = server.client.get("/api/received-metrics?project=default").json()["metrics"]
        assert {one["name"]: (one["unit"], one["type"], one["points"]) for one in metrics} == {
            "claude_code.cost.usage": ("USD", "sum", 1),
            "claude_code.session.count": ("", "sum", 1),
            "claude_code.token.usage": ("tokens", "sum", 4),
            CYCLES: ("Count", "sum", 1),
            "strands.event_loop.start_cycle": ("Count", "sum", 1),
        }


def test_what_is_left_out_is_counted_and_what_is_personal_is_hidden(tmp_path: Path) -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="seats")
    for time_ns, who in ((1, "ada@example.com"), (2**64 - 1, "late")):
        point = metric.gauge.data_points.add(time_unix_nano=time_ns, as_double=float("nan"))
        point.attributes.add(key="who").value.string_value = who
    with Served(tmp_path, "[flow]\nbatch_seconds = 0.05\n") as server:
        partial = send(server, request.SerializeToString()).partial_success
        assert partial.rejected_data_points == 1
        assert "metric[0].data_points[1]: start_time_unix_nano, time_unix_nano" in partial.error_message
        [kept] = eventually(lambda: points(server, "seats"))
        assert kept["value"] == "NaN"
        assert str(kept["attributes"]).startswith("{'who': '[email:")
        numbers = server.client.get("/metrics").text
        assert 'watchpost_items_total{fate="accepted",item="point"} 1.0' in numbers
        assert 'watchpost_items_total{fate="rejected",item="point"} 1.0' in numbers
        kept_by_name = server.client.get("/api/received-metrics?project=default").json()["metrics"]
        assert [(one["name"], one["points"]) for one in kept_by_name] == [("seats", 1)]
        assert "seats" not in numbers

"""What Watchpost says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from server_fakes import House

from watchpost.server.health import HealthNumbers


def test_it_is_alive_also_while_it_is_not_ready() -> None:
    house = House()
    house.pulse.reason = "the log is being read"
    assert house.get("/healthz").status_code == 200
    answer = house.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "the log is being read\n")
    house.pulse.reason = None
    assert house.get("/readyz").status_code == 200


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_numbers_of_the_flow_are_exposed() -> None:
    house = House()
    house.pulse.now = HealthNumbers(
        accepted_spans=7,
        rejected_spans=2,
        accepted_points=40,
        rejected_points=5,
        log_bytes=8192,
        log_lag_bytes=4096,
        batches_applied=3,
        apply_seconds=0.25,
        react_lag_s=1.5,
        open_sessions=11,
        held_fold_bytes=12_000,
        outbox={("ops", "waiting"): 4},
        telemetry_rows={"spans": 100},
        telemetry_bytes={"spans": 17_000},
    )
    answer = house.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    assert found["watchpost_items_total", ("accepted", "span")] == 7
    assert found["watchpost_items_total", ("rejected", "span")] == 2
    assert found["watchpost_items_total", ("accepted", "point")] == 40
    assert found["watchpost_items_total", ("rejected", "point")] == 5
    assert found["watchpost_log_bytes", ()] == 8192
    assert found["watchpost_log_lag_bytes", ()] == 4096
    assert found["watchpost_batches_applied_total", ()] == 3
    assert found["watchpost_apply_seconds_total", ()] == 0.25
    assert found["watchpost_react_lag_seconds", ()] == 1.5
    assert found["watchpost_open_sessions", ()] == 11
    assert found["watchpost_fold_held_bytes", ()] == 12_000
    assert found["watchpost_outbox_notices", ("ops", "waiting")] == 4
    assert found["watchpost_telemetry_rows", ("spans",)] == 100
    assert found["watchpost_telemetry_bytes", ("spans",)] == 17_000
    assert all(name.startswith("watchpost_") for name, _ in found)


def test_every_metric_is_documented() -> None:
    house = House()
    house.post("/v1/traces")
    docs = Path(__file__).parents[2] / "docs"
    page = "".join((docs / name).read_text(encoding="utf-8") for name in ("api.md", "prometheus.md"))
    names = {family.name for family in text_string_to_metric_families(house.get("/metrics").text)}
    assert len(names) > 10
    assert [name for name in names if name not in page and not name.startswith("watchpost_process_")] == []


def test_answers_at_the_door_are_counted_by_status() -> None:
    house = House()
    house.post("/v1/traces")
    house.post("/v1/traces", content_type="text/plain")
    house.post("/v1/traces", content_type="text/plain")
    text = house.get("/metrics").text
    assert 'watchpost_otlp_answers_total{signal="traces",status="200",transport="http"} 1.0' in text
    assert 'watchpost_otlp_answers_total{signal="traces",status="415",transport="http"} 2.0' in text


def test_openmetrics_is_given_to_whom_asks_for_it() -> None:
    answer = House().get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


SELF_TRACING = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from server_fakes import House
seen = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(seen))
trace.set_tracer_provider(provider)
house = House()
assert house.post("/v1/traces").status_code == house.get("/").status_code == 200
assert seen.get_finished_spans() == (), seen.get_finished_spans()
"""


def test_watchpost_makes_no_spans_of_its_own_requests() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", SELF_TRACING], env=environment, check=True, timeout=60)

"""A real Prometheus scrapes a real Watchpost, and answers what the shipped rules ask."""

from __future__ import annotations

import json
import random
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from foreign_server import may_be_missing, program
from prometheus_process import PrometheusProcess
from watchpost_process import WatchpostProcess, eventually

pytestmark = pytest.mark.skipif(may_be_missing("prometheus"), reason="no Prometheus, and no Debian to take one from")

SETTINGS = "[session]\nquiet_seconds = 0.5\n[flow]\nbatch_seconds = 0.1\n"
SECOND = 10**9
HOSTILE = 'ref"unds\\n\\\n{workflow="x"} 1\r\t#\u202e☂'

P95 = "histogram_quantile(0.95, sum by (workflow, le) (rate(agent_workflow_duration_seconds_bucket[5m])))"
LLM_ERRORS = "sum(rate(agent_llm_errors_total[5m])) / sum(rate(agent_llm_calls_total[5m]))"
TOOL_ERRORS = (
    "sum by (tool) (rate(agent_tool_errors_total[5m])) / sum by (tool) (rate(agent_tool_duration_seconds_count[5m]))"
)
COUNTED_TOOL_ERRORS = (
    "sum by (tool) (rate(agent_tool_errors_total[5m])) / sum by (tool) (rate(agent_tool_calls_total[5m]))"
)


def attribute(key: str, value: str | int) -> dict[str, object]:
    return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def run(number: int, workflow: str, took_s: float, *, failing: bool) -> list[dict[str, object]]:
    """A run that ended just now: one model call and one call of a tool, both of which fail or do not."""
    chance = random.Random(number)
    trace_id, root, call, tool = (
        f"{chance.getrandbits(128):032x}",
        *(f"{chance.getrandbits(64):016x}" for _ in range(3)),
    )
    end = time.time_ns()
    start = end - round(took_s * SECOND)

    def span(span_id: str, parent: str, name: str, begun: int, ended: int, **told: str | int) -> dict[str, object]:
        told = {key.replace("__", "."): value for key, value in told.items()}
        return {
            "traceId": trace_id,
            "spanId": span_id,
            "parentSpanId": parent,
            "name": name,
            "startTimeUnixNano": str(begun),
            "endTimeUnixNano": str(ended),
            "attributes": [attribute(key, value) for key, value in told.items()],
            "status": {"code": 2} if failing and parent else {},
        }

    tokens = {"gen_ai__usage__input_tokens": 1000, "gen_ai__usage__output_tokens": 100}
    return [
        span(root, "", f"invoke_agent {workflow}", start, end, gen_ai__operation__name="invoke_agent", gen_ai__agent__name=workflow),
        span(call, root, "chat gpt-4o", start, start + SECOND // 5, gen_ai__operation__name="chat", gen_ai__request__model="gpt-4o", gen_ai__provider__name="openai", **tokens),
        span(tool, root, "execute_tool get_order", start + SECOND // 5, start + SECOND // 4, gen_ai__operation__name="execute_tool", gen_ai__tool__name="get_order"),
    ]  # fmt: skip


def loop(number: int, workflow: str) -> list[dict[str, object]]:
    """A run that calls one tool with the same arguments six times."""
    root, _, tool = run(number, workflow, 20, failing=False)
    arguments = [*tool["attributes"], attribute("gen_ai.tool.call.arguments", '{"order": 7}')]  # type: ignore[misc] # they are a list
    calls = [tool | {"spanId": f"{place:016x}", "attributes": arguments} for place in range(1, 7)]
    return [root, *calls]


def send(url: str, spans: list[dict[str, object]]) -> None:
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    request = Request(f"{url}/v1/traces", json.dumps(body).encode(), {"content-type": "application/json"})  # noqa: S310  our own process
    with urlopen(request, timeout=10) as answer:  # noqa: S310  our own process
        assert answer.status == 200


def exposition(url: str, accept: str = "") -> str:
    with urlopen(Request(f"{url}/metrics", headers={"accept": accept}), timeout=10) as answer:  # noqa: S310  our own process
        text: str = answer.read().decode()
        return text


@pytest.fixture
def watchpost(tmp_path: Path) -> Iterator[WatchpostProcess]:
    with WatchpostProcess(tmp_path, SETTINGS) as process:
        yield process


def test_prometheus_answers_what_the_shipped_rules_ask_and_leads_to_the_traces(
    watchpost: WatchpostProcess, tmp_path: Path
) -> None:
    with PrometheusProcess(tmp_path, watchpost.url.removeprefix("http://")) as prometheus:

        def completions(at_least: int) -> None:
            asked = "sum(agent_workflow_completions_total)"
            eventually(lambda: True if prometheus.ask(asked).get("", 0) >= at_least else None)

        wave = [("refunds", 1.5, False), ("research", 40.0, False), ("refunds", 1.5, True), ("research", 40.0, False)]
        for number, (workflow, took_s, failing) in enumerate(wave):
            send(watchpost.url, run(number, workflow, took_s, failing=failing))
        completions(4)
        first = prometheus.ask("sum(agent_tokens_total)")
        for number, (workflow, took_s, failing) in enumerate(wave, 100):
            send(watchpost.url, run(number, workflow, took_s, failing=failing))
        completions(8)

        assert first == {"": 4400}
        assert prometheus.ask("sum by (direction) (agent_tokens_total)") == {"input": 8000, "output": 800}
        slow = prometheus.ask(P95)
        assert 1 < slow["refunds"] <= 2
        assert 30 < slow["research"] <= 60
        assert prometheus.ask(f"{P95} > 30").keys() == {"research"}
        assert prometheus.ask(LLM_ERRORS) == pytest.approx({"": 0.25})
        assert prometheus.ask(TOOL_ERRORS) == pytest.approx({"get_order": 0.25})
        assert prometheus.ask(COUNTED_TOOL_ERRORS) == pytest.approx({"get_order": 0.25})
        assert prometheus.ask("sum(increase(agent_tokens_total[1h])) > 1000000") == {}
        assert prometheus.ask("sum(increase(agent_tokens_total[1h])) > 4000").keys() == {""}
        assert prometheus.ask("agent_task_completion_rate{workflow='research'}").popitem()[1] == 1
        assert prometheus.ask("agent_active_workflows > 0") == {}
        send(watchpost.url, [run(200, "stuck", 700, failing=False)[0] | {"endTimeUnixNano": "0"}])
        eventually(lambda: prometheus.ask("sum by (workflow) (agent_active_workflows > 0)").get("stuck"))
        send(watchpost.url, loop(300, "looping"))
        raised = eventually(lambda: prometheus.ask('agent_flags_total{workflow="looping"}') or None)
        assert [(name, count) for name, count in raised.items() if "LOOP_DETECTED" in name] == [
            (
                f"agent_flags_total {watchpost.url.removeprefix('http://')} watchpost LOOP_DETECTED high get_order looping",
                1,
            )
        ]

        (series,) = prometheus.exemplars('agent_workflow_duration_seconds_bucket{workflow="research",le="60.0"}')
        key = watchpost.session(series.exemplars[-1].labels["trace_id"])
        assert key is not None
        assert series.exemplars[-1].labels["session"] == key.key
        assert float(series.exemplars[-1].value) == pytest.approx(40)
        (failed,) = prometheus.exemplars('agent_tool_errors_total{workflow="refunds"}')
        assert failed.exemplars


def test_promtool_accepts_the_exposition_of_hostile_names(watchpost: WatchpostProcess) -> None:
    send(watchpost.url, run(1, HOSTILE, 1.5, failing=True))
    ended = re.compile(r"^agent_workflow_completions_total{.*} 1\.0$", re.MULTILINE)
    text = eventually(lambda: text if ended.search(text := exposition(watchpost.url)) else None)
    checked = subprocess.run(
        [program("promtool") or "promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert "# {" not in text
    assert "# {" in exposition(watchpost.url, "application/openmetrics-text; version=1.0.0")

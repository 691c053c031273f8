"""Own prices, from the settings to what a session cost, and what `doctor` says of calls without a price."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell
from opentelemetry.proto.trace.v1.trace_pb2 import Span

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, batch, tool_span, trace_of

SETTINGS = """
[flow]
batch_seconds = 0.05

[[prices]]
model = "our-*"
from = 2025-01-01
input = 1.5
output = "6"

[[prices.tiers]]
above_input_tokens = 1000
input = 3
output = 12
"""


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("priced"), SETTINGS) as server:
        yield server


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def a_call(number: int, session_id: str, model: str, tokens: int) -> Span:
    """A model call that has just ended."""
    attributes: dict[str, str | bool | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "gen_ai.provider.name": "our-cloud",
        "gen_ai.usage.input_tokens": tokens,
        "gen_ai.usage.output_tokens": 10,
    }
    span = tool_span(trace_of(session_id), number, session_id, **attributes)
    span.start_time_unix_nano = time.time_ns() - 10**9
    span.end_time_unix_nano = span.start_time_unix_nano + 10**6
    return span


def test_calls_cost_what_the_settings_say(server: Served) -> None:
    assert (
        server.post(batch([a_call(1, "own", "our-model", 1000), a_call(2, "own", "our-model", 1001)])).status_code
        == 200
    )
    session = server.session("own", 2)
    listed = server.client.get(f"/api/sessions/{session.key}").json()
    assert listed["totals"]["cost_usd"] == "0.004683"


def test_doctor_names_the_calls_without_a_price_through_the_server_and_in_the_folder(
    server: Served, shell: Shell
) -> None:
    calls = [a_call(number, "nobodys", "nobodys\x1bmodel", 10) for number in (1, 2)]
    assert server.post(batch(calls)).status_code == 200
    server.session("nobodys", 2)
    server.works()  # spans, which name the provider, are written after what is counted; a later batch after both
    said = "2 of nobodys\\x1bmodel (our-cloud): no_price, last 20"
    ended = shell("doctor", "--data", str(server.data))
    assert ended.code == 0
    assert said in ended.out
    assert server.stop() == 0
    ended = shell("doctor", "--data", str(server.data))
    assert said in ended.out
    [prices] = [
        c for c in json.loads(shell("doctor", "--data", str(server.data), "--json").out) if c["name"] == "prices"
    ]
    assert prices["ok"] is True
    assert prices["detail"].startswith("genai-prices 0.")


def test_a_folder_without_such_calls_has_the_prices_in_use_alone(shell: Shell) -> None:
    ended = shell("doctor", "--data", "data")
    assert "ok    prices: genai-prices 0." in ended.out
    assert "without a price" not in ended.out

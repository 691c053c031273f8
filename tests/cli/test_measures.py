"""`watchpost measures`: the same answer from the folder and through the server that holds it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from commands import Shell

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, batch, tool_span, trace_of

from watchpost.query.catalogue import MEASURES


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def test_without_a_name_every_measure_is_listed(shell: Shell) -> None:
    assert [one["name"] for one in json.loads(shell("measures", "--json").out)] == list(MEASURES)
    assert [name for name in MEASURES if name not in shell("measures").out] == []


def test_a_measure_is_the_same_from_the_folder_and_through_the_server(tmp_path: Path, shell: Shell) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    with Served(folder, "[flow]\nbatch_seconds = 0.05\n") as server:
        spans = [tool_span(trace_of("run"), number, "run") for number in (1, 2, 3)]
        for number, span in enumerate(spans):
            span.start_time_unix_nano = time.time_ns() - 10**9
            span.end_time_unix_nano = span.start_time_unix_nano + 10**6 * (number + 1)
        assert server.post(batch(spans)).status_code == 200
        server.session("run", 3)
        window = ("--since", "2020-01-01", "--until", "2100-01-01")
        only = ("--where", "status=ok", "--where", "status=unknown")
        asked = ("measures", "tool_calls", "--data", str(server.data), "--by", "tool", *window, *only, "--json")
        held = json.loads(shell(*asked).out)
        refused = shell("measures", "tool_calls", "--data", str(server.data), "--by", "colour")
        assert (refused.code, refused.fault.partition(":")[0]) == (2, "by")
        assert server.stop() == 0
        assert json.loads(shell(*asked).out)["series"] == held["series"]
        (series,) = held["series"]
        assert series["group"] == {"tool": "get_order"}
        assert (series["total"]["value"], series["total"]["sessions"]) == (3, 1)
        took = shell("measures", "tool_duration_seconds", "--data", str(server.data), *window, "--quantile", "p50")
        assert "tool_duration_seconds at 0.5, seconds" in took.out
        assert " 0.002 " in took.out
        refused = shell("measures", "nonsense", "--data", str(server.data))
        assert (refused.code, refused.fault.partition(":")[0]) == (2, "name")


def test_a_filter_that_is_none_is_refused(shell: Shell) -> None:
    assert shell("measures", "tool_calls", "--where", "tool").code == 2

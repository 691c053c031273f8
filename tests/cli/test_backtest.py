"""`watchpost rules backtest` and `review`: real runs that went well tell nobody; what is wrong with a question says so; a server answers as its folder does."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
from commands import Shell

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, batch, tool_span, trace_of

from watchpost.rules.pack import shipped

FIXTURES = Path(__file__).parents[1] / "fixtures"
HALF_HOUR = 1800
MINE = """
rules:
  - {name: Calls, measure: tool_calls, by: [workflow], window: 15m, at_least: 3, severity: info, owner: me, runbook: https://a.example}
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def healthy() -> list[dict[str, object]]:
    """The runs among the fixtures in which nobody planted anything."""
    found = []
    for name in ("tau_airline", "agentdyn"):
        with gzip.open(FIXTURES / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            found += [json.loads(line) for line in lines]
    return [run for run in found if "injection" not in run["session_id"]]


def a_day_of(shell: Shell) -> int:
    """Import those runs over the last day, one each half hour, again and again under other names; how many sessions that makes."""
    runs, folder, now = healthy(), shell.folder / "runs", int(time.time())
    folder.mkdir()
    for number, at in enumerate(range(now - 86_400 + HALF_HOUR, now - HALF_HOUR, HALF_HOUR)):
        run = runs[number % len(runs)]
        path = folder / f"{number:03}.jsonl"
        path.write_text(json.dumps(run | {"session_id": f"{run['session_id']}-{number}"}), encoding="utf-8")
        os.utime(path, (at, at))
    assert shell("import", "runs", "--data", "data").code == 0
    return number + 1


def test_real_runs_that_went_well_spread_over_a_day_tell_nobody_and_other_rules_can_be_tried_on_them(
    shell: Shell,
) -> None:
    count = a_day_of(shell)
    answered = shell("rules", "backtest", "--data", "data", "--since", "1d", "--json")
    assert answered.code == 0, answered.err
    found = json.loads(answered.out)
    assert (found["sessions"], found["steps"] > 5 * count, found["seconds"] > 0) == (count, True, True)
    assert {each["rule"] for each in found["rules"]} == {rule.name for rule in shipped().rules}
    assert [each["rule"] for each in found["rules"] if each["alerts"]] == []

    (shell.folder / "mine.yaml").write_text(MINE, encoding="utf-8")
    incidents = {"incidents": [{"name": "all of it", "since": "2020-01-01", "until": "2100-01-01"}]}
    (shell.folder / "incidents.json").write_text(json.dumps(incidents), encoding="utf-8")
    asked = ("rules", "backtest", "mine.yaml", "--data", "data", "--since", "1d", "--incidents", "incidents.json")
    (mine,) = json.loads(shell(*asked, "--json").out)["rules"]
    assert mine["alerts"] > 5
    assert (mine["precision"], mine["caught"]) == (1.0, ["all of it"])
    shown = shell(*asked, "--rule", "Calls", "--propose").out
    assert "all of it (2020-01-01T00:00:00): found by Calls" in shown
    assert "Calls: proposed: " in shown
    assert len(re.findall(r" now\b", shown)) == 1
    assert "workflow=tau_airline" in shown


def test_a_server_answers_as_its_folder_does(tmp_path: Path, shell: Shell) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    (shell.folder / "mine.yaml").write_text(MINE, encoding="utf-8")
    with Served(folder, "[flow]\nbatch_seconds = 0.05\n") as server:
        spans = [tool_span(trace_of("run"), number, "run") for number in (1, 2, 3, 4)]
        for span in spans:
            span.start_time_unix_nano = time.time_ns() - 600 * 10**9
            span.end_time_unix_nano = span.start_time_unix_nano + 10**6
        assert server.post(batch(spans)).status_code == 200
        server.session("run", 4)
        asked = ("rules", "backtest", "mine.yaml", "--data", str(server.data), "--since", "1h", "--json")
        held = json.loads(shell(*asked).out)
        assert [each["alerts"] for each in held["rules"]] == [1]
        refused = shell("rules", "backtest", "--data", str(server.data), "--since", "90d")
        assert (refused.code, refused.fault.partition(":")[0]) == (2, "since")
        told = json.loads(shell("rules", "review", "--data", str(server.data), "--json").out)
        assert "AgentLooping" in told["silent"]
        assert server.stop() == 0
        assert json.loads(shell(*asked).out)["rules"][0]["episodes"] == held["rules"][0]["episodes"]
        assert "told nothing: " in shell("rules", "review", "--data", str(server.data)).out


WRONG = {
    ("--since", "40d"): "since: more than 31 days before the end",
    ("--rule", "Nobody"): "rule: there is no rule Nobody",
    ("wrong.yaml",): "files: wrong.yaml:1:1: there are no rules in it",
    ("absent.yaml",): "absent.yaml: No such file or directory",
    ("--incidents", "wrong.yaml"): "incidents: incidents:1:1: incidents: must be a list of what went wrong",
    ("--incidents", "empty.yaml"): "incidents: incidents:1:1: must be a table with incidents",
}


def test_what_is_wrong_is_said_in_one_line(shell: Shell) -> None:
    (shell.folder / "wrong.yaml").write_text("what: ever", encoding="utf-8")
    (shell.folder / "empty.yaml").write_text("", encoding="utf-8")
    (shell.folder / "run.jsonl").write_text(json.dumps(healthy()[0]), encoding="utf-8")
    assert shell("import", "run.jsonl", "--data", "data").code == 0
    for asked, fault in WRONG.items():
        ended = shell("rules", "backtest", *asked, "--data", "data")
        assert (ended.code, ended.fault[: len(fault)]) == (2, fault)

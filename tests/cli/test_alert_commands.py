"""`watchpost alerts`, `alert`, `ack`, `silence`, `silences` and `unsilence`: the same from the folder and through the server that holds it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commands import Shell

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, eventually

RULES = """
rules:
  - name: Loops
    flag: [LOOP_DETECTED]
    window: 10m
    at_least: 1
    severity: high
    owner: team-agents
    runbook: https://runbooks.example/loops
"""
ROUTES = """
route:
  channels: [ops]
  group_by: [alertname]
  group_wait: 0s
"""
HELD_BACK = """
route:
  channels: [ops]
  routes: [{match: severity=high, mute_time_intervals: [always], group_wait: 0s}]
inhibit_rules: [{source_matchers: alertname=Grave, target_matchers: alertname=Loops}]
time_intervals: [{name: always, time_intervals: [{months: ["1:12"]}]}]
"""
GRAVE = RULES.replace("rules:\n", "").replace("Loops\n", "Grave\n", 1).replace("severity: high", "severity: critical")
SETTINGS = """
[flow]
batch_seconds = 0.05
[alerting]
rules = ["rules.yaml"]
routes = "routes.yaml"
shipped_rules = false
[webhooks.ops]
url = "https://203.0.113.1/"
secrets = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]
"""
CALL = {"kind": "tool", "agent": "a", "name": "get_order", "input": {"order": "ORD-4711"}, "output": "open"}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "watchpost.toml").write_text(SETTINGS)
    run = {"session_id": "s", "source": "shop", "steps": [CALL | {"step": number} for number in range(8)]}
    (tmp_path / "runs.jsonl").write_text(json.dumps(run))
    return tmp_path


def test_alerts_are_looked_at_acknowledged_and_silenced_through_the_server_and_in_the_folder(
    folder: Path, shell: Shell
) -> None:
    with Served(folder, SETTINGS) as server:
        at = ("--data", str(server.data))
        assert shell("import", "runs.jsonl", "--server", server.url).code == 0

        def fired() -> str | None:
            found = json.loads(shell("alerts", *at, "--state", "firing", "--json").out)
            return found[0]["id"] if found else None

        alert = eventually(fired)
        acknowledged = eventually(
            lambda: ((said := shell("ack", alert, "--by", "ann", *at)).code == 0 and said) or None
        )
        assert acknowledged.out == f"ann is on Loops: {alert}\n"
        one = json.loads(shell("alert", alert, *at, "--json").out)
        assert (one["alert"]["acknowledged_by"], [each["state"] for each in one["history"]]) == ("ann", ["firing"])
        why = ("--by", "bob", "--comment", "a release", *at)
        made = json.loads(shell("silence", "alertname=Loops", "severity=~hi.*", "--for", "2h", *why, "--json").out)
        assert (made["matchers"], made["state"]) == (["alertname=Loops", "severity=~hi.*"], "active")
        later = json.loads(shell("silence", "a=b", "--for", "1d", "--in", "30m", "--project", "p", *why, "--json").out)
        assert (later["state"], later["project"]) == ("pending", "p")
        assert json.loads(shell("alerts", *at, "--json").out)[0]["silenced_by"] == [made["id"]]
        ended = shell("unsilence", later["id"], "--by", "ann", *at)
        assert ended.out == f"alerts with a=b are told of again: {later['id']}\n"
        assert server.stop() == 0
    (row,) = json.loads(shell("alerts", *at, "--rule", "Loops", "--severity", "high", "--json").out)
    assert (row["id"], row["acknowledged_by"], row["silenced_by"]) == (alert, "ann", [made["id"]])
    assert shell("alerts", *at, "--project", "other", "--json").out == "[]\n"
    listed = shell("silences", *at).out
    assert made["id"] in listed
    assert later["id"] not in listed
    assert later["id"] in shell("silences", "--expired", *at).out
    assert shell("unsilence", made["id"], *at).code == 0
    assert json.loads(shell("silences", *at, "--json").out) == []
    local = shell("silence", "alertname=Loops", "--for", "30m", *why)
    assert local.out.startswith("alerts with alertname=Loops are silent until ")
    assert "runbook: https://runbooks.example/loops\n" in shell("alert", alert, *at).out
    assert shell("alert", "none", *at).code == 5
    assert shell("ack", "none", "--by", "ann", *at).code == 5
    assert shell("unsilence", "none", *at).code == 5
    again = shell("unsilence", made["id"], *at)
    assert (again.code, again.fault) == (2, "id: this silence is over already")


def test_what_is_held_back_says_by_what(folder: Path, shell: Shell) -> None:
    (folder / "rules.yaml").write_text(RULES + GRAVE)
    (folder / "routes.yaml").write_text(HELD_BACK)
    assert shell("import", "runs.jsonl").code == 0
    held = {one["rule"]: one for one in json.loads(shell("alerts", "--json").out)}
    assert held["Loops"]["inhibited_by"] == [{"id": held["Grave"]["id"], "rule": "Grave"}]
    muted = "by time window always for more than a month for ops"
    said = shell("alert", held["Loops"]["id"]).out
    assert f"inhibited by: Grave ({held['Grave']['id']})\n" in said
    assert f"muted: {muted}\n" in said
    assert "inhibited by" not in shell("alert", held["Grave"]["id"]).out
    assert f"inhibited by Grave; muted {muted}" in " ".join(shell("alerts").out.split())


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("alerts --state burning", "--state burning: it is one of pending, firing, resolved"),
        ("alerts --severity fatal", "--severity fatal: it is one of critical"),
        ("silence a=b --for soon --by a --comment c", "--for: 'soon' is no length of time"),
        ("silence a=b --for -1h --by a --comment c", "--for: '-1h' is no length of time"),
        ("silence a=b --for 1h --in NaN --by a --comment c", "--in: 'NaN' is no length of time"),
        ("alerts --data elsewhere", "elsewhere is no data folder"),
    ],
)
def test_a_wrong_command_about_alerts_says_what_is_wrong(shell: Shell, command: str, fault: str) -> None:
    ended = shell(*command.split())
    assert (ended.code, ended.fault.startswith(fault)) == (2, True), ended.fault


def test_a_folder_refuses_what_can_be_no_silence(shell: Shell) -> None:
    (shell.folder / "none.jsonl").write_text("")
    shell("import", "none.jsonl")
    for command, fault in (
        ("silence a --for 1h --by a --comment c", "matchers: 'a', character 2: expected =, !=, =~ or !~"),
        (
            "silence a==b --for 1h --by a --comment c",
            "matchers: 'a==b', character 3: == is no operator; write a=\"b\", or",
        ),
        ("silence a!=b --for 1h --by a --comment c", "matchers: match alerts without any label"),
        ("silence a=b --for 0 --by a --comment c", "seconds: is more than 0"),
        ("silence a=b --for 2y --by a --comment c", "seconds: is more than 0 and at most"),
        ("silence a=\udcff --for 1h --by a --comment c", "matchers: are no Unicode"),
    ):
        ended = shell(*command.split())
        assert (ended.code, ended.fault.startswith(fault)) == (2, True), ended.fault
    assert shell("silence", "a!=b", "--everything", "--for", "1h", "--by", "a", "--comment", "c").code == 0

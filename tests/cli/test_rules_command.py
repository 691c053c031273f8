"""`watchpost rules`: check, test, list and export, and what they say of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from commands import Shell

RULES = """
rules:
  - name: LoopsOfRefunds
    flag: [LOOP_DETECTED]
    where: {workflow: [refunds]}
    frequency: 3 in 30m
    severity: high
    owner: team-refunds
    runbook: loops.md
"""
WEAK = """
rules:
  - name: Weak
    measure: tool_eror_rate
    window: 5m
    above: 30s
    severity: high
    runbook: nowhere.md
"""
SCENARIO = """
shipped AgentLooping
at 1m: flag LOOP_DETECTED tool=lookup session=s
at 2m expect AgentLooping firing {tool=lookup}
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def write(shell: Shell, name: str, text: str) -> None:
    path = shell.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_rules_of_the_settings_stand_beside_the_shipped_ones(shell: Shell) -> None:
    write(shell, "rules/own.yaml", RULES)
    write(shell, "rules/loops.md", "# Loops")
    shell.configure('[alerting]\nrules = ["rules/*.yaml"]\n')
    assert shell("rules", "check").out == "26 rules, 0 objectives: in order\n"
    (own,) = (row for row in json.loads(shell("rules", "list", "--json").out) if row["name"] == "LoopsOfRefunds")
    assert own == {
        "name": "LoopsOfRefunds",
        "looks_at": "flags LOOP_DETECTED where workflow is refunds",
        "condition": "at least 3",
        "window_seconds": 1800.0,
        "for_seconds": 0.0,
        "severity": "high",
        "owner": "team-refunds",
        "runbook": "loops.md",
        "labels": {},
    }
    assert "LoopsOfRefunds" in shell("rules", "list").out
    shell.configure('[alerting]\nrules = ["rules/*.yaml"]\nshipped_rules = false\n')
    assert shell("rules", "check").out == "1 rules, 0 objectives: in order\n"


def test_an_own_rule_takes_the_place_of_the_shipped_one_of_its_name(shell: Shell) -> None:
    write(shell, "own.yaml", RULES.replace("LoopsOfRefunds", "AgentLooping").replace("loops.md", "runbooks/loops.md"))
    shell.configure('[alerting]\nrules = ["own.yaml"]\n')
    rows = json.loads(shell("rules", "list", "--json").out)
    assert len(rows) == 25
    assert [row["owner"] for row in rows if row["name"] == "AgentLooping"] == ["team-refunds"]


def test_every_fault_is_told_with_its_place(shell: Shell) -> None:
    write(shell, "weak.yaml", WEAK)
    ended = shell("rules", "check", "weak.yaml", "missing*.yaml")
    assert ended.code == 1
    assert ended.out.splitlines() == [
        "missing*.yaml:1:1: there is no such file",
        "weak.yaml:3:5: Weak: owner: is missing: name the team or person who answers",
        "weak.yaml:4:14: Weak: measure: there is no measure 'tool_eror_rate'; did you mean 'tool_error_rate'?",
        "weak.yaml:8:14: Weak: runbook: there is no file 'nowhere.md' beside the rules",
    ]
    assert ended.err == "watchpost: not in order: 4 faults\n"
    found = json.loads(shell("rules", "check", "--json", "weak.yaml").out)
    assert (found["rules"], len(found["faults"])) == (0, 3)
    assert found["faults"][1] | {"reason": ""} == {
        "file": "weak.yaml", "line": 4, "column": 14, "rule": "Weak", "field": "measure", "reason": "",
    }  # fmt: skip


@pytest.mark.parametrize("command", ["rules list", "rules export prometheus", "rules export grafana"])
def test_faults_in_rules_of_the_settings_are_faults_of_the_settings(shell: Shell, command: str) -> None:
    write(shell, "weak.yaml", WEAK)
    shell.configure('[alerting]\nrules = ["weak.yaml"]\n')
    ended = shell(*command.split())
    assert ended.code == 2
    assert "weak.yaml:4:14: Weak: measure" in ended.fault


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\xff\xfe", "is no UTF-8"), (b"", "must be a table"), (b"- a", "must be a table")],
)
def test_files_that_are_no_rules_are_named(shell: Shell, content: bytes, reason: str) -> None:
    (shell.folder / "odd.yaml").write_bytes(content)
    ended = shell("rules", "check", "odd.yaml")
    assert ended.code == 1
    assert ended.out.startswith("odd.yaml:1:1: ")
    assert reason in ended.out


def test_scenarios_pass_or_say_what_differed(shell: Shell) -> None:
    write(shell, "good.txt", SCENARIO)
    write(shell, "bad.txt", SCENARIO.replace("tool=lookup}", "tool=pay}"))
    write(shell, "odd.txt", "perhaps")
    assert (shell("rules", "test", "good.txt").code, shell("rules", "test", "good.txt").out) == (0, "ok    good.txt\n")
    ended = shell("rules", "test", "good.txt", "bad.txt", "odd.txt", "--json")
    assert ended.code == 1
    assert ended.err == "watchpost: not as expected: bad.txt, odd.txt\n"
    good, bad, odd = json.loads(ended.out)
    assert good == {"file": "good.txt", "passed": True, "differences": []}
    assert bad["differences"] == ["line 4: at 2m expect AgentLooping firing {tool=pay}; found nothing"]
    assert "'perhaps'" in odd["differences"][0]
    assert "FAIL  bad.txt\n      line 4: at 2m" in shell("rules", "test", "bad.txt").out


@pytest.mark.parametrize(
    ("command", "code", "named"),
    [
        ("rules test missing.txt", 1, "missing.txt"),
        ("rules export nagios", 2, "nagios"),
        ("rules test", 2, "FILES"),
        ("rules export", 2, "TARGET"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(shell: Shell, command: str, code: int, named: str) -> None:
    ended = shell(*command.split())
    assert (ended.code, ended.out) == (code, "")
    assert named.lower() in ended.err.lower()
    assert "Traceback" not in ended.err


def test_an_export_is_printed_or_written_and_what_is_not_in_it_told_apart(shell: Shell) -> None:
    printed = shell("rules", "export", "prometheus")
    assert printed.code == 0
    exported = {rule["alert"] for rule in yaml.safe_load(printed.out)["groups"][0]["rules"]}
    assert {"AgentLLMHighErrorRate", "AgentLooping"} <= exported
    reason = "it judges single sessions, and no metric tells sessions apart"
    assert f"not exported: AgentWorkflowStuck: {reason}\n" in printed.err
    assert "AgentWorkflowStuck" not in exported
    written = shell("rules", "export", "prometheus", "--out", "a/b")
    assert written.out.splitlines() == ["a/b/watchpost.rules.yml", "a/b/watchpost.rules.test.yml"]
    assert (shell.folder / "a/b/watchpost.rules.yml").read_text(encoding="utf-8") == printed.out
    asked = json.loads(shell("rules", "export", "prometheus", "--json").out)
    assert [*asked["files"]] == ["watchpost.rules.yml", "watchpost.rules.test.yml"]
    assert len(asked["left_out"]) + len(exported) == 25


def test_routes_are_exported_for_alertmanager_without_a_secret(shell: Shell) -> None:
    shell.configure('[channels.pagerduty]\ntype = "pagerduty"\nrouting_key = "0123456789abcdef0123456789abcdef"\n')
    ended = shell("rules", "export", "alertmanager")
    assert "0123456789abcdef" not in ended.out + ended.err
    assert "routing_key_file: /etc/alertmanager/secrets/pagerduty" in ended.out
    assert "to be written: /etc/alertmanager/secrets/pagerduty: the routing key" in ended.err


def test_without_channels_the_shipped_routes_are_exported_with_receivers_to_fill_in(shell: Shell) -> None:
    ended = shell("rules", "export", "alertmanager")
    names = {receiver["name"] for receiver in yaml.safe_load(ended.out)["receivers"]}
    assert names >= {"agent-alerts", "incidents+pagerduty"}
    assert "not exported: channel pagerduty: is not among the settings" in ended.err


def test_dashboards_lead_to_the_address_of_the_settings(shell: Shell) -> None:
    shell.configure('public_url = "https://watchpost.example"\n')
    ended = shell("rules", "export", "grafana", "--out", "g")
    assert ended.out.splitlines() == ["g/watchpost-agents.json", "g/datasources.yml"]
    assert "https://watchpost.example/sessions/" in (shell.folder / "g/datasources.yml").read_text(encoding="utf-8")
    assert json.loads(shell("rules", "export", "grafana").out)["uid"] == "watchpost-agents"

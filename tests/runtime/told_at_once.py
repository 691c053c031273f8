"""Settings by which a receiver is told of every grave flag at once, of each by itself."""

from __future__ import annotations

from pathlib import Path

from watchpost.cli.demo.receiver import NoticeReceiver

RULES = """
rules:
  - name: Anomaly
    flag: any
    where: {severity: [critical, high, error, warning]}
    by: [session, flag, tool, severity]
    window: 10m
    above: 0
    severity: warning
    owner: team-agents
    runbook: https://runbooks.example/anomalies
    summary: "{latest}"
"""
ROUTES = """
route:
  channels: [oncall]
  group_by: ['...']
  group_wait: 0s
"""


def told_at_once(folder: Path, receiver: NoticeReceiver, url: str = "") -> str:
    """What is to stand in the settings; the rules and routes that these name are written into the folder that they are read in."""
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    return f"""
[alerting]
rules = ["rules.yaml"]
routes = "routes.yaml"
shipped_rules = false

[webhooks.oncall]
url = "{url or receiver.url}"
secrets = ["{receiver.secret}"]
allow_private = true
"""

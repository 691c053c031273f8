"""`/api/rules`: the rules at work, in words, and how their alerts stand."""

from __future__ import annotations

from pathlib import Path

import msgspec
from alert_desk import AlertDesk, alert, firing
from server_fakes import START_NS, House

from watchpost.model.alert import Pending
from watchpost.rules.pack import shipped
from watchpost.server.alerts import Alerts


def test_every_rule_is_told_in_words_with_how_many_of_its_alerts_stand_how(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path)
    desk.add(alert(firing(), "AgentLooping", service="a"))
    desk.add(alert(firing(), "AgentLooping", service="b"), at_s=1)
    desk.add(alert(Pending(START_NS), "AgentLooping", service="c"), at_s=2)
    house = House(alerts=Alerts(desk.state, desk.state, desk, lambda: START_NS, rules=shipped().rules))
    rules = house.get("/api/rules").json()["rules"]
    desk.state.close()
    assert [rule["name"] for rule in rules] == sorted(rule.name for rule in shipped().rules)
    (looping,) = (rule for rule in rules if rule["name"] == "AgentLooping")
    assert looping == {
        "name": "AgentLooping",
        "severity": "error",
        "owner": "agent-platform",
        "runbook": "runbooks/loops.md",
        "looks_at": "flags LOOP_DETECTED, by tool",
        "condition": "above 0",
        "window_seconds": 600.0,
        "for_seconds": 0.0,
        "labels": {},
        "pending": 1,
        "firing": 2,
    }
    assert sum(rule["firing"] + rule["pending"] for rule in rules) == 3


def test_where_no_rule_is_at_work_there_is_none_to_tell_of(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path)
    house = House(alerts=desk.alerts)
    assert msgspec.json.decode(house.get("/api/rules").content) == {"rules": []}
    assert "No rule is at work" in house.get("/rules").text
    desk.state.close()

"""Alertmanager's own tool sends alerts through an exported tree to the receivers that our tree names."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
import yaml
from foreign_server import may_be_missing, program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchpost.alerting.alertmanager_config import alertmanager_config, receiver_name
from watchpost.alerting.route_file import SHIPPED_CHANNELS, Routing, read_routing, shipped_routing

pytestmark = pytest.mark.skipif(
    may_be_missing("alertmanager"), reason="there is no amtool here, and no apt-get to bring one"
)

CHANNELS = ("one", "two", "three", "pager")
NAMES = st.sampled_from(["tool", "severity", "rate"])
VALUES = st.sampled_from(["", "a", "ab", "b", "yes", "ö", "a.c"])
EXPRESSIONS = st.sampled_from(["a", "a|b", ".*", ".+", "a.*", "", "(a|ö).?", "[^a]+"])
LABELS = st.dictionaries(NAMES, VALUES.filter(bool), max_size=3)


@st.composite
def matchers(draw: st.DrawFn) -> str:
    operator = draw(st.sampled_from(["=", "!=", "=~", "!~"]))
    value = draw(EXPRESSIONS if "~" in operator else VALUES)
    return f'{draw(NAMES)}{operator}"{value}"'


def routes(children: st.SearchStrategy[list[dict[str, object]]]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {"match": st.lists(matchers(), max_size=2), "routes": children},
        optional={
            "channels": st.lists(st.sampled_from(CHANNELS[:-1]), max_size=2, unique=True),
            "continue": st.booleans(),
        },
    )


NO_ROUTES: list[dict[str, object]] = []
TREES = st.recursive(
    routes(st.just(NO_ROUTES)), lambda below: routes(st.lists(below, min_size=1, max_size=3)), max_leaves=8
)


def write(folder: Path, routing: Routing) -> Path:
    exported = alertmanager_config(routing, {})
    assert exported.left_out == ()
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(exported.config, allow_unicode=True), encoding="utf-8")
    return path


def amtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [program("amtool") or "amtool", *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


def theirs(configuration: Path, labels: Mapping[str, str]) -> str:
    said = [f'{name}="{value}"' for name, value in labels.items()]
    return amtool("config", "routes", "test", f"--config.file={configuration}", *said)


def ours(routing: Routing, labels: Mapping[str, str]) -> str:
    found = routing.root.find(labels)
    told = [tuple(each for each in (*route.channels, *route.page) if route.takes(each, labels)) for route in found]
    return ",".join(receiver_name(channels) for channels in told)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES, label_sets=st.lists(LABELS, min_size=2, max_size=4))
def test_any_tree_sends_any_alert_where_alertmanager_would(
    tmp_path: Path, tree: dict[str, object], label_sets: list[dict[str, str]]
) -> None:
    document = {"route": {"channels": ["one"], "group_by": ["tool"], "routes": [tree]}}
    routing = read_routing(msgspec.json.encode(document).decode(), CHANNELS)
    configuration = write(tmp_path, routing)
    for labels in label_sets:
        assert ours(routing, labels) == theirs(configuration, labels), labels


@pytest.mark.parametrize("rate", ["yes", "no"])
@pytest.mark.parametrize("severity", ["critical", "warning"])
@pytest.mark.parametrize(
    "error_type", ["tool_server_down", "llm_infinite_loop", "tool_timeout", "guardrail_triggered", "other"]
)
def test_the_shipped_tree_sends_alerts_where_alertmanager_would(
    tmp_path: Path, error_type: str, severity: str, rate: str
) -> None:
    routing = shipped_routing(SHIPPED_CHANNELS)
    labels = {"alertname": "x", "error_type": error_type, "severity": severity, "rate": rate}
    assert ours(routing, labels) == theirs(write(tmp_path, routing), labels)


def test_alertmanager_takes_every_part_of_an_exported_routing(tmp_path: Path) -> None:
    text = """
route:
  channels: [one]
  routes:
    - match: ['tool=~"get_.*|\\\\d+"', 'severity!="info"']
      page: [pager]
      group_by: ['...']
      group_wait: 0s
      group_interval: 1h30m
      mute_time_intervals: [nights]
      active_time_intervals: [months]
inhibit_rules:
  - {source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [tool]}
time_intervals:
  - name: nights
    time_intervals:
      - times: [{start_time: '22:00', end_time: '24:00'}]
        weekdays: ['monday:friday', sunday]
        location: Europe/Berlin
  - name: months
    time_intervals: [{days_of_month: ['-3:-1', '1'], months: ['january:march', '12'], years: ['2020:2030']}]
"""
    configuration = write(tmp_path, read_routing(text, CHANNELS))
    assert "SUCCESS" in amtool("check-config", configuration)

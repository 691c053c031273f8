"""What an exported configuration says it cannot say; that Alertmanager takes the rest is tried in tests/live."""

from __future__ import annotations

from watchpost.alerting.alertmanager_config import alertmanager_config
from watchpost.alerting.route_file import read_routing

CHANNELS = ("chat", "pager", "boss")


def test_what_alertmanager_cannot_express_is_named() -> None:
    routing = read_routing(
        """
route:
  channels: [chat]
  page: [pager]
  escalate_after: 15m
  escalate_to: [boss]
  routes: [{match: team=shop, channels: [boss], continue: true, escalate_after: 0s}]
""",
        CHANNELS,
    )
    assert alertmanager_config(routing, {}).left_out == (
        "route {}: pages take alerts of any rule, because a route below it continues",
        "route {}: nobody is told later when nobody acknowledges",
    )


def test_a_page_becomes_a_child_that_asks_for_a_rate_and_is_as_mute_as_its_parent() -> None:
    routing = read_routing(
        """
route:
  channels: [chat]
  routes: [{match: team=shop, page: [pager], mute_time_intervals: [always]}]
time_intervals: [{name: always, time_intervals: [{times: [{start_time: '00:00', end_time: '24:00'}]}]}]
""",
        CHANNELS,
    )
    hook = {"webhook_configs": [{"url": "https://pager.example"}]}
    exported = alertmanager_config(routing, {"pager": hook}).config
    assert exported["route"] == {
        "receiver": "chat",
        "group_by": [],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
        "routes": [
            {
                "matchers": ['team="shop"'],
                "receiver": "nobody",
                "group_by": [],
                "group_wait": "30s",
                "group_interval": "5m",
                "repeat_interval": "4h",
                "continue": False,
                "mute_time_intervals": ["always"],
                "routes": [
                    {"matchers": ['rate="yes"'], "receiver": "pager", "mute_time_intervals": ["always"]},
                ],
            }
        ],
    }
    assert exported["receivers"] == [{"name": "pager", **hook}, {"name": "nobody"}, {"name": "chat"}]

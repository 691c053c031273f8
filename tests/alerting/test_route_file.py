from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.document import DocumentError
from watchpost.alerting.route_file import SHIPPED_CHANNELS, read_routing, shipped_routing

CHANNELS = ("chat", "pager", "mail")


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(DocumentError) as raised:
        read_routing(text, CHANNELS)
    return [(fault.line, fault.field, fault.reason) for fault in raised.value.faults]


def test_a_route_that_says_nothing_inherits_and_the_root_has_the_defaults_of_alertmanager() -> None:
    root = read_routing("route: {channels: [chat], routes: [{match: a=b}]}", CHANNELS).root
    assert (root.group_wait_ns, root.group_interval_ns, root.repeat_interval_ns) == (30e9, 300e9, 14400e9)
    assert root.group_by == ()
    (child,) = root.routes
    assert child.channels == ("chat",)


def test_a_route_inherits_what_it_does_not_say_and_never_when_it_is_mute() -> None:
    routing = read_routing(
        """
route:
  channels: [chat]
  page: [pager]
  group_by: [alertname]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 1h
  escalate_after: 15m
  escalate_to: [mail]
  routes:
    - match: team=shop
      mute_time_intervals: [nights]
      continue: true
      routes:
        - match: [severity=critical, 'tool=~"get_.*"']
          group_wait: 0s
          group_by: ['...']
        - match: severity=info
          channels: [mail]
time_intervals:
  - {name: nights, time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}]}]}
""",
        CHANNELS,
    )
    (shop,) = routing.root.routes
    critical, info = shop.routes
    assert (critical.channels, critical.page, critical.escalate_to) == (("chat",), ("pager",), ("mail",))
    assert (critical.group_wait_ns, critical.group_interval_ns, critical.group_by) == (0, 60e9, None)
    assert (shop.goes_on, critical.goes_on, critical.mute_time_intervals) == (True, False, ())
    assert (info.channels, info.page) == (("mail",), ()), "who names channels takes no page from above"
    assert critical.key == '{}/{team="shop"}/{severity="critical",tool=~"get_.*"}'
    assert routing.channels == {"chat", "pager", "mail"}


def test_the_key_of_a_route_stays_when_another_is_put_before_it() -> None:
    one = read_routing("route: {channels: [chat], routes: [{match: a=b}]}", CHANNELS).root
    two = read_routing("route: {channels: [chat], routes: [{match: c=d}, {match: a=b}, {match: a=b}]}", CHANNELS).root
    assert [route.key for route in two.routes] == ['{}/{c="d"}', '{}/{a="b"}', '{}/{a="b"}#2']
    assert one.routes[0].key == two.routes[1].key


def test_every_fault_is_told_at_once_with_its_line_field_and_reason() -> None:
    text = """
route:
  match: a=b
  channels: [chat, shout]
  page: [chat]
  group_wait: 30
  group_interval: 0s
  surprise: 1
  routes:
    - match: ['a=~"("', 'b>1']
      continue: perhaps
      mute_time_intervals: [nights]
      group_by: [a, a]
      escalate_after: 5m
    - channels: chat
      repeat_interval: 4hours
      routes: 7
inhibit_rules:
  - source_matchers: [a=b]
time_intervals:
  - name: weekends
    time_intervals: [{weekdays: [samstag]}]
  - time_intervals: []
"""
    intervals = "there is no time interval 'nights'; there are weekends"
    assert faults(text) == [
        (3, "route.match", "cannot stand on the root, which takes every alert at any time"),
        (4, "route.channels[1]", "there is no channel 'shout'; there are chat, mail, pager"),
        (5, "route.page", "'chat' stands in channels as well; a page takes rates only, a channel every alert"),
        (6, "route.group_wait", "'30' is no length of time; write one like 30s, 5m, 1h30m or 7d"),
        (7, "route.group_interval", "must be longer than 0"),
        (8, "route.surprise", f"is no field here; there are {', '.join(sorted(FIELDS))}"),
        (10, "route.routes[0].escalate_to", "is missing; say who is told when nobody acknowledges"),
        (10, "route.routes[0].match[0]", "'a=~\"(\"', character 4: is no expression that RE2 reads: missing ): ("),
        (10, "route.routes[0].match[1]", "'b>1', character 2: expected =, !=, =~ or !~"),
        (11, "route.routes[0].continue", "must be true or false"),
        (12, "route.routes[0].mute_time_intervals[0]", intervals),
        (13, "route.routes[0].group_by", "names a label twice"),
        (16, "route.routes[1].repeat_interval", "'4hours' is no length of time; write one like 30s, 5m, 1h30m or 7d"),
        (17, "route.routes[1].routes", "must be a list"),
        (19, "inhibit_rules[0].target_matchers", "is missing"),
        (22, "time_intervals[0].time_intervals[0].weekdays[0]", "'samstag' is no day of the week"),
        (23, "time_intervals[1].name", "is missing"),
    ]  # fmt: skip


FIELDS = {
    "match", "channels", "page", "group_by", "group_wait", "group_interval", "repeat_interval", "continue", "mute_time_intervals",
    "active_time_intervals", "escalate_after", "escalate_to", "routes",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "the document is empty"),
        ("# nothing", 1, "the document is empty"),
        ("route: [", 1, "is no YAML"),
        ("route:\n  channels: [chat\n  page: x", 3, "is no YAML"),
        ("route: &a {channels: [chat]}\nother: *a", 2, "aliases"),
        ("- route", 1, "must be a table of fields"),
        ("inhibit_rules: []", 1, "is missing; it says where alerts go that no other route takes"),
        ("route: {group_by: [a]}", 1, "is missing on the root"),
        ("route: {channels: [chat]}\nroute: {channels: [chat]}", 2, "stands here twice"),
        ("route: {channels: [chat, chat]}", 1, "'chat' stands here twice"),
        ("route: {channels: [chat], group_by: ['...', a]}", 1, "stands alone"),
        ("route: {channels: [[chat]]}", 1, "must be text"),
        ("route: {channels: [chat], escalate_to: [mail]}", 1, "is missing; say after how long"),
        (
            "route:\n  channels: [chat]\n  routes:\n    - match: [team=shop, severity==critical]",
            4,
            "'severity==critical', character 10: == is no operator; write severity=\"critical\", or",
        ),
        (
            "route: {channels: [chat]}\ninhibit_rules:\n  - source_matchers: a==b\n    target_matchers: c=d",
            3,
            'write a="b"',
        ),
        ("[" * 5000, 1, "is nested deeper than 100 lists and tables"),
    ],
)
def test_a_document_that_is_no_routing_is_refused(text: str, line: int, reason: str) -> None:
    found = faults(text)
    assert found[0][0] == line
    assert reason in found[0][2]


def test_routes_deeper_than_anybody_needs_are_refused() -> None:
    text = "{channels: [chat]}"
    for _ in range(40):
        text = f"{{routes: [{text}]}}"
    assert "stands deeper than 32 routes" in str(faults(f"route: {{channels: [chat], routes: [{text}]}}"))


@given(st.text(st.sampled_from("route:channels[]{}-,\n \"'&*!|>#a=b")))
def test_any_text_is_either_a_routing_or_faults(text: str) -> None:
    lines: list[int] = [1]
    try:
        read_routing(text, CHANNELS)
    except DocumentError as error:
        lines = [fault.line for fault in error.faults]
    assert lines
    assert all(1 <= line <= text.count("\n") + 2 for line in lines)


PAGE = ("incidents", "pagerduty")
LOOK = ("agent-alerts",)


@pytest.mark.parametrize(
    ("labels", "single", "rate"),
    [
        ({"error_type": "llm_api_unreachable"}, ("incidents",), PAGE),
        ({"error_type": "database_connection_failed"}, ("incidents",), PAGE),
        ({"error_type": "tool_server_down", "severity": "critical"}, ("incidents",), PAGE),
        ({"error_type": "llm_infinite_loop", "severity": "critical"}, LOOK, LOOK),
        ({"error_type": "llm_context_overflow"}, LOOK, LOOK),
        ({"error_type": "llm_invalid_tool_call"}, (), LOOK),
        ({"error_type": "llm_refused_request"}, (), LOOK),
        ({"error_type": "tool_execution_failed"}, (), LOOK),
        ({"error_type": "tool_timeout", "severity": "critical"}, (), LOOK),
        ({"error_type": "tool_invalid_response"}, (), LOOK),
        ({"error_type": "output_validation_failed", "severity": "critical"}, (), ()),
        ({"error_type": "guardrail_triggered"}, (), ()),
        ({"alertname": "AgentLLMHighErrorRate", "severity": "critical"}, ("incidents",), PAGE),
        ({"alertname": "AgentWorkflowSlowResponse", "severity": "warning"}, LOOK, LOOK),
    ],
)
def test_the_shipped_routes_send_each_kind_of_error_where_it_belongs_and_page_by_rate_alone(
    labels: Mapping[str, str], single: tuple[str, ...], rate: tuple[str, ...]
) -> None:
    root = shipped_routing(SHIPPED_CHANNELS).root

    def told(labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(
            channel
            for route in root.find(labels)
            for channel in (*route.channels, *route.page)
            if route.takes(channel, labels)
        )

    assert told(labels) == single
    assert told({**labels, "rate": "yes"}) == rate


def test_the_shipped_routes_leave_out_channels_that_there_are_not() -> None:
    assert shipped_routing(["incidents", "mail"]).channels == {"incidents"}
    assert shipped_routing([]).channels == frozenset()

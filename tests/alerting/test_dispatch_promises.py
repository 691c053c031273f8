"""Whatever happens: no end is told without a beginning, everything that fires is told in the end, and a restart changes nothing."""

from __future__ import annotations

import msgspec
from alert_cases import ended, firing, ns
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from watchpost.alerting.dispatch import Dispatcher, DispatchState
from watchpost.alerting.group import GroupState
from watchpost.alerting.route_file import read_routing
from watchpost.model.alert import Alert
from watchpost.model.flag import Severity
from watchpost.model.notice import Notice
from watchpost.model.silence import Acknowledgement, Silence

ROUTING = read_routing(
    """
route:
  channels: [chat]
  page: [pager]
  group_by: [site]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 12m
  escalate_after: 20m
  escalate_to: [boss]
  routes:
    - {match: site=a, channels: [side], continue: true, group_wait: 0s, group_interval: 2m}
    - {match: site=a}
    - {match: site=b, group_by: ['...'], mute_time_intervals: [early]}
inhibit_rules:
  - {source_matchers: [alertname=source], target_matchers: [alertname=target], equal: [site]}
time_intervals:
  - name: early
    time_intervals: [{times: [{start_time: '08:00', end_time: '08:20'}]}]
""",
    ("chat", "pager", "boss", "side"),
)
"""The first alerts come at 08:00 UTC."""

SETTLED_S = 1800
"""By then every silence is over and every group has been looked at again."""

NAMES = st.sampled_from(["source", "target", "other"])
SITES = st.sampled_from(["a", "b", "c"])
SEVERITIES: st.SearchStrategy[Severity] = st.sampled_from(["critical", "warning"])


class Rows:
    """A store that is written only what has changed."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.groups: dict[str, GroupState] = {}

    def write(self, dispatcher: Dispatcher) -> DispatchState:
        changes = msgspec.convert(msgspec.to_builtins(dispatcher.changes()), type(dispatcher.changes()))
        self.alerts |= {alert.id: alert for alert in changes.alerts}
        self.groups |= {group.id: group for group in changes.groups}
        for each in changes.alerts_gone:
            self.alerts.pop(each, None)
        for each in changes.groups_gone:
            self.groups.pop(each, None)
        state = dispatcher.state()
        stored = DispatchState(state.now_ns, tuple(self.alerts.values()), tuple(self.groups.values()), state.silences)
        return msgspec.json.decode(msgspec.json.encode(stored), type=DispatchState)


class Dispatching(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.steady = self.new()
        self.restarted = self.new()
        self.rows = Rows()
        self.firing: dict[str, Alert] = {}
        self.told: dict[tuple[str, str], set[str]] = {}
        self.seen: dict[str, Alert] = {}
        self.ids: set[str] = set()
        self.keys: list[str] = []

    @staticmethod
    def new() -> Dispatcher:
        return Dispatcher(ROUTING.root, ROUTING.inhibitions, ROUTING.intervals, ("pager",))

    def both(self) -> tuple[Dispatcher, Dispatcher]:
        return self.steady, self.restarted

    @rule(name=NAMES, site=SITES, severity=SEVERITIES, rate=st.sampled_from(["yes", ""]))
    def fire(self, name: str, site: str, severity: Severity, rate: str) -> None:
        labels = {"site": site} | ({"rate": rate} if rate else {})
        alert = firing(name, self.now_s, severity, **labels)
        self.firing[alert.id] = self.seen[alert.id] = alert
        for each in self.both():
            each.heed([alert], ns(self.now_s))

    @precondition(lambda self: self.firing)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        alert = self.firing.pop(data.draw(st.sampled_from(sorted(self.firing))))
        labels = {name: value for name, value in alert.labels.items() if name != "alertname"}
        over = ended(alert.rule, self.now_s, alert.event.severity, **labels)
        assert over.id == alert.id
        for each in self.both():
            each.heed([over], ns(self.now_s))

    @rule(
        matcher=st.sampled_from(["alertname=target", "site=a", "site!=b", 'alertname=~"o.*"']),
        name=st.sampled_from(["one", "two"]),
        wait_s=st.sampled_from([0, 100]),
        length_s=st.sampled_from([0, 60, 900]),
    )
    def silence(self, matcher: str, name: str, wait_s: int, length_s: int) -> None:
        starts_s = self.now_s + wait_s
        silence = Silence(name, "", (matcher,), ns(starts_s), ns(starts_s + length_s), "ann", "why", ns(self.now_s))
        for each in self.both():
            each.silence(silence)

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.keys))
        acknowledgement = Acknowledgement("p", key, "ann", ns(self.now_s))
        answers = {each.acknowledge(acknowledgement) for each in self.both()}
        assert len(answers) == 1

    @rule(seconds=st.sampled_from([0.0, 1.0, 29.5, 30.0, 45.0, 130.0, 300.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.flush(self.now_s)

    @rule()
    def wait_until_due(self) -> None:
        due_ns = self.steady.due_ns()
        if due_ns is not None:
            self.now_s = max(self.now_s, (due_ns - ns(0)) / 1e9)
            self.flush(self.now_s)

    @rule()
    def restart(self) -> None:
        state = self.rows.write(self.restarted)
        self.restarted = self.new()
        self.restarted.resume(state)
        self.restarted.changes()

    def flush(self, at_s: float) -> None:
        notices, others = (each.flush(ns(at_s)) for each in self.both())
        assert notices == others
        for notice in notices:
            assert notice.id not in self.ids
            self.ids.add(notice.id)
            if notice.action != "acknowledge":
                self.note(notice)

    def note(self, notice: Notice) -> None:
        if notice.key not in self.keys:
            self.keys.append(notice.key)
        told = self.told.setdefault((notice.key, notice.channel), set())
        for each in notice.alerts:
            if each.status == "firing":
                assert notice.action == "trigger"
                assert notice.channel != "pager" or each.labels.get("rate") == "yes"
                assert each.alert_id in self.firing, "told as firing what had ended"
                told.add(each.alert_id)
            else:
                assert each.alert_id in told, "an end without a beginning"
                told.remove(each.alert_id)
        if notice.action == "resolve":
            told.clear()

    @invariant()
    def what_is_due_is_never_overdue_after_a_flush(self) -> None:
        assert self.steady.due_ns() == self.restarted.due_ns()

    def teardown(self) -> None:
        until_s = self.now_s + SETTLED_S
        while (due_ns := self.steady.due_ns()) is not None and due_ns <= ns(until_s):
            self.flush(max(self.now_s, (due_ns - ns(0)) / 1e9))
        heard: dict[str, set[str]] = {}
        for (_, channel), alerts in self.told.items():
            heard.setdefault(channel, set()).update(alerts)
        for channel in ("chat", "pager", "side", "boss"):
            expected = {alert.id for alert in self.firing.values() if self.must_hear(channel, alert)}
            known = heard.get(channel, set())
            held_back = {alert.id for alert in self.seen.values() if self.is_inhibited(alert)}
            assert known <= self.firing.keys() | held_back, "somebody still waits for an end"
            assert expected <= known, f"{channel} was not told of what fires"

    def must_hear(self, channel: str, alert: Alert) -> bool:
        site = alert.labels["site"]
        if self.is_inhibited(alert) or channel == "boss":
            return False
        if channel == "side":
            return site == "a"
        return channel == "chat" or alert.labels.get("rate") == "yes"

    def is_inhibited(self, alert: Alert) -> bool:
        return alert.rule == "target" and any(
            each.rule == "source" and each.labels["site"] == alert.labels["site"] for each in self.firing.values()
        )


TestDispatching = Dispatching.TestCase
TestDispatching.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

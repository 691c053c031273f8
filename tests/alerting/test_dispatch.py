"""What the dispatcher tells beyond what is compared with a real Alertmanager."""

from __future__ import annotations

import msgspec
from alert_cases import ended, firing, ns, pending, said

from watchpost.alerting.announcement import LISTED
from watchpost.alerting.dispatch import Changes, Dispatcher, DispatchState
from watchpost.alerting.route_file import read_routing
from watchpost.model.alert import Alert
from watchpost.model.notice import Notice
from watchpost.model.silence import Acknowledgement, Silence

CHANNELS = ("chat", "pager", "boss", "log")
ROUTES = """
route:
  channels: [chat]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
"""
PAGED = """
route:
  channels: [chat]
  page: [pager]
  group_wait: 30s
"""
ESCALATED = """
route:
  channels: [chat]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
  escalate_after: 12m
  escalate_to: [boss]
"""


class Desk:
    """A dispatcher, and everything it said up to a time, as seconds and what was said."""

    def __init__(self, routes: str, *, acknowledging: tuple[str, ...] = ()) -> None:
        routing = read_routing(routes, CHANNELS)
        self.dispatcher = Dispatcher(routing.root, routing.inhibitions, routing.intervals, acknowledging)
        self.notices: list[Notice] = []

    def heed(self, at_s: float, *alerts: Alert) -> None:
        self.until(at_s)
        self.dispatcher.heed(alerts, ns(at_s))

    def until(self, at_s: float) -> list[tuple[float, tuple[str, str, tuple[str, ...], tuple[str, ...]]]]:
        told = []
        while (due_ns := self.dispatcher.due_ns()) is not None and due_ns <= ns(at_s):
            notices = self.dispatcher.flush(max(due_ns, ns(0)))
            self.notices += notices
            told += [((due_ns - ns(0)) / 1e9, said(notice)) for notice in notices]
        return told

    def acknowledge(self, at_s: float, by: str = "ann", project: str = "p") -> bool:
        return self.dispatcher.acknowledge(Acknowledgement(project, self.notices[-1].key, by, ns(at_s)))


def test_pending_alerts_tell_nobody() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, pending("a"))
    assert desk.dispatcher.due_ns() is None


def test_an_end_of_an_alert_that_nobody_knows_makes_no_difference() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, ended("a"))
    assert desk.dispatcher.due_ns() is None
    assert desk.dispatcher.state() == DispatchState(now_ns=ns(0))


def test_all_notices_of_one_life_of_a_group_share_a_key_and_the_next_life_has_another() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    desk.heed(40, firing("b", 40))
    desk.heed(400, ended("a"), ended("b"))
    desk.heed(700, firing("a", 700))
    desk.until(2000)
    keys = [notice.key for notice in desk.notices]
    assert [notice.action for notice in desk.notices] == ["trigger", "trigger", "resolve", "trigger"]
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]
    assert all(0 < len(key) <= 255 for key in keys)
    assert len({notice.id for notice in desk.notices}) == 4


def test_alerts_of_two_projects_are_never_in_one_notice() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"), firing("b", project="q"))
    assert sorted(told for _, told in desk.until(30)) == [
        ("chat", "trigger", ("a",), ()),
        ("chat", "trigger", ("b",), ()),
    ]
    assert len({notice.key for notice in desk.notices}) == 2


def test_the_gravest_alert_speaks_for_the_group_and_stands_first() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a", severity="info"), firing("b", severity="critical"), firing("c", severity="error"))
    desk.until(30)
    assert desk.notices[0].event.severity == "critical"
    assert [told.event.severity for told in desk.notices[0].alerts] == ["critical", "error", "info"]


def test_times_in_a_notice_are_when_the_alert_fired_and_ended() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a", -2.5), firing("b"))
    desk.heed(60, ended("a", 59))
    desk.until(330)
    assert [(told.started_at, told.ended_at) for told in desk.notices[-1].alerts] == [
        ("2027-01-15T08:00:00.000Z", ""),
        ("2027-01-15T08:00:59.000Z", "2027-01-15T08:00:59.000Z"),
    ]


def test_a_group_of_ten_thousand_gives_a_notice_of_bounded_size_that_says_how_many_more() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, *(firing("a", tool=f"tool {number}") for number in range(9_999)), firing("b", severity="critical"))
    assert len(desk.until(30)) == 1
    (notice,) = desk.notices
    assert len(notice.alerts) == LISTED
    assert notice.omitted == 10_000 - LISTED
    assert notice.alerts[0].labels["alertname"] == "b"
    desk.heed(40, *(ended("a", tool=f"tool {number}") for number in range(9_999)), ended("b", severity="critical"))
    assert len(desk.until(400)) == 1
    assert desk.notices[-1].action == "resolve"
    assert desk.dispatcher.state().alerts == ()


def test_a_page_takes_only_alerts_that_are_judged_by_a_rate() -> None:
    desk = Desk(PAGED)
    desk.heed(0, firing("single"), firing("rate", rate="yes"))
    desk.heed(60, ended("rate", 60, rate="yes"))
    told = desk.until(330)
    assert [each for at_s, each in told if at_s == 330] == [
        ("chat", "trigger", ("single",), ("rate",)),
        ("pager", "resolve", (), ("rate",)),
    ]
    assert [said(notice) for notice in desk.notices[:2]] == [
        ("chat", "trigger", ("rate", "single"), ()),
        ("pager", "trigger", ("rate",), ()),
    ]


def test_a_group_without_a_rate_pages_nobody() -> None:
    desk = Desk(PAGED)
    desk.heed(0, firing("single", severity="critical"))
    assert desk.until(40) == [(30, ("chat", "trigger", ("single",), ()))]


def test_what_is_critical_does_not_wait_where_the_route_does_not() -> None:
    desk = Desk("route: {channels: [chat], group_wait: 0s, group_interval: 5m}")
    desk.heed(0, firing("a"))
    desk.heed(10, firing("b", 10))
    desk.heed(20, firing("c", 20, severity="critical"))
    assert desk.until(20) == [(20, ("chat", "trigger", ("a", "b", "c"), ()))]
    assert [said(notice) for notice in desk.notices[:-1]] == [("chat", "trigger", ("a",), ())]
    desk.heed(25, ended("c", 25, severity="critical"))
    desk.heed(26, firing("c", 26, severity="critical"))
    assert desk.until(300) == [], "flapping does not bring a group forward"


def test_an_acknowledged_group_is_not_repeated_and_channels_that_care_are_told() -> None:
    desk = Desk(ROUTES, acknowledging=("chat",))
    desk.heed(0, firing("a"))
    desk.until(30)
    assert desk.acknowledge(60)
    assert [told for _, told in desk.until(60)] == [("chat", "acknowledge", ("a",), ())]
    assert desk.notices[-1].by == "ann"
    assert desk.notices[-1].key == desk.notices[0].key
    assert desk.acknowledge(61, by="bob")
    assert desk.until(3 * 3600) == []
    desk.heed(3 * 3600 + 10, ended("a"))
    assert [told for _, told in desk.until(4 * 3600)] == [("chat", "resolve", (), ("a",))]


def test_without_an_acknowledgement_the_same_group_is_repeated() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    assert [at_s for at_s, _ in desk.until(3 * 3600)] == [30, 3630, 7230]


def test_channels_that_do_not_understand_are_not_told_who_acknowledged() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.acknowledge(60)
    assert desk.until(3600) == []


def test_an_alert_that_joins_undoes_the_acknowledgement() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.acknowledge(60)
    desk.heed(100, firing("b", 100))
    assert [at_s for at_s, _ in desk.until(2 * 3600)] == [330, 3930]


def test_an_alert_that_ends_does_not_undo_the_acknowledgement_and_is_told() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"), firing("b", severity="critical"))
    desk.until(30)
    desk.acknowledge(60)
    desk.heed(100, ended("b", 100, severity="critical"))
    assert desk.until(3 * 3600) == [(330, ("chat", "trigger", ("a",), ("b",)))]
    assert desk.notices[-1].event.severity == "warning", "what fires speaks for the group"


def test_a_severity_that_rises_undoes_the_acknowledgement() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.acknowledge(60)
    desk.heed(100, firing("a", severity="critical"))
    assert [at_s for at_s, _ in desk.until(2 * 3600)] == [330, 3930]
    assert desk.notices[1].event.severity == "critical"


def test_an_acknowledgement_of_what_is_over_or_of_another_project_changes_nothing() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    desk.until(30)
    assert not desk.acknowledge(40, project="q")
    desk.heed(60, ended("a", 60))
    desk.until(330)
    assert not desk.acknowledge(340)


def test_nobody_acknowledged_so_the_next_are_told_and_stay_with_it() -> None:
    desk = Desk(ESCALATED)
    desk.heed(0, firing("a"))
    assert desk.until(750) == [(30, ("chat", "trigger", ("a",), ())), (750, ("boss", "trigger", ("a",), ()))]
    assert len({notice.key for notice in desk.notices}) == 1
    desk.heed(800, ended("a", 800))
    assert [told for _, told in desk.until(1000)] == [("chat", "resolve", (), ("a",)), ("boss", "resolve", (), ("a",))]
    desk.heed(1100, firing("a", 1100))
    assert [told for _, told in desk.until(1300)] == [("chat", "trigger", ("a",), ())], (
        "a new life begins at the bottom"
    )


def test_what_is_acknowledged_in_time_is_not_escalated_unless_it_gets_graver() -> None:
    desk = Desk(ESCALATED)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.acknowledge(60)
    assert desk.until(2000) == []
    desk.heed(2000, firing("b", 2000))
    assert [(at_s, told[0]) for at_s, told in desk.until(3500)] == [(2130, "chat"), (2850, "boss")]


def test_what_is_silenced_is_not_escalated_until_the_silence_ends() -> None:
    desk = Desk(ESCALATED)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.dispatcher.silence(Silence("s", "p", ('alertname="a"',), ns(40), ns(1000), "ann", "maintenance", ns(40)))
    assert desk.until(1000) == []
    assert [(at_s, told[0]) for at_s, told in desk.until(1230)] == [(1230, "boss")]


def test_a_silence_that_is_ended_early_holds_no_longer() -> None:
    desk = Desk(ROUTES)
    silence = Silence("s", "", ('alertname="a"',), ns(0), ns(7200), "ann", "maintenance", ns(0))
    desk.dispatcher.silence(silence)
    desk.heed(0, firing("a"))
    assert desk.until(600) == []
    desk.dispatcher.silence(msgspec.structs.replace(silence, ends_ns=ns(700)))
    assert [at_s for at_s, _ in desk.until(1000)] == [930]
    assert desk.dispatcher.state().silences == ()


def test_a_silence_of_another_project_holds_nothing_back() -> None:
    desk = Desk(ROUTES)
    desk.dispatcher.silence(Silence("s", "q", ('alertname="a"',), ns(0), ns(7200), "ann", "maintenance", ns(0)))
    desk.heed(0, firing("a"))
    assert len(desk.until(30)) == 1


def test_a_flush_that_comes_late_tells_once_how_things_stand_then() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    notices = desk.dispatcher.flush(ns(10_000))
    assert [said(notice) for notice in notices] == [("chat", "trigger", ("a",), ())]
    assert desk.dispatcher.due_ns() == ns(10_300)


def test_a_flush_that_is_a_little_late_does_not_put_off_the_next_ones() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    desk.dispatcher.flush(ns(30.9))
    assert desk.dispatcher.due_ns() == ns(330)
    assert [at_s for at_s, _ in desk.until(4000)] == [3630]


def test_a_clock_that_is_set_back_keeps_nobody_waiting() -> None:
    desk = Desk(ROUTES)
    desk.heed(86_400, firing("a", 86_400))
    desk.until(86_430)
    desk.heed(0, firing("b"))
    assert [(at_s, told) for at_s, told in desk.until(3900)] == [
        (300, ("chat", "trigger", ("a", "b"), ())),
        (3900, ("chat", "trigger", ("a", "b"), ())),
    ]


def test_alerts_that_a_new_tree_sends_elsewhere_are_told_there_after_a_restart() -> None:
    before = Desk(ROUTES)
    before.heed(0, firing("a"))
    before.until(30)
    routing = read_routing("route: {channels: [chat], routes: [{match: alertname=a, channels: [boss]}]}", CHANNELS)
    after = Dispatcher(routing.root)
    after.resume(before.dispatcher.state())
    assert [said(notice) for notice in after.flush(ns(60))] == [("boss", "trigger", ("a",), ())]


def test_groups_of_a_route_that_is_gone_are_removed_from_what_was_written() -> None:
    before = Desk("route: {channels: [chat], routes: [{match: alertname=a, channels: [boss]}]}")
    before.heed(0, firing("a"))
    before.until(30)
    (old,) = before.dispatcher.state().groups
    after = Dispatcher(read_routing(ROUTES, CHANNELS).root)
    after.resume(before.dispatcher.state())
    assert after.changes().groups_gone == (old.id,)
    assert [said(notice) for notice in after.flush(ns(60))] == [("chat", "trigger", ("a",), ())]


def test_routes_that_name_no_channel_tell_nobody_and_their_alerts_inhibit_all_the_same() -> None:
    desk = Desk("""
route:
  channels: [chat]
  routes: [{match: alertname=source, channels: []}]
inhibit_rules:
  - {source_matchers: [alertname=source], target_matchers: [alertname=target]}
""")
    desk.heed(0, firing("source"), firing("target"), firing("target", project="q"))
    assert desk.until(400) == [(30, ("chat", "trigger", ("target",), ()))]
    desk.heed(400, ended("source", 400))
    assert [told for _, told in desk.until(700)] == [("chat", "trigger", ("target",), ())]


def test_an_alert_that_begins_to_flap_stays_in_its_group() -> None:
    desk = Desk("route: {channels: [chat], group_by: ['...']}")
    alert = firing("a")
    desk.heed(0, alert)
    desk.until(30)
    desk.heed(60, msgspec.structs.replace(alert, labels={**alert.labels, "flapping": "true"}))
    assert desk.until(400) == []
    resumed = Dispatcher(read_routing("route: {channels: [chat], group_by: ['...']}", CHANNELS).root)
    resumed.resume(desk.dispatcher.state())
    resumed.heed([ended("a", 500)], ns(500))
    assert [said(notice) for notice in resumed.flush(ns(700))] == [("chat", "resolve", (), ("a",))]


def test_an_end_in_a_silence_is_told_after_it_also_when_others_of_the_group_were_told_meanwhile() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.dispatcher.silence(Silence("s", "p", ('alertname="a"',), ns(40), ns(1000), "ann", "maintenance", ns(40)))
    desk.heed(60, firing("b", 60))
    desk.heed(400, ended("a", 400))
    assert desk.until(1230) == [(1230, ("chat", "trigger", ("b",), ("a",)))]
    assert said(desk.notices[1]) == ("chat", "trigger", ("b",), ())


def test_what_is_acknowledged_in_a_silence_is_not_escalated_after_it() -> None:
    desk = Desk(ESCALATED)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.dispatcher.silence(Silence("s", "p", ('alertname="a"',), ns(40), ns(1000), "ann", "maintenance", ns(40)))
    desk.until(800)
    desk.acknowledge(900)
    assert desk.until(3600) == []


def test_a_new_group_does_not_wait_for_an_alert_that_has_fired_for_longer_than_it_would() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a", -31), firing("b", -10))
    assert desk.until(0) == [(0, ("chat", "trigger", ("a", "b"), ()))]


def test_only_what_is_other_than_before_is_to_be_written() -> None:
    desk = Desk(ROUTES)
    desk.heed(0, firing("a"), firing("b"))
    first = desk.dispatcher.changes()
    assert (len(first.alerts), len(first.groups)) == (2, 1)
    desk.heed(10, firing("a"), firing("b"))
    assert desk.dispatcher.changes() == Changes()
    desk.heed(20, firing("a", 5))
    again = desk.dispatcher.changes()
    assert (len(again.alerts), len(again.groups)) == (1, 0)
    desk.until(40)
    desk.dispatcher.changes()
    desk.heed(50, ended("a", 50), ended("b", 50))
    (group,) = desk.dispatcher.changes().groups
    assert group.ended == {alert.id for alert in first.alerts}
    desk.heed(60, firing("a", 60))
    (group,) = desk.dispatcher.changes().groups
    assert len(group.ended) == 1
    desk.heed(70, ended("a", 70))
    desk.until(3600)
    over = desk.dispatcher.changes()
    assert (len(over.alerts_gone), len(over.groups_gone)) == (2, 1)
    assert (over.alerts, over.groups) == ((), ())


def test_a_clock_that_is_set_back_puts_off_no_repeat() -> None:
    desk = Desk(ROUTES)
    desk.heed(86_400, firing("a", 86_400))
    desk.until(86_430)
    desk.heed(0, firing("a"))
    assert [at_s for at_s, _ in desk.until(3900)] == [3600]


def test_a_route_is_mute_in_one_time_interval_and_outside_of_another_and_tells_afterwards() -> None:
    hours = "{{name: {}, time_intervals: [{{times: [{{start_time: '{}', end_time: '{}'}}]}}]}}"
    intervals = f"time_intervals: [{hours.format('early', '08:00', '08:10')}, {hours.format('late', '08:12', '24:00')}]"
    desk = Desk(f"""
route:
  channels: [chat]
  routes:
    - {{match: alertname=mute, mute_time_intervals: [early]}}
    - {{match: alertname=active, active_time_intervals: [late]}}
{intervals}
""")
    desk.heed(0, firing("mute"), firing("active"), firing("any"), firing("over", active="yes"))
    desk.heed(60, ended("over", 60, active="yes"))
    told = desk.until(1000)
    assert [said(notice)[2] for notice in desk.notices[:1]] == [("any", "over")]
    assert [(at_s, firing_names) for at_s, (_, _, firing_names, _) in told if at_s > 330] == [
        (630, ("mute",)),
        (930, ("active",)),
    ]

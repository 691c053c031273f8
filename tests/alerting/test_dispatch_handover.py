"""When the routes change while something fires: who was told of a beginning is told of the end, and nobody hears anything else twice."""

from __future__ import annotations

import msgspec
from alert_cases import ended, firing, ns, said
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.dispatch import Dispatcher, DispatchState
from watchpost.alerting.route_file import read_routing
from watchpost.model.alert import Alert
from watchpost.model.notice import Notice
from watchpost.model.silence import Acknowledgement, Silence

CHANNELS = ("chat", "pager", "boss")
TIMES = "group_wait: 30s, group_interval: 5m, repeat_interval: 1h"
BOTH = f"route: {{channels: [chat, pager], {TIMES}}}"
CHAT = f"route: {{channels: [chat], {TIMES}}}"


class Desk:
    """A dispatcher that may be started anew with other routes."""

    def __init__(self, routes: str) -> None:
        self.dispatcher = Dispatcher(read_routing(routes, CHANNELS).root)
        self.notices: list[Notice] = []
        self.begun: set[tuple[str, str]] = set()
        self.over: set[tuple[str, str]] = set()

    def restart(self, routes: str, channels: tuple[str, ...] = CHANNELS) -> None:
        state = msgspec.json.decode(msgspec.json.encode(self.dispatcher.state()), type=DispatchState)
        routing = read_routing(routes, CHANNELS)
        self.dispatcher = Dispatcher(routing.root, (), routing.intervals, ("pager",), channels)
        self.dispatcher.resume(state)

    def heed(self, at_s: float, *alerts: Alert) -> None:
        self.until(at_s)
        self.dispatcher.heed(alerts, ns(at_s))

    def until(self, at_s: float) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
        told = []
        while (due_ns := self.dispatcher.due_ns()) is not None and due_ns <= ns(at_s):
            for notice in self.dispatcher.flush(max(due_ns, ns(0))):
                self.note(notice)
                told.append(said(notice))
        return told

    def note(self, notice: Notice) -> None:
        self.notices.append(notice)
        conversation = (notice.channel, notice.key)
        match notice.action:
            case "trigger":
                self.begun.add(conversation)
                assert conversation not in self.over
            case "resolve":
                assert conversation in self.begun
                assert conversation not in self.over, "an end is told once"
                self.over.add(conversation)
            case "acknowledge":
                assert conversation in self.begun


def test_a_channel_that_is_taken_off_a_route_is_told_the_end_and_nothing_else() -> None:
    desk = Desk(BOTH)
    desk.heed(0, firing("a"))
    desk.until(30)
    key = desk.notices[0].key
    desk.restart(CHAT)
    desk.heed(400, firing("b", 400))
    assert desk.until(8000) == [
        ("chat", "trigger", ("a", "b"), ()),
        ("chat", "trigger", ("a", "b"), ()),
        ("chat", "trigger", ("a", "b"), ()),
    ]
    desk.heed(8000, ended("a", 8000))
    assert desk.until(8400) == [("chat", "trigger", ("b",), ("a",)), ("pager", "resolve", (), ("a",))]
    assert {notice.key for notice in desk.notices} == {key}
    desk.heed(8400, ended("b", 8400))
    assert desk.until(20_000) == [("chat", "resolve", (), ("b",))]


def test_a_route_that_is_taken_away_still_tells_its_channel_the_end() -> None:
    desk = Desk("route: {channels: [chat], routes: [{match: alertname=a, channels: [boss]}]}")
    desk.heed(0, firing("a"), firing("c"))
    desk.until(30)
    old = {notice.channel: notice.key for notice in desk.notices}
    desk.restart(CHAT)
    assert desk.until(400) == [("chat", "trigger", ("a", "c"), ())]
    desk.heed(500, ended("a", 500))
    assert sorted(desk.until(1000)) == [("boss", "resolve", (), ("a",)), ("chat", "trigger", ("c",), ("a",))]
    assert {notice.channel: notice.key for notice in desk.notices} == old
    desk.heed(1000, ended("c", 1000))
    desk.until(3000)
    assert desk.over == desk.begun
    assert desk.dispatcher.state() == DispatchState(now_ns=desk.dispatcher.state().now_ns)


def test_an_alert_that_a_new_route_takes_is_ended_where_it_was_told_first() -> None:
    desk = Desk(CHAT)
    desk.heed(0, firing("a"), firing("b"))
    desk.until(30)
    desk.restart(f"route: {{channels: [chat], {TIMES}, routes: [{{match: alertname=a, channels: [boss]}}]}}")
    assert desk.until(350) == [("boss", "trigger", ("a",), ())]
    desk.heed(400, ended("a", 400))
    assert sorted(desk.until(1000)) == [("boss", "resolve", (), ("a",)), ("chat", "trigger", ("b",), ("a",))]


def test_alerts_grouped_in_another_way_end_in_both_conversations() -> None:
    desk = Desk(CHAT)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.restart(f"route: {{channels: [chat], group_by: [alertname], {TIMES}}}")
    assert desk.until(400) == [("chat", "trigger", ("a",), ())]
    desk.heed(500, ended("a", 500))
    assert desk.until(1000) == [("chat", "resolve", (), ("a",))] * 2
    assert len(desk.begun) == 2
    assert desk.over == desk.begun


def test_what_fires_again_before_its_end_was_told_to_a_former_channel_has_not_ended() -> None:
    desk = Desk(BOTH)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.restart(CHAT)
    desk.heed(340, ended("a", 340))
    desk.heed(350, firing("a", 350))
    assert desk.until(1000) == []
    desk.heed(1000, ended("a", 1000))
    assert desk.until(1300) == [("chat", "resolve", (), ("a",)), ("pager", "resolve", (), ("a",))]


def test_a_channel_that_is_put_back_goes_on_with_its_conversation() -> None:
    desk = Desk(BOTH)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.restart(CHAT)
    desk.until(400)
    desk.restart(BOTH)
    desk.heed(500, firing("b", 500))
    assert sorted(desk.until(700)) == [("chat", "trigger", ("a", "b"), ()), ("pager", "trigger", ("a", "b"), ())]
    assert len({notice.key for notice in desk.notices}) == 1


def test_a_channel_that_moves_to_the_later_ones_is_told_the_end_though_nothing_was_escalated() -> None:
    desk = Desk(BOTH)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.restart(f"route: {{channels: [chat], escalate_after: 2h, escalate_to: [pager], {TIMES}}}")
    desk.heed(400, ended("a", 400))
    assert desk.until(700) == [("chat", "resolve", (), ("a",)), ("pager", "resolve", (), ("a",))]


def test_a_channel_that_there_is_no_more_is_told_nothing() -> None:
    desk = Desk(BOTH)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.restart(CHAT, ("chat",))
    desk.heed(400, ended("a", 400))
    assert desk.until(5000) == [("chat", "resolve", (), ("a",))]


def test_an_end_that_is_silenced_is_told_to_a_former_channel_when_the_silence_is_over() -> None:
    desk = Desk(BOTH)
    desk.heed(0, firing("a"))
    desk.until(30)
    desk.restart(CHAT)
    desk.dispatcher.silence(Silence("s", "", ("alertname=a",), ns(300), ns(2000), "ann", "why", ns(300)))
    desk.heed(400, ended("a", 400))
    assert desk.until(1900) == []
    assert desk.until(2400) == [("chat", "resolve", (), ("a",)), ("pager", "resolve", (), ("a",))]


def test_who_was_told_of_a_beginning_hears_that_somebody_is_on_it() -> None:
    desk = Desk("route: {channels: [chat], routes: [{match: alertname=a, channels: [pager]}]}")
    desk.heed(0, firing("a"))
    desk.until(30)
    key = desk.notices[0].key
    desk.restart(CHAT)
    assert desk.dispatcher.acknowledge(Acknowledgement("p", key, "ann", ns(50)))
    assert sorted(desk.until(60)) == [("chat", "trigger", ("a",), ()), ("pager", "acknowledge", ("a",), ())]


TREES = st.sampled_from(
    [
        BOTH,
        CHAT,
        f"route: {{channels: [pager], group_by: [site], {TIMES}}}",
        f"route: {{channels: [], {TIMES}, routes: [{{match: alertname=a, channels: [boss], continue: true}}, {{match: site=x, channels: [pager]}}]}}",
        f"route: {{channels: [chat], {TIMES}, escalate_after: 10m, escalate_to: [pager], routes: [{{match: site=x, page: [pager], channels: [boss]}}]}}",
    ]
)
ALERTS = st.sampled_from([("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")])


def test_an_alert_that_the_routes_leave_alone_for_a_while_is_told_once_they_take_it_again() -> None:
    desk = Desk(BOTH)
    desk.heed(0, firing("b", 0, site="y"))
    desk.restart(f"route: {{channels: [], {TIMES}}}")
    assert desk.until(31) == []
    desk.restart(BOTH)
    desk.until(631)
    assert {channel for channel, _ in desk.begun} == {"chat", "pager"}
    desk.heed(700, ended("b", 700, site="y"))
    desk.until(1300)
    assert desk.over == desk.begun
    assert desk.dispatcher.state().alerts == ()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fire"), ALERTS),
        st.tuples(st.just("end"), ALERTS),
        st.tuples(st.just("wait"), st.sampled_from([0, 29, 31, 299, 301, 4000])),
        st.tuples(st.just("restart"), TREES),
    ),
    max_size=25,
)


@given(first=TREES, steps=STEPS)
def test_whatever_the_routes_become_every_conversation_that_was_begun_is_ended_once_nothing_fires(
    first: str, steps: list[tuple[str, str | int | tuple[str, str]]]
) -> None:
    desk, at_s = Desk(first), 0
    firing_now: set[tuple[str, str]] = set()
    for step in steps:
        match step:
            case ("fire", (str(name), str(site))):
                firing_now.add((name, site))
                desk.heed(at_s, firing(name, at_s, site=site))
            case ("end", (str(name), str(site))):
                firing_now.discard((name, site))
                desk.heed(at_s, ended(name, at_s, site=site))
            case ("wait", int(seconds)):
                at_s += seconds
                desk.until(at_s)
            case ("restart", str(tree)):
                desk.restart(tree)
    desk.heed(at_s, *(ended(name, at_s, site=site) for name, site in sorted(firing_now)))
    desk.until(at_s + 1200)
    assert desk.over == desk.begun
    left = desk.dispatcher.state()
    assert (left.alerts, left.groups) == ((), ())

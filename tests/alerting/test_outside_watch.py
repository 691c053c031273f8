"""Alerts of another Alertmanager of which nothing is heard any more, and what channels are told of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from alert_cases import said

from watchpost.alerting.dispatch import Dispatcher
from watchpost.alerting.outside import alert_of
from watchpost.alerting.outside_watch import OutsideWatch
from watchpost.alerting.route_file import read_routing
from watchpost.model.alert import Alert, Firing, Resolved, alert_id
from watchpost.model.notice import AlertEvent, AlertStatus
from watchpost.model.outside_alert import OutsideAlert

SECOND = 10**9
START = 1_790_000_400 * SECOND
PATIENCE = 3600 * SECOND


def outside(at_s: int, status: AlertStatus = "firing", name: str = "Disk", **labels: str) -> Alert:
    given = {"alertname": name, "severity": "page", **labels}
    return alert_of(
        OutsideAlert("p", "f", status, given, {"summary": "full"}, START, 0, START + at_s * SECOND, "https://g.example")
    )


def watch(*standing: Alert, patience_ns: int = PATIENCE, began_s: int = 0) -> OutsideWatch:
    return OutsideWatch(standing, patience_ns, START + began_s * SECOND)


def ended(of: OutsideWatch, at_s: int) -> list[str]:
    return [alert.rule for alert in of.end(START + at_s * SECOND)]


def test_an_alert_is_ended_once_after_the_patience_since_it_was_last_heard_of() -> None:
    held = watch()
    held.take([outside(0), outside(0, name="Net")])
    held.take([outside(600)])
    assert held.due_ns() == START + 3600 * SECOND
    assert ended(held, 3599) == []
    assert ended(held, 3600) == ["Net"]
    assert ended(held, 4200) == ["Disk"]
    assert ended(held, 9999) == []
    assert held.due_ns() is None


def test_what_is_ended_says_since_when_there_is_no_word_and_that_nobody_knows() -> None:
    held = watch()
    held.take([outside(0)])
    (alert,) = held.end(START + 4000 * SECOND)
    assert alert.state == Resolved(START, START, START + 4000 * SECOND, no_word=True)
    assert (
        alert.event.summary == "No word since 2026-09-21T14:20:00.000Z, so nobody knows whether this still holds: full"
    )
    assert alert.id == outside(0).id


def test_what_its_alertmanager_ended_is_not_waited_for() -> None:
    held = watch()
    held.take([outside(0)])
    held.take([outside(10, "resolved")])
    assert held.due_ns() is None


def test_the_time_in_which_nobody_could_be_heard_does_not_count() -> None:
    held = watch(outside(0), began_s=36_000)
    assert ended(held, 36_001) == []
    assert ended(held, 39_600) == ["Disk"]


def test_alerts_of_our_own_rules_are_none_of_it() -> None:
    theirs = outside(0)
    own = msgspec.structs.replace(theirs, id=alert_id("p", theirs.rule, theirs.labels))
    assert watch(own).due_ns() is None


def test_with_a_patience_of_nothing_alerts_are_waited_for_for_ever() -> None:
    held = watch(outside(0), patience_ns=0)
    assert held.due_ns() is None
    assert ended(held, 10**9) == []


def test_what_was_erased_is_not_named_in_an_end() -> None:
    net = outside(0, name="Net")
    by_him = msgspec.structs.replace(net, event=msgspec.structs.replace(net.event, summary="said marvin"))
    held = watch(outside(0, user="marvin"), by_him)
    held.erase(WithoutMarvin())
    (alert,) = held.end(START + 4000 * SECOND)
    assert (alert.rule, "marvin" in repr(alert)) == ("Net", False)


class WithoutMarvin:
    """An `Unnaming`."""

    def labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {name: value.replace("marvin", "erased") for name, value in labels.items()}

    def event(self, event: AlertEvent) -> AlertEvent:
        return msgspec.structs.replace(event, summary=event.summary.replace("marvin", "erased"))


ROUTES = "route: {channels: [chat], group_wait: 30s, group_interval: 5m, repeat_interval: 1h, escalate_after: 3h, escalate_to: [boss]}"


class Desk:
    """Alerts of others as they are told, at seconds from the start."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher(read_routing(ROUTES, ["chat", "boss"]).root)
        self.keys: list[str] = []

    def heed(self, at_s: int, *alerts: Alert) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
        told = self.until(at_s)
        self.dispatcher.heed(alerts, START + at_s * SECOND)
        return told

    def until(self, at_s: int) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
        told = []
        while (due_ns := self.dispatcher.due_ns()) is not None and due_ns <= START + at_s * SECOND:
            for notice in self.dispatcher.flush(due_ns):
                self.keys.append(notice.key)
                told.append(said(notice))
        return told


def lost(at_s: int, name: str = "Disk") -> Alert:
    held = watch(outside(0, name=name))
    (alert,) = held.end(START + max(at_s, 3600) * SECOND)
    return alert


def test_the_last_word_to_a_channel_is_that_there_is_none_and_nothing_follows() -> None:
    desk = Desk()
    desk.heed(0, outside(0))
    assert desk.heed(3600, lost(3600))[0] == ("chat", "trigger", ("Disk",), ())
    assert desk.until(100_000) == [("chat", "no_word", (), ())]
    assert len({*desk.keys}) == 1


def test_what_is_heard_of_again_begins_anew() -> None:
    desk = Desk()
    desk.heed(0, outside(0))
    desk.heed(3600, lost(3600))
    desk.heed(7200, outside(7200))
    assert desk.until(7800) == [("chat", "trigger", ("Disk",), ())]
    desk.heed(7800, outside(7800, "resolved"))
    assert desk.until(9000) == [("chat", "resolve", (), ("Disk",))]
    assert len({*desk.keys}) == 2


def test_a_group_in_which_others_are_over_is_not_told_as_over() -> None:
    desk = Desk()
    desk.heed(0, outside(0), outside(0, name="Net"))
    desk.heed(3610, lost(3610), outside(3610, "resolved", "Net"))
    assert desk.until(4000) == [("chat", "no_word", (), ("Net",))]


def test_a_group_in_which_others_fire_goes_on() -> None:
    desk = Desk()
    desk.heed(0, outside(0), outside(0, name="Net"))
    desk.heed(3610, lost(3610))
    assert desk.until(4000) == [("chat", "trigger", ("Net",), ())]
    desk.heed(4000, outside(4000, "resolved", "Net"))
    assert desk.until(5000) == [("chat", "resolve", (), ("Net",))]


def test_the_gravest_that_nobody_knows_of_is_what_a_notice_is_about() -> None:
    desk = Desk()
    desk.heed(0, outside(0), outside(0, name="Net", severity="info"))
    desk.until(3000)
    desk.dispatcher.heed([outside(3610, "resolved"), lost_info()], START + 3610 * SECOND)
    (notice,) = desk.dispatcher.flush(START + 3700 * SECOND)
    assert (notice.event.rule, [each.status for each in notice.alerts]) == ("Net", ["no_word", "resolved"])
    assert isinstance(outside(0).state, Firing)


def lost_info() -> Alert:
    (alert,) = watch(outside(0, name="Net", severity="info")).end(START + 3610 * SECOND)
    return alert

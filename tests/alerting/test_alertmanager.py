"""What Alertmanager is told: labels that stay the same, and an end that lies ahead while an alert fires."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from far_ends import URL, now_ns, opened, told
from hypothesis import given
from hypothesis import strategies as st
from service_alertmanager import AlertmanagerService, Posted

from watchpost.alerting.notifiers.alertmanager import encode, labels
from watchpost.model.notice import Notice


def posted(*notices: Notice, **more: object) -> dict[tuple[tuple[str, str], ...], Posted]:
    async def story() -> dict[tuple[tuple[str, str], ...], Posted]:
        async with AlertmanagerService() as service:
            channel = opened("alertmanager", service.port, **more)
            for one in notices:
                await channel.send(one)
            assert service.refused == []
            return service.alerts

    return asyncio.run(story())


def test_every_alert_of_a_group_is_told_with_its_labels_and_where_to_look() -> None:
    first, second = posted(told()).values()
    assert first.labels == {
        "alertname": "AgentToolHighFailureRate",
        "severity": "high",
        "tool": "get_order0",
        "_0_odd_name": "get_order timed out",
    }
    assert second.labels["tool"] == "get_order1"
    assert first.annotations["summary"] == "Agent error: tool_timeout - no answer from orders-db"
    assert first.annotations["runbook_url"] == "https://runbooks.example/tools?id=1"
    assert (first.annotations["value"], first.annotations["threshold"]) == ("0.18", "0.1")
    assert first.generatorURL == f"{URL}/sessions/mzxw6ytboi2dgnbv"
    assert first.startsAt == datetime(2026, 11, 21, 4, 50, tzinfo=UTC)


@pytest.mark.parametrize(("more", "seconds"), [({}, 18000), ({"hold_seconds": 60}, 60)])
def test_a_firing_alert_ends_ahead_so_that_it_outlives_the_pause_between_two_notices(
    more: dict[str, object], seconds: int
) -> None:
    before = datetime.fromtimestamp(now_ns() / 1e9, UTC)
    for one in posted(told(), **more).values():
        assert one.endsAt is not None
        assert timedelta(0) <= one.endsAt - before - timedelta(seconds=seconds) < timedelta(seconds=60)


def test_a_resolve_ends_the_same_alerts_when_they_ended() -> None:
    alerts = posted(told(), told("acknowledge"), told("resolve"))
    assert len(alerts) == 2
    assert {one.endsAt for one in alerts.values()} == {datetime(2026, 11, 21, 6, tzinfo=UTC)}


def test_what_nobody_knows_to_be_over_is_not_ended() -> None:
    ends = [one.endsAt for one in posted(told("no_word")).values()]
    assert all(end is not None and end > datetime.fromtimestamp(now_ns() / 1e9, UTC) for end in ends)


def test_an_alert_that_ended_in_a_group_that_goes_on_ends_alone() -> None:
    firing, over = told().alerts[0], told("resolve").alerts[1]
    mixed = Notice("n", "ops", told().event, "trigger", "k", [firing, over])
    ends = {one.labels["tool"]: one.endsAt for one in posted(mixed).values()}
    assert ends["get_order1"] == datetime(2026, 11, 21, 6, tzinfo=UTC)
    assert ends["get_order0"] != ends["get_order1"]


def test_an_end_before_the_start_is_never_told() -> None:
    over = told("resolve")
    early = [
        type(one)(one.alert_id, one.status, one.labels, one.event, one.ended_at, one.started_at) for one in over.alerts
    ]
    for one in posted(Notice("n", "ops", over.event, "resolve", "k", early)).values():
        assert one.startsAt == one.endsAt


def test_all_of_a_group_of_a_thousand_is_told() -> None:
    assert len(posted(told(alerts=1000))) == 1000


def test_a_notice_about_a_single_flag_is_an_alert_by_itself() -> None:
    [one] = posted(told(alerts=0, key="", name="a1")).values()
    assert one.labels["alertname"] == "AgentToolHighFailureRate"
    assert one.labels["watchpost_notice"] == "a1"


@given(st.dictionaries(st.text(), st.text()))
def test_any_labels_become_labels_that_alertmanager_takes(given_labels: dict[str, str]) -> None:
    found = labels(given_labels, told().event)
    assert found["alertname"]
    assert all(name.isascii() and name.isidentifier() for name in found)
    assert all(found.values())


def test_instants_that_cannot_be_read_are_left_to_now() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    body = encode(Notice("n", "ops", told(timestamp="soon").event), "", now, 60)
    assert b'"startsAt":"2026-01-01T00:00:00.000Z","endsAt":"2026-01-01T00:01:00.000Z"' in body

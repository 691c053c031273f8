"""What PagerDuty is told of an alert, from its trigger to its resolve."""

from __future__ import annotations

import asyncio
import ssl

import msgspec
import pytest
from far_ends import URL, event, now_ns, opened, told
from receiver import answer
from service_pagerduty import ROUTING_KEY, Enqueued, PagerDutyService

from watchpost.alerting.channels import ChannelSettingsError
from watchpost.alerting.egress import Outbound
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.alerting.notifiers.pagerduty import LARGEST, PagerDuty, dedup_key, encode
from watchpost.model.flag import Severity
from watchpost.model.notice import Notice


def sent(*notices: Notice, faults: tuple[bytes, ...] = ()) -> tuple[list[Answer], PagerDutyService]:
    async def story() -> tuple[list[Answer], PagerDutyService]:
        async with PagerDutyService(*faults) as service:
            channel = opened("pagerduty", service.port)
            return [await channel.send(one) for one in notices], service

    return asyncio.run(story())


def enqueued(notice: Notice) -> Enqueued:
    return sent(notice)[1].events[0]


def test_an_error_is_triggered_as_annex_and_api_say() -> None:
    found = enqueued(told())
    assert (found.routing_key, found.event_action, found.dedup_key) == (ROUTING_KEY, "trigger", "0f" * 16)
    payload = found.payload
    assert payload is not None
    assert payload.summary == "Agent error: tool_timeout - no answer from orders-db"
    assert (payload.severity, payload.source, payload.component) == ("error", "refunds", "get_order")
    assert (payload.class_, payload.group) == ("tool_timeout", "AgentToolHighFailureRate")
    details = payload.custom_details
    assert (details["conversation_id"], details["sessions"]) == ("conv-7", ["mzxw6ytboi2dgnbv", "other"])
    assert {
        name: details[name]
        for name in (
            "timestamp",
            "service",
            "metric",
            "tool",
            "value",
            "threshold",
            "window",
            "severity",
            "owner",
            "runbook",
        )
    } == {
        "timestamp": "2026-11-21T05:00:00.123Z",
        "service": "refunds",
        "metric": "tool_error_rate",
        "tool": "get_order",
        "value": 0.18,
        "threshold": 0.1,
        "window": "10m",
        "severity": "high",
        "owner": "team-agents",
        "runbook": "https://runbooks.example/tools?id=1",
    }
    assert [link.text for link in found.links] == ["Runbook", "Open in Watchpost"]
    assert (found.client, found.client_url) == ("Watchpost", f"{URL}/sessions/mzxw6ytboi2dgnbv")


def test_without_an_error_of_a_known_type_the_summary_is_the_event_s() -> None:
    payload = enqueued(told(error=None)).payload
    assert payload is not None
    assert payload.summary == "get_order timed out"
    assert payload.class_ == "tool_error_rate"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("critical", "critical"), ("high", "error"), ("error", "error"), ("warning", "warning"), ("info", "info")],
)
def test_each_severity_has_one_of_pagerduty(ours: Severity, theirs: str) -> None:
    payload = enqueued(told(severity=ours)).payload
    assert payload is not None
    assert payload.severity == theirs


def test_one_conversation_is_one_alert_which_is_acknowledged_and_resolved() -> None:
    answers, service = sent(told(), told("trigger", "more"), told("acknowledge"), told("resolve"))
    assert answers == [Sent("HTTP 202", "0f" * 16)] * 4
    assert service.alerts == {"0f" * 16: ["resolve"]}
    assert [found.payload is None for found in service.events] == [False, False, True, True]


def test_what_nobody_knows_to_be_over_stays_open_and_says_so() -> None:
    _, service = sent(told(), told("no_word", error=None, summary="No word since 05:00"))
    assert service.alerts == {"0f" * 16: ["trigger"]}
    last = service.events[-1].payload
    assert last is not None
    assert last.summary == "No word since 05:00"


def released(**changed: str) -> Notice:
    about = msgspec.structs.replace(event(), summary="model gpt-4o of clerk in refunds", service="clerk", error=None)
    known = {"kind": "model", "version": "gpt-4o", "project": "p"} | changed
    return Notice("r1", "ops", msgspec.structs.replace(about, runbook="", sessions=[]), change=known)


def test_a_release_is_a_change_event_and_no_alert() -> None:
    answers, service = sent(released(), told())
    assert answers[0] == Sent("HTTP 202")
    assert (len(service.events), service.refused) == (1, [])
    (change,) = service.changes
    assert (change.payload.summary, change.payload.source) == ("model gpt-4o of clerk in refunds", "clerk")
    assert change.payload.custom_details == {"kind": "model", "version": "gpt-4o", "project": "p"}
    assert change.payload.timestamp is not None
    assert [link.href for link in change.links] == [f"{URL}/"]


def test_a_change_that_names_nothing_or_far_too_much_is_taken() -> None:
    bare = msgspec.structs.replace(released(), event=event(summary="", service=" ", error=None))
    long = msgspec.structs.replace(released(), event=event(summary="ä" * 5000, service="ö" * 5000, error=None))
    answers, service = sent(bare, long)
    assert (answers, service.refused) == ([Sent("HTTP 202")] * 2, [])


def test_a_change_that_was_not_taken_is_tried_again_as_an_alert_is() -> None:
    faults = (answer("500 Oops"), answer("429 Too Many Requests"), answer("400 Bad Request", body=b"no such key"))
    answers, _ = sent(released(), released(), released(), faults=faults)
    assert answers == [
        Failed(permanent=False, detail="HTTP 500"),
        Throttled(180.0, "HTTP 429"),
        Failed(permanent=True, detail="HTTP 400: no such key"),
    ]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"routing_key": "R" + "0" * 31}, "of a ruleset"),
        ({"url": "http://127.0.0.1:1/elsewhere"}, "does not end with /v2/enqueue"),
    ],
)
def test_changes_that_could_not_be_sent_are_refused_in_the_settings(more: dict[str, str], reason: str) -> None:
    assert opened("pagerduty", 1, **more)
    with pytest.raises(ChannelSettingsError, match=reason):
        opened("pagerduty", 1, changes=True, **more)


def test_a_key_that_pagerduty_does_not_take_becomes_a_digest_that_is_always_the_same() -> None:
    assert dedup_key("short") == "short"
    for key in ("k" * 256, "a\nb"):
        assert dedup_key(key) == dedup_key(key)
        assert len(dedup_key(key)) == 32
    assert dedup_key("k" * 256) != dedup_key("k" * 257)


def test_details_that_would_be_too_much_are_cut_and_the_rest_arrives() -> None:
    long = "ä" * 5000
    huge = told(alerts=100, service=long, metric=long, tool=long, window=long, owner=long)
    group = [msgspec.structs.replace(one, labels={f"label{n}": "ö" * 1000 for n in range(64)}) for one in huge.alerts]
    encoded = encode(msgspec.structs.replace(huge, alerts=group), "k", ROUTING_KEY, "")
    assert len(encoded) <= LARGEST
    found = msgspec.json.decode(encoded, type=Enqueued)
    assert found.payload is not None
    assert found.payload.custom_details["cut"] == "the alerts of the group, for their size"
    assert found.payload.custom_details["conversation_id"] == "conv-7"


def test_too_many_events_are_put_off_for_minutes_unless_it_says_for_how_long() -> None:
    busy = answer("429 Too Many Requests", body=b"slow down")
    assert sent(told(), faults=(busy,))[0] == [Throttled(180.0, "HTTP 429: slow down")]
    until = answer("429 Too Many Requests", "Retry-After: 400")
    assert sent(told(), faults=(until,))[0] == [Throttled(400.0, "HTTP 429")]


def test_a_success_that_pagerduty_does_not_give_is_not_believed() -> None:
    given = sent(told(), faults=(answer("200 OK", body=b"captive portal"),))[0][0]
    assert given == Failed(permanent=False, detail="HTTP 200, where PagerDuty answers 202")


@pytest.mark.parametrize("key", ["", "0" * 31, "0" * 33, "0" * 31 + " ", "0" * 31 + "é"])
def test_a_routing_key_of_the_wrong_form_is_refused_at_once_and_not_repeated(key: str) -> None:
    with pytest.raises(ChannelSettingsError, match="routing_key: ") as refused:
        opened("pagerduty", 1, routing_key=key)
    assert not key or key not in str(refused.value)


def test_the_default_address_is_that_of_the_documentation() -> None:
    asked: list[tuple[str, int]] = []

    async def nobody(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return []

    outbound = Outbound(nobody, now_ns, ssl.create_default_context())
    asyncio.run(PagerDuty(ROUTING_KEY, outbound).send(Notice("n", "ops", event())))
    assert asked == [("events.pagerduty.com", 443)]

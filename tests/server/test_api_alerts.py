"""`/api/alerts` and `/api/silences`: what is shown of alerts, and what people say about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from alert_desk import HELD_BACK, AlertDesk, alert, firing
from server_fakes import START_NS, House

from watchpost.ingest.request import OverloadedError
from watchpost.model.alert import Alert, Pending, Resolved
from watchpost.model.silence import Acknowledgement, Silence

SILENCE = {"matchers": ['alertname="Loops"'], "by": "ann", "comment": "being looked at", "seconds": 3600}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[AlertDesk]:
    made = AlertDesk(tmp_path)
    yield made
    made.state.close()


@pytest.fixture
def house(desk: AlertDesk) -> House:
    return House(alerts=desk.alerts)


def say(house: House, address: str, body: object, media: str = "application/json") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return house.post(address, content, content_type=media)


def test_an_alert_says_what_when_and_where_to_look(desk: AlertDesk, house: House) -> None:
    found = desk.add(alert(firing()), at_s=1)
    (shown,) = house.get("/api/alerts").json()["alerts"]
    assert shown == {
        "id": found.id,
        "project": "p",
        "rule": "Slow",
        "state": "firing",
        "severity": "high",
        "labels": {"alertname": "Slow", "severity": "high", "service": "shop"},
        "since": "2026-05-28T20:26:40.123456Z",
        "fired_at": "2026-05-28T20:26:40.123456Z",
        "resolved_at": None,
        "changed_at": "2026-05-28T20:26:41.123456Z",
        "service": "shop",
        "metric": "latency",
        "tool": "",
        "value": 2.5,
        "threshold": 1.0,
        "window": "5m",
        "owner": "team-shop",
        "runbook": "https://runbooks.example/slow",
        "summary": "half of all calls took 2.5 s",
        "sessions": ["k1", "k2"],
        "acknowledged_by": "",
        "silenced_by": [],
        "inhibited_by": [],
        "muted_by": [],
        "unit": None,
        "told": False,
    }


def test_alerts_are_paged_the_latest_change_first_and_found_by_what_they_are(desk: AlertDesk, house: House) -> None:
    for number, rule in enumerate(["A", "B", "C"]):
        desk.add(alert(firing(), rule), at_s=number)
    desk.add(alert(Pending(START_NS), "D", severity="critical"), at_s=3)

    def listed(query: str) -> list[str]:
        return [each["rule"] for each in house.get(f"/api/alerts?{query}").json()["alerts"]]

    page = house.get("/api/alerts?limit=3").json()
    assert [each["rule"] for each in page["alerts"]] == ["D", "C", "B"]
    rest = house.get(f"/api/alerts?limit=3&cursor={page['next']}").json()
    assert ([each["rule"] for each in rest["alerts"]], rest["next"]) == (["A"], None)
    assert listed("state=pending") == ["D"]
    assert listed("severity=critical&state=firing") == []
    assert listed("rule=B&project=p") == ["B"]
    assert listed("project=q") == []


@pytest.mark.parametrize(
    "query", ["state=burning", "severity=fatal", "limit=0", "limit=201", "cursor=x", "project=" + "x" * 1025]
)
def test_a_wrong_condition_is_refused_by_name(house: House, query: str) -> None:
    answer = house.get(f"/api/alerts?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


def test_one_alert_tells_how_it_stood_after_each_change(desk: AlertDesk, house: House) -> None:
    found = desk.add(alert(firing()), at_s=1)
    desk.add(msgspec.structs.replace(found, state=Resolved(START_NS, START_NS, START_NS + 9 * 10**9)), at_s=9)
    answer = house.get(f"/api/alerts/{found.id}").json()
    assert (answer["alert"]["state"], answer["alert"]["resolved_at"]) == ("resolved", "2026-05-28T20:26:49.123456Z")
    assert [each["state"] for each in answer["history"]] == ["resolved", "firing"]
    assert [each["at"] for each in answer["history"]] == ["2026-05-28T20:26:49.123456Z", "2026-05-28T20:26:41.123456Z"]
    assert house.get("/api/alerts/never").status_code == 404


def test_an_alert_that_there_is_no_word_of_is_neither_firing_nor_resolved(desk: AlertDesk, house: House) -> None:
    lost = desk.add(alert(Resolved(START_NS, START_NS, START_NS + 9 * 10**9, no_word=True)))
    found = house.get(f"/api/alerts/{lost.id}").json()
    assert (found["alert"]["state"], found["history"][0]["state"]) == ("no_word", "no_word")
    listed = {state: len(house.get(f"/api/alerts?state={state}").json()["alerts"]) for state in ("no_word", "resolved")}
    assert listed == {"no_word": 1, "resolved": 0}


def test_who_acknowledges_is_shown_with_the_alert_and_nobody_is_told_again(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    told = len(desk.notices)
    answer = say(house, f"/api/alerts/{found}/acknowledge", {"by": " ann "})
    assert (answer.status_code, answer.json()["alert"]["acknowledged_by"]) == (200, "ann")
    (noted,) = desk.noted
    assert isinstance(noted, Acknowledgement)
    assert (noted.project, noted.key, noted.by) == ("p", desk.notices[0].key, "ann")
    for _ in range(8):
        desk.wait(60)
    assert [each.action for each in desk.notices[told:]] == []


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"by": "  "}, "by"),
        ({"by": "a\x1b[2J"}, "by"),
        ({"by": "x" * 201}, "by"),
        ({}, "by"),
        ({"by": "a", "x": 1}, "x"),
    ],
)
def test_an_acknowledgement_without_a_proper_name_is_refused(
    desk: AlertDesk, house: House, body: dict[str, object], parameter: str
) -> None:
    answer = say(house, f"/api/alerts/{desk.fire()}/acknowledge", body)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, parameter)
    assert desk.noted == []


def test_only_what_somebody_was_told_of_can_be_acknowledged(desk: AlertDesk, house: House) -> None:
    untold = desk.add(alert(firing()))
    answer = say(house, f"/api/alerts/{untold.id}/acknowledge", {"by": "ann"})
    assert (answer.status_code, answer.json()["errors"][0]["detail"]) == (
        422,
        "nobody was told of this alert, or it is over",
    )
    assert say(house, "/api/alerts/never/acknowledge", {"by": "ann"}).status_code == 404


def test_a_silence_holds_at_once_is_listed_and_covers_its_alerts(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    answer = say(house, "/api/silences", SILENCE)
    made = answer.json()
    assert (answer.status_code, made["state"], made["by"], made["comment"]) == (200, "active", "ann", "being looked at")
    assert house.get("/api/silences").json()["silences"] == [made]
    assert house.get(f"/api/alerts/{found}").json()["alert"]["silenced_by"] == [made["id"]]
    (noted,) = desk.noted
    assert isinstance(noted, Silence)
    assert noted.ends_ns - noted.starts_ns == 3600 * 10**9
    assert noted.starts_ns == desk.now_ns


def test_an_alert_names_those_that_inhibit_it_while_they_fire(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path, HELD_BACK)
    house = House(alerts=desk.alerts)

    def inhibitors(of: Alert) -> object:
        return house.get(f"/api/alerts/{of.id}").json()["alert"]["inhibited_by"]

    held, other = desk.add(alert(firing())), desk.add(alert(firing(), service="desk"))
    assert inhibitors(held) == []
    down = desk.add(alert(firing(), "Down", severity="critical"))
    desk.add(alert(Pending(START_NS), "Late", severity="critical"))
    assert inhibitors(held) == [{"id": down.id, "rule": "Down"}]
    assert [inhibitors(each) for each in (other, down)] == [[], []]
    desk.add(msgspec.structs.replace(held, state=Resolved(START_NS, START_NS, START_NS + 1)), at_s=1)
    assert inhibitors(held) == []
    desk.add(held, at_s=2)
    desk.add(msgspec.structs.replace(down, state=Resolved(START_NS, START_NS, START_NS + 1)), at_s=2)
    assert inhibitors(held) == []
    for number in range(7):
        desk.add(alert(firing(), f"Down {number}", severity="critical"))
    named = house.get(f"/api/alerts/{held.id}").json()["alert"]["inhibited_by"]
    assert len({each["id"] for each in named}) == 5
    desk.state.close()


def test_an_alert_says_which_channels_do_not_hear_of_it_at_this_hour_and_until_when(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path, HELD_BACK)
    house = House(alerts=desk.alerts)

    def muted(of: Alert) -> object:
        return house.get(f"/api/alerts/{of.id}").json()["alert"]["muted_by"]

    evening = {"intervals": ["evenings"], "outside": False, "until": "2026-05-28T23:30:00.000000Z", "channels": ["ops"]}
    morning = {"intervals": ["mornings"], "outside": True, "until": "2026-05-30T06:00:00.000000Z", "channels": ["ops"]}
    single = desk.add(alert(firing()))
    rate = desk.add(msgspec.structs.replace(single, id="r", labels=single.labels | {"rate": "yes"}))
    tool = desk.add(msgspec.structs.replace(single, id="t", labels={"tool": "get", "service": "desk"}))
    waiting = desk.add(msgspec.structs.replace(single, id="w", state=Pending(START_NS)))
    over = desk.add(msgspec.structs.replace(single, id="o", state=Resolved(START_NS, START_NS, START_NS)))
    assert muted(single) == muted(waiting) == [evening, morning]
    assert muted(rate) == [evening | {"channels": ["ops", "boss"]}, morning]
    assert muted(tool) == muted(over) == []
    desk.now_ns += 4 * 3600 * 10**9
    assert muted(single) == [morning]
    desk.state.close()


def test_a_silence_may_begin_later_and_is_over_by_itself(desk: AlertDesk, house: House) -> None:
    made = say(house, "/api/silences", {**SILENCE, "starts_in": 60, "seconds": 0.5}).json()
    assert made["state"] == "pending"
    desk.wait(61)
    assert house.get("/api/silences").json() == {"silences": []}
    (over,) = house.get("/api/silences?expired=true").json()["silences"]
    assert (over["id"], over["state"]) == (made["id"], "expired")


def test_a_silence_ends_when_somebody_says_so_and_only_once(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    made = say(house, "/api/silences", SILENCE).json()
    desk.wait(5)
    ended = house.ask("DELETE", f"/api/silences/{made['id']}?by=bob")
    assert (ended.status_code, ended.json()["state"], ended.json()["by"]) == (200, "expired", "bob")
    assert house.get(f"/api/alerts/{found}").json()["alert"]["silenced_by"] == []
    again = house.ask("DELETE", f"/api/silences/{made['id']}")
    assert (again.status_code, again.json()["detail"]) == (422, "id: this silence is over already")
    assert house.ask("DELETE", "/api/silences/never").status_code == 404


@pytest.mark.parametrize(
    ("changed", "parameter", "detail"),
    [
        ({"matchers": ['a="b']}, "matchers", "character 3: the double quote is never closed"),
        ({"matchers": ["severity"]}, "matchers", "'severity', character 9: expected =, !=, =~ or !~"),
        ({"matchers": ['a=~"("']}, "matchers", "character 4: is no expression that RE2 reads"),
        ({"matchers": ["severity==x"]}, "matchers", "character 10: == is no operator; write severity="),
        ({"matchers": []}, "matchers", "name at least one"),
        ({"matchers": ["{}"]}, "matchers", "name at least one"),
        ({"matchers": ['severity!="x"']}, "matchers", "silence everything; set `everything`"),
        ({"matchers": ["a=b"] * 51}, "matchers", "at most 50"),
        ({"matchers": ["a=" + "b" * 4000]}, "matchers", "at most 4000 characters"),
        ({"matchers": "a=b"}, "matchers", "Expected `array`"),
        ({"by": ""}, "by", "say who silences"),
        ({"by": "a\nb"}, "by", "printable"),
        ({"comment": " "}, "comment", "say why"),
        ({"comment": "x" * 2001}, "comment", "at most 2000"),
        ({"seconds": 0}, "seconds", "more than 0"),
        ({"seconds": -1}, "seconds", "more than 0"),
        ({"seconds": 1e300}, "seconds", "at most 31622400"),
        ({"seconds": "1h"}, "seconds", "Expected `float`"),
        ({"starts_in": -1}, "starts_in", "at least 0"),
        ({"starts_in": 1e308}, "starts_in", "at most 31622400"),
        ({"project": "a\u202eb"}, "project", "printable"),
        ({"until": "tomorrow"}, "until", "unknown field"),
    ],
)
def test_what_can_be_no_silence_is_refused_by_name_and_not_noted(
    desk: AlertDesk, house: House, changed: dict[str, object], parameter: str, detail: str
) -> None:
    answer = say(house, "/api/silences", SILENCE | changed)
    assert answer.status_code == 422
    assert (answer.json()["errors"][0]["parameter"], desk.noted) == (parameter, [])
    assert detail in answer.json()["errors"][0]["detail"]


def test_everything_is_silenced_where_that_is_meant(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    made = say(house, "/api/silences", {**SILENCE, "matchers": ['severity!="x"'], "everything": True}).json()
    assert house.get(f"/api/alerts/{found}").json()["alert"]["silenced_by"] == [made["id"]]


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{}", "text/plain", 415),
        (b'{"seconds": NaN}', "application/json", 422),
        (b'{"seconds": 1e999}', "application/json", 422),
        (b'{"matchers": ["\\ud800=a"], "by": "a", "comment": "c", "seconds": 1}', "application/json", 422),
        (b"[" * 60_000, "application/json", 422),
        (b" " * 70_000, "application/json", 413),
        (b"\xff", "application/json", 422),
        (b"", "application/json", 422),
    ],
)
@pytest.mark.parametrize("address", ["/api/silences", "/api/alerts/never/acknowledge"])
def test_a_body_that_is_no_json_of_ours_is_refused(
    house: House, address: str, body: bytes, media: str, status: int
) -> None:
    assert say(house, address, body, media).status_code == status


def test_what_is_not_applied_in_time_is_accepted_and_what_cannot_be_noted_is_to_be_said_again(
    desk: AlertDesk, house: House
) -> None:
    found = desk.fire()
    desk.slow = True
    assert say(house, "/api/silences", SILENCE).status_code == 202
    assert say(house, f"/api/alerts/{found}/acknowledge", {"by": "ann"}).status_code == 202
    desk.fault = OverloadedError("full", 7)
    answer = say(house, "/api/silences", SILENCE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_two_silences_asked_for_at_once_do_not_replace_each_other(house: House) -> None:
    for tool in ("get", "put"):
        say(house, "/api/silences", {**SILENCE, "matchers": [f"tool={tool}"]})
    assert len(house.get("/api/silences").json()["silences"]) == 2


def test_the_description_of_every_route_names_schemas_that_it_holds(house: House) -> None:
    described = house.get("/openapi.json").json()
    for path in ("/api/alerts", "/api/alerts/{alert_id}", "/api/silences"):
        name = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert name.rpartition("/")[2] in described["components"]["schemas"]
    given = described["components"]["schemas"]["SilenceGiven"]
    assert set(given["required"]) == {"matchers", "by", "comment", "seconds"}

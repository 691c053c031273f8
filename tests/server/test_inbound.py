"""`/api/inbound`: who is believed, what is noted of what they say, and what is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from alert_desk import AlertDesk, alert, firing
from hypothesis import given
from hypothesis import strategies as st
from server_fakes import START_NS, House, QuietBoard, Shelf, Slate

from watchpost.alerting.group import ChannelState, GroupState
from watchpost.alerting.labels import labels_of
from watchpost.alerting.outside import alert_of
from watchpost.alerting.silence import Silences, silence_faults
from watchpost.ingest.request import OverloadedError
from watchpost.model.outside_alert import OutsideAlert
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.server.inbound import ALERTS, Inbound, InboundSecrets
from watchpost.store.alerts import AlertGroup, AlertNews

SECRETS = InboundSecrets(("slack secret",), ("old secret", "new secret"), "a token")
NOW_S = START_NS // 10**9
FIRING = {"status": "firing", "labels": {"alertname": "Disk", "severity": "page"}, "annotations": {"summary": "full"},
          "startsAt": "2026-05-28T20:00:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f1",
          "generatorURL": "https://prometheus.example/graph"}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[AlertDesk]:
    made = AlertDesk(tmp_path)
    yield made
    made.state.close()


@pytest.fixture
def house(desk: AlertDesk) -> House:
    return House(alerts=desk.alerts, inbound=Inbound(SECRETS, desk.state, desk, lambda: desk.now_ns))


def slack(
    house: House,
    key: str,
    action: str = "watchpost_acknowledge",
    at: int = NOW_S,
    signed_by: str = "slack secret",
    **user: str,
) -> httpx.Response:
    payload = {"type": "block_actions", "user": {"id": "U1", "username": "ana", **user}, "actions": [{"action_id": action, "value": key}]}  # fmt: skip
    body = urlencode({"payload": json.dumps(payload)}).encode()
    digest = hmac.new(signed_by.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"content_type": "application/x-www-form-urlencoded", "x_slack_request_timestamp": str(at), "x_slack_signature": f"v0={digest}"}  # fmt: skip
    return house.post("/api/inbound/slack", body, **headers)


def incident(key: object, kind: str = "incident.acknowledged", **event: object) -> bytes:
    agent = {"id": "P1", "type": "user_reference", "summary": "Ana Lund", "html_url": "https://x", "self": None}
    event = {"id": "e", "event_type": kind, "resource_type": "incident", "occurred_at": "2026-05-28T20:26:40Z", "agent": agent,
             "client": None, "data": {"id": "I", "type": "incident", "incident_key": key, "title": "t"}} | event  # fmt: skip
    return json.dumps({"event": event}).encode()


def pagerduty(house: House, body: bytes, *secrets: str) -> httpx.Response:
    signatures = ",".join(f"v1={hmac.new(each.encode(), body, hashlib.sha256).hexdigest()}" for each in secrets)
    return house.post("/api/inbound/pagerduty", body, content_type="application/json", x_pagerduty_signature=signatures)


def webhook(house: House, body: object, authorization: str = "Bearer a token", query: str = "") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return house.post(
        f"/api/inbound/alertmanager{query}", content, content_type="application/json", authorization=authorization
    )


def test_a_button_in_slack_acknowledges(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    at = desk.now_ns // 10**9
    answer = slack(house, desk.notices[0].key, at=at)
    assert (answer.status_code, answer.content) == (200, b"")
    assert desk.noted == [Acknowledgement("p", desk.notices[0].key, "ana", desk.now_ns, "slack")]
    desk.wait(1)
    assert house.get(f"/api/alerts/{found}").json()["alert"]["acknowledged_by"] == "ana"


def test_a_button_in_slack_silences_the_group_for_an_hour(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    assert slack(house, desk.notices[0].key, "watchpost_silence_1h", desk.now_ns // 10**9).status_code == 200
    (fact,) = desk.noted
    assert isinstance(fact, Silence)
    assert (fact.matchers, fact.project, fact.by) == (('alertname="Loops"',), "p", "ana")
    assert fact.ends_ns - fact.starts_ns == 3600 * 10**9
    assert silence_faults(fact) == []
    desk.wait(1)
    assert house.get(f"/api/alerts/{found}").json()["alert"]["silenced_by"] == [fact.id]


@pytest.mark.parametrize(
    ("at", "secret"), [(NOW_S - 301, "slack secret"), (NOW_S + 301, "slack secret"), (NOW_S, "guessed")]
)
def test_a_button_that_slack_did_not_send_just_now_comes_to_nothing(
    desk: AlertDesk, house: House, at: int, secret: str
) -> None:
    desk.now_ns = START_NS
    answer = slack(house, "key", at=at, signed_by=secret)
    assert (answer.status_code, desk.noted) == (401, [])


@pytest.mark.parametrize("secret", ["old secret", "new secret"])
def test_who_acknowledges_in_pagerduty_is_on_it_here(desk: AlertDesk, house: House, secret: str) -> None:
    desk.fire()
    body = incident(desk.notices[0].key)
    assert pagerduty(house, body, "another", secret).status_code == 200
    assert desk.noted == [Acknowledgement("p", desk.notices[0].key, "Ana Lund", desk.now_ns, "pagerduty")]


def test_what_concerns_no_alert_of_ours_is_taken_and_comes_to_nothing(desk: AlertDesk, house: House) -> None:
    desk.fire()
    key = desk.notices[0].key
    for body in (incident("unknown"), incident(None), incident(key, "incident.resolved"), incident(key, "pagey.ping"), incident(key, data={})):  # fmt: skip
        assert pagerduty(house, body, "new secret").status_code == 200
    assert slack(house, "unknown", at=desk.now_ns // 10**9).status_code == 200
    assert slack(house, key, "open_page", desk.now_ns // 10**9).status_code == 200
    assert desk.noted == []


def test_who_acknowledged_may_be_a_program(desk: AlertDesk, house: House) -> None:
    desk.fire()
    assert pagerduty(house, incident(desk.notices[0].key, agent=None), "new secret").status_code == 200
    assert [fact.by for fact in desk.noted if isinstance(fact, Acknowledgement)] == ["PagerDuty"]


def test_a_body_that_pagerduty_did_not_sign_is_refused(desk: AlertDesk, house: House) -> None:
    desk.fire()
    body = incident(desk.notices[0].key)
    assert pagerduty(house, body).status_code == 401
    assert pagerduty(house, body, "guessed").status_code == 401
    good = hmac.new(b"new secret", body, hashlib.sha256).hexdigest()
    for signature in (good, f"v0={good}", f"v1={good.upper()}", "v1=é", f"{'v1=00,' * 20}v1={good}"):
        answer = house.ask("POST", "/api/inbound/pagerduty", body=body, headers={"content-type": "application/json", "x-pagerduty-signature": signature.encode()})  # fmt: skip
        assert answer.status_code == 401, signature
    changed = house.post("/api/inbound/pagerduty", body + b" ", content_type="application/json", x_pagerduty_signature=f"v1={good}")  # fmt: skip
    assert changed.status_code == 401
    assert desk.noted == []


def test_alerts_of_another_alertmanager_are_noted_as_they_stand(desk: AlertDesk, house: House) -> None:
    ended = {**FIRING, "status": "resolved", "endsAt": "2026-05-28T20:10:00Z", "labels": {"alertname": "Net"}}
    sent = {"version": "4", "groupKey": "{}", "receiver": "watchpost", "status": "firing", "truncatedAlerts": 0, "alerts": [FIRING, ended]}  # fmt: skip
    answer = webhook(house, sent, query="?project=infra")
    assert (answer.status_code, answer.json()) == (200, {"alerts": 2})
    first, second = desk.noted
    started = 1_779_998_400 * 10**9
    assert first == OutsideAlert(
        "infra", "f1", "firing", {"alertname": "Disk", "severity": "page"}, {"summary": "full"}, started + 123_456_000, 0,
        desk.now_ns, "https://prometheus.example/graph",
    )  # fmt: skip
    assert isinstance(second, OutsideAlert)
    assert (second.status, second.ends_ns) == ("resolved", started + 600 * 10**9)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=OutsideAlert) == first


def test_labels_and_times_without_measure_are_bounded(desk: AlertDesk, house: House) -> None:
    huge = {**FIRING, "labels": {f"l{n:03}": "x" * 5000 for n in range(200)}, "annotations": {"summary": "y" * 5000}}
    late = {**FIRING, "startsAt": "9999-12-31T23:59:59Z", "endsAt": "soon"}
    assert webhook(house, {"alerts": [huge, late]}).status_code == 200
    first, second = desk.noted
    assert isinstance(first, OutsideAlert)
    assert isinstance(second, OutsideAlert)
    assert (len(first.labels), len(first.labels["l000"]), len(first.annotations["summary"])) == (64, 2000, 2000)
    assert (second.starts_ns, second.ends_ns) == (0, 0)
    assert alert_of(second).event.timestamp.startswith("2026-05-28T20:26:40")


@pytest.mark.parametrize("token", ["", "a token", "Bearer", "Bearer another", "Basic a token", "bearer a token"])
def test_an_alertmanager_without_the_token_is_refused(desk: AlertDesk, house: House, token: str) -> None:
    assert webhook(house, {"alerts": [FIRING]}, token).status_code == 401
    assert desk.noted == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"\xff", 422),
        (b"[" * 100_000, 422),
        (b'{"alerts": [{"status": "firing", "labels": {"a": 1}}]}', 422),
        (b'{"alerts": [{"status": "burning", "labels": {}}]}', 422),
        (b'{"alerts": [{"labels": {}}]}', 422),
        (b'{"alerts": 5}', 422),
        (b"{}", 422),
        (b" " * (5 << 20), 413),
        (json.dumps({"alerts": [{"status": "firing", "labels": {}}] * (ALERTS + 1)}).encode(), 422),
    ],
)
def test_what_no_alertmanager_sends_is_refused_and_not_noted(
    desk: AlertDesk, house: House, body: bytes, status: int
) -> None:
    assert webhook(house, body).status_code == status
    assert desk.noted == []


def test_without_a_secret_nobody_is_listened_to_and_is_told_what_to_set() -> None:
    house = House()
    for name, setting in (("slack", "slack_signing_secret"), ("pagerduty", "pagerduty_secrets"), ("alertmanager", "alertmanager_token")):  # fmt: skip
        answer = house.post(f"/api/inbound/{name}", b"{}", content_type="application/json", authorization="Bearer ")
        assert answer.status_code == 403
        assert f"inbound.{setting}" in answer.json()["detail"]


def test_what_cannot_be_noted_now_is_to_be_sent_again(desk: AlertDesk, house: House) -> None:
    desk.fault = OverloadedError("full", 7)
    answer = webhook(house, {"alerts": [FIRING]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_a_web_page_cannot_speak_for_them(house: House) -> None:
    body = json.dumps({"alerts": [FIRING]}).encode()
    headers = {"content_type": "application/json", "authorization": "Bearer a token"}
    assert house.post("/api/inbound/alertmanager", body, **headers, origin="https://evil.example").status_code == 403


def test_other_media_are_refused(house: House) -> None:
    assert house.post("/api/inbound/slack", b"{}", content_type="application/json").status_code == 415
    assert house.post("/api/inbound/pagerduty", b"a=b", content_type="text/plain").status_code == 415


@given(signatures=st.text(), authorization=st.text())
def test_no_text_passes_for_a_signature_or_a_token(signatures: str, authorization: str) -> None:
    inbound = Inbound(SECRETS, QuietBoard(), Slate(Shelf()), lambda: START_NS)
    assert not inbound.is_pagerduty(signatures, b"{}")
    assert not inbound.is_alertmanager(authorization)
    assert "secret" not in repr(inbound.secrets)


@pytest.mark.parametrize("labels", [{}, {"severity": "high"}])
def test_a_group_without_the_name_of_a_rule_is_silenced_by_the_rules_in_it(
    desk: AlertDesk, labels: dict[str, str]
) -> None:
    told = [alert(firing(), rule) for rule in ("a.b (c)", "Größe – neu", "Slow")]
    state = GroupState("g", "route", "p", labels, 0, opened_ns=1, channels={"ops": ChannelState(firing=frozenset(each.id for each in told[:2]))})  # fmt: skip
    group = AlertGroup("g", "p", "key", msgspec.msgpack.encode(state))
    desk.write(AlertNews(1, told, dispatched=told, groups=[group]))
    house = House(inbound=Inbound(SECRETS, desk.state, desk, lambda: desk.now_ns))
    assert slack(house, "key", "watchpost_silence_1h").status_code == 200
    (fact,) = desk.noted
    assert isinstance(fact, Silence)
    assert silence_faults(fact) == []
    silences = Silences([fact])
    assert [bool(silences.silencing(labels_of(each), desk.now_ns)) for each in told] == [True, True, False]

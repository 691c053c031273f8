"""The pages of alerts and silences, as a browser without scripts shows them and sends their forms."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from alert_desk import HELD_BACK, AlertDesk, alert, firing
from server_fakes import START_NS, House
from test_pages import HOSTILE, Marks
from test_verdict_pages import FORM, Page

from watchpost.ingest.request import OverloadedError
from watchpost.model.alert import Pending, Resolved
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.server.pages.alerts import SHOWN, matchers_of
from watchpost.store.state import Cursor, StateBatch

QUIET = {"matchers": 'alertname="Loops"', "by": "ann", "comment": "a release", "seconds": "3600"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[AlertDesk]:
    made = AlertDesk(tmp_path)
    yield made
    made.state.close()


@pytest.fixture
def house(desk: AlertDesk) -> House:
    return House(alerts=desk.alerts, notices=desk.state)


def send(house: House, action: str, **fields: str) -> httpx.Response:
    """Send a form as a browser does that shows the page."""
    return house.post(action, urlencode(fields).encode(), content_type=FORM, origin="http://localhost:8484")


def rules(house: House, address: str = "/alerts") -> list[str]:
    page = house.get(address)
    assert page.status_code == 200
    return re.findall(r'<h3><a data-flag href="/alerts/[0-9a-f]+">([^<]*)</a></h3>', page.text)


def test_where_nothing_fires_the_page_says_so(house: House) -> None:
    page = Page(house.get("/alerts").text)
    assert "Nothing fires, and nothing is pending." in page.text
    assert "/alerts?state=any" in page.links
    assert "No alert matches." in house.get("/alerts?rule=x").text
    assert "No alert is silenced." in house.get("/silences").text


def test_an_alert_is_shown_with_what_a_person_must_know(desk: AlertDesk, house: House) -> None:
    found = desk.add(alert(firing(), tool="get_order"))
    desk.now_ns += 90 * 10**9
    page = Page(house.get("/alerts").text)
    said = " ".join(page.text.split())
    for text in ("high", "Slow", "2.5 in 5m, limit 1", "2 sessions", "nobody is told", "half of all calls"):
        assert text in said
    one = Page(house.get(f"/alerts/{found.id}").text)
    said = " ".join(one.text.split())
    for text in ("high", "firing", "2.5 in 5m, limit 1", "2026-05-28 20:26:40", "team-shop", "shop", "get_order", "half of all calls"):  # fmt: skip
        assert text in said
    assert {"/sessions/k1", "/sessions/k2", "/tools/get_order", "https://runbooks.example/slow"} <= set(one.links)
    assert [form["action"] for form in page.forms[1:]] == [f"/alerts/{found.id}/silence"]
    assert page.fields[1:] == [{"matchers", "project", "seconds", "by", "comment", "back"}]


def test_an_alert_that_somebody_was_told_of_can_be_taken_on_or_silenced(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    page = Page(house.get("/alerts").text)
    assert "nobody on it" in page.text
    assert [form["action"] for form in page.forms[1:]] == [f"/alerts/{found}/acknowledge", f"/alerts/{found}/silence"]
    assert page.fields[1:] == [{"by", "back"}, {"matchers", "project", "seconds", "by", "comment", "back"}]


def test_the_gravest_come_first_and_those_that_nobody_is_on(desk: AlertDesk, house: House) -> None:
    held = desk.fire()
    for at_s, rule, severity in ((0, "A", "info"), (1, "B", "critical"), (-1, "C", "high")):
        desk.add(alert(firing(), rule, severity=severity), at_s)
    desk.add(alert(Pending(START_NS), "D", severity="critical"), at_s=9)
    desk.add(alert(Resolved(1, 1, START_NS), "E"), at_s=9)
    send(house, f"/alerts/{held}/acknowledge", by="ann")
    assert rules(house) == ["B", "C", "Loops", "A", "D"]
    assert rules(house, "/alerts?severity=critical") == ["B", "D"]
    assert rules(house, "/alerts?state=resolved") == ["E"]
    assert set(rules(house, "/alerts?state=any")) == {"A", "B", "C", "D", "E", "Loops"}
    assert rules(house, "/alerts?rule=C") == ["C"]
    assert "ann is on it" in house.get("/alerts").text


def test_of_very_many_the_first_are_shown_and_the_way_to_the_others(desk: AlertDesk, house: House) -> None:
    for number in range(SHOWN):
        desk.add(alert(firing(), f"R{number}"), at_s=number)
    desk.add(alert(firing(), "grave", severity="critical"))
    shown = rules(house)
    assert (len(shown), shown[0]) == (SHOWN, "grave")
    page = house.get("/alerts")
    (more,) = re.findall(r'rel="next" href="([^"]+)"', page.text)
    first = rules(house, "/alerts" + html.unescape(more))
    (further,) = re.findall(r'rel="next" href="([^"]+)"', house.get("/alerts" + html.unescape(more)).text)
    rest = rules(house, "/alerts" + html.unescape(further))
    assert sorted(first + rest) == sorted(["grave", *(f"R{number}" for number in range(SHOWN))])


def test_somebody_says_that_they_are_on_it(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    answer = send(house, f"/alerts/{found}/acknowledge", by="ann")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/alerts/{found}")
    assert [fact.by for fact in desk.noted if isinstance(fact, Acknowledgement)] == ["ann"]
    page = Page(house.get(f"/alerts/{found}").text)
    assert "ann is on it" in page.text
    assert [form["action"] for form in page.forms] == [f"/alerts/{found}/silence"]


@pytest.mark.parametrize(
    ("back", "leads"),
    [
        ("/", "/#alert-{id}"),
        ("/?project=p", "/?project=p#alert-{id}"),
        ("/alerts?severity=high", "/alerts?severity=high#alert-{id}"),
        ("https://evil.example/", "/alerts/{id}"),
        ("//evil.example/", "/alerts/{id}"),
        ("/settings", "/alerts/{id}"),
        ("/\\evil.example", "/alerts/{id}"),
        ("", "/alerts/{id}"),
    ],
)
def test_a_form_leads_back_to_the_list_it_stood_in_and_to_nowhere_else(
    desk: AlertDesk, house: House, back: str, leads: str
) -> None:
    found = desk.fire()
    answer = send(house, f"/alerts/{found}/acknowledge", by="ann", back=back)
    assert (answer.status_code, answer.headers["location"]) == (303, leads.format(id=found))
    answer = send(house, f"/alerts/{found}/silence", **QUIET, back=back)
    assert (answer.status_code, answer.headers["location"]) == (303, leads.format(id=found))


def test_the_silence_that_an_alert_offers_covers_it(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    text = house.get(f"/alerts/{found}").text
    fields = {
        name: html.unescape(re.findall(rf'name="{name}" value="([^"]*)"', text)[0]) for name in ("matchers", "project")
    }
    answer = send(house, f"/alerts/{found}/silence", **fields, seconds="7200", by="ann", comment="a release")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/alerts/{found}")
    (fact,) = desk.noted
    assert isinstance(fact, Silence)
    assert (fact.project, fact.ends_ns - fact.starts_ns) == ("p", 7200 * 10**9)
    shown = Page(house.get(f"/alerts/{found}").text)
    assert "silenced" in shown.text
    assert "/silences" in shown.links


@pytest.mark.parametrize("address", ["/alerts", "/alerts/{held}"])
def test_what_is_held_back_says_by_what_and_until_when_and_leads_to_the_alert_behind_it(
    tmp_path: Path, address: str
) -> None:
    desk = AlertDesk(tmp_path, HELD_BACK)
    house = House(alerts=desk.alerts)
    held = desk.add(alert(firing()))
    before = " ".join(Page(house.get(address.format(held=held.id)).text).text.split())
    down = desk.add(alert(firing(), f"Down {HOSTILE}", severity="critical", service="shop"))
    page = Page(house.get(address.format(held=held.id)).text)
    said = " ".join(page.text.split())
    assert "inhibited" not in before.lower()
    assert re.search(r"Inhibited by ?Down", said)
    assert f"/alerts/{down.id}" in page.links
    assert re.search(r"Muted ?by time window evenings until 2026-05-28 23:30 UTC for ops", said)
    assert re.search(r"Muted ?outside of time window mornings until 2026-05-30 06:00 UTC for ops", said)
    desk.state.close()


@pytest.mark.parametrize("address", ["/alerts?state=no_word", "/alerts/{lost}"])
def test_what_there_is_no_word_of_is_not_shown_as_over(desk: AlertDesk, house: House, address: str) -> None:
    lost = desk.add(alert(Resolved(START_NS, START_NS, START_NS + 9 * 10**9, no_word=True)))
    page = Page(house.get(address.format(lost=lost.id)).text)
    assert "no word" in page.text
    assert 'badge good">resolved' not in house.get(address.format(lost=lost.id)).text
    assert not [form for form in page.forms if form["action"].startswith(f"/alerts/{lost.id}")]
    assert rules(house, "/alerts?state=resolved") == []


def test_an_alert_says_why_it_fired_what_to_do_and_who_was_told(desk: AlertDesk, house: House) -> None:
    told = desk.fire()
    desk.state.commit(StateBatch(Cursor(9, 9), notices=desk.notices))
    event = {"value": 7.0, "threshold": 0.0, "window": "10m", "runbook": "runbooks/loops.md"}
    found = desk.add(alert(firing(), "AgentLooping", **event))
    text = " ".join(Page(house.get(f"/alerts/{found.id}").text).text.split())
    assert "7 in 10m, of flags LOOP_DETECTED, by tool. Too much is above 0." in text
    assert "Agents repeat themselves" not in text, "the title of a runbook says what the alert says already"
    assert "A session still loops: pause it" in text
    assert "Nobody. No route led it to a channel" in text
    text = " ".join(Page(house.get(f"/alerts/{told}").text).text.split())
    assert re.search(r"not yet ops fires waiting", text)


def test_the_line_of_what_a_rule_sees_ends_a_window_where_it_fired(desk: AlertDesk, house: House) -> None:
    found = desk.add(alert(firing(), "AgentToolHighFailureRate", tool="get_order", threshold=0.1, window="5m"))
    page = house.get(f"/alerts/{found.id}").text
    (chart,) = re.findall(r'data-chart="([^"]*)"', page)
    drawn = json.loads(html.unescape(chart))
    fired = START_NS // 10**9
    assert (fired - drawn["times"][0]) % 300 == 0
    assert drawn["times"][-1] == fired - 300
    assert {"at": fired, "label": "fires"} in drawn["marks"]
    assert [line["values"][0] for line in drawn["series"] if line["label"] == "threshold"] == [0.1]


def test_silences_are_listed_made_and_ended(house: House) -> None:
    assert send(house, "/silences", **QUIET, project="").headers["location"] == "/silences"
    text = house.get("/silences").text
    page = Page(text)
    for said in ("active", 'alertname="Loops"', "ann", "a release", "all"):
        assert said in page.text
    (end,) = [form["action"] for form in page.forms if form["action"].endswith("/end")]
    assert send(house, end, by="bob").status_code == 303
    assert "No alert is silenced." in house.get("/silences").text
    over = Page(house.get("/silences?expired=true").text)
    assert "expired" in over.text
    assert not [form for form in over.forms if form["action"].endswith("/end")]
    assert send(house, end, by="bob").status_code == 422
    assert send(house, "/silences/never/end", by="").status_code == 404


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"matchers": "alertname"}, "matchers: &#39;alertname&#39;, character 10: expected"),
        ({"matchers": ""}, "matchers: name at least one"),
        ({"matchers": 'a!="b"'}, "silence everything"),
        ({"by": " "}, "by: say who silences"),
        ({"comment": ""}, "comment: say why"),
        ({"seconds": "nan"}, "seconds: is more than 0"),
        ({"seconds": "inf"}, "seconds: is more than 0"),
        ({"seconds": "-5"}, "seconds: is more than 0"),
        ({"seconds": "1e300"}, "seconds: is more than 0"),
        ({"seconds": "soon"}, "seconds: "),
        ({"colour": "red"}, "colour: "),
    ],
)
def test_a_form_that_asks_for_no_silence_is_answered_with_a_page_that_says_why(
    desk: AlertDesk, house: House, changed: dict[str, str], said: str
) -> None:
    for action in ("/silences", f"/alerts/{desk.fire()}/silence"):
        answer = send(house, action, **QUIET | changed)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "text/html; charset=utf-8")
        assert said in answer.text
    assert desk.noted == []


def test_a_form_from_another_page_or_about_nothing_is_refused(desk: AlertDesk, house: House) -> None:
    found = desk.fire()
    body = urlencode({"by": "eve"}).encode()
    for origin in ("http://evil.example", "null"):
        answer = house.post(f"/alerts/{found}/acknowledge", body, content_type=FORM, origin=origin)
        assert answer.status_code == 403
    assert house.post(f"/alerts/{found}/acknowledge", body, content_type="text/plain").status_code == 415
    assert send(house, "/alerts/never/acknowledge", by="ann").status_code == 404
    assert send(house, "/alerts/never/silence", **QUIET).status_code == 404
    assert house.get("/alerts/never").status_code == 404
    assert send(house, f"/alerts/{found}/acknowledge", by="").status_code == 422
    assert desk.noted == []
    desk.fault = OverloadedError("full", 7)
    answer = send(house, f"/alerts/{found}/acknowledge", by="ann")
    assert answer.status_code == 503


def test_history_shows_how_it_came_to_that(desk: AlertDesk, house: House) -> None:
    found = desk.add(alert(firing()), at_s=1)
    ended = Resolved(START_NS, START_NS, START_NS + 9 * 10**9)
    desk.add(msgspec.structs.replace(found, state=ended), at_s=9)
    page = Page(house.get(f"/alerts/{found.id}").text)
    rows = page.text.partition("History")[2].split()
    assert [word for word in rows if word in {"firing", "resolved", "pending"}] == ["resolved", "firing"]
    assert page.forms == []
    waiting = desk.add(alert(Pending(START_NS), "New"))
    assert "It is pending, and has never fired." in house.get(f"/alerts/{waiting.id}").text


@pytest.mark.parametrize(
    "address", ["/alerts", "/alerts?state=any", "/alerts/{id}", "/silences", "/alerts?rule={text}"]
)
def test_hostile_text_about_alerts_stays_text(desk: AlertDesk, house: House, address: str) -> None:
    hostile = alert(firing(), HOSTILE, service=HOSTILE, tool=HOSTILE, owner=HOSTILE, runbook="javascript:alert(1)//" + HOSTILE,
                    summary=HOSTILE, window=HOSTILE, metric=HOSTILE, sessions=[HOSTILE, "../x"])  # fmt: skip
    desk.add(msgspec.structs.replace(hostile, project=HOSTILE, labels={**hostile.labels, HOSTILE: HOSTILE}))
    send(house, "/silences", matchers=f'alertname="{"<script>" * 3}"', by="<b>", comment="<script>", seconds="60")
    quoted = "".join(f"%{byte:02x}" for byte in HOSTILE.encode())
    page = house.get(address.format(id=hostile.id, text=quoted)).text
    marks = Marks(page)
    assert not {tag for tag, _ in marks.tags} & {"script", "img", "b", "i", "style"}
    assert not [attrs for _, attrs in marks.tags if any(name.startswith("on") or name == "style" for name in attrs)]
    assert not re.search("[\u202e\x1b\u200b\x00]", re.sub(r'value="[^"]*"', "", page))
    assert not [link for link in marks.links if link.startswith(("javascript:", "..")) or "<" in link]


def test_labels_become_matchers_that_a_person_can_change() -> None:
    assert matchers_of({"b": 'say "hi", {x}', "a": "1", "flapping": "yes"}) == 'a="1", b="say \\"hi\\", {x}"'

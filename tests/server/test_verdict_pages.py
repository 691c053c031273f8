"""Confirming and dismissing flags on the pages, as a browser without scripts does it."""

from __future__ import annotations

import html.parser
from urllib.parse import urlencode

import httpx
import pytest
from server_fakes import House
from test_pages import content_of

from watchpost.model.fact import Verdict
from watchpost.model.flag import Flag
from watchpost.model.session import session_key
from watchpost.query.flags import VerdictCount
from watchpost.rules.precision import Precision, PrecisionSettings
from watchpost.server.health import HealthNumbers

FORM = "application/x-www-form-urlencoded"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202etxt.exe\u200b"


class Page(html.parser.HTMLParser):
    """The forms of a page's content with their fields and buttons, the ids in it, its tags and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.fields: list[set[str]] = []
        self.buttons: list[dict[str, str]] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(content_of(page))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.ids += [given["id"]] if "id" in given else []
        match tag:
            case "form":
                self.forms.append(given)
                self.fields.append(set())
            case "input" | "select" if self.fields:
                self.fields[-1].add(given["name"])
            case "button":
                self.buttons.append(given)
            case "a":
                self.links.append(given["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


def flagged(house: House, **fields: object) -> Flag:
    session = house.shelf.add_session("s")
    return house.shelf.add_flag(session, house.shelf.add_step(session), **fields)


def press(house: House, action: str, button: str, **fields: str) -> httpx.Response:
    """Send the form as a browser does that shows the page."""
    body = urlencode({"by": "", "note": "", **fields, "verdict": button}).encode()
    return house.post(action, body, content_type=FORM, origin="http://localhost:8484")


def session_page(house: House) -> Page:
    return Page(house.get(f"/sessions/{session_key('default', 's')}").text)


@pytest.mark.parametrize("place", ["", "/steps/{step}"])
def test_each_flag_has_a_form_with_two_buttons_that_leads_back_to_it(place: str) -> None:
    house = House()
    flag = flagged(house)
    key = session_key("default", "s")
    page = Page(house.get(f"/sessions/{key}{place.format(step=flag.span_id.hex())}").text)
    (form,) = page.forms
    assert (form["method"], page.fields) == ("post", [{"by", "note"}])
    assert [(button["name"], button["value"]) for button in page.buttons] == [
        ("verdict", "confirm"),
        ("verdict", "dismiss"),
    ]
    answer = press(house, form["action"], page.buttons[1]["value"], by="ann", note="polling\r\nis meant")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sessions/{key}#flag-{flag.id}")
    (fact,) = house.slate.noted
    assert isinstance(fact, Verdict)
    assert (fact.flag_id, fact.verdict, fact.by, fact.note) == (flag.id, "dismiss", "ann", "polling\nis meant")
    assert f"flag-{flag.id}" in session_page(house).ids


def test_the_page_says_who_said_what() -> None:
    house = House()
    flag = flagged(house)
    press(house, f"/flags/{flag.id}/verdict", "dismiss", by="ann", note="polling is meant")
    text = " ".join(session_page(house).text.split())
    assert "dismissed by ann, 2026-05-28 20:26:40: polling is meant" in text
    press(house, f"/flags/{flag.id}/verdict", "confirm")
    text = " ".join(session_page(house).text.split())
    assert "confirmed, 2026-05-28 20:26:40" in text
    assert "ann" not in text


def test_a_dismissed_flag_is_not_tallied_and_still_shown() -> None:
    house = House()
    flag = flagged(house, kind="LOOP_DETECTED")
    assert "LOOP_DETECTED" in Page(house.get("/sessions").text).text
    press(house, f"/flags/{flag.id}/verdict", "dismiss")
    assert "LOOP_DETECTED" not in Page(house.get("/sessions").text).text
    assert session_page(house).text.count("LOOP_DETECTED") == 1


def test_what_reviewers_wrote_stays_text() -> None:
    house = House()
    flag = flagged(house)
    house.shelf.given.append(Verdict(flag.id, "dismiss", HOSTILE, HOSTILE, 1))
    for address in (
        f"/sessions/{session_key('default', 's')}",
        "/flags",
        f"/sessions/{session_key('default', 's')}/steps/{flag.span_id.hex()}",
    ):
        answer = house.get(address).text
        page = Page(answer)
        assert "<script>alert(1)</script>" in page.text
        assert not page.tags & {"script", "img"}
        assert "\u202e" not in answer


def test_a_dismissed_change_of_a_contract_says_how_to_accept_it() -> None:
    house = House()
    evidence = {"tool": "get order; rm", "candidate": "3f2a"}
    flag = flagged(house, kind="TOOL_SCHEMA_DRIFT", evidence=evidence)
    command = "watchpost contracts pin --candidate 3f2a 'get order; rm'"
    assert command not in session_page(house).text
    press(house, f"/flags/{flag.id}/verdict", "dismiss")
    assert command in session_page(house).text
    press(house, f"/flags/{flag.id}/verdict", "confirm")
    assert command not in session_page(house).text


def test_the_command_names_the_project_and_takes_no_tool_for_an_option() -> None:
    house = House()
    session = house.shelf.add_session("s", project="shop", key="k")
    step = house.shelf.add_step(session)
    evidence = {"tool": "--data=x", "candidate": "3f2a"}
    flag = house.shelf.add_flag(session, step, kind="TOOL_SCHEMA_DRIFT", evidence=evidence)
    house.shelf.given.append(Verdict(flag.id, "dismiss", "", "", 1))
    for address in ("/sessions/k", f"/sessions/k/steps/{step.span_id.hex()}"):
        text = Page(house.get(address).text).text
        assert "watchpost contracts pin --candidate 3f2a --project shop -- --data=x" in text


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"verdict=perhaps", FORM, 422),
        (b"by=ann", FORM, 422),
        (b"verdict=confirm&note=%ff", FORM, 422),
        (b"verdict=confirm&more=x", FORM, 422),
        (b"", FORM, 422),
        (b"verdict=confirm&note=" + b"a" * 70_000, FORM, 413),
        (b'{"verdict": "confirm"}', "application/json", 415),
    ],
)
def test_a_form_that_cannot_be_used_is_answered_with_a_page(body: bytes, media: str, status: int) -> None:
    house = House()
    flag = flagged(house)
    answer = house.post(f"/flags/{flag.id}/verdict", body, content_type=media)
    assert (answer.status_code, house.slate.noted) == (status, [])
    assert answer.headers["content-type"].startswith("text/html")


def test_a_form_of_another_origin_is_refused() -> None:
    house = House()
    flag = flagged(house)
    answer = house.post(
        f"/flags/{flag.id}/verdict", b"verdict=confirm", content_type=FORM, origin="http://evil.example"
    )
    assert (answer.status_code, house.slate.noted) == (403, [])


def test_a_verdict_about_an_unknown_flag_is_a_page_that_says_so() -> None:
    answer = press(House(), "/flags/nosuch/verdict", "confirm")
    assert answer.status_code == 404
    assert "no flag has the id nosuch" in Page(answer.text).text


def test_the_page_of_flags_leads_to_each_and_keeps_what_was_asked() -> None:
    house = House()
    flag = flagged(house, kind="LOOP_DETECTED")
    other = flagged(house, kind="STALE_DATA", state="withdrawn")
    page = Page(house.get("/flags?kind=LOOP_DETECTED").text)
    assert f"/sessions/{session_key('default', 's')}#flag-{flag.id}" in page.links
    assert f"flag-{flag.id}" in page.ids
    assert f"flag-{other.id}" not in page.ids
    assert {"/flags?kind=STALE_DATA", "/flags"} <= {*page.links}
    assert "No flag matches" in Page(house.get("/flags?verdict=confirm").text).text
    assert "No session was flagged yet" in Page(House().get("/flags").text).text


def test_what_was_said_on_the_list_of_flags_leads_back_to_that_list() -> None:
    house = House()
    flag = flagged(house)
    assert "listed" in Page(house.get("/flags?state=confirmed&since=2026-01-01").text).fields[-1]
    answer = house.post(
        f"/flags/{flag.id}/verdict", b"verdict=dismiss&by=ana&listed=state%3Dconfirmed%0d%0ax", content_type=FORM
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"/flags?state=confirmed%0D%0Ax#flag-{flag.id}")
    assert "dismissed by ana" in " ".join(Page(house.get("/flags").text).text.split())


def test_flags_are_counted_by_kind_and_listed_kind_by_kind() -> None:
    house = House()
    for kind, severity, many in (("STALE_DATA", "warning", 3), ("LOOP_DETECTED", "high", 2), ("SLOW", "info", 1)):
        for n in range(many):
            session = house.shelf.add_session(f"{kind}-{n}")
            house.shelf.add_flag(session, house.shelf.add_step(session), kind=kind, severity=severity)
    asked = "kind=SLOW&since=2026-01-01"
    kinds = [{"kind": "STALE_DATA", "flags": 3}, {"kind": "LOOP_DETECTED", "flags": 2}, {"kind": "SLOW", "flags": 1}]
    assert house.get(f"/api/flag-kinds?{asked}").json() == {"kinds": kinds, "of": 6, "more": False}
    page = Page(house.get("/flags?group=kind").text)
    assert [each for each in page.ids if each.startswith("kind-")] == [
        "kind-LOOP_DETECTED",
        "kind-STALE_DATA",
        "kind-SLOW",
    ]
    assert "3 flags in 3 sessions" in " ".join(page.text.split())


def test_the_pages_of_flags_hold_each_one_that_fits_once() -> None:
    house = House()
    session = house.shelf.add_session("many")
    flags = [house.shelf.add_flag(session, house.shelf.add_step(session), kind="LOOP_DETECTED") for _ in range(7)]
    seen: list[str] = []
    link = "/flags?limit=2&since=2026-05-28T20:26:40.4Z&kind=LOOP_DETECTED"
    while link:
        page = Page(house.get(link).text)
        seen += [each.partition("#flag-")[2] for each in page.links if "#flag-" in each]
        link = next((each for each in page.links if "cursor=" in each), "")
    assert seen == [flag.id for flag in reversed(flags[2:])]


def test_the_page_of_precision_tells_each_tool_and_who_stopped_paging() -> None:
    house = House()
    assert "Nobody has confirmed" in Page(house.get("/precision").text).text
    session = house.shelf.add_session("many")
    for tool, verdict in [("search", "dismiss")] * 5 + [("pay", "confirm")] * 2:
        flag = house.shelf.add_flag(
            session, house.shelf.add_step(session), kind="LOOP_DETECTED", evidence={"tool": tool}
        )
        press(house, f"/flags/{flag.id}/verdict", verdict)
    page = Page(house.get("/precision").text)
    text = " ".join(page.text.split())
    assert "not for 1 of 2 tools" in text
    assert "stopped paging: precision 0.00 [0.00, 0.43] of 5 verdicts, needs 0.5" in text
    assert "as the others" in text
    link = next(link for link in page.links if link.startswith("/flags?"))
    assert link == "/flags?kind=LOOP_DETECTED&project=default"
    assert {f"{link}&verdict=confirm", f"{link}&verdict=dismiss", f"{link}&tool=pay"} <= {*page.links}
    assert "stopped paging" in Page(house.get(link).text).text


def test_metrics_count_verdicts_and_say_who_stopped_paging() -> None:
    house = House()
    counts = [
        VerdictCount("p", "LOOP_DETECTED", "search", 1, 11),
        VerdictCount("p", "LOOP_DETECTED", 'a "tool"\n', 2, 0),
    ]
    house.pulse.now = HealthNumbers(precision=Precision(PrecisionSettings(), counts).rows())
    text = house.get("/metrics").text
    assert 'watchpost_flag_verdicts{kind="LOOP_DETECTED",project="p",verdict="confirm"} 3.0' in text
    assert 'watchpost_flag_verdicts{kind="LOOP_DETECTED",project="p",verdict="dismiss"} 11.0' in text
    assert 'watchpost_detector_muted{kind="LOOP_DETECTED",project="p"} 0.0' in text
    assert 'watchpost_detector_tool_muted{kind="LOOP_DETECTED",project="p",tool="search"} 1.0' in text
    assert text.count("watchpost_detector_tool_muted{") == 1

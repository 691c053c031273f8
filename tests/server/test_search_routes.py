"""Finding sessions and log lines over the API and on the pages."""

from __future__ import annotations

import html
import re

import httpx
import pytest
from server_fakes import START_NS, House

from watchpost.model.session import Summary
from watchpost.model.telemetry import Delivery, LogLine, Parcel
from watchpost.server.archive import write_cursor
from watchpost.store.contracts import LedgerStep


@pytest.fixture
def house() -> House:
    """Two sessions that speak of orders; one was flagged, one has log lines."""
    house = House()
    charged = house.shelf.add_session("charged")
    step = house.shelf.add_step(charged, input="please look at ORD-4711", output="It was charged twice.")
    house.shelf.add_flag(charged, step, kind="LOOP_DETECTED")
    shipped = house.shelf.add_session("shipped", at=60, user_id="u-2", release="7.2")
    house.shelf.add_step(shipped, input="where is ORD-4712?", output="On its way.", status="error")
    for place, body in enumerate(("looked up", "charged again")):
        line = LogLine(START_NS + place, 9 + 8 * place, step.trace_id, step.span_id, "", body, {"order": "ORD-4711"})
        house.shelf.lines.append(("default", line))
    house.shelf.lines.append(("default", LogLine(START_NS + 9, 9, b"", b"", "idle", "<script>alert(1)</script>", {})))
    return house


def asked(house: House, path: str, **query: str) -> httpx.Response:
    return house.get(f"{path}?{httpx.QueryParams(query)}")


def found(house: House, **query: str) -> list[str]:
    answer = asked(house, "/api/sessions", **query)
    assert answer.status_code == 200, answer.text
    return [session["session_id"] for session in answer.json()["sessions"]]


def test_each_parameter_finds_its_sessions(house: House) -> None:
    trace = house.shelf.ledger[house.shelf.summaries[0].key][0].trace_id.hex()
    assert found(house, entity="ord-4711") == ["charged"]
    assert found(house, text="Charged Twice") == ["charged"]
    assert found(house, trace=trace.upper()) == ["charged"]
    assert found(house, flag="LOOP_DETECTED") == ["charged"]
    assert found(house, error="true") == ["shipped"]
    assert found(house, error="false") == ["shipped", "charged"]
    assert found(house, release="7.2") == ["shipped"]
    assert found(house, since="2999-01-01") == []
    assert found(house, until="1999-01-01") == []
    assert found(house, entity="ORD-4711", text="twice", user_id="u-2") == []


@pytest.mark.parametrize(
    ("anything", "matched"),
    [
        ("charged", "session_id"),
        ("u-2", "user_id"),
        ("order ORD-4711", "entity"),
        ("charged twice", "text"),
        ("  on its way ", "text"),
        ("KEY", "key"),
        ("TRACE", "trace"),
    ],
)
def test_anything_is_tried_in_turn_and_the_answer_says_what_it_was(house: House, anything: str, matched: str) -> None:
    session = house.shelf.summaries[0]
    stands_for = {"KEY": session.key, "TRACE": house.shelf.ledger[session.key][0].trace_id.hex()}
    answer = asked(house, "/api/sessions", q=stands_for.get(anything, anything)).json()
    assert answer["matched"] == matched
    assert len(answer["sessions"]) == 1


def test_what_was_found_as_anything_is_paged_as_what_it_was(house: House) -> None:
    for place in range(3):
        house.shelf.add_step(house.shelf.add_session(f"more-{place}", at=100 + place), input="ORD-4711")
    names: list[str] = []
    cursor = ""
    while True:
        page = asked(house, "/api/sessions", q="ORD-4711", limit="2", cursor=cursor).json()
        assert page["matched"] == "entity"
        names += [session["session_id"] for session in page["sessions"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert names == ["more-2", "more-1", "more-0", "charged"]


def test_nothing_found_is_matched_by_nothing(house: House) -> None:
    answer = asked(house, "/api/sessions", q="never said").json()
    assert (answer["sessions"], answer["matched"], answer["next"]) == ([], "", None)


def test_an_answer_says_since_when_texts_were_searched(house: House) -> None:
    assert asked(house, "/api/sessions", text="twice").json()["searched_since"] is None
    house.shelf.searched_since_ns = START_NS + 10**9
    answer = asked(house, "/api/sessions", text="twice").json()
    assert answer["sessions"] == []
    assert answer["searched_since"] is not None
    further = asked(house, "/api/sessions", text="twice", text_since="1970-01-01T00:00:00Z").json()
    assert [session["session_id"] for session in further["sessions"]] == ["charged"]
    assert asked(house, "/api/sessions", entity="ORD-4711").json()["searched_since"] is None
    page = asked(house, "/sessions", text="twice").text
    assert "Texts received since" in page
    assert "text_since=1970" in page


def test_an_answer_says_since_when_texts_were_searched_for_whole_words(house: House) -> None:
    house.shelf.searched_since_ns = START_NS + 10**9
    answer = asked(house, "/api/sessions", text="twice").json()
    assert answer["words_since"] == answer["searched_since"] is not None
    house.shelf.words_searched_since_ns = 0
    answer = asked(house, "/api/sessions", text="twice").json()
    assert [session["session_id"] for session in answer["sessions"]] == ["charged"]
    assert answer["words_since"] is None
    assert answer["searched_since"] is not None


def test_pages_of_one_search_are_searched_back_to_the_same_moments(house: House) -> None:
    for place in range(3):
        house.shelf.add_step(house.shelf.add_session(f"more-{place}", at=100 + place), input="charged twice")
    house.shelf.searched_since_ns = START_NS + 50 * 10**9
    house.shelf.words_searched_since_ns = START_NS + 40 * 10**9
    for asking in ("text", "q"):
        house.shelf.searched_since_ns = START_NS + 50 * 10**9
        first = asked(house, "/api/sessions", **{asking: "twice"}, limit="2").json()
        assert [session["session_id"] for session in first["sessions"]] == ["more-2", "more-1"]
        house.shelf.searched_since_ns = START_NS + 1000 * 10**9  # the engine has stored them otherwise meanwhile
        second = asked(house, "/api/sessions", **{asking: "twice"}, limit="2", cursor=first["next"]).json()
        assert [session["session_id"] for session in second["sessions"]] == ["more-0"]
        assert second["next"] is None
        for since in ("searched_since", "words_since"):
            assert second[since] == first[since] is not None
    assert asked(house, "/api/sessions", text="twice", cursor=write_cursor(1, "key:1:x")).status_code == 422


def test_few_sessions_are_searched_whenever_they_said_it(house: House) -> None:
    house.shelf.searched_since_ns = house.shelf.words_searched_since_ns = START_NS + 1000 * 10**9
    assert found(house, text="twice") == []
    house.shelf.few_keys = tuple(session.key for session in house.shelf.summaries)
    answer = asked(house, "/api/sessions", text="twice", text_since="2999-01-01").json()
    assert [session["session_id"] for session in answer["sessions"]] == ["charged"]
    assert (answer["searched_since"], answer["words_since"]) == (None, None)


def test_a_hidden_address_is_found_by_what_stands_in_its_place(house: House) -> None:
    line = LogLine(0, 0, b"", b"", "", "olivia@example.com", {})
    redacted = house.redact(Delivery(0, (Parcel("default", {}, "", logs=(line,)),))).parcels[0].logs[0].body
    assert "olivia" not in str(redacted)
    hidden = house.shelf.add_session("hidden", at=90, user_id=str(redacted))
    house.shelf.add_step(hidden, input=f"write to {redacted} please")
    for query in (
        {"entity": "olivia@example.com"},
        {"text": "write to Olivia@example.com please"},
        {"user_id": "olivia@example.com"},
        {"q": "olivia@example.com"},
    ):
        assert found(house, **query) == ["hidden"], query


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"trace": "xyz"}, "trace"),
        ({"trace": "00" * 15}, "trace"),
        ({"entity": "of a"}, "entity"),
        ({"entity": "a1b" * 400}, "entity"),
        ({"text": "x" * 1025}, "text"),
        ({"q": "x" * 1025}, "q"),
        ({"since": "yesterday"}, "since"),
        ({"until": "soon"}, "until"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "until"),
        ({"text_since": "ever"}, "text_since"),
        ({"error": "perhaps"}, "error"),
        ({"flagged": "perhaps"}, "flagged"),
        ({"since": "0h"}, "since"),
        ({"since": "24 h"}, "since"),
        ({"state": "gone"}, "state"),
        ({"cursor": "?"}, "cursor"),
        ({"limit": "0"}, "limit"),
    ],
)
def test_what_cannot_be_asked_is_answered_with_the_parameter(
    house: House, query: dict[str, str], parameter: str
) -> None:
    answer = asked(house, "/api/sessions", **query)
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize("text", ["'", '"', "%", "\\", "(", "[a-z]+", "\0", "\u202eabc", "🧾", "{{x}}", "<b>", "&amp;"])
def test_hostile_texts_find_nothing_and_are_shown_as_text(house: House, text: str) -> None:
    for name in ("text", "q"):
        assert found(house, **{name: text}) == []
        page = asked(house, "/sessions", **{name: text})
        assert page.status_code == 200
        content = re.sub(r'value="[^"]*"', "", page.text.partition("<main")[2])
        assert "\u202e" not in content
        assert not re.search("<b>(?!charged|refunds)", content)


def test_the_page_of_sessions_keeps_what_was_asked(house: House) -> None:
    page = asked(house, "/sessions", entity="ORD-4711", flag="LOOP_DETECTED", since="2000-01-01").text
    for shown in ('value="ORD-4711"', 'value="LOOP_DETECTED"', 'value="2000-01-01"', ">charged</span></a>"):
        assert shown in page
    assert ">shipped</span></a>" not in page
    assert "found as a text" in asked(house, "/sessions", q="charged twice").text


def test_each_condition_in_force_can_be_taken_away(house: House) -> None:
    page = asked(house, "/sessions", q="ORD-4711", workflow="refunds", since="24h").text
    links = {html.unescape(link) for link in re.findall(r'href="(/sessions[^"]*)"', page)}
    assert {
        "/sessions?workflow=refunds&since=24h",
        "/sessions?q=ORD-4711&since=24h",
        "/sessions?q=ORD-4711&workflow=refunds",
    } <= links
    assert "found as what texts name" in page


def test_sessions_are_asked_for_by_how_long_ago_they_were(house: House) -> None:
    house.shelf.add_session("old", at=-3 * 3600)
    assert found(house, since="2h") == ["shipped", "charged"]
    assert found(house, since="4h") == ["shipped", "charged", "old"]
    assert found(house, flagged="true") == ["charged"]
    assert found(house, flagged="false", since="1w") == ["shipped", "charged", "old"]
    assert lines(house, since="1m") == ["<script>alert(1)</script>", "charged again", "looked up"]


def lines(house: House, path: str = "/api/logs", **query: str) -> list[str]:
    answer = asked(house, path, **query)
    assert answer.status_code == 200, answer.text
    return [line["body"] for line in answer.json()["lines"]]


def test_lines_are_found_and_name_their_session_and_step(house: House) -> None:
    assert lines(house, text="CHARGED") == ["charged again"]
    assert lines(house, severity="error") == ["charged again"]
    assert lines(house, severity="17") == ["charged again"]
    assert lines(house, event="idle") == ["<script>alert(1)</script>"]
    assert lines(house, attribute="order=ORD-4711") == ["charged again", "looked up"]
    session = house.shelf.summaries[0]
    step = house.shelf.ledger[session.key][0]
    (line,) = asked(house, "/api/logs", text="looked").json()["lines"]
    named = (line["session"], line["session_id"], line["step_id"], line["trace_id"])
    assert named == (session.key, "charged", step.span_id.hex(), step.trace_id.hex())
    (idle,) = asked(house, "/api/logs", text="script").json()["lines"]
    assert (idle["session"], idle["step_id"], idle["trace_id"]) == (None, None, None)
    assert (
        house.get(f"/sessions/{line['session']}/steps/{line['step_id']}?trace_id={line['trace_id']}").status_code == 200
    )


def test_a_session_has_all_its_lines(house: House) -> None:
    charged, shipped = (session.key for session in house.shelf.summaries)
    assert lines(house, f"/api/sessions/{charged}/logs") == ["charged again", "looked up"]
    assert lines(house, f"/api/sessions/{charged}/logs", severity="error") == ["charged again"]
    assert lines(house, f"/api/sessions/{shipped}/logs") == []
    assert house.get("/api/sessions/nobody/logs").status_code == 404
    moved(house, charged, shipped)
    assert house.get(f"/api/sessions/{charged}/logs").status_code == 308


def moved(house: House, key: str, to: str) -> None:
    house.shelf.summaries = [
        s if s.key != key else Summary(**{name: getattr(s, name) for name in s.__struct_fields__} | {"moved_to": to})
        for s in house.shelf.summaries
    ]


def test_lines_are_paged(house: House) -> None:
    first = asked(house, "/api/logs", limit="2").json()
    second = asked(house, "/api/logs", limit="2", cursor=first["next"]).json()
    assert [x["body"] for x in first["lines"] + second["lines"]] == [
        "<script>alert(1)</script>",
        "charged again",
        "looked up",
    ]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"trace": "1"}, "trace"),
        ({"step": "nope"}, "step"),
        ({"severity": "loud"}, "severity"),
        ({"severity": "25"}, "severity"),
        ({"attribute": "novalue"}, "attribute"),
        ({"attribute": "a=" + "x" * 1030}, "attribute"),
        ({"text": "x" * 1025}, "text"),
        ({"since": "x"}, "since"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "until"),
        ({"received_since": "x"}, "received_since"),
        ({"cursor": "MTox"}, "cursor"),
        ({"limit": "201"}, "limit"),
    ],
)
def test_what_lines_cannot_be_asked_is_answered_with_the_parameter(
    house: House, query: dict[str, str], parameter: str
) -> None:
    answer = asked(house, "/api/logs", **query)
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_a_line_says_its_severity_in_a_word_and_folds_its_attributes(house: House) -> None:
    for place, number in enumerate((0, 1, 5, 10, 13, 17, 18, 24)):
        house.shelf.lines.append(("default", LogLine(START_NS + 20 + place, number, b"", b"", "", "line", {})))
    page = house.get("/logs").text
    told = re.findall(r'<td class="how"><span class="([a-z ]+)">([a-z0-9 ]+)</span>', page)
    assert told[:8] == [
        ("flag critical", "fatal4"),
        ("flag error", "error2"),
        ("flag error", "error"),
        ("flag warning", "warn"),
        ("kind", "info2"),
        ("kind", "debug"),
        ("kind", "trace"),
        ("absent", "not told"),
    ]
    assert page.count("<summary>1 attribute</summary>") == 2


def test_conditions_on_lines_are_taken_away_one_by_one(house: House) -> None:
    page = house.get("/logs?severity=info&event=&attribute=order%3DORD-4711&attribute=a%3Db&attribute=").text
    links = {html.unescape(link) for link in re.findall(r'href="(/logs[^"]*)"', page)}
    assert {
        "/logs?attribute=order%3DORD-4711&attribute=a%3Db",
        "/logs?severity=info&attribute=order%3DORD-4711",
        "/logs?severity=info&attribute=a%3Db",
        "/logs?severity=error&attribute=order%3DORD-4711&attribute=a%3Db",
    } <= links
    assert 'value="order=ORD-4711"' in page


def test_pages_of_lines_link_to_sessions_and_steps_and_run_nothing(house: House) -> None:
    page = house.get("/logs").text
    session = house.shelf.summaries[0]
    step: LedgerStep = house.shelf.ledger[session.key][0]
    assert f"/sessions/{session.key}/steps/{step.span_id.hex()}?trace_id={step.trace_id.hex()}" in page
    assert "<script>" not in page
    assert "charged again" in house.get(f"/sessions/{session.key}/logs").text
    assert f'href="/sessions/{session.key}/logs"' in house.get(f"/sessions/{session.key}").text
    assert "No line matches" in asked(house, "/logs", text="never").text
    house.shelf.searched_since_ns = START_NS
    assert "received_since=1970" in asked(house, "/logs", text="never").text

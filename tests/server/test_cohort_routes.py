"""Filters of sessions kept under a name: over the API, and by the forms of the page of sessions."""

from __future__ import annotations

import html
import re
from urllib.parse import urlencode

import msgspec
import pytest
from server_fakes import House

from watchpost.model.telemetry import Delivery, LogLine, Parcel
from watchpost.query.cohorts import MOST

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
HOSTILE = "<script>alert(1)</script>\"'{{ 7*7 }}"


def save(house: House, name: str, **asked: str) -> dict[str, object]:
    answer = house.post("/api/cohorts", msgspec.json.encode({"name": name, "filter": asked}), content_type=JSON)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=dict[str, object])


def fault(house: House, body: object) -> tuple[int, str]:
    answer = house.post("/api/cohorts", msgspec.json.encode(body), content_type=JSON)
    return answer.status_code, answer.json()["errors"][0]["parameter"]


def form(house: House, path: str, **fields: str) -> str:
    answer = house.post(path, urlencode(fields).encode(), content_type=FORM)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_cohort_is_kept_listed_and_forgotten() -> None:
    house = House()
    kept = save(house, "  Refunds   that loop ", flagged="true", workflow="refunds", state="", since="24h")
    assert kept["name"] == "Refunds that loop"
    assert kept["filter"] == {"workflow": "refunds", "flagged": "true", "since": "24h"}
    assert kept["query"] == "workflow=refunds&flagged=true&since=24h"
    assert kept["saved_at"] == "2026-05-28T20:26:40.123456Z"
    assert house.get("/api/cohorts").json() == {"cohorts": [kept]}
    assert house.get(f"/api/sessions?{kept['query']}").status_code == 200
    assert house.ask("DELETE", f"/api/cohorts/{kept['id']}").json() == {"cohorts": []}
    assert house.ask("DELETE", f"/api/cohorts/{kept['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"name": "", "filter": {"error": "true"}}, "name"),
        ({"name": " \t", "filter": {"error": "true"}}, "name"),
        ({"name": "x" * 81, "filter": {"error": "true"}}, "name"),
        ({"name": "a\u202eb", "filter": {"error": "true"}}, "name"),
        ({"name": "a\0b", "filter": {"error": "true"}}, "name"),
        ({"name": "a", "filter": {}}, "filter"),
        ({"name": "a", "filter": {"workflow": ""}}, "filter"),
        ({"name": "a", "filter": {"cursor": "x"}}, "filter"),
        ({"name": "a", "filter": {"state": "gone"}}, "state"),
        ({"name": "a", "filter": {"outcome": "gone"}}, "outcome"),
        ({"name": "a", "filter": {"error": "perhaps"}}, "error"),
        ({"name": "a", "filter": {"flagged": "perhaps"}}, "flagged"),
        ({"name": "a", "filter": {"trace": "xyz"}}, "trace"),
        ({"name": "a", "filter": {"since": "0h"}}, "since"),
        ({"name": "a", "filter": {"text": "x" * 1025}}, "text"),
        ({"name": "a"}, "filter"),
        ({"name": "a", "filter": {"error": "true"}, "more": 1}, "more"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(body: object, parameter: str) -> None:
    house = House()
    assert fault(house, body) == (422, parameter)
    assert house.get("/api/cohorts").json() == {"cohorts": []}


def test_names_are_taken_once_and_there_is_an_end_to_them() -> None:
    house = House()
    for number in range(MOST):
        save(house, f"cohort {number}", error="true")
    assert fault(house, {"name": "cohort 7", "filter": {"state": "running"}}) == (422, "name")
    assert fault(house, {"name": "one more", "filter": {"error": "true"}}) == (422, "name")
    assert len(house.get("/api/cohorts").json()["cohorts"]) == MOST


def test_what_is_hidden_in_telemetry_is_not_kept_in_a_cohort() -> None:
    house = House()
    line = LogLine(0, 0, b"", b"", "", "olivia@example.com", {})
    hidden = str(house.redact(Delivery(0, (Parcel("default", {}, "", logs=(line,)),))).parcels[0].logs[0].body)
    kept = save(house, "hers", user_id="olivia@example.com", workflow="olivia@example.com")
    assert kept["filter"] == {"workflow": "olivia@example.com", "user_id": hidden}


def test_the_page_keeps_renames_and_forgets_by_forms() -> None:
    house = House()
    house.shelf.add_session("a")
    there = form(house, "/cohorts", name=HOSTILE, filter="workflow=refunds&state=ended")
    assert there == "/sessions?state=ended&workflow=refunds"
    page = house.get(there).text
    assert html.escape(HOSTILE, quote=False).replace('"', "&#34;").replace("'", "&#39;") in page
    assert "<script>alert" not in page
    (cohort,) = house.get("/api/cohorts").json()["cohorts"]
    assert re.search(rf'id="cohort-{cohort["id"]}"[^>]*aria-current', page)
    assert form(house, f"/cohorts/{cohort['id']}", name="refunds") == there
    assert [each["name"] for each in house.get("/api/cohorts").json()["cohorts"]] == ["refunds"]
    assert form(house, f"/cohorts/{cohort['id']}/delete") == "/sessions"
    assert house.get("/api/cohorts").json() == {"cohorts": []}


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/cohorts", {"name": "", "filter": "error=true"}, 422),
        ("/cohorts", {"name": "a", "filter": ""}, 422),
        ("/cohorts", {"name": "a", "filter": "?error=true&cursor=x"}, 422),
        ("/cohorts", {"name": "a", "filter": "%ff=%fe"}, 422),
        ("/cohorts", {"name": "a", "filter": "&".join(f"{n}=1" for n in range(30))}, 422),
        ("/cohorts/nobody", {"name": "a"}, 404),
        ("/cohorts/nobody/delete", {}, 404),
    ],
)
def test_a_form_that_cannot_be_done_answers_with_a_page_that_leads_back(
    path: str, fields: dict[str, str], status: int
) -> None:
    house = House()
    came = {"content_type": FORM, "referer": "http://localhost:8484/sessions?error=true"}
    answer = house.post(path, urlencode(fields).encode(), **came)
    assert answer.status_code == status
    assert 'href="/sessions?error=true">Back' in answer.text
    assert house.get("/api/cohorts").json() == {"cohorts": []}


def test_the_way_back_stays_here() -> None:
    house = House()
    for came in (
        "http://evil.example/sessions",
        "http://localhost:8484//evil.example",
        "javascript:alert(1)",
        "/nowhere",
    ):
        page = house.get("/nowhere", referer=came).text
        assert "Back to where you were" not in page
        assert "evil" not in page

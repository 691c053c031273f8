"""`/api/releases` and `/api/versions`: what is listed, told and taken back, and drawn on a series."""

from __future__ import annotations

import json

import msgspec
import pytest
from server_fakes import START_NS, House

from watchpost.ingest.request import OverloadedError
from watchpost.model.fact import ReleaseTold, Retraction
from watchpost.model.release import Release, Retracted
from watchpost.query.measures import Cell, Measured

HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS


@pytest.fixture
def house() -> House:
    house = House()
    for number, (workflow, ago) in enumerate([("refunds", 1), ("", 2), ("loans", 3), ("refunds", 50)]):
        release = Release(f"r{number}", "default", workflow, "model", "clerk", "m-2", START_NS - ago * HOUR_NS, "seen")
        house.calendar.released.append(release)
    return house


def tell(house: House, body: object, address: str = "/api/releases") -> tuple[int, dict[str, object]]:
    answer = house.post(address, json.dumps(body).encode(), content_type="application/json")
    return answer.status_code, answer.json()


def test_releases_are_paged_the_latest_first(house: House) -> None:
    page = house.get("/api/releases?limit=3").json()
    assert [one["id"] for one in page["releases"]] == ["r0", "r1", "r2"]
    rest = house.get(f"/api/releases?limit=3&cursor={page['next']}").json()
    assert ([one["id"] for one in rest["releases"]], rest["next"]) == (["r3"], None)
    found = house.get("/api/releases?workflow=refunds&since=today").json()["releases"]
    assert [one["id"] for one in found] == ["r0", "r1"]
    assert found[0] == {
        "id": "r0",
        "project": "default",
        "workflow": "refunds",
        "kind": "model",
        "name": "clerk",
        "version": "m-2",
        "at": "2026-05-28T19:26:40.123456Z",
        "source": "seen",
        "began": False,
        "by": "",
        "note": "",
        "retracted": None,
    }


def test_what_is_told_is_noted_and_answered(house: House) -> None:
    given = {"kind": "index", "name": "faq", "version": "3", "workflow": "refunds", "at": "yesterday", "by": " ann "}
    status, answer = tell(house, given)
    assert (status, answer["at"], answer["source"], answer["by"]) == (200, "2026-05-27T00:00:00.000000Z", "told", "ann")
    (fact,) = house.slate.noted
    assert isinstance(fact, ReleaseTold)
    assert (fact.project, fact.workflow, fact.kind, fact.version) == ("default", "refunds", "index", "3")


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("kind", {"kind": "moon"}),
        ("version", {"version": " "}),
        ("version", {"version": "1\n2"}),
        ("name", {"name": "x" * 201}),
        ("at", {"at": "soon"}),
        ("at", {"at": "2031-01-01"}),
        ("project", {"project": ""}),
        ("note", {"note": "\x1b[2J"}),
        ("colour", {"colour": "red"}),
    ],
)
def test_what_cannot_be_a_release_is_refused_by_name(house: House, field: str, changed: dict[str, str]) -> None:
    status, answer = tell(house, {"kind": "index", "name": "faq", "version": "3"} | changed)
    assert status == 422
    assert field in str(answer["errors"])
    assert house.slate.noted == []


def test_bodies_of_another_kind_or_too_large_are_refused(house: House) -> None:
    assert house.post("/api/releases", b"{}").status_code == 415
    assert house.post("/api/releases", b" " * 70_000, content_type="application/json").status_code == 413
    nested = b"[" * 30_000
    assert house.post("/api/releases", nested, content_type="application/json").status_code == 422


def test_a_release_is_taken_back_by_its_id(house: House) -> None:
    status, answer = tell(house, {"by": "ann", "note": "staging"}, "/api/releases/r1/retract")
    assert status == 200
    assert isinstance(answer["retracted"], dict)
    assert answer["retracted"]["note"] == "staging"
    (fact,) = house.slate.noted
    assert isinstance(fact, Retraction)
    assert fact.release.id == "r1"
    assert tell(house, {}, "/api/releases/none/retract")[0] == 404
    assert house.get("/api/releases/none").status_code == 404


def test_what_is_not_applied_in_time_is_accepted_and_what_cannot_be_noted_is_to_be_said_again(house: House) -> None:
    house.slate.slow = True
    given = {"kind": "index", "name": "faq", "version": "3"}
    assert tell(house, given)[0] == 202
    house.slate.fault = OverloadedError("full", 7)
    answer = house.post("/api/releases", json.dumps(given).encode(), content_type="application/json")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


def test_a_series_tells_the_releases_in_its_window_and_of_its_workflows(house: House) -> None:
    def drawn(query: str) -> list[str]:
        return [one["id"] for one in house.get(f"/api/measures/llm_calls?{query}").json()["releases"]]

    assert drawn("") == ["r0", "r1", "r2"]
    assert drawn("workflow=refunds") == ["r0", "r1"]
    assert drawn("workflow=refunds&workflow=loans&project=default") == ["r0", "r1", "r2"]
    assert drawn("project=other") == []
    house.calendar.released[0] = msgspec.structs.replace(house.calendar.released[0], retracted=Retracted(0, "", "", 1))
    assert drawn("workflow=refunds") == ["r1"]


def test_a_measure_is_compared_before_and_after_a_release(house: House) -> None:
    answer = house.get("/api/measures/llm_calls?compare=release:r2&since=2026-05-28T00:00:00&until=2026-05-28T02:00:00")
    assert answer.status_code == 200
    after, before = house.gauge.asked
    at_ns = START_NS - 3 * HOUR_NS
    assert (after.since_ns, after.until_ns) == (at_ns, at_ns + 2 * HOUR_NS)
    assert (before.since_ns, before.until_ns) == (at_ns - 2 * HOUR_NS, at_ns)


def test_the_time_before_a_release_is_no_longer_than_that_since(house: House) -> None:
    house.get("/api/measures/llm_calls?compare=release:r2")
    after, before = house.gauge.asked
    assert (after.until_ns, before.until_ns - before.since_ns) == (START_NS, 3 * HOUR_NS)


def test_a_comparison_with_no_release_is_refused(house: House) -> None:
    assert "compare" in house.get("/api/measures/llm_calls?compare=release:none").json()["detail"]
    house.calendar.released.append(Release("next", "default", "", "index", "faq", "9", START_NS + HOUR_NS, "told"))
    assert house.get("/api/measures/llm_calls?compare=release:next").status_code == 422


def test_a_window_begins_with_today_or_yesterday(house: House) -> None:
    house.get("/api/measures/llm_calls?since=yesterday&until=today")
    (asked,) = house.gauge.asked
    midnight = START_NS - START_NS % DAY_NS
    assert (asked.since_ns, asked.until_ns) == (midnight - DAY_NS, midnight)


def test_versions_are_told_with_what_they_cost_and_how_well_they_do(house: House) -> None:
    def two(over: int, per: int) -> Measured:
        return Measured(2, [Cell(("1.1",), None, 4, 4, 0, over, per), Cell(("1.0",), None, 2, 2, 1, over, per)])

    house.gauge.answers = [two(4, 0), two(10**9, 2), two(3, 4), two(1, 1), two(1, 2), two(1_500_000, 0)]
    answer = house.get("/api/versions?workflow=refunds&by=model&limit=2").json()
    assert [asked.measure.name for asked in house.gauge.asked] == [
        "sessions",
        "cost_per_completed_session_usd",
        "completion_rate",
        "feedback_positive_share",
        "tool_error_rate",
        "workflow_duration_seconds",
    ]
    assert {asked.by for asked in house.gauge.asked} == {("session_model",)}
    assert house.gauge.asked[0].since_ns == START_NS - 30 * DAY_NS
    assert {asked.filters for asked in house.gauge.asked} == {(("workflow", ("refunds",)),)}
    first, second = answer["versions"]
    assert (first["version"], first["sessions"], answer["more"]) == ("1.1", 4, 0)
    assert first["measures"]["cost_per_completed_session_usd"] == {"value": "0.5", "counted": 4, "untold": 0}
    assert (first["measures"]["completion_rate"]["value"], second["measures"]["completion_rate"]["untold"]) == (0.75, 1)
    assert first["measures"]["workflow_duration_seconds"]["value"] == 1.5
    assert house.get("/api/versions?by=moon").status_code == 422
    assert house.get("/api/versions?since=2031-01-01").status_code == 422


def test_without_sessions_there_are_no_versions(house: House) -> None:
    assert house.get("/api/versions").json()["versions"] == []
    assert len(house.gauge.asked) == 1

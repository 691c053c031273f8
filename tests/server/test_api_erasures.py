"""Erasing by HTTP."""

from __future__ import annotations

import json

import httpx
import msgspec
import pytest
from server_fakes import SECRET, START_NS, House

from watchpost.ingest.request import OverloadedError
from watchpost.model.fact import Erase
from watchpost.model.session import Summary, Totals, session_key
from watchpost.store.erasure import ErasureRecord, Traced, erasure_id, keyed_digest

KEY = session_key("p", "s")


@pytest.fixture
def house() -> House:
    house = House()
    summary = Summary(KEY, "p", "s", "w", "u", "ended", "completed", 1, START_NS, START_NS, START_NS, 0, Totals())
    house.shelf.summaries.append(summary)
    return house


def erase(house: House, **body: object) -> httpx.Response:
    return house.post("/api/erasures", json.dumps(body).encode(), content_type="application/json")


def noted(house: House) -> Erase:
    (fact,) = house.slate.noted
    assert isinstance(fact, Erase)
    return fact


def test_a_session_is_erased_by_its_key(house: House) -> None:
    answer = house.ask("DELETE", f"/api/sessions/{KEY}?by=dpo&reason=asked")
    fact = noted(house)
    assert answer.status_code == 202
    assert answer.json() == {"id": erasure_id(fact.nonce), "state": "asked"}
    assert (fact.project, fact.session_id, fact.user_id, fact.by, fact.reason) == ("p", "s", "", "dpo", "asked")


def test_a_session_id_that_one_project_has_needs_no_project(house: House) -> None:
    assert erase(house, session_id="s", by="dpo", reason="asked").status_code == 202
    assert noted(house).project == "p"


@pytest.mark.parametrize("project", ["", "q"])
def test_feedback_that_waits_for_a_session_is_erased_by_the_id_it_waits_for(house: House, project: str) -> None:
    assert erase(house, session_id="never came", project=project, by="dpo", reason="asked").status_code == 404
    house.graves.found = Traced((("q", "never came"),), (("q", b"1" * 16),))
    assert erase(house, session_id="never came", project=project, by="dpo", reason="asked").status_code == 202
    assert (noted(house).project, noted(house).session_id) == ("q", "never came")


def test_a_user_is_looked_for_as_redaction_left_the_id(house: House) -> None:
    assert erase(house, user_id="marvin@example.org", by="dpo", reason="asked").status_code == 202
    assert noted(house).project == ""
    assert "marvin" not in noted(house).user_id


def test_a_dry_run_counts_and_does_nothing(house: House) -> None:
    house.graves.found = Traced((("p", "s"),), (("p", b"1" * 16), ("p", b"2" * 16)))
    answer = erase(house, user_id="u", dry_run=True)
    assert (answer.status_code, answer.json()) == (200, {"sessions": 1, "traces": 2})
    assert house.slate.noted == []


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"by": "a", "reason": "b"}, 422, "session_id"),
        ({"session_id": "s", "user_id": "u", "by": "a", "reason": "b"}, 422, "session_id"),
        ({"session_id": "s", "by": " ", "reason": "b"}, 422, "by"),
        ({"session_id": "s", "by": "a"}, 422, "reason"),
        ({"session_id": "s", "by": "a\n", "reason": "b\0b"}, 422, "reason"),
        ({"session_id": "never", "by": "a", "reason": "b"}, 404, "no such session"),
        ({"session_id": "s", "project": "q", "by": "a", "reason": "b"}, 404, "no such session"),
        ({"user_id": 4}, 422, "user_id"),
    ],
)
def test_what_cannot_be_erased_is_told(house: House, body: dict[str, object], status: int, named: str) -> None:
    answer = erase(house, **body)
    assert answer.status_code == status
    assert named in answer.json()["detail"]
    assert house.slate.noted == []


def test_a_key_never_seen_is_not_found(house: House) -> None:
    assert house.ask("DELETE", "/api/sessions/never?by=a&reason=b").status_code == 404


def test_a_full_log_is_told_with_a_time(house: House) -> None:
    house.slate.fault = OverloadedError("full", 5)
    answer = erase(house, user_id="u", by="a", reason="b")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("address", ["/api/sessions/{}", "/api/sessions/{}/steps", "/sessions/{}"])
def test_an_erased_session_is_gone_and_an_unknown_one_not_found(house: House, address: str) -> None:
    gone = session_key("p", "erased one")
    house.graves.digests.add(keyed_digest(SECRET, gone))
    assert house.get(address.format(gone)).status_code == 410
    assert house.get(address.format(session_key("p", "never"))).status_code == 404
    assert house.get(address.format(KEY)).status_code == 200


def test_an_erasure_tells_how_far_it_is(house: House) -> None:
    record = ErasureRecord(
        "e1", 4, "p", "user", "d" * 32, "dpo", "asked", "hidden", START_NS, START_NS, 0, 3, {"spans": 9}
    )
    house.graves.records.append(record)
    told = house.get("/api/erasures/e1").json()
    assert house.get("/api/erasures").json() == {"erasures": [told]}
    assert (told["state"], told["sessions"], told["rows"], told["purged_at"]) == ("hidden", 3, {"spans": 9}, None)
    assert "seq" not in told
    assert house.get("/api/erasures/e2").status_code == 404
    assert msgspec.json.encode(told)

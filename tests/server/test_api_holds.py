"""What is left of a session's trace, and holding it."""

from __future__ import annotations

import json

import pytest
from server_fakes import START_NS, House

from watchpost.ingest.request import OverloadedError
from watchpost.model.fact import Hold
from watchpost.store.retention import Gone, Reason, Sampled

JSON = {"content_type": "application/json"}


@pytest.mark.parametrize(
    ("kept", "share", "reason", "gone", "state"),
    [
        (True, 1.0, "error", "", "kept"),
        (True, 0.1, "sampled", "", "kept"),
        (False, 0.1, "dropped", "sampled", "sampled_out"),
        (True, 1.0, "feedback", "sampled", "sampled_out"),
        (True, 1.0, "flag", "expired", "expired"),
    ],
)
def test_a_session_says_what_is_left_of_its_trace(
    kept: bool,
    share: float,
    reason: Reason,
    gone: Gone,
    state: str,
) -> None:
    house = House()
    session = house.shelf.add_session("s")
    recent = house.shelf.add_session("recent")
    house.shelf.sampled_now[session.key] = Sampled("default", "s", 1, kept, share, reason, gone)
    trace = {"state": state, "share": share, "reason": reason, "held": False}
    assert house.get(f"/api/sessions/{session.key}").json()["trace"] == trace
    listed = {one["session_id"]: one["trace"] for one in house.get("/api/sessions").json()["sessions"]}
    assert listed == {"s": trace, "recent": {"state": "recent", "share": None, "reason": "", "held": False}}
    page = house.get(f"/sessions/{session.key}").text
    assert {"kept": "is kept", "sampled_out": "was not kept", "expired": "as long as traces are"}[state] in page
    assert "trace was" not in house.get(f"/sessions/{recent.key}").text


def test_a_step_whose_span_is_gone_says_why() -> None:
    house = House()
    session = house.shelf.add_session("s")
    step = house.shelf.add_step(session)
    house.shelf.spans.clear()
    house.shelf.sampled_now[session.key] = Sampled(
        "default", "s", 1, kept=False, share=0.1, reason="dropped", gone="sampled"
    )
    answer = house.get(f"/api/sessions/{session.key}/steps/{step.span_id.hex()}")
    assert answer.status_code == 200
    assert answer.json()["missing"].endswith("the session was not among those whose traces are kept")
    assert answer.json()["tool"] == "lookup_order"
    assert (
        "not among those whose traces are kept" in house.get(f"/sessions/{session.key}/steps/{step.span_id.hex()}").text
    )


def test_a_session_is_held_and_released() -> None:
    house = House()
    session = house.shelf.add_session("s")
    answer = house.post(f"/api/sessions/{session.key}/hold", b'{"by": "ana", "note": "incident 12"}', **JSON)
    assert answer.status_code == 200
    assert answer.json() == {
        "session": session.key,
        "project": "default",
        "session_id": "s",
        "trace": {"state": "recent", "share": None, "reason": "", "held": True},
    }
    assert house.slate.noted == [Hold("default", "s", "ana", "incident 12", START_NS)]
    assert "Held as evidence" in house.get(f"/sessions/{session.key}").text
    answer = house.post(f"/api/sessions/{session.key}/release", b"{}", **JSON)
    assert answer.json()["trace"]["held"] is False


def test_what_was_merged_away_is_held_where_it_went() -> None:
    house = House()
    taker = house.shelf.add_session("taker")
    taken = house.shelf.add_session("taken", moved_to=taker.key)
    answer = house.post(f"/api/sessions/{taken.key}/hold", b"{}", **JSON)
    assert answer.json()["session"] == taker.key


def test_a_hold_that_is_on_disk_and_not_yet_taken_in_is_202() -> None:
    house = House()
    session = house.shelf.add_session("s")
    house.slate.slow = True
    assert house.post(f"/api/sessions/{session.key}/hold", b"{}", **JSON).status_code == 202


@pytest.mark.parametrize(
    ("key", "body", "media", "status"),
    [
        ("nothing", b"{}", "application/json", 404),
        ("", b"{", "application/json", 422),
        ("", b'{"until": 1}', "application/json", 422),
        ("", b"[]", "application/json", 422),
        ("", b"{}", "text/plain", 415),
        ("", json.dumps({"note": "x" * 70_000}).encode(), "application/json", 413),
    ],
)
def test_a_hold_that_cannot_be_is_refused(key: str, body: bytes, media: str, status: int) -> None:
    house = House()
    session = house.shelf.add_session("s")
    answer = house.post(f"/api/sessions/{key or session.key}/hold", body, content_type=media)
    assert answer.status_code == status
    assert house.slate.noted == []


def test_a_hold_that_cannot_be_written_down_now_is_503() -> None:
    house = House()
    session = house.shelf.add_session("s")
    house.slate.fault = OverloadedError("full", 5)
    answer = house.post(f"/api/sessions/{session.key}/hold", b"{}", **JSON)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")

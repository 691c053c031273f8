"""Feedback over HTTP: what is taken becomes an evaluation of the run, what is wrong is refused whole and named."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given as every
from hypothesis import settings
from hypothesis import strategies as st
from server_fakes import START_NS, House

from watchpost.ingest.read import Reader
from watchpost.ingest.request import OverloadedError
from watchpost.model.step import FEEDBACK_SCOPE, Judged, Reading
from watchpost.server.feedback import MOST

TRACE = "0af7651916cd43dd8448eb211c80319c"


def post(house: House, body: object) -> httpx.Response:
    return house.post("/api/feedback", json.dumps(body).encode(), content_type="application/json")


def readings(house: House) -> list[Reading]:
    """What ingest reads in all that was reported."""
    return [
        reading
        for seq, parcel in enumerate(house.inbox.reported, 1)
        for reading, _ in Reader(parcel, START_NS, seq).readings()
    ]


def said(house: House, **body: object) -> Reading:
    """One piece of feedback about a trace, as ingest reads it."""
    answer = post(house, {"trace_id": TRACE, **body})
    assert answer.status_code == 202, answer.text
    return readings(house)[-1]


def test_feedback_becomes_an_evaluation_in_the_trace_it_is_about() -> None:
    house = House()
    found = said(house, span_id="00f067aa0ba902b7", kind="thumbs_down", comment="wrong order", by="mia", id="f1")
    assert (found.kind, found.trace_id.hex(), found.parent_id.hex()) == ("evaluation", TRACE, "00f067aa0ba902b7")
    assert (found.judged, found.output, found.scope) == (
        Judged("user", None, "thumbs_down"),
        "wrong order",
        FEEDBACK_SCOPE,
    )
    assert (found.start_ns, found.end_ns, found.status, found.own_session, found.user_id) == (
        START_NS,
        START_NS,
        "ok",
        "",
        "",
    )


@pytest.mark.parametrize("kind", ["thumbs_up", "thumbs_down", "correction", "escalation", "ticket"])
def test_each_kind_is_its_own_label(kind: str) -> None:
    assert said(House(), kind=kind).judged == Judged("user", None, kind)


def test_a_score_has_its_evaluator_label_and_time() -> None:
    found = said(House(), kind="score", score=0.25, label="poor", evaluator="ann", at="2026-05-01T10:00:00Z")
    assert found.judged == Judged("ann", 0.25, "poor")
    assert found.start_ns == 1_777_629_600 * 10**9


def test_the_same_feedback_twice_is_one_step_and_an_id_may_change_its_mind() -> None:
    house = House()
    first, again = said(house, kind="thumbs_up"), said(house, kind="thumbs_up")
    other = said(house, kind="thumbs_up", by="mia")
    assert first.span_id == again.span_id != other.span_id
    up, down = said(house, kind="thumbs_up", id="7"), said(house, kind="thumbs_down", id="7")
    assert up.span_id == down.span_id
    assert down.ver > up.ver


def test_feedback_about_a_session_stands_in_it_by_key_or_id() -> None:
    house = House()
    session = house.shelf.add_session("chat 1")
    step = house.shelf.add_step(session)
    assert post(house, {"session": session.key, "kind": "ticket"}).status_code == 202
    assert post(house, {"session_id": "chat 1", "kind": "thumbs_up"}).status_code == 202
    by_key, by_id = readings(house)
    assert {by_key.own_session, by_id.own_session} == {"chat 1"}
    assert by_key.trace_id == by_id.trace_id != step.trace_id
    other = post(house, {"project": "other", "session_id": "chat 1", "kind": "thumbs_up"}).json()["feedback"][0]
    assert bytes.fromhex(other["trace_id"]) != by_id.trace_id


def test_a_session_that_is_named_after_its_trace_is_spoken_of_in_that_trace() -> None:
    house = House()
    assert post(house, {"session_id": TRACE, "kind": "ticket"}).status_code == 202
    (found,) = readings(house)
    assert (found.trace_id.hex(), found.own_session) == (TRACE, "")
    assert post(house, {"session_id": TRACE.upper(), "kind": "ticket"}).status_code == 202
    assert readings(house)[-1].own_session == TRACE.upper()


def test_what_has_come_of_the_session_is_told() -> None:
    house = House()
    session = house.shelf.add_session("chat")
    step = house.shelf.add_step(session)
    answer = post(house, {"trace_id": step.trace_id.hex(), "kind": "thumbs_up"})
    assert (answer.status_code, answer.json()["feedback"][0]["session"]) == (200, session.key)
    house.inbox.slow = True
    assert post(house, {"trace_id": step.trace_id.hex(), "kind": "thumbs_up"}).status_code == 202
    assert post(house, {"trace_id": TRACE, "kind": "thumbs_up"}).json()["feedback"][0]["session"] is None


def test_a_merged_session_is_spoken_of_where_it_went() -> None:
    house = House()
    there = house.shelf.add_session("there")
    gone = house.shelf.add_session("gone", moved_to=there.key)
    post(house, {"session": gone.key, "kind": "thumbs_up"})
    assert readings(house)[0].own_session == "there"


def test_an_array_is_taken_whole_or_not_at_all() -> None:
    house = House()
    good: dict[str, object] = {"trace_id": TRACE, "kind": "comment"}
    many = [{**good, "comment": str(number), "project": f"p{number % 3}"} for number in range(MOST)]
    assert len(post(house, many).json()["feedback"]) == MOST
    assert len({reading.span_id for reading in readings(house)}) == MOST
    house.inbox.reported.clear()
    answer = post(house, [*many[:2], {**good, "comment": ""}])
    assert (answer.status_code, [each["parameter"] for each in answer.json()["errors"]]) == (422, ["2.comment"])
    assert post(house, [*many, many[0]]).json()["errors"][0]["parameter"] == "body"
    assert house.inbox.reported == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "thumbs_up"}, "session"),
        ({"kind": "sideways", "trace_id": TRACE}, "kind"),
        ({"trace_id": TRACE}, "kind"),
        ({"kind": "thumbs_up", "trace_id": TRACE[1:]}, "trace_id"),
        ({"kind": "thumbs_up", "trace_id": TRACE, "session_id": "s"}, "trace_id"),
        ({"kind": "thumbs_up", "session_id": "s", "span_id": "00f067aa0ba902b7"}, "span_id"),
        ({"kind": "thumbs_up", "trace_id": TRACE, "span_id": "zz"}, "span_id"),
        ({"kind": "thumbs_up", "trace_id": TRACE, "span_id": "0" * 16, "step_id": "1" * 16}, "step_id"),
        ({"kind": "thumbs_up", "trace_id": TRACE, "score": 1}, "score"),
        ({"kind": "ticket", "trace_id": TRACE, "label": "x"}, "label"),
        ({"kind": "score", "trace_id": TRACE}, "score"),
        ({"kind": "score", "trace_id": TRACE, "score": "high"}, "score"),
        ({"kind": "score", "trace_id": TRACE, "score": 1e9}, "score"),
        ({"kind": "comment", "trace_id": TRACE, "comment": " "}, "comment"),
        ({"kind": "comment", "trace_id": TRACE, "comment": "a" * 10_001}, "comment"),
        ({"kind": "thumbs_up", "trace_id": TRACE, "by": "a\x00b"}, "by"),
        ({"kind": "thumbs_up", "trace_id": TRACE, "at": "yesterday"}, "at"),
        ({"kind": "thumbs_up", "trace_id": TRACE, "project": ""}, "project"),
        ({"kind": "thumbs_up", "trace_id": TRACE, "mood": "good"}, "mood"),
        ([], "body"),
        (7, "body"),
    ],
)
def test_wrong_input_is_refused_and_the_field_is_named(body: object, field: str) -> None:
    house = House()
    answer = post(house, body)
    assert (answer.status_code, [each["parameter"] for each in answer.json()["errors"]]) == (422, [field])
    assert house.inbox.reported == []


def test_a_key_never_seen_is_not_found_and_a_full_log_is_to_be_asked_again() -> None:
    house = House()
    assert post(house, {"session": "nosuchkey", "kind": "thumbs_up"}).status_code == 404
    house.inbox.fault = OverloadedError("full", 7)
    answer = post(house, {"trace_id": TRACE, "kind": "thumbs_up"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert house.post("/api/feedback", b"{}", content_type="text/plain").status_code == 415


def test_what_is_hidden_in_telemetry_is_hidden_in_feedback() -> None:
    house = House()
    found = said(house, kind="comment", comment="call mia@example.com back", by="bob@example.com")
    assert "mia@example.com" not in found.output
    assert "call [email:" in found.output
    assert "bob@" not in found.rest


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["kind", "trace_id", "score", "at", "x"]), each),
    max_leaves=5,
)


def test_any_json_is_answered() -> None:
    house = House()

    @settings(deadline=None)
    @every(body=JSON)
    def answered(body: object) -> None:
        assert post(house, body).status_code in {202, 422}

    answered()

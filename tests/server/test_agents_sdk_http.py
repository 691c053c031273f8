"""`/v1/traces/ingest`: answers that the OpenAI Agents SDK's exporter, which only looks at the status, acts on rightly."""

from __future__ import annotations

import pytest
from server_fakes import House

from watchpost.ingest.request import Accepted, OverloadedError, RefusedError
from watchpost.server.app import ServerSettings

PATH = "/v1/traces/ingest"
BODY = b'{"data":[]}'
JSON = "application/json"
PROBLEM = "application/problem+json"


def test_what_the_exporter_posts_reaches_the_door_as_it_was_sent() -> None:
    house = House()
    answer = house.post(
        PATH,
        BODY,
        content_type="application/json; charset=utf-8",
        content_encoding="gzip",
        authorization="Bearer sk-anything",
        openai_beta="traces=v1",
        x_watchpost_project="shop",
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert answer.json() == {"rejected": 0, "reasons": []}
    (taken,) = house.door.taken
    assert (taken.signal, taken.body, taken.content_type) == ("agents_sdk", BODY, JSON)
    assert (taken.content_encoding, taken.project) == ("gzip", "shop")


def test_what_was_left_out_is_said_and_is_a_success_all_the_same() -> None:
    house = House()
    house.door.answer = Accepted(2, ("data[0] and 1 more: id: must be text",))
    answer = house.post(PATH, BODY, content_type=JSON)
    assert (answer.status_code, answer.json()["rejected"]) == (200, 2)
    assert answer.json()["reasons"] == ["data[0] and 1 more: id: must be text"]


def test_a_refusal_is_a_problem_that_names_the_field() -> None:
    house = House()
    house.door.answer = RefusedError(400, "must be an array of trace and trace.span objects", "data")
    answer = house.post(PATH, BODY, content_type=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    said = answer.json()
    assert said["detail"] == "data: must be an array of trace and trace.span objects"
    assert said["errors"] == [{"parameter": "data", "detail": "must be an array of trace and trace.span objects"}]


def test_overload_is_a_503_which_the_exporter_sends_again_after() -> None:
    house = House()
    house.door.answer = OverloadedError("the log is behind", 7)
    answer = house.post(PATH, BODY, content_type=JSON)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert (answer.headers["content-type"], answer.json()["detail"]) == (PROBLEM, "the log is behind")


@pytest.mark.parametrize("media", ["application/x-protobuf", "text/plain"])
def test_only_json_is_taken(media: str) -> None:
    house = House()
    answer = house.post(PATH, BODY, content_type=media)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (415, "content-type")
    assert house.door.taken == []


def test_a_request_that_is_no_post_and_a_bad_project_are_told_so() -> None:
    house = House()
    answer = house.get(PATH)
    assert (answer.status_code, answer.headers["allow"], answer.headers["content-type"]) == (405, "POST", PROBLEM)
    answer = house.post(PATH, BODY, content_type=JSON, x_watchpost_project="p" * 129)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "x-watchpost-project")


def test_a_body_beyond_the_limit_is_refused_before_it_is_read() -> None:
    house = House(ServerSettings(max_body_bytes=10))
    answer = house.post(PATH, BODY, content_type=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (413, "body")


def test_bodies_count_with_those_of_otlp() -> None:
    house = House(ServerSettings(max_held_bytes=10))
    assert house.post(PATH, BODY, content_type=JSON).status_code == 503


def test_the_answers_are_counted() -> None:
    house = House()
    house.post(PATH, BODY, content_type=JSON)
    text = house.get("/metrics").text
    assert 'watchpost_otlp_answers_total{signal="agents_sdk",status="200",transport="http"} 1.0' in text

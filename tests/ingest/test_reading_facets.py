"""By what use and cost are told apart, when the first token came, and what evaluations say, in the words of every convention."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import read, span_with

from watchpost.ingest.read import LONGEST_FIRST_TOKEN_US, Reader, raw_attributes
from watchpost.model.step import NO_FACETS, NOT_JUDGED, Facets, Judged
from watchpost.model.telemetry import Attributes, Event, Parcel

CALL: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


@pytest.mark.parametrize(
    ("attributes", "facets"),
    [
        ({"org_id": "acme", "feature_name": "refunds"}, Facets("acme", "refunds")),
        ({"watchpost.org.id": "acme", "watchpost.release": "7"}, Facets("acme", "", "7")),
        ({"gen_ai.agent.version": "2.1", "gen_ai.prompt.name": "greeting"}, Facets("", "", "2.1", "greeting")),
        ({"prompt.name": "greeting", "prompt.version": 3}, Facets("", "", "", "greeting@3")),
        (
            {
                "langfuse.release": "abc",
                "langfuse.observation.prompt.name": "g",
                "langfuse.observation.prompt.version": 4,
            },
            Facets("", "", "abc", "g@4"),
        ),
        ({"ai.telemetry.metadata.orgId": "acme", "ai.telemetry.metadata.featureName": "f"}, Facets("acme", "f")),
        ({"traceloop.association.properties.org_id": "acme"}, Facets("acme")),
        ({"metadata": '{"org_id": "acme", "feature_name": "f"}'}, Facets("acme", "f")),
        ({}, NO_FACETS),
    ],
)
def test_whose_use_it_was_and_of_what(attributes: Attributes, facets: Facets) -> None:
    assert read(CALL | attributes).facets == facets


def test_a_service_version_stands_in_for_a_release() -> None:
    parcel = Parcel("p", {"service.name": "s", "service.version": "1.4"}, "", (span_with(CALL),))
    assert Reader(parcel, 1, 1).read(parcel.spans[0]).facets.release == "1.4"
    named = span_with(CALL | {"gen_ai.agent.version": "9"})
    assert Reader(parcel, 1, 1).read(named).facets.release == "9"


def test_what_is_told_apart_by_stays_among_the_raw_attributes() -> None:
    sent = CALL | {
        "org_id": "acme",
        "prompt.name": "g",
        "prompt.version": "3",
        "gen_ai.response.time_to_first_chunk": 0.25,
    }
    assert raw_attributes(read(sent)) == sent


@pytest.mark.parametrize(
    ("attributes", "us"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.25}, 250_000),
        ({"gen_ai.client.operation.time_to_first_chunk": "1.5"}, 1_500_000),
        ({"gen_ai.server.time_to_first_token": 320}, 320_000),
        ({"ai.response.msToFirstChunk": 12.5}, 12_500),
        ({"ttft_ms": 800}, 800_000),
        ({"ttft_ms": 0}, 0),
        ({"ttft_ms": -1}, None),
        ({"ttft_ms": "soon"}, None),
        ({"ttft_ms": math.inf}, None),
        ({"gen_ai.response.time_to_first_chunk": 1e12}, None),
        ({}, None),
    ],
)
def test_how_long_the_first_token_took_in_any_unit(attributes: Attributes, us: int | None) -> None:
    assert read(CALL | attributes).first_token_us == us


def test_the_event_of_the_first_token_tells_when_it_came() -> None:
    assert read(CALL, events=[Event(5_001, "First Token Stream Event", {})]).first_token_us == 5


def test_only_a_model_call_has_a_first_token() -> None:
    assert read({"gen_ai.operation.name": "execute_tool", "ttft_ms": 5}).first_token_us is None


@pytest.mark.parametrize(
    ("attributes", "judged"),
    [
        (
            {
                "gen_ai.evaluation.name": "groundedness",
                "gen_ai.evaluation.score.value": 0.5,
                "gen_ai.evaluation.score.label": "fail",
            },
            Judged("groundedness", 0.5, "fail"),
        ),
        ({"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": True}, Judged("tone", 1.0)),
        ({"logfire.feedback.name": "thumbs", "logfire.feedback.value": "-1"}, Judged("thumbs", -1.0)),
        ({"gen_ai.evaluation.name": "judge", "error.type": "timeout"}, Judged("judge")),
    ],
)
def test_what_an_evaluation_says(attributes: Attributes, judged: Judged) -> None:
    reading = read(attributes)
    assert reading.kind == "evaluation"
    assert reading.judged == judged


def test_what_is_no_evaluation_judges_nothing() -> None:
    assert read(CALL | {"gen_ai.evaluation.score.value": 1}).judged == NOT_JUDGED


@given(
    st.dictionaries(
        st.sampled_from(["ttft_ms", "org_id", "prompt.version", "gen_ai.evaluation.score.value"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.binary(),
    )
)
def test_no_value_is_too_odd(attributes: dict[str, object]) -> None:
    for kind in ("chat", "evaluate"):
        reading = read({"gen_ai.operation.name": kind, **attributes})
        assert reading.first_token_us is None or 0 <= reading.first_token_us <= LONGEST_FIRST_TOKEN_US
        assert reading.judged.score is None or math.isfinite(reading.judged.score)

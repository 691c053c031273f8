"""Where to measure whether a session is still about its task, how far two texts are apart, and what a measurement leads to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.context_drift import (
    MEASURED,
    ContextDriftDetector,
    ContextDriftSettings,
    Measurement,
    checkpoint_of,
    cosine_distance,
    lexical_distance,
)
from watchpost.model.flag import Finding
from watchpost.model.step import Step, StepKind, Tokens

TRACE = b"t" * 16
LEXICAL = ContextDriftSettings(method="lexical", window=2)


def step(number: int, kind: StepKind, result: str = "", **changed: object) -> Step:
    made = Step(
        TRACE, number.to_bytes(8, "big"), b"", number, number + 1, kind, kind, "", "", "", "ok", "", Tokens(), None
    )
    return msgspec.structs.replace(made, result=result, **changed)


def test_a_checkpoint_sets_what_was_asked_and_done_first_against_what_is_done_now() -> None:
    steps = [
        step(1, "state", "You book flights."),
        step(2, "human", "To Lisbon, please."),
        step(3, "llm", "I look for flights to Lisbon."),
        step(4, "tool", '["TP 571"]', tool="search_flights", arguments='{"to": "Lisbon"}'),
        step(5, "llm", "Let me write a poem instead."),
        step(6, "tool", "ok", tool="write_poem", arguments='{"about": "rain"}'),
    ]
    due = checkpoint_of("p", "s", steps, LEXICAL)
    assert due is not None
    assert (due.trace_id, due.span_id, due.at_ns) == (TRACE, steps[5].span_id, 7)
    assert due.asked.splitlines() == [
        "You book flights.",
        "To Lisbon, please.",
        "I look for flights to Lisbon.",
        'search flights {"to": "Lisbon"}',
    ]
    assert due.stated.splitlines() == ["Let me write a poem instead.", 'write poem {"about": "rain"}']
    assert due.prompted is None


def test_a_checkpoint_names_the_last_prompt_that_was_reported() -> None:
    steps = [step(number, "llm", f"words {number}", informed=number != 4) for number in range(1, 5)]
    due = checkpoint_of("p", "s", steps, LEXICAL)
    assert due is not None
    assert due.prompted == (TRACE, steps[2].span_id)


@pytest.mark.parametrize(
    "steps",
    [
        [step(1, "human", "Hello"), step(2, "llm", "Hello"), step(3, "llm", "Bye")],
        [step(number, "llm", f"words {number}") for number in range(9)],
        [step(0, "human", "Hello"), *(step(number, "llm") for number in range(1, 9))],
    ],
    ids=["too few steps", "nothing asked", "nothing said"],
)
def test_where_there_is_too_little_nothing_is_measured(steps: list[Step]) -> None:
    assert checkpoint_of("p", "s", steps, LEXICAL) is None


def measurement(distance: float, number: int = 3) -> Measurement:
    return Measurement(distance, 0.8, "lexical", TRACE.hex(), number.to_bytes(8, "big").hex(), "asked", "stated")


def seen(result: str, name: str = MEASURED) -> list[Finding]:
    detector = ContextDriftDetector(ContextDriftSettings(method="lexical", distance=0.8))
    return list(detector.see(9, step(10, "evaluation", result, name=name)))


def test_a_measurement_beyond_the_limit_is_a_finding_at_the_step_that_was_measured() -> None:
    [finding] = seen(msgspec.json.encode(measurement(0.81)).decode())
    assert finding.kind == "CONTEXT_DRIFT"
    assert finding.at == TRACE + (3).to_bytes(8, "big")
    assert finding.evidence["value"] == 0.81
    assert (finding.evidence["asked"], finding.evidence["stated"]) == ("asked", "stated")


@pytest.mark.parametrize("result", [msgspec.json.encode(measurement(0.8)).decode(), "", "[]", '{"distance": "far"}'])
def test_within_the_limit_or_unreadable_there_is_none(result: str) -> None:
    assert seen(result) == []


def test_other_evaluations_are_not_looked_at() -> None:
    assert seen(msgspec.json.encode(measurement(0.99)).decode(), "groundedness") == []


def test_the_same_words_are_at_no_distance_and_others_at_all() -> None:
    assert lexical_distance("book a flight to Lisbon", "book a flight to Lisbon") == pytest.approx(0)
    assert lexical_distance("book a flight to Lisbon", "rain falls over green hills") == 1
    near = lexical_distance("book a flight to Lisbon", "book a train to Lisbon")
    assert 0 < near < lexical_distance("book a flight to Lisbon", "book a poem about rain") < 1


@given(st.text(), st.text())
def test_distance_is_the_same_both_ways_and_bounded(one: str, other: str) -> None:
    far = lexical_distance(one, other)
    assert 0 <= far <= 1
    assert far == pytest.approx(lexical_distance(other, one))


def test_vectors_are_compared_by_direction() -> None:
    assert cosine_distance([1, 0], [5, 0]) == pytest.approx(0)
    assert cosine_distance([1, 0], [0, 2]) == pytest.approx(1)
    for broken in ([0.0, 0.0], [1.0]):
        with pytest.raises(ValueError, match=r"direction|argument"):
            cosine_distance([1.0, 2.0], broken)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"every": 1}, "every"),
        ({"window": 0}, "window"),
        ({"distance": 1.0}, "distance"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"method": "embeddings"}, "url"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(changed: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        msgspec.convert(changed, ContextDriftSettings)

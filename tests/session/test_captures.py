"""What real frameworks sent adds up to what really happened, or says that it does not know; never to a wrong number.

A model call that the client library repeats after an error is one call: instrumentations sit outside the client, so that
the repetition is invisible to them, and whoever asks for the number of calls means the calls the agent made. An embedding
is a retrieval, not a model call.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from captured import Capture, captures, folded, parcels, reported, runs
from folding import Fold
from what_each_tells import (
    FACTS,
    PAGE,
    SEEN_TO_COMPLETE,
    SESSIONS_APART,
    misled,
    outcomes,
    page,
    truth,
)

from watchpost.model.telemetry import Parcel

CAPTURES = captures()


def named(capture: object) -> str | None:
    return capture.capture if isinstance(capture, Capture) else None


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_a_recording_shows_what_really_happened_or_nothing(capture: Capture) -> None:
    for fact in FACTS:
        wrong, happened = misled(capture, fact), truth(capture)[fact]
        value = reported(folded(capture), fact)
        assert value is None or value == happened - (wrong.less if wrong else 0), fact


def test_the_page_of_what_each_source_tells_is_what_the_recordings_show() -> None:
    assert PAGE.read_text() == page(), (
        "write it anew: python tests/session/what_each_tells.py > docs/frameworks/what-each-tells.md"
    )


def expected_runs(capture: Capture) -> int:
    """One by the id that the application set, else one for each run; calls of a plain client library have nothing in common."""
    if capture.session_id_set and capture.capture not in SESSIONS_APART:
        return 1
    apart = {"openai-sdk__otel-official-v2/happy": 2, "openai-sdk__otel-official-v2-latest/happy": 2}
    if capture.capture in apart:
        return apart[capture.capture]
    if capture.source.startswith("openai-sdk__") and capture.scenario == "happy":
        return 3
    return 2 if capture.scenario == "multiturn" else 1


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_a_recording_is_one_session_by_the_id_the_application_set_or_one_per_run_without(capture: Capture) -> None:
    assert len(runs(folded(capture))) == expected_runs(capture)


def sensible_outcome(capture: Capture) -> str:
    """A killed run fell silent; one that raised failed by its tool or without usable output; any other completed."""
    if capture.scenario == "crash":
        return "timeout"
    if capture.capture == "smolagents__openinference/http500":
        return "timeout"  # the root of a failed run is never sent, so that it looks like one that was killed
    if capture.capture == "claude-agent-sdk__native/http500":
        return "bad_output"  # the SDK answers with the error as text, and raises nothing
    if not capture.raised or capture.capture in SEEN_TO_COMPLETE:
        return "completed"
    return "tool_error" if capture.scenario.startswith("tool_error") else "bad_output"


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_a_recording_ends_as_its_application_saw_it_end(capture: Capture) -> None:
    assert outcomes(capture) == {sensible_outcome(capture)}


def backwards(sent: list[Parcel]) -> Iterator[Parcel]:
    """The same spans and log lines one by one, last first."""
    for parcel in reversed(sent):
        for span in reversed(parcel.spans):
            yield Parcel(parcel.project, parcel.resource, parcel.scope, (span,))
        for line in reversed(parcel.logs):
            yield Parcel(parcel.project, parcel.resource, parcel.scope, logs=(line,))


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_a_recording_received_backwards_gives_the_same_sessions(capture: Capture) -> None:
    fold = Fold()
    for parcel in backwards(parcels(capture)):
        fold.receive_parcel(parcel)
    straight = {s.session_id: (s.steps, s.totals(), s.workflow()) for s in folded(capture).sessions}
    assert {s.session_id: (s.steps, s.totals(), s.workflow()) for s in fold.sessions} == straight


HANDOFFS = [one for one in CAPTURES if one.scenario in {"handoff", "agent_as_tool"}]
NO_SPAN_OF_IT = (
    "smolagents__openinference/handoff",  # the agent that takes over is an agent span within the first one's step
    "openai-agents__otel-genai/handoff",  # one agent span ends, another begins
)


@pytest.mark.parametrize("capture", HANDOFFS, ids=named)
def test_a_handoff_is_a_step_of_its_own_and_no_tool_call(capture: Capture) -> None:
    kinds = {step.kind for session in folded(capture).sessions for step in session.steps}
    assert ("handoff" in kinds) == (capture.capture not in NO_SPAN_OF_IT)

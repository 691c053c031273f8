"""What real frameworks sent adds up to what really happened, or says that it does not know; never to a wrong number.

A model call that the client library repeats after an error is one call: instrumentations sit outside the client, so that
the repetition is invisible to them, and whoever asks for the number of calls means the calls the agent made. An embedding
is a retrieval, not a model call.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
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

from watchpost.ingest.read import Reader
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
NOTHING_TELLS_OF_IT = ("openai-agents__otel-genai/handoff",)
"""One agent span ends and another begins, as the members of a crew or the stages of a pipeline do."""


@pytest.mark.parametrize("capture", HANDOFFS, ids=named)
def test_a_handoff_is_a_step_of_its_own_and_no_tool_call(capture: Capture) -> None:
    kinds = {step.kind for session in folded(capture).sessions for step in session.steps}
    assert ("handoff" in kinds) == (capture.capture not in NOTHING_TELLS_OF_IT)


@pytest.mark.parametrize("capture", [one for one in CAPTURES if one not in HANDOFFS], ids=named)
def test_a_run_of_one_agent_hands_nothing_over(capture: Capture) -> None:
    assert all(step.kind != "handoff" for session in folded(capture).sessions for step in session.steps)


@pytest.mark.parametrize("capture", HANDOFFS, ids=named)
def test_a_handoff_that_was_asked_for_is_no_call_unseen(capture: Capture) -> None:
    assert sum(session.totals().unseen_tool_calls for session in runs(folded(capture))) == 0


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_the_arguments_of_a_call_are_the_bare_ones_whoever_reports_it(capture: Capture) -> None:
    beside = {"input_str", "tags", "metadata", "kwargs", "args", "callbacks"}
    for session in folded(capture).sessions:
        for step in session.steps:
            if step.kind == "tool" and step.arguments.startswith("{"):
                assert not beside & msgspec.json.decode(step.arguments, type=dict[str, object]).keys()


USAGE = ("token", "usage")
"""What the keys of all attributes that hold token counts have in them."""


def without_tokens(sent: list[Parcel], calls: int) -> Iterator[Parcel]:
    """The same parcels, without the tokens of the first model calls that went well."""
    for parcel in sent:
        spans = []
        for span in parcel.spans:
            reading = Reader(parcel, 1, 1).read(span)
            if calls > 0 and (reading.kind, reading.status) == ("llm", "ok"):
                calls -= 1
                kept = {
                    key: value for key, value in span.attributes.items() if not any(u in key.lower() for u in USAGE)
                }
                spans.append(msgspec.structs.replace(span, attributes=kept))
            else:
                spans.append(span)
        yield msgspec.structs.replace(parcel, spans=tuple(spans))


def has_a_total_of_calls_beneath(capture: Capture) -> bool:
    """Whether a span reports the total of the model calls beneath it, and of no other run and no other agent."""
    traces = [trace for session in folded(capture).sessions for trace in session.traces.values()]
    return capture.scenario not in {"multiturn", "handoff", "agent_as_tool"} and any(
        node.kind == "llm" for trace in traces for span_id in trace.usage for node in trace.beneath(span_id)
    )


TOTALLED = [one for one in CAPTURES if has_a_total_of_calls_beneath(one)]


@pytest.mark.parametrize("calls", [1, 1000])
@pytest.mark.parametrize("capture", TOTALLED, ids=named)
def test_where_calls_tell_no_tokens_the_total_of_their_agent_is_shown_as_an_estimate(
    capture: Capture, calls: int
) -> None:
    fold = Fold()
    for parcel in without_tokens(parcels(capture), calls):
        fold.receive_parcel(parcel)
    happened = truth(capture)
    assert reported(fold, "input_tokens") == happened["input_tokens"]
    assert reported(fold, "output_tokens") == happened["output_tokens"]
    assert any(session.totals().estimated for session in runs(fold))
    assert not any(session.totals().estimated for session in runs(folded(capture)) if session.totals().llm_calls)

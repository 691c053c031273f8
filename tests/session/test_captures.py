"""What real frameworks sent adds up to what really happened, or says that it does not know; never to a wrong number.

A model call that the client library repeats after an error is one call: instrumentations sit outside the client, so that
the repetition is invisible to them, and whoever asks for the number of calls means the calls the agent made. An embedding
is a retrieval, not a model call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple, get_args

import pytest
from captured import Capture, Fact, captures, folded, parcels, reported
from folding import Fold

from watchpost.model.telemetry import Parcel

CAPTURES = captures()

ATTEMPTS = 3
"""HTTP requests that every client used here makes of one model call before it gives up."""

MORE_ATTEMPTS = {
    "llama-index": 6,  # LlamaIndex repeats the client's three attempts once
}


class Gap(NamedTuple):
    """A fact that the recordings of a pattern show otherwise than it was. `shown` makes of the truth what is shown."""

    captures: str
    facts: tuple[Fact, ...]
    shown: Callable[[int], int | None]
    reason: str


def absent(_: int) -> None:
    """Not reported."""


def none_at_all(_: int) -> int:
    """Counted as if there were none."""
    return 0


def one_more(truth: int) -> int:
    """One too many."""
    return truth + 1


def twice(truth: int) -> int:
    """Each counted twice."""
    return 2 * truth


CANNOT_BE_KNOWN = (
    Gap("anthropic-sdk__*", ("reasoning_tokens",), absent, "the model's own answer does not count them apart"),
    Gap("pydantic-ai-anthropic__*", ("reasoning_tokens",), absent, "the model's own answer does not count them apart"),
    Gap("strands__*", ("reasoning_tokens",), absent, "the framework reads no such count from the answer"),
    Gap("vercel-ai-v7__otel/*", ("reasoning_tokens",), absent, "its exporter leaves the count out"),
    Gap("smolagents__*", ("cached_tokens", "reasoning_tokens"), absent, "only prompt, completion and total are sent"),
    Gap("autogen-*", ("cached_tokens", "reasoning_tokens"), absent, "only prompt, completion and total are sent"),
    Gap(
        "langgraph__*/stream",
        ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
        absent,
        "LangChain does not ask for usage when it streams from an address of one's own",
    ),
    Gap(
        "llama-index__*/stream",
        ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
        absent,
        "LlamaIndex does not ask for usage when it streams",
    ),
    Gap(
        "pydantic-ai__native/bad_args",
        ("tool_calls", "tool_errors"),
        one_more,
        "a call whose arguments do not fit has a tool span that failed, though the tool never ran",
    ),
)

NOT_READ_YET = (
    Gap(
        "anthropic-sdk__*",
        ("tool_calls", "tool_errors"),
        none_at_all,
        "the application's own tool spans carry no attribute of either convention",
    ),
    Gap(
        "openai-sdk__*",
        ("tool_calls", "tool_errors"),
        none_at_all,
        "the application's own tool spans carry no attribute of either convention",
    ),
    Gap(
        "anthropic-sdk__openinference/stream",
        ("llm_calls", "input_tokens", "output_tokens", "cached_tokens"),
        twice,
        "SDK and instrumentation each send a span of the same call, side by side",
    ),
    Gap(
        "autogen-agentchat__openinference/tool_error",
        ("tool_errors",),
        none_at_all,
        "two spans of one call, nested: the inner one failed, the outer one, which counts, says ok",
    ),
)
GAPS = (*CANNOT_BE_KNOWN, *NOT_READ_YET)
FACTS: tuple[Fact, ...] = get_args(Fact)


def truth(capture: Capture) -> dict[Fact, int]:
    """What really happened."""
    e = capture.expected
    attempts = MORE_ATTEMPTS.get(capture.capture.partition("__")[0], ATTEMPTS)
    return {
        "llm_calls": e.llm_ok - e.embedding_requests + (e.llm_http_requests - e.llm_ok) // attempts,
        "tool_calls": e.tool_calls,
        "tool_errors": e.tool_errors,
        "input_tokens": e.input_tokens,
        "output_tokens": e.output_tokens,
        "cached_tokens": e.cached_input_tokens,
        "reasoning_tokens": e.reasoning_tokens,
    }


def gap(capture: Capture, fact: Fact) -> Gap | None:
    """The gap that a fact of a recording falls into."""
    found = [gap for gap in GAPS if fact in gap.facts and fnmatchcase(capture.capture, gap.captures)]
    assert len(found) <= 1, f"{capture.capture}: two reasons for one gap in {fact}"
    return found[0] if found else None


def shown(capture: Capture, fact: Fact) -> int | None:
    """What must be shown. Where no token was used, none may also be reported."""
    known = gap(capture, fact)
    value = known.shown(truth(capture)[fact]) if known else truth(capture)[fact]
    unused = value == 0 and fact.endswith("_tokens")
    return None if unused and reported(folded(capture), fact) is None else value


def named(capture: object) -> str | None:
    return capture.capture if isinstance(capture, Capture) else None


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_a_recording_shows_what_really_happened(capture: Capture) -> None:
    assert {fact: reported(folded(capture), fact) for fact in FACTS} == {fact: shown(capture, fact) for fact in FACTS}


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_a_recording_is_one_session_by_the_id_the_application_set_or_one_per_trace_without(capture: Capture) -> None:
    assert len(folded(capture).sessions) == (1 if capture.session_id_set else capture.traces)


@pytest.mark.parametrize("each", GAPS, ids=lambda each: f"{each.captures} {each.facts[0]}")
def test_every_gap_is_still_there(each: Gap) -> None:
    for fact in each.facts:
        inside = [one for one in CAPTURES if fnmatchcase(one.capture, each.captures)]
        wrong = [one for one in inside if reported(folded(one), fact) != truth(one)[fact]]
        assert wrong, f"{each.captures} shows {fact} as it was: take it out of the gaps"


def outcomes(capture: Capture) -> set[str]:
    """How the sessions of a recording that have steps ended, an hour later."""
    fold = Fold()
    for parcel in parcels(capture):
        fold.receive_parcel(parcel)
    fold.wait(3600)
    return {str(session.outcome) for session in fold.sessions if session.steps}


def sensible_outcome(capture: Capture) -> str:
    """A killed run fell silent; one that raised failed by its tool or without usable output; any other completed."""
    if capture.scenario == "crash":
        return "timeout"
    if capture.capture == "smolagents__openinference/http500":
        return "timeout"  # the root of a failed run is never sent, so that it looks like one that was killed
    if not capture.raised:
        return "completed"
    return "tool_error" if capture.scenario.startswith("tool_error") else "bad_output"


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_a_recording_ends_as_its_application_saw_it_end(capture: Capture) -> None:
    assert outcomes(capture) == {sensible_outcome(capture)}


def backwards(sent: list[Parcel]) -> Iterator[Parcel]:
    """The same spans one by one, last first."""
    for parcel in reversed(sent):
        for span in reversed(parcel.spans):
            yield Parcel(parcel.project, parcel.resource, parcel.scope, (span,))


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_a_recording_received_backwards_gives_the_same_sessions(capture: Capture) -> None:
    fold = Fold()
    for parcel in backwards(parcels(capture)):
        fold.receive_parcel(parcel)
    straight = {s.session_id: (s.steps, s.totals(), s.workflow()) for s in folded(capture).sessions}
    assert {s.session_id: (s.steps, s.totals(), s.workflow()) for s in fold.sessions} == straight


HANDOFFS = [one for one in CAPTURES if one.scenario in {"handoff", "agent_as_tool"}]
BY_NESTING_ALONE = ("smolagents__openinference/handoff",)
"""The agent that takes over is an agent span within the first one's step; no span says that anything was handed over."""


@pytest.mark.parametrize("capture", HANDOFFS, ids=named)
def test_a_handoff_is_a_step_of_its_own_and_no_tool_call(capture: Capture) -> None:
    kinds = {step.kind for session in folded(capture).sessions for step in session.steps}
    assert ("handoff" in kinds) == (capture.capture not in BY_NESTING_ALONE)

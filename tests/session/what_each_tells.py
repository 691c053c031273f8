"""What each framework and instrumentation can tell, measured on the recordings; run as a program it prints the page of the documentation."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, get_args

from captured import Capture, Fact, captures, folded, parcels, reported, runs
from folding import Fold

PAGE = Path(__file__).resolve().parents[2] / "docs" / "frameworks" / "what-each-tells.md"

FACTS: tuple[Fact, ...] = get_args(Fact)

ATTEMPTS = 3
"""HTTP requests that most clients make of one model call before they give up."""

MORE_ATTEMPTS = {
    "llama-index": 6,  # LlamaIndex repeats the client's three attempts once
    "claude-agent-sdk": 10,  # Claude Code's own retries
    "crewai": 9,  # CrewAI repeats the client's three attempts twice, at once
}

_HEAD = """# What each framework and instrumentation can tell

Measured on {count} recordings of real frameworks with a scripted model and tools that count for themselves: what
Watchpost shows is compared with what happened. This page is written from the tests that do so, which fail when it is out of date.

*yes*: shown, and as it was, in every recording. *no*: the source does not send it, and Watchpost says "not reported". A scenario in
brackets is one in which it is not reported, or, where marked so, in which the source says something else than what happened and
nothing it sends shows it. A model call that a client repeats after an error is one call. `session` is the id that the application set; a dash
means that none was set in these recordings. `failed runs` says whether a run that raised to the application is seen to have failed.

| source | model calls | tool calls | tool errors | input tokens | output tokens | cached tokens | reasoning tokens | session | failed runs |
|---|---|---|---|---|---|---|---|---|---|
"""


class Misled(NamedTuple):
    """A recording whose source says less than what happened, and nothing it sends shows it."""

    capture: str
    fact: str
    less: int


MISLED = tuple(
    Misled(f"openai-sdk__{version}/happy", fact, less)
    for version in ("otel-official-v2", "otel-official-v2-latest")  # the call through the Responses API has no span
    for fact, less in {"llm_calls": 1, "input_tokens": 120, "output_tokens": 24}.items()
)

SESSIONS_APART = {
    "openai-agents__openllmetry/multiturn": "the instrumentation drops the group id",
}
"""Recordings whose source does not send the session id that the application set."""

SEEN_TO_COMPLETE = {
    "openai-agents__openllmetry/guardrail": "no span says that a guardrail stopped the run",
    "openai-agents__otel-genai/guardrail": "no span says that a guardrail stopped the run",
}
"""Recordings of runs that raised, of which no span says so."""


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


def misled(capture: Capture, fact: Fact) -> Misled | None:
    """How the source of a recording misleads about a fact, if it does."""
    return next((each for each in MISLED if each.capture == capture.capture and fact == each.fact), None)


def outcomes(capture: Capture) -> set[str]:
    """How the runs of a recording ended, an hour later."""
    fold = Fold()
    for parcel in parcels(capture):
        fold.receive_parcel(parcel)
    fold.wait(3600)
    return {str(session.outcome) for session in runs(fold)}


def page() -> str:
    """The page of the documentation."""
    recordings = captures()
    rows = [
        _row(source, list(inside))
        for source, inside in itertools.groupby(recordings, key=lambda capture: capture.source)
    ]
    return _HEAD.format(count=len(recordings)) + "".join(rows)


def _row(source: str, inside: list[Capture]) -> str:
    cells = [_cell(inside, [_told(capture, fact) for capture in inside]) for fact in FACTS]
    cells.append(_cell(inside, [_session(capture) for capture in inside]))
    cells.append(_cell(inside, [_failure(capture) for capture in inside]))
    return f"| {source} | {' | '.join(cells)} |\n"


def _told(capture: Capture, fact: Fact) -> str:
    value, happened = reported(folded(capture), fact), truth(capture)[fact]
    if misled(capture, fact) is not None:
        return "otherwise"
    if value is None:
        return "" if happened == 0 and fact.endswith("_tokens") else "no"
    return "yes" if happened or capture.expected.tool_calls else ""


def _session(capture: Capture) -> str:
    if not capture.session_id_set:
        return ""
    found = runs(folded(capture))
    by_trace = any(session.session_id in {trace.hex() for trace in session.traces} for session in found)
    return "no" if by_trace else "yes"


def _failure(capture: Capture) -> str:
    if not capture.raised:
        return ""
    return "no" if capture.capture in SEEN_TO_COMPLETE else "yes"


def _cell(inside: Iterable[Capture], told: list[str]) -> str:
    scenarios = [capture.scenario for capture in inside]
    said = {each for each in told if each}
    if not said:
        return "-"
    if len(said) == 1:
        return said.pop()
    missing = [name for name, each in zip(scenarios, told, strict=True) if each == "no"]
    otherwise = [f"{name}: otherwise" for name, each in zip(scenarios, told, strict=True) if each == "otherwise"]
    return f"{'yes' if 'yes' in said else 'no'} ({', '.join([*missing, *otherwise])})"


if __name__ == "__main__":
    sys.stdout.write(page())

"""What people said in the recordings of real frameworks: the second message of each conversation, where a source tells it, and nothing else."""

from __future__ import annotations

import pytest
from captured import Capture, captures, folded, runs

from watchpost.detect.abandoned import AbandonedSettings, abandoned
from watchpost.detect.turns import Turns
from watchpost.session.session import Session

CAPTURES = captures()
SECOND = "Thanks. And refund A1001 again please?"

UNTOLD = {
    "crewai__openinference": "each message is a task of its own",
    "google-adk__native": "without contents",
    "llama-index__openinference": "each message was sent without those before it",
    "openai-agents__openllmetry": "no id of the conversation is sent",
    "openai-agents__otel-genai": "model calls are not sent",
    "smolagents__openinference": "each message is a task of its own",
    "ag2-classic__native": "each run is a session of its own",
}
"""Sources of a conversation whose prompts do not tell what the person said in it."""


def said(session: Session) -> list[str]:
    turns = Turns()
    found = [turns.see(place, step) for place, step in enumerate(session.steps) if step.kind in {"llm", "human"}]
    return [turn.words for turn in found if turn is not None]


def named(capture: object) -> str | None:
    return capture.capture if isinstance(capture, Capture) else None


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_only_who_spoke_twice_is_heard_in_prompts(capture: Capture) -> None:
    is_told = capture.scenario == "multiturn" and capture.source not in UNTOLD
    sessions = runs(folded(capture))
    assert [words for session in sessions for words in said(session)] == ([SECOND] if is_told else [])
    for session in sessions:
        assert is_told or abandoned(AbandonedSettings(), session.steps, escalated=False) is None

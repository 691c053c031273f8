"""Abandonment: a person leaves at a question or at an error of the agent. No fold over steps: it is known once the session has ended."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.phrases import Phrases
from watchpost.detect.turns import Turns
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step

KIND = "ABANDONED"

_LOOKED_AT = 300
_QUESTION = re.compile(r"[?？][\s\"'”’)\]*_]*\Z")
_SENTENCE = re.compile(r"[^.!?\n。！？]*[?？][\s\"'”’)\]*_]*\Z")

_OFFERS = Phrases(
    (
        r"\b(?:anything|something|what) else\b|\b(?:further|more|additional|other) (?:questions?|help|assistance|information|requests?)\b|\bhelp you (?:today|further|with anything)\b|\bhow (?:can|may) I (?:help|assist)\b",
        r"\bnext\b|\b(?:any|which|one) of (?:those|these|them|the (?:above|following|next))\b|\bfollow[- ]?ups?\b|\b(?:as well|instead)\W*$|\bwould you (?:also )?like (?:a |an |any |copies|help|to (?:check|see|review|view))",
        r"\b(?:sonst noch|noch etwas|weitere fragen|weiterhelfen|behilflich sein)\b",
        r"\b(?:autre chose|d['’]autres questions)\b|\b(?:algo más|alguna otra|en qué (?:más )?puedo)\b|\b(?:altro|altre domande)\b|\b(?:mais alguma|algo mais)\b|\bnog iets\b",
        r"还有(?:什么|其他)|其他问题|他に|ほかに",
    )
)
"""How an agent offers more help at the end, which leaves nothing open."""


class AbandonedSettings(msgspec.Struct, frozen=True):
    """Whether sessions are looked at, and how many utterances of a person one must have for it; replies that stand only in prompts have one before them."""

    turns: int = 1
    enabled: bool = True
    severity: Severity = "info"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if self.turns < 1:
            raise ValueError("turns must be at least 1")


def abandoned(settings: AbandonedSettings, steps: Sequence[Step], *, escalated: bool) -> tuple[Step, Finding] | None:
    """The last step of an ended session and the finding there, if a person left at it; none where a person took over.

    An agent's question is an answer of a model whose last sentence is one, and no offer of more help. An error is a last step that failed.
    """
    if escalated or not settings.enabled:
        return None
    acts = [step for step in steps if step.kind not in {"evaluation", "state"}]
    turns = _turns(acts)
    if turns < settings.turns or not acts or acts[-1].kind == "human":
        return None
    last = acts[-1]
    if last.status == "error":
        return last, _finding(settings, last, "error", turns, last.error or last.error_type or last.name)
    said = last.result[-_LOOKED_AT:].rstrip()
    if last.kind != "llm" or last.asked or not _QUESTION.search(said):
        return None
    found = _SENTENCE.search(said)
    question = said if found is None else found[0].strip()
    return None if _OFFERS.found(question) else (last, _finding(settings, last, "question", turns, question))


def _turns(acts: Sequence[Step]) -> int:
    """How often a person said something: in human steps, or in replies and once before the first of them."""
    turns = Turns()
    said = [step.kind for place, step in enumerate(acts) if step.kind in {"human", "llm"} and turns.see(place, step)]
    return len(said) + (len(said) > 0 and "human" not in said)


def _finding(settings: AbandonedSettings, last: Step, reason: str, turns: int, words: str) -> Finding:
    evidence: dict[str, object] = {
        "reason": reason,
        "value": turns,
        "threshold": settings.turns,
        "window": "session",
        "words": shown(words),
        "calls": [{"span_id": last.span_id.hex()}],
    }
    said = "a question" if reason == "question" else "an error"
    return Finding(KIND, "user", settings.severity, f"the user left at {said} of the agent: {shown(words)}", evidence)

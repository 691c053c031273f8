"""The user's rephrasing: a person asks nearly the same again after the agent has answered.

Two utterances are nearly the same if they name the same numbers and ids, and a good part of all their longer words is in both. Sentences that
stand in both to the letter, such as a greeting or a signature, are left out, unless nothing else is there. What begins by answering ("yes, ...")
answers, and repeats words for that. In writing without spaces pairs of characters are the words. What stands only in prompts counts as
`turns` says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.turns import Turn, Turns, answers
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "USER_REPHRASED"

_LOOKED_AT = 2000
_BACK = 3
"""Utterances back that are compared."""

_SHORTEST = 4
_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"[^.!?\n。！？]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
_REPLY = re.compile(
    r"\W*(?:yes|yeah|yep|sure|ok|okay|no|nope|thanks|thank|great|perfect|alright|certainly|of course|absolutely|sounds good|correct|exactly"
    r"|ja|nein|gerne|danke|genau|oui|non|merci|d['’]accord|sí|si|gracias|claro|vale|sì|grazie|certo|sim|não|obrigad[oa]|nee|bedankt|prima)\b"
    r"|\W*(?:是的|好的|不用|谢谢|对，|はい|いいえ|ありがとう|お願いします)",
    re.IGNORECASE,
)


class RephrasedSettings(msgspec.Struct, frozen=True):
    """How alike, from 0 to 1, two utterances are that ask the same, 0 for none ever, and how many words that count each has at least."""

    alike: float = 0.45
    words: int = 4
    severity: Severity = "info"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if not 0 <= self.alike <= 1:
            raise ValueError("alike must be from 0 to 1")
        if self.words < 1:
            raise ValueError("words must be at least 1")


class _Said(msgspec.Struct, frozen=True, gc=False):
    """What a person said: its sentences, in words."""

    span_id: bytes
    text: str
    sentences: tuple[str, ...]
    answered: bool


class RephrasedDetector:
    """Keeps the latest utterances of the person. No later step can refute what it finds."""

    kinds: frozenset[StepKind] = frozenset({"human", "llm"})

    def __init__(self, settings: RephrasedSettings) -> None:
        self._settings = settings
        self._turns = Turns()
        self._said: tuple[_Said, ...] = ()
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say whether a person asks the same again in it."""
        turn = self._turns.see(place, step)
        found = () if turn is None else self._take(place, step, turn)
        if step.kind == "llm" and self._said and not self._said[-1].answered and answers(step):
            self._keep(place, (*self._said[:-1], msgspec.structs.replace(self._said[-1], answered=True)))
        return found

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._turns.rewind(steps)
        self._undo.rewind(steps)

    def _take(self, place: int, step: Step, turn: Turn) -> Sequence[Finding]:
        text = turn.words[:_LOOKED_AT]
        now = _Said(step.span_id, shown(text), _sentences(text), answered=False)
        before = self._said
        if turn.before and (not before or before[-1].text != shown(turn.before)):
            before = (*before, _Said(turn.answered, shown(turn.before), _sentences(turn.before), answered=True))
        self._keep(place, (*before, now)[-_BACK:])
        if _REPLY.match(text):
            return ()
        for earlier in reversed(before):
            if earlier.answered and (alike := self._alike(earlier, now)) >= self._settings.alike:
                return (self._finding(earlier, now, alike),)
        return ()

    def _keep(self, place: int, said: tuple[_Said, ...]) -> None:
        self._undo.note(place, partial(setattr, self, "_said", self._said))
        self._said = said

    def _alike(self, one: _Said, other: _Said) -> float:
        """The share of words in both among those in either; 0 where too few count, or they are about other things."""
        both = {*one.sentences} & {*other.sentences}
        only = [[each for each in said.sentences if each not in both] for said in (one, other)]
        told = only if all(only) else [list(one.sentences), list(other.sentences)]
        first, second = (_words(each) for each in told)
        if min(len(first), len(second)) < self._settings.words or _named(first) != _named(second):
            return 0.0
        return len(first & second) / len(first | second)

    def _finding(self, earlier: _Said, now: _Said, alike: float) -> Finding:
        evidence: dict[str, object] = {
            "reason": "asked_again",
            "value": round(alike, 4),
            "threshold": self._settings.alike,
            "window": f"{_BACK} utterances",
            "before": earlier.text,
            "again": now.text,
            "calls": [{"span_id": earlier.span_id.hex()}],
        }
        summary = f"the user asked nearly the same again after an answer: {now.text}"
        return Finding(KIND, "user", self._settings.severity, summary, evidence)


def _sentences(text: str) -> tuple[str, ...]:
    found = (" ".join(_WORD.findall(each.casefold())) for each in _SENTENCE.findall(text))
    return tuple(each for each in found if each)


def _words(sentences: Sequence[str]) -> set[str]:
    """The words that count: those of some length, those with a digit, and pairs of characters where words have no spaces between."""
    found: set[str] = set()
    for word in " ".join(sentences).split():
        if _UNSPACED.search(word):
            found.update(word[place : place + 2] for place in range(len(word) - 1))
        elif len(word) >= _SHORTEST or any(map(str.isdigit, word)):
            found.add(word)
    return found


def _named(words: set[str]) -> set[str]:
    return {word for word in words if any(map(str.isdigit, word))}

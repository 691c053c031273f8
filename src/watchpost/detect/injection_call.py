"""A call as the injection detector compares it with instructions: what it was given, and whether it came to anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import cast

import msgspec

from watchpost.detect.injection_passage import Passage, Target, holds, plain_words, searchable
from watchpost.model.step import Step

VALUES = 200
"""Values looked at of one call's arguments, the first ones."""

_SHORT_RESULT = 300
_PHRASE_WORDS = range(2, 7)
_PHRASE_CHARACTERS = range(6, 61)

_SECRET = re.compile(r"\[\w*(?:password|passwd|secret|token|key|credential|pin)\w*:[0-9a-f]{8}\]")

_FAILED = re.compile(
    r"not found|invalid|failed|failure|\berrors?\b|denied|unable to|cannot|can't|could(?: not|n't)|does(?: not|n't)|no such|insufficient"
    r"|not (?:allowed|permitted|authori[sz]ed|exist|available|supported)|unsuccessful|refused|rejected|forbidden",
    re.IGNORECASE,
)
"""How a tool says in a few words that it did not do what it was asked."""

_WARNS = re.compile(
    r"suspicious|phishing|malicious|unauthori[sz]ed|unusual|fraud|injection|\bscam|security risk|untrusted|\bignored\b"
    r"|(?:did|have|will) not (?:follow|carr|act|do|compl)",
    re.IGNORECASE,
)
"""What somebody writes who reports instructions to a person and does not follow them."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """A call of a tool or a handoff.

    `values` are what its arguments hold, without their names; `text` is those, searchable, without any that warns of the instructions
    it tells of; `failed` is what the step or a short result says.
    """

    tool: str
    values: tuple[str, ...]
    text: str
    failed: bool

    @classmethod
    def of(cls, step: Step) -> Call:
        """The call that a step is."""
        values = tuple(_leaves(step.arguments))
        failed = step.status == "error" or (
            len(step.result) <= _SHORT_RESULT and _FAILED.search(step.result) is not None
        )
        text = searchable("\n".join(value for value in values if _WARNS.search(value) is None))
        return cls(step.tool or step.name, values, text, failed)

    def named(self, targets: tuple[Target, ...]) -> list[Target]:
        """Those of the targets that the call names; a quotation only where it is all of a value."""
        whole = {
            plain_words(value)
            for value in self.values
            if len(value) in _PHRASE_CHARACTERS or len(value) < len(_PHRASE_CHARACTERS)
        }
        return [target for target in targets if (target.sought in whole if target.quoted else holds(self.text, target))]

    @property
    def secret(self) -> bool:
        """Whether it was given a secret that redaction hides by the name of its field, and so may leave readable elsewhere."""
        return any(_SECRET.fullmatch(value) for value in self.values)

    def quoted(self, passage: Passage, own: frozenset[str]) -> list[Target]:
        """Values of a few words that stand in the passage just so, with one of the passage's own words among them."""
        found: list[Target] = []
        for value in self.values:
            if len(value) in _PHRASE_CHARACTERS and len(value.split()) in _PHRASE_WORDS:
                phrase = plain_words(value)
                if phrase in passage.plain and any(word in own for word in phrase.split()):
                    found.append(Target(value, phrase, quoted=True))
        return found


def _leaves(arguments: str) -> Iterator[str]:
    """The values in a JSON text, or the text itself where it is none."""
    try:
        waiting = [cast("object", json.loads(arguments))]
    except (ValueError, RecursionError):
        yield arguments
        return
    given = 0
    while waiting and given < VALUES:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(cast("dict[str, object]", value).values())
        elif isinstance(value, list):
            waiting.extend(cast("list[object]", value))
        elif value is not None:
            given += 1
            yield value if isinstance(value, str) else str(value)

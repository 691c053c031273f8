"""Whether a call does what words ask for: its act, by the verb in the tool's name, and the things it does it to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

import msgspec

_LEAST = 4
_TOOL_NAME = 256

_PART = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}")


def stem(word: str) -> str:
    """A small word without the ending of a plural, a past or an ongoing act."""
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST - 1:
            return word[: -len(ending)]
    return word


ACTS: tuple[frozenset[str], ...] = tuple(
    frozenset(stem(word) for word in words.split())
    for words in (
        "send email mail forward message reply notify sms",
        "pay transfer wire remit send refund withdraw deposit payment donate",
        "delete remove erase wipe drop destroy purge clear unlink",
        "buy purchase order checkout add cart book reserve",
        "invite share grant add collaborator member permission access",
        "update change reset set modify replace edit rename",
        "create add register schedule propose open submit insert post publish write upload issue",
        "execute run eval exec install shell",
        "cancel revoke disable terminate close stop unsubscribe",
    )
)
"""The stems of verbs, and of nouns that stand for them, by which one act is called; a verb may call several."""

_GENERAL = frozenset(
    ("tool", "api", "get", "list", "via", "git", "call", "data", "valu", "nam", "item", "user", "account")
)
"""Stems of what names of tools hold that says nothing of the things they are for."""


class Wish(msgspec.Struct, frozen=True, gc=False):
    """What words ask for: acts, by their place in `ACTS`, and the stems of all of the words."""

    acts: frozenset[int]
    stems: frozenset[str]

    @classmethod
    def of(cls, words: Iterable[str]) -> Wish:
        """What these words, in small letters, ask for."""
        stems = frozenset(map(stem, words))
        return cls(frozenset(number for number, act in enumerate(ACTS) if not act.isdisjoint(stems)), stems)

    def names(self, thing: str) -> bool:
        """Whether a stem is among the words, whole or shortened to four letters or more."""
        if thing in self.stems:
            return True
        return len(thing) >= _LEAST and any(
            len(word) >= _LEAST and (word.startswith(thing) or thing.startswith(word)) for word in self.stems
        )


def fulfilled(tool: str, wish: Wish) -> tuple[frozenset[int], tuple[str, ...]]:
    """The acts that a tool, by its name, has in common with a wish, and the things in its name that the wish names. Either may be nothing."""
    parts = [stem(part.lower()) for part in _PART.findall(tool[:_TOOL_NAME])]
    acts = Wish.of(parts).acts & wish.acts
    verbs = frozenset[str]().union(*(ACTS[number] for number in acts))
    things = (part for part in parts if acts and part not in verbs and part not in _GENERAL and wish.names(part))
    return acts, tuple(dict.fromkeys(things))


@lru_cache(maxsize=64)
def matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for tool names that match any of the shell patterns, in any case; no pattern matches nothing."""
    return re.compile("|".join(map(translate, patterns)) or r"(?!)", re.IGNORECASE)

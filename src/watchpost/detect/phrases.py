"""Ways of saying one thing, by language, looked for in what somebody said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import re2

LOOKED_AT = 1000
"""Characters of a text that are looked at."""


class Phrases:
    """RE2 patterns, without regard to case, made once for all sessions."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._each = [re2.compile(f"(?i){pattern}") for pattern in patterns]
        self._any = re2.Set.SearchSet(re2.Options())
        for each in self._each:
            self._any.Add(each.pattern)
        self._any.Compile()

    def found(self, text: str) -> str:
        """The words that the first pattern to fit finds, empty where none does."""
        looked_at = text[:LOOKED_AT]
        if not looked_at.isascii():
            looked_at = looked_at.encode(errors="replace").decode()
        matched = self._any.Match(looked_at) if self._each else None
        if not matched:
            return ""
        found = self._each[min(matched)].search(looked_at)
        return "" if found is None else str(found[0])


def chosen(wording: Mapping[str, Sequence[str]], languages: Iterable[str], own: Iterable[str]) -> list[str]:
    """The patterns of some languages, and one's own."""
    return [pattern for language in languages for pattern in wording[language]] + list(own)


def check(wording: Mapping[str, Sequence[str]], languages: Iterable[str], own: Iterable[str]) -> None:
    """Raise ValueError naming the field where there is no such language, or a pattern is none."""
    for language in languages:
        if language not in wording:
            raise ValueError(f"languages: there is no {language!r} among {', '.join(wording)}")
    for pattern in own:
        try:
            re2.compile(pattern)
        except re2.error as error:
            raise ValueError(f"wording: {pattern!r} is no pattern: {error}") from error

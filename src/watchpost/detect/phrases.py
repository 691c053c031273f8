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
        searched = beginning(text, LOOKED_AT)
        matched = self._any.Match(searched) if self._each else None
        if not matched:
            return ""
        found = self._each[min(matched)].search(searched)
        return "" if found is None else str(found[0])


def beginning(text: str, length: int) -> str:
    """The first so many characters of a text, as RE2 can read them: what UTF-8 cannot hold is replaced."""
    cut = text[:length]
    return cut if cut.isascii() else cut.encode(errors="replace").decode()


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

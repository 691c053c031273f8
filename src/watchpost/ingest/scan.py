"""Redaction's search by RE2: many texts in one pass, in time that grows with their length whatever they hold.

The texts of many spans are joined with NULs, which no expression of a rule crosses, and turned into Latin-1, a byte for
a character: what is not in Latin-1 becomes a question mark, which no rule looks for, and every position stays as it is.
Expressions from the settings may ask for any character, so they are searched in UTF-8, and the built-in ones do not pay for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import re2

from watchpost_core.patterns import Rule
from watchpost_core.redaction import Search


class InvalidPatternError(ValueError):
    """A pattern in the settings cannot be used. `pattern` names it; correct it, nothing was built."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(f"pattern {pattern!r}: {reason}")
        self.pattern = pattern
        self.reason = reason


Spans = Callable[[str], Iterator[tuple[int, int]]]
"""The spans, in characters, of every match in a text, in order."""


def compiled(name: str, expressions: Sequence[str]) -> Spans:
    """One search for all of the expressions, in RE2's syntax, where `^` and `$` stand for the ends of lines.

    Raises `InvalidPatternError` under the given name for what is no expression or could not be searched in joined texts.
    """
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    for expression in expressions:
        try:
            alone = re2.compile(expression, options=options)
        except (re2.error, UnicodeEncodeError) as error:
            reason = error.args[0] if error.args else error
            raise InvalidPatternError(name, f"{expression!r} is no RE2 expression: {_message(reason)}") from error
        if any(part in expression for part in (r"\A", r"\z", "(?-m", "\0")):
            raise InvalidPatternError(
                name, r"\A, \z, (?-m) and NUL cannot be used; ^ and $ stand for the ends of lines"
            )
        if alone.fullmatch("") is not None:
            raise InvalidPatternError(name, "it matches the empty text, and so everywhere")
    together = re2.compile("|".join(f"(?m:{expression})" for expression in expressions), options=options)

    def spans(text: str) -> Iterator[tuple[int, int]]:
        for match in together.finditer(_encodable(text)):
            start, end = match.span()
            if end > start:
                yield start, end

    return spans


def _message(reason: object) -> str:
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def _encodable(text: str) -> str:
    """The text with a question mark for every lone surrogate, which UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class Scanner:
    """Searches texts for all rules at once. `own` are the rules of the settings with their searches, which go first."""

    def __init__(self, rules: Sequence[Rule], own: Sequence[tuple[Rule, Spans]]) -> None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        options.never_capture = True
        expressions = [rule.expression.encode("latin-1") for rule in rules]
        self._rules = list(rules)
        self._each = [re2.compile(expression, options=options) for expression in expressions]
        self._any = re2.compile(b"|".join(b"(?:%s)" % expression for expression in expressions), options=options)
        self._which = re2.Set.SearchSet(options)
        for expression in expressions:
            self._which.Add(expression)
        self._which.Compile()
        self._own = list(own)

    def suspects(self, texts: Sequence[str]) -> list[int]:
        """The indices of the texts in which a rule may find something, in order; each of the others holds nothing."""
        joined = f"\0{chr(0).join(texts)}\0".encode("latin-1", "replace")
        match = self._any.search(joined)
        hits: list[int] = []
        if match is not None:
            ends = list(accumulate(len(text) + 1 for text in texts))
            while match is not None:
                hits.append(bisect_left(ends, match.end()))
                match = self._any.search(joined, ends[hits[-1]])
        if self._own:
            hits = sorted({*hits, *(index for index, text in enumerate(texts) if self._is_own(text))})
        return hits

    def candidates(self, text: str) -> list[tuple[Rule, Search]]:
        """The rules that may find something in one text, with their searches, in the order of precedence."""
        found = [(rule, _search_spans(spans(text))) for rule, spans in self._own]
        encoded = text.encode("latin-1", "replace")
        found += (
            (self._rules[index], self._search(index, encoded)) for index in sorted(self._which.Match(encoded) or ())
        )
        return found

    def _is_own(self, text: str) -> bool:
        return any(next(spans(text), None) is not None for _, spans in self._own)

    def _search(self, index: int, encoded: bytes) -> Search:
        expression = self._each[index]
        matches = expression.finditer(encoded)
        passed = 0

        def search(start: int) -> tuple[int, int] | None:
            nonlocal matches, passed
            if start < passed:
                matches = expression.finditer(encoded, start)
            for match in matches:
                passed = match.end()
                if match.start() >= start:
                    start, end = match.span()
                    return start, end
            return None

        return search


def _search_spans(spans: Iterator[tuple[int, int]]) -> Search:
    """A search through spans that come in order, for positions that only grow."""

    def search(start: int) -> tuple[int, int] | None:
        return next((span for span in spans if span[0] >= start), None)

    return search

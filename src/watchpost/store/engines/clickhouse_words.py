r"""Where words may stand: an index of `spans` that says of a granule which words none of its texts has.

A word is a run of the letters a to z, in small or capital letters: digits, `_` and every other character end it, and so does what JSON
writes for line feeds and characters beyond ASCII (of `\nrefund` the word is `refund`). Digits are left to `mentions`, which knows ids and
numbers. The index is a Bloom filter of the words of a thousand spans, which repeat one another: two or three bytes a span.

It is made when parts are merged, not when they are inserted, and made again whenever a part is written again, so that it holds nothing of
rows that are gone. A part without it is read as if every word might stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from watchpost.store.engines.clickhouse_sql import fill

INDEX = "words"

_ESCAPED = r"\\(u[0-9a-f]{4}|[bfnrt])"
"""What JSON writes with letters; RE2 and `re` read it alike. Of a capital letter in it only the small one is left by then."""

WORDS = fill(
    "alphaTokens(replaceRegexpAll(lower(concat(error, ' ', input, ' ', output, ' ', arrayStringConcat(texts, ' '))), :escaped, ' '))",
    escaped=_ESCAPED,
)
"""The words of a span's texts. The index serves conditions on this expression as it stands."""

INDEXED = (
    f"ALTER TABLE spans ADD INDEX IF NOT EXISTS {INDEX} {WORDS} TYPE bloom_filter(0.01) GRANULARITY 1",
    f"ALTER TABLE spans MATERIALIZE INDEX {INDEX} SETTINGS mutations_sync = 0",
)
"""The statements that make it; for parts that are there already it is made afterwards, in the background."""

MERGED_ONLY = {"exclude_materialize_skip_indexes_on_insert": INDEX}
"""The setting for inserts of spans: made in merges alone it costs half, and what is not merged yet is new and read anyway."""

_ESCAPES = re.compile(_ESCAPED.encode())
_WORD = re.compile(rb"[a-z]+")


def words_of(text: str) -> frozenset[str]:
    """The words of a text, in small letters, as the index takes them."""
    plain = _ESCAPES.sub(b" ", text.encode().lower())
    return frozenset(word.decode() for word in _WORD.findall(plain))


def has_words(words: Iterable[str]) -> str:
    """The condition that a span's texts have all of these words."""
    return fill(f"hasAll({WORDS}, array:words)", words=sorted(words))

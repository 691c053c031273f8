r"""Which traces name which things: a table that a view fills from every batch of spans, in the insert that writes them.

A thing is a run of letters, digits, `_` and `-` that holds a digit, a word of five capital letters or more, or an e-mail address, of three
characters or more; upper and lower case are one. It is looked for in everything a span tells: name, error, attributes, input, output. What
JSON writes for line feeds and characters beyond ASCII is no part of the word behind it: of `\nA1` the thing is `A1`.

A row stands for one thing in one trace, by digests: 48 bits of the thing, 40 of the trace. The upper 36 bits of a thing's are those of a
number in it (`4711` of `ORD-4711`, a run of three digits or more), or of the thing where it has none, so that a number is found as part of
whatever names it, at no row more. Rows are a function of the spans alone: in which order they came, how often, and to which session a trace
belongs by now does not matter. They stay when the spans go.
"""

from __future__ import annotations

from watchpost.store.engines.clickhouse_sql import fill

_THING = (
    r"\\(?:u[0-9a-fA-F]{4}|[nrt])|[A-Za-z0-9_.+-]+@[A-Za-z0-9.-]+|[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*|\b_*[A-Z]{5,}_*\b"
)
"""RE2. What a backslash begins in JSON matches too, so that it is passed over, and is left out afterwards."""

_SHORTEST = 3
_LONGEST_IN_PARTS = 40
"""Characters of a thing up to which its numbers count: in longer ones, hashes above all, they mean nothing."""

_MOST_NUMBERS = 4
_NUMBER_BITS = 0xFFFFFFFFF
_REST_BITS = 0xFFF
_REST = _REST_BITS + 1

TRACE = "bitAnd(sipHash64(trace_id), 1099511627775)"
"""The digest of a `trace_id`."""

_TEXTS = """concat(name, ' ', error, ' ', simpleJSONExtractRaw(rest, 'attributes'), ' ',
    if(empty(texts), concat(input, ' ', output), arrayStringConcat(texts, ' ')))"""

_THINGS = "lower(trimBoth(arrayJoin(extractAll({text}, :pattern)), '_-.+'))"
_IS_THING = f"length(word) >= {_SHORTEST} AND NOT startsWith(word, '\\\\')"
_NUMBERS = f"""arrayJoin(if(length(word) <= {_LONGEST_IN_PARTS} AND match(word, '[0-9]{{3}}'),
    arraySlice(extractAll(word, '[0-9]{{3,}}'), 1, {_MOST_NUMBERS}), [word]))"""
_FIRST_NUMBER = (
    f"if(length(word) <= {_LONGEST_IN_PARTS} AND match(word, '[0-9]{{3}}'), extract(word, '[0-9]{{3,}}'), word)"
)
_DIGEST = f"bitAnd(sipHash64({{part}}), {_NUMBER_BITS}) * {_REST} + bitAnd(sipHash64(word), {_REST_BITS})"


def _named_by_spans(distinct: str) -> str:
    return f"""
SELECT project, trace, {_DIGEST.format(part=_NUMBERS)} AS thing FROM (
  SELECT {distinct} project, {TRACE} AS trace, {_THINGS.format(text=_TEXTS)} AS word FROM spans WHERE {_IS_THING})"""  # noqa: S608 - names are ours


def mentions(durable: str) -> tuple[str, ...]:
    """The statements that make the table and its view, and take in the spans that are there. Given are durable settings."""
    return (
        f"""
CREATE TABLE IF NOT EXISTS mentions (
  project LowCardinality(String),
  thing UInt64 CODEC(Delta, ZSTD(1)),
  trace UInt64 CODEC(T64, ZSTD(1)))
ENGINE = ReplacingMergeTree ORDER BY (project, thing, trace)
SETTINGS index_granularity = 1024, merge_selector_base = 10, {durable}""",
        fill(
            f"CREATE MATERIALIZED VIEW IF NOT EXISTS mentions_of_spans TO mentions AS {_named_by_spans('DISTINCT')}",
            pattern=_THING,
        ),
        fill(
            f"INSERT INTO mentions {_named_by_spans('')} SETTINGS max_threads = 1, max_insert_threads = 1, insert_deduplicate = 0",
            pattern=_THING,
        ),
    )


def things_sql(text: str) -> str:
    """Rows of (thing, its digest, whether it is a number): what a person's text names, as texts of spans are read.

    Where it names nothing as it stands, words of five letters count as if they were written in capitals. Of a number the digest is the
    first of `NUMBER_SPAN` that stand for it as part of anything.
    """
    return fill(
        f"""
        WITH replaceAll(:text, '\\\\', ' ') AS asked
        SELECT word, match(word, '^[0-9]+$') AS is_number,
          {_DIGEST.format(part=_FIRST_NUMBER)} AS digest
        FROM (SELECT {_THINGS.format(text="asked")} AS word WHERE {_IS_THING}
          UNION ALL SELECT {_THINGS.format(text="upper(asked)")} AS word WHERE {_IS_THING} AND empty(extractAll(asked, :pattern)))
        ORDER BY word LIMIT 1 BY word""",  # noqa: S608 - names are ours, values are filled in
        text=text,
        pattern=_THING,
    )


def naming_sql(digest: int, *, is_number: bool) -> str:
    """The condition on `mentions` for one thing."""
    if not is_number:
        return f"thing = {digest:d}"
    first = digest - digest % _REST
    return f"thing BETWEEN {first:d} AND {first + _REST_BITS:d}"

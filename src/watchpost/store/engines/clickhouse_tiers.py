"""The tables of retention: spans and log lines by tier, what is left of spans for counting, and what was decided of sessions.

`spans` and `logs` are partitioned by the day of reception and by tier, so that what is not kept goes by dropping a partition. A table whose
partitioning changes is made anew: copied, exchanged, and the old one dropped. Taken up again after a crash anywhere in
between it is made once more from all that there is.

`outlines` has the columns of `spans`, for the fold reads both by the same names: whoever adds a column to `spans` adds it here.
"""

from __future__ import annotations

_AFRESH = (
    "SETTINGS min_insert_block_size_bytes = 67108864, max_threads = 1, max_insert_threads = 1, insert_deduplicate = 0"
)
"""For a copy of a whole table: in blocks that fit the engine's memory, and never taken for one made before."""


def tiers(received_day: str, wide: int, durable: str) -> tuple[str, ...]:
    """The statements that make them. Given are the SQL of the day of reception, from how many bytes on parts are wide, and durable settings."""
    seldom = f"merge_selector_base = 10, {durable}"
    spans = "ORDER BY (project, trace_id, span_id)"
    settings_of_spans = f"SETTINGS index_granularity = 1024, min_bytes_for_wide_part = {wide}, {seldom}"
    logs = "ORDER BY (project, trace_id, span_id, time_ns, seq, place)"
    return (
        *_made_anew(
            "spans", f"ReplacingMergeTree(ver) PARTITION BY ({received_day}, tier) {spans} {settings_of_spans}"
        ),
        *_made_anew(
            "logs",
            f"ReplacingMergeTree PARTITION BY ({received_day}, tier) {logs} SETTINGS index_granularity = 1024, {seldom}",
        ),
        f"""
CREATE TABLE IF NOT EXISTS outlines AS spans
ENGINE = ReplacingMergeTree(ver) PARTITION BY intDiv({received_day}, 10000) {spans} {settings_of_spans}""",
        f"""
CREATE TABLE IF NOT EXISTS sampling (
  key String CODEC(ZSTD(1)),
  project LowCardinality(String) CODEC(ZSTD(1)),
  session_id String CODEC(ZSTD(1)),
  decided_ns Int64 CODEC(Delta, ZSTD(1)),
  kept UInt8 CODEC(ZSTD(1)),
  share Float64 CODEC(ZSTD(1)),
  reason LowCardinality(String) CODEC(ZSTD(1)),
  gone LowCardinality(String) CODEC(ZSTD(1)))
ENGINE = ReplacingMergeTree(decided_ns) ORDER BY key
SETTINGS index_granularity = 1024, {seldom}""",
        # which traces of the partition in hand go where; of no use to anybody after that, nor after a crash
        """
CREATE TABLE IF NOT EXISTS sorting (project String, trace_id FixedString(16), tier UInt8) ENGINE = Memory""",
    )


def _made_anew(table: str, engine: str) -> tuple[str, ...]:
    return (
        f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS tier UInt8 CODEC(ZSTD(1))",
        f"DROP TABLE IF EXISTS {table}_anew",
        f"CREATE TABLE {table}_anew AS {table} ENGINE = {engine}",
        f"INSERT INTO {table}_anew SELECT * FROM {table} {_AFRESH}",  # noqa: S608 - names are ours
        f"EXCHANGE TABLES {table} AND {table}_anew",
        f"DROP TABLE IF EXISTS {table}_anew",
    )

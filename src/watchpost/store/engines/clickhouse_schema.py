"""The telemetry schema, as numbered steps that bring any older database up to date.

What stands in each table, and why it is keyed and partitioned as it is: docs/adr/0002 and 0005.
"""

from __future__ import annotations

from collections.abc import Callable

from watchpost.store.engines.clickhouse_erasure import SCRATCH
from watchpost.store.engines.clickhouse_mentions import mentions
from watchpost.store.engines.clickhouse_tiers import tiers
from watchpost.store.engines.clickhouse_words import INDEXED
from watchpost.store.versions import StoreNewerError

_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000"

_WIDE = 128 << 20
"""From how many uncompressed bytes on a part keeps a file per column: parts of one batch stay in one file, merged ones do not."""

_RECEIVED_DAY = "toYYYYMMDD(fromUnixTimestamp64Nano(received_ns, 'UTC'))"

_SPANS = f"""
CREATE TABLE IF NOT EXISTS spans (
  project LowCardinality(String),
  trace_id FixedString(16) CODEC(ZSTD(1)),
  span_id FixedString(8) CODEC(ZSTD(1)),
  parent_id FixedString(8) CODEC(ZSTD(1)),
  ver UInt64 CODEC(Delta, ZSTD(1)),
  received_ns Int64 CODEC(Delta, ZSTD(1)),
  start_ns Int64 CODEC(Delta, ZSTD(1)),
  end_ns Int64 CODEC(Delta, ZSTD(1)),
  kind LowCardinality(String) CODEC(ZSTD(1)),
  name LowCardinality(String) CODEC(ZSTD(1)),
  status LowCardinality(String) CODEC(ZSTD(1)),
  own_session String CODEC(ZSTD(1)),
  agent LowCardinality(String) CODEC(ZSTD(1)),
  workflow LowCardinality(String) CODEC(ZSTD(1)),
  service LowCardinality(String) CODEC(ZSTD(1)),
  user_id String CODEC(ZSTD(1)),
  provider LowCardinality(String) CODEC(ZSTD(1)),
  model LowCardinality(String) CODEC(ZSTD(1)),
  tool LowCardinality(String) CODEC(ZSTD(1)),
  call_id String CODEC(ZSTD(1)),
  response_id String CODEC(ZSTD(1)),
  error_type LowCardinality(String) CODEC(ZSTD(1)),
  in_tok Nullable(Int64) CODEC(ZSTD(1)),
  out_tok Nullable(Int64) CODEC(ZSTD(1)),
  cached_tok Nullable(Int64) CODEC(ZSTD(1)),
  cache_write_tok Nullable(Int64) CODEC(ZSTD(1)),
  reasoning_tok Nullable(Int64) CODEC(ZSTD(1)),
  cost_nano Nullable(Int64) CODEC(ZSTD(1)),
  input String CODEC(ZSTD(3)),
  output String CODEC(ZSTD(3)),
  rest String CODEC(ZSTD(3)),
  refs LowCardinality(String) CODEC(ZSTD(1)),
  INDEX by_start start_ns TYPE minmax GRANULARITY 1)
ENGINE = ReplacingMergeTree(ver) PARTITION BY {_RECEIVED_DAY} ORDER BY (project, trace_id, span_id)
SETTINGS index_granularity = 1024, min_bytes_for_wide_part = {_WIDE}, {_DURABLE}"""

_MEMBER_COLUMNS = """
  project LowCardinality(String),
  session_id String CODEC(ZSTD(1)),
  trace_id FixedString(16) CODEC(ZSTD(1)),
  seq UInt64 CODEC(Delta, ZSTD(1)),
  live UInt8 CODEC(ZSTD(1))"""

_MEMBERS = f"""
CREATE TABLE IF NOT EXISTS members ({_MEMBER_COLUMNS})
ENGINE = ReplacingMergeTree(seq) ORDER BY (project, session_id, trace_id)
SETTINGS index_granularity = 1024, {_DURABLE}"""

_MEMBERS_BY_TRACE = f"""
CREATE TABLE IF NOT EXISTS members_by_trace ({_MEMBER_COLUMNS})
ENGINE = ReplacingMergeTree(seq) ORDER BY (project, trace_id, session_id)
SETTINGS index_granularity = 1024, {_DURABLE}"""

_LEDGER = f"""
CREATE TABLE IF NOT EXISTS ledger (
  project LowCardinality(String),
  slot Int64 CODEC(Delta, ZSTD(1)),
  session_id String CODEC(ZSTD(1)),
  seq UInt64 CODEC(Delta, ZSTD(1)),
  gone UInt8 CODEC(ZSTD(1)),
  workflow LowCardinality(String) CODEC(ZSTD(1)),
  user_id String CODEC(ZSTD(1)),
  outcome LowCardinality(String) CODEC(ZSTD(1)),
  `steps.trace_id` Array(FixedString(16)) CODEC(ZSTD(1)),
  `steps.span_id` Array(FixedString(8)) CODEC(ZSTD(1)),
  `steps.parent_id` Array(FixedString(8)) CODEC(ZSTD(1)),
  `steps.start_ns` Array(Int64) CODEC(Delta, ZSTD(1)),
  `steps.dur_us` Array(Nullable(Int64)) CODEC(ZSTD(1)),
  `steps.kind` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  `steps.name` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  `steps.agent` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  `steps.model` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  `steps.tool` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  `steps.status` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  `steps.error_type` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  `steps.in_tok` Array(Nullable(Int64)) CODEC(ZSTD(1)),
  `steps.out_tok` Array(Nullable(Int64)) CODEC(ZSTD(1)),
  `steps.cost_nano` Array(Nullable(Int64)) CODEC(ZSTD(1)),
  `steps.flags` Array(Array(LowCardinality(String))) CODEC(ZSTD(1)),
  INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1)
ENGINE = ReplacingMergeTree(seq) PARTITION BY greatest(2020, least(2060, intDiv(slot, 31556952) + 1970))
ORDER BY (project, slot, session_id)
SETTINGS index_granularity = 1024, {_DURABLE}"""

_SESSIONS = f"""
CREATE TABLE IF NOT EXISTS sessions (
  key String CODEC(ZSTD(1)),
  project LowCardinality(String) CODEC(ZSTD(1)),
  session_id String CODEC(ZSTD(1)),
  workflow LowCardinality(String) CODEC(ZSTD(1)),
  user_id String CODEC(ZSTD(1)),
  state LowCardinality(String) CODEC(ZSTD(1)),
  outcome LowCardinality(String) CODEC(ZSTD(1)),
  revision UInt64 CODEC(ZSTD(1)),
  started_ns Int64 CODEC(ZSTD(1)),
  ended_ns Int64 CODEC(ZSTD(1)),
  received_ns Int64 CODEC(ZSTD(1)),
  due_ns Int64 CODEC(ZSTD(1)),
  steps UInt32 CODEC(ZSTD(1)),
  llm_calls UInt32 CODEC(ZSTD(1)),
  tool_calls UInt32 CODEC(ZSTD(1)),
  tool_errors UInt32 CODEC(ZSTD(1)),
  in_tok Nullable(Int64) CODEC(ZSTD(1)),
  out_tok Nullable(Int64) CODEC(ZSTD(1)),
  cached_tok Nullable(Int64) CODEC(ZSTD(1)),
  reasoning_tok Nullable(Int64) CODEC(ZSTD(1)),
  cost_nano Nullable(Int64) CODEC(ZSTD(1)),
  moved_to String CODEC(ZSTD(1)))
ENGINE = ReplacingMergeTree(revision) ORDER BY key
SETTINGS index_granularity = 256, min_compress_block_size = 16384, {_DURABLE}"""

_LOGS = f"""
CREATE TABLE IF NOT EXISTS logs (
  project LowCardinality(String),
  trace_id FixedString(16) CODEC(ZSTD(1)),
  span_id FixedString(8) CODEC(ZSTD(1)),
  time_ns Int64 CODEC(Delta, ZSTD(1)),
  seq UInt64 CODEC(Delta, ZSTD(1)),
  place UInt32 CODEC(ZSTD(1)),
  received_ns Int64 CODEC(Delta, ZSTD(1)),
  severity Int32 CODEC(ZSTD(1)),
  event_name LowCardinality(String) CODEC(ZSTD(1)),
  body String CODEC(ZSTD(3)),
  attributes String CODEC(ZSTD(3)))
ENGINE = ReplacingMergeTree PARTITION BY {_RECEIVED_DAY} ORDER BY (project, trace_id, span_id, time_ns, seq, place)
SETTINGS index_granularity = 1024, {_DURABLE}"""

_METRICS = f"""
CREATE TABLE IF NOT EXISTS metrics (
  project LowCardinality(String),
  name LowCardinality(String) CODEC(ZSTD(1)),
  time_ns Int64 CODEC(Delta, ZSTD(1)),
  id FixedString(16) CODEC(ZSTD(1)),
  received_ns Int64 CODEC(Delta, ZSTD(1)),
  start_ns Int64 CODEC(Delta, ZSTD(1)),
  unit LowCardinality(String) CODEC(ZSTD(1)),
  type LowCardinality(String) CODEC(ZSTD(1)),
  temporality LowCardinality(String) CODEC(ZSTD(1)),
  monotonic UInt8 CODEC(ZSTD(1)),
  scope LowCardinality(String) CODEC(ZSTD(1)),
  resource String CODEC(ZSTD(3)),
  attributes String CODEC(ZSTD(3)),
  integer Nullable(Int64) CODEC(ZSTD(1)),
  real Nullable(Float64) CODEC(ZSTD(1)),
  count Nullable(UInt64) CODEC(ZSTD(1)),
  sum Nullable(Float64) CODEC(ZSTD(1)),
  min Nullable(Float64) CODEC(ZSTD(1)),
  max Nullable(Float64) CODEC(ZSTD(1)),
  bounds Array(Float64) CODEC(ZSTD(1)),
  counts Array(UInt64) CODEC(ZSTD(1)),
  scale Int32 CODEC(ZSTD(1)),
  zero_count UInt64 CODEC(ZSTD(1)),
  zero_threshold Float64 CODEC(ZSTD(1)),
  positive_offset Int32 CODEC(ZSTD(1)),
  positive_counts Array(UInt64) CODEC(ZSTD(1)),
  negative_offset Int32 CODEC(ZSTD(1)),
  negative_counts Array(UInt64) CODEC(ZSTD(1)),
  quantiles Array(Float64) CODEC(ZSTD(1)),
  quantile_values Array(Float64) CODEC(ZSTD(1)),
  `exemplars.time_ns` Array(Int64) CODEC(ZSTD(1)),
  `exemplars.value` Array(Float64) CODEC(ZSTD(1)),
  `exemplars.trace_id` Array(FixedString(16)) CODEC(ZSTD(1)),
  `exemplars.span_id` Array(FixedString(8)) CODEC(ZSTD(1)),
  `exemplars.attributes` Array(String) CODEC(ZSTD(3)))
ENGINE = ReplacingMergeTree PARTITION BY {_RECEIVED_DAY} ORDER BY (project, name, time_ns, id)
SETTINGS index_granularity = 1024, {_DURABLE}"""

_TEXTS = """
ALTER TABLE spans ADD COLUMN IF NOT EXISTS texts Array(String) CODEC(ZSTD(3)) AFTER cost_nano"""
"""Input and output of a span in one column, since a model's input repeats outputs before it; rows from before have it empty."""

_SELDOM = tuple(
    f"ALTER TABLE {table} MODIFY SETTING merge_selector_base = 10"
    for table in ("spans", "members", "members_by_trace", "ledger", "sessions", "logs", "metrics")
)
"""Merge ten alike parts instead of five: 700,000 spans in batches of 5,000 were rewritten 1.4 times and not 2.2 times, from 27 parts at most and not 18."""

_TOLD = (
    """ALTER TABLE spans
  ADD COLUMN IF NOT EXISTS error String CODEC(ZSTD(1)) AFTER error_type,
  ADD COLUMN IF NOT EXISTS scope LowCardinality(String) CODEC(ZSTD(1)) AFTER error,
  ADD COLUMN IF NOT EXISTS asked Nullable(UInt16) CODEC(ZSTD(1)) AFTER scope,
  ADD COLUMN IF NOT EXISTS ran UInt8 DEFAULT 1 CODEC(ZSTD(1)) AFTER asked,
  ADD COLUMN IF NOT EXISTS target FixedString(24) CODEC(ZSTD(1)) AFTER ran""",
    """ALTER TABLE sessions
  MODIFY COLUMN llm_calls Nullable(UInt32) CODEC(ZSTD(1)),
  MODIFY COLUMN tool_calls Nullable(UInt32) CODEC(ZSTD(1)),
  MODIFY COLUMN tool_errors Nullable(UInt32) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS retries UInt32 CODEC(ZSTD(1)) AFTER cost_nano,
  ADD COLUMN IF NOT EXISTS unseen_tool_calls UInt32 CODEC(ZSTD(1)) AFTER retries,
  ADD COLUMN IF NOT EXISTS estimated UInt8 CODEC(ZSTD(1)) AFTER unseen_tool_calls""",
)
"""What a span tells beyond its status, and counts that a source may leave untold."""

_MENTIONED = """
ALTER TABLE spans ADD COLUMN IF NOT EXISTS mentioned Array(UInt32) CODEC(ZSTD(1)) AFTER refs"""
"""What the texts name that the fold does not keep; rows from before name nothing."""

_FACETS = (
    """ALTER TABLE spans
  ADD COLUMN IF NOT EXISTS org_id LowCardinality(String) CODEC(ZSTD(1)) AFTER mentioned,
  ADD COLUMN IF NOT EXISTS feature LowCardinality(String) CODEC(ZSTD(1)) AFTER org_id,
  ADD COLUMN IF NOT EXISTS release LowCardinality(String) CODEC(ZSTD(1)) AFTER feature,
  ADD COLUMN IF NOT EXISTS prompt LowCardinality(String) CODEC(ZSTD(1)) AFTER release,
  ADD COLUMN IF NOT EXISTS first_us Nullable(Int64) CODEC(ZSTD(1)) AFTER prompt,
  ADD COLUMN IF NOT EXISTS evaluator LowCardinality(String) CODEC(ZSTD(1)) AFTER first_us,
  ADD COLUMN IF NOT EXISTS score Nullable(Float64) CODEC(ZSTD(1)) AFTER evaluator,
  ADD COLUMN IF NOT EXISTS label LowCardinality(String) CODEC(ZSTD(1)) AFTER score""",
    """ALTER TABLE ledger
  ADD COLUMN IF NOT EXISTS service LowCardinality(String) CODEC(ZSTD(1)) AFTER outcome,
  ADD COLUMN IF NOT EXISTS org_id LowCardinality(String) CODEC(ZSTD(1)) AFTER service,
  ADD COLUMN IF NOT EXISTS feature LowCardinality(String) CODEC(ZSTD(1)) AFTER org_id,
  ADD COLUMN IF NOT EXISTS release LowCardinality(String) CODEC(ZSTD(1)) AFTER feature,
  ADD COLUMN IF NOT EXISTS `steps.cached_tok` Array(Nullable(Int64)) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS `steps.reasoning_tok` Array(Nullable(Int64)) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS `steps.first_us` Array(Nullable(Int64)) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS `steps.prompt` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS `steps.evaluator` Array(LowCardinality(String)) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS `steps.score` Array(Nullable(Float64)) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS `steps.label` Array(LowCardinality(String)) CODEC(ZSTD(1))""",
    """ALTER TABLE sessions
  ADD COLUMN IF NOT EXISTS service LowCardinality(String) CODEC(ZSTD(1)) AFTER moved_to,
  ADD COLUMN IF NOT EXISTS org_id String CODEC(ZSTD(1)) AFTER service,
  ADD COLUMN IF NOT EXISTS feature LowCardinality(String) CODEC(ZSTD(1)) AFTER org_id,
  ADD COLUMN IF NOT EXISTS release LowCardinality(String) CODEC(ZSTD(1)) AFTER feature""",
)
"""By what use and cost are told apart, and what evaluations say; rows from before say nothing of it."""

_APPRAISED = """
ALTER TABLE sessions
  ADD COLUMN IF NOT EXISTS success Nullable(UInt8) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS breaches Array(LowCardinality(String)) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS within Array(LowCardinality(String)) CODEC(ZSTD(1)),
  ADD COLUMN IF NOT EXISTS unchecked Array(LowCardinality(String)) CODEC(ZSTD(1))"""
"""Whether a session was a success, and which limits of its SLA it kept; rows from before say neither."""

_REPLIES = """
ALTER TABLE spans
  ADD COLUMN IF NOT EXISTS reply String CODEC(ZSTD(3)) AFTER label,
  ADD COLUMN IF NOT EXISTS reply_before String CODEC(ZSTD(3)) AFTER reply,
  ADD COLUMN IF NOT EXISTS reply_to Int64 CODEC(ZSTD(1)) AFTER reply_before"""
"""What a person said to a model that had answered, for which the fold would otherwise read whole inputs and raw attributes.

Rows from before say nothing of it, and outlines never do.
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (_SPANS, _MEMBERS, _MEMBERS_BY_TRACE, _LEDGER, _SESSIONS, _LOGS),
    (_METRICS,),
    (_TEXTS, *_SELDOM),
    _TOLD,
    (_MENTIONED,),
    _FACETS,
    (_APPRAISED,),
    tiers(_RECEIVED_DAY, _WIDE, _DURABLE),
    SCRATCH,
    mentions(_DURABLE),
    (_REPLIES,),
    INDEXED,
)
"""The statements of each version, from version 1. A statement may run twice; a published version is never edited."""

TABLES = (
    "spans",
    "outlines",
    "members",
    "members_by_trace",
    "ledger",
    "sessions",
    "logs",
    "metrics",
    "sampling",
    "mentions",
)

_VERSIONS = f"""
CREATE TABLE IF NOT EXISTS schema_version (version UInt32, program String)
ENGINE = MergeTree ORDER BY version SETTINGS {_DURABLE}"""


def migrate(run: Callable[[str], object], program: str) -> None:
    """Bring a database up to date, an empty one included; a crash between two statements is made good by the next call.

    `run` executes one statement and answers with its single value. `program` is the version of this program.

    Raises:
        StoreNewerError: the database is newer than the program; nothing was changed.
    """
    run(_VERSIONS)
    found = int(str(run("SELECT max(version) FROM schema_version")))
    if found > len(MIGRATIONS):
        raise StoreNewerError("telemetry", str(found), str(len(MIGRATIONS)), program)
    for version, statements in enumerate(MIGRATIONS[found:], start=found + 1):
        for statement in statements:
            run(statement)
        run(f"INSERT INTO schema_version VALUES ({version}, '{program}')")  # noqa: S608 - both values are our own

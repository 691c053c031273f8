"""Telemetry in ClickHouse: one schema and one SQL for the embedded engine, a server and a cluster.

Every table keeps the copy of a row with the greatest version and forgets the others whenever its parts are merged, so a query
must pick the winner itself. It does so here, by hand, because `FINAL` costs two to six times as much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, cast

import msgspec
import pyarrow as pa

from watchpost.model.session import Summary, session_key
from watchpost.model.step import Reading
from watchpost.model.telemetry import LogLine
from watchpost.query.logs import LogFilter
from watchpost.query.measures import Contributor, Measured, Question, SessionsQuestion
from watchpost.query.metrics import PointFilter, StreamFilter
from watchpost.query.readiness import ReadinessFilter, ServiceSeen
from watchpost.query.sessions import SessionFilter
from watchpost.store.contracts import LedgerRow, Member, StoredMetric, TelemetryBatch
from watchpost.store.engines import clickhouse_columns as columns
from watchpost.store.engines import clickhouse_exposition as exposition
from watchpost.store.engines import clickhouse_ledger as ledger
from watchpost.store.engines import clickhouse_measures as measures
from watchpost.store.engines import clickhouse_metrics as metrics
from watchpost.store.engines import clickhouse_readiness as readiness
from watchpost.store.engines import clickhouse_rows as rows
from watchpost.store.engines import clickhouse_samples as samples
from watchpost.store.engines import clickhouse_search as search
from watchpost.store.engines.clickhouse_days import Changes, KeptDays
from watchpost.store.engines.clickhouse_erasure import ClickHouseEraser
from watchpost.store.engines.clickhouse_handles import EmbeddedLimits, Handles, open_handles
from watchpost.store.engines.clickhouse_retention import ClickHouseRetention, sampled
from watchpost.store.engines.clickhouse_schema import TABLES, migrate
from watchpost.store.engines.clickhouse_sql import fill
from watchpost.store.engines.clickhouse_unpriced import unpriced_models, unpriced_sql
from watchpost.store.engines.clickhouse_words import MERGED_ONLY
from watchpost.store.readers import FoundLine, MetricStream, StepRow, UnpricedModel
from watchpost.store.retention import Sampled
from watchpost.store.work import TraceSpan, WorkRow

_LIMITS = EmbeddedLimits()
_ONE_THREAD = {"max_threads": "1", "max_insert_threads": "1", "input_format_parallel_parsing": "0"}
"""For inserts: a batch is read sooner than threads to read it side by side are started, a third of the cost of a small one."""

_VIEWS_TOO = {"deduplicate_blocks_in_dependent_materialized_views": "1"}
"""For inserts that were cut short: of what is there already, views are still told."""

_SEQUENCE = (1 << 63) - 1
"""The bits of `ver` that hold the log sequence."""


class TableSize(msgspec.Struct, frozen=True):
    """What one table takes on disk, superseded rows included."""

    table: str
    rows: int
    bytes: int


class ClickHouse:
    """The telemetry store: `TelemetryWriter`, `FoldSource`, `SessionReader` and the other readers of `contracts`.

    One thread may write while any number read; what a write wrote is in every answer given after it returned.
    """

    def __init__(self, handles: Handles) -> None:
        self._handles = handles
        self._changes = Changes()
        self._days = KeptDays(lambda question: measures.answered([question], handles.rows)[0], self._changes)

    @classmethod
    def open(cls, dsn: str, folder: Path, program: str, limits: EmbeddedLimits = _LIMITS, readers: int = 3) -> Self:
        """Connect and bring the schema up to date.

        Args:
            dsn: `chdb:///absolute/path` for the engine in this process, of which a process can have one; or `clickhouse://host`.
            folder: private to this store, for temporary files; whatever is left in it is deleted.
            program: the version of this program, to be named where the schema is newer.
            limits: memory of the embedded engine.
            readers: how many queries may run at a time.

        Raises:
            StoreNewerError: the database was written by a newer program.
        """
        handles = open_handles(dsn, folder, limits, readers)
        try:
            migrate(handles.writer.command, program)
        except BaseException:
            handles.close()
            raise
        return cls(handles)

    def retention(self) -> ClickHouseRetention:
        """What keeps and lets go, on a handle of its own, so that it holds up neither the writer nor readers."""
        client = self._handles.another()

        def query(sql: str) -> list[Sequence[object]]:
            return cast("list[Sequence[object]]", client.query(sql).result_rows)

        return ClickHouseRetention(query, client.command, client.insert_arrow, self._handles.moving)

    def sampled(self, keys: Sequence[str]) -> dict[str, Sampled]:
        """See `SampledReader`."""
        return sampled(self._handles.rows, keys)

    def close(self) -> None:
        """Give up the connection; what was written stays."""
        self._handles.close()

    @property
    def eraser(self) -> ClickHouseEraser:
        """Takes sessions out, in the thread that writes."""
        return ClickHouseEraser(self._handles, self._changes.rewrote)

    def write(self, batch: TelemetryBatch) -> None:
        """See `TelemetryWriter`. Integers of values must fit 64 bits; text that UTF-8 cannot hold is stored with U+FFFD in its place."""
        parts: list[tuple[str, pa.Table]] = []
        if batch.ledger:
            parts.append(("ledger", columns.ledger_table(batch.ledger)))
        if batch.sessions:
            parts.append(("sessions", columns.session_table(batch.sessions)))
        if batch.logs:
            parts.append(("logs", columns.log_table(batch.logs)))
        if batch.metrics:
            parts.append(("metrics", columns.metric_table(batch.metrics)))
        if batch.members:
            members = columns.member_table(batch.members)
            parts += [("members", members), ("members_by_trace", members)]
        if batch.readings:
            parts.append(("spans", columns.span_table(batch.readings)))
        settings = _ONE_THREAD | _VIEWS_TOO | MERGED_ONLY | {"insert_deduplication_token": str(batch.number)}
        try:
            for table, part in parts:
                self._handles.writer.insert_arrow(table, part, settings=settings)
        finally:
            self._changes.wrote({row.slot for row in batch.ledger})

    def members_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Member]:
        """See `FoldSource`."""
        wanted = set(traces)
        found = rows.live_members(self._of(rows.MEMBER, "members_by_trace", "trace_id", traces))
        return [member for member in found if (member.project, member.trace_id) in wanted]

    def members_of_sessions(self, sessions: Sequence[tuple[str, str]]) -> list[Member]:
        """See `FoldSource`."""
        wanted = set(sessions)
        found = rows.live_members(self._of(rows.MEMBER, "members", "session_id", sessions))
        return [member for member in found if (member.project, member.session_id) in wanted]

    def readings(self, traces: Sequence[tuple[str, bytes]], upto: int) -> list[Reading]:
        """See `FoldSource`."""
        wanted = set(traces)
        sequence = f"bitAnd(ver, {_SEQUENCE}) <= {upto:d}"
        stored = self._of(rows.FOLD_SPAN, "spans", "trace_id", traces, sequence)
        stored += self._of(rows.OUTLINE, "outlines", "trace_id", traces, sequence)
        found = rows.readings(stored)
        return [reading for reading in found if (reading.project, reading.trace_id) in wanted]

    def _of(
        self,
        select: str,
        table: str,
        column: str,
        pairs: Sequence[tuple[str, str]] | Sequence[tuple[str, bytes]],
        also: str = "true",
    ) -> list[rows.Row]:
        """Rows whose project is one of the pairs' and whose column is one of the pairs': now and then more than asked for.

        Two sets are matched against the key at two thirds of the cost of one set of pairs.
        """
        if not pairs:
            return []
        projects = sorted({project for project, _ in pairs})
        values = [value for _, value in pairs]
        sql = f"SELECT {select} FROM {table} WHERE project IN :projects AND {column} IN :values AND {also}"  # noqa: S608 - names are ours
        return self._handles.rows(fill(sql, projects=projects, values=values))

    def open_sessions(self, applied: int) -> list[Summary]:
        """See `FoldSource`."""
        open_then = f"state != 'ended' OR revision > {applied:d}"
        sql = f"""
            SELECT {rows.SUMMARY} FROM sessions WHERE key IN (SELECT key FROM sessions WHERE {open_then})
            ORDER BY revision DESC LIMIT 1 BY key"""  # noqa: S608 - names are ours
        found = rows.summaries(self._handles.rows(sql))
        return [s for s in found if not s.moved_to and (s.state != "ended" or s.revision > applied)]

    def sessions(self, wanted: SessionFilter) -> list[Summary]:
        """See `SessionReader`."""
        if wanted.text and wanted.among is not None:
            return self._saying(wanted, wanted.among)
        found: list[Summary] = []
        before = wanted.before
        taken = wanted.limit + 10  # most stored rows are current
        while len(found) < wanted.limit:
            candidates = self._candidates(wanted, before, taken)
            found += self._current(candidates, wanted)
            if len(candidates) < taken:
                break
            before = (candidates[-1][0], candidates[-1][1])
            taken *= 4
        return found[: wanted.limit]

    def _candidates(
        self, wanted: SessionFilter, before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str, int]]:
        """The latest stored rows (`received_ns`, key, revision) that fit, superseded revisions among them.

        A current row fits only if it is one of these, so a list of the current ones among them misses none.
        """
        where = search.sessions_where(wanted, self._handles.rows)
        if before is not None:
            at, key = before
            where += fill(" AND received_ns <= :at AND (received_ns, key) < (:at, :key)", at=at, key=key)
        found = self._handles.rows(f"""
            SELECT received_ns, key, revision FROM sessions WHERE {where}
            ORDER BY received_ns DESC, key DESC, revision DESC LIMIT {limit:d}""")  # noqa: S608 - conditions are ours, values are filled in
        return cast("list[tuple[int, str, int]]", found)

    def _saying(self, wanted: SessionFilter, among: Sequence[str]) -> list[Summary]:
        """Those of some sessions that say a text; the latest are read first, and as many as fill the page."""
        latest = cast("list[tuple[int, str, int, str, str]]", self._handles.rows(search.latest_sql(among)))
        left = [row for row in latest if wanted.before is None or (row[0], row[1]) < wanted.before]
        found: list[Summary] = []
        taken = 2 * wanted.limit
        while left and len(found) < wanted.limit:
            some, left = left[:taken], left[taken:]
            members = self.members_of_sessions([(project, session_id) for *_, project, session_id in some])
            traces = {(m.project, m.trace_id): (m.project, m.session_id) for m in members}
            saying = self._handles.rows(search.saying_sql(wanted.text, list(traces))) if traces else []
            named = {traces[trace] for trace in cast("list[tuple[str, bytes]]", saying) if trace in traces}
            found += self._current([row[:3] for row in some if row[3:] in named], wanted)
            taken *= 4
        return found[: wanted.limit]

    def _current(self, candidates: list[tuple[int, str, int]], wanted: SessionFilter) -> list[Summary]:
        """The candidates whose current row stands at the same place and fits, in their order, each once.

        The current row may be later than the candidate: a session that ended between the two questions is still in its place.
        """
        keys = list(dict.fromkeys(key for _, key, _ in candidates))
        held = {s.key: s for s in self.summaries(keys)}
        current: dict[str, Summary] = {}
        for received_ns, key, _ in candidates:
            if held[key].received_ns == received_ns and search.fits(held[key], wanted):
                current[key] = held[key]
        return list(current.values())

    def session(self, key: str) -> Summary | None:
        """See `SessionReader`."""
        return next(iter(self.summaries([key])), None)

    def summaries(self, keys: Sequence[str]) -> list[Summary]:
        """Those of several keys, in one question and no order; a key never seen has none."""
        sql = f"SELECT {rows.SUMMARY} FROM sessions WHERE key IN :keys ORDER BY revision DESC LIMIT 1 BY key"  # noqa: S608 - names are ours
        return rows.summaries(self._handles.rows(fill(sql, keys=keys))) if keys else []

    def steps(self, session: Summary, after: int, limit: int) -> list[StepRow]:
        """See `SessionReader`."""
        sliced = ", ".join(f"arraySlice(`steps.{name}`, skip + 1, take)" for name in rows.STEP)
        sql = f"""
            WITH slots AS (
              SELECT *, length(`steps.kind`) AS size FROM ledger WHERE project = :project AND session_id = :session
              ORDER BY seq DESC LIMIT 1 BY slot)
            SELECT before + skip AS first, {sliced} FROM (
              SELECT *, sum(size) OVER (ORDER BY slot) - size AS before,
                toInt64(greatest(:after - before, 0)) AS skip, toInt64(least(:after + :limit - before, size)) - skip AS take
              FROM slots WHERE NOT gone)
            WHERE take > 0 ORDER BY first"""  # noqa: S608 - names are ours, values are filled in
        page: list[StepRow] = []
        for first, *lists in self._handles.rows(
            fill(sql, project=session.project, session=session.session_id, after=after, limit=limit)
        ):
            steps = rows.ledger_steps(cast("list[list[object]]", lists))
            page += [StepRow(number, step) for number, step in enumerate(steps, start=cast("int", first) + 1)]
        return page

    def reading(self, project: str, trace_id: bytes, span_id: bytes) -> Reading | None:
        """See `SessionReader`."""
        sql = f"SELECT {rows.WHOLE_SPAN} FROM spans WHERE project = :project AND trace_id = :trace AND span_id = :span"  # noqa: S608 - names are ours
        found = self._handles.rows(fill(sql, project=project, trace=trace_id, span=span_id))
        return next(iter(rows.readings(found)), None)

    def unpriced(self, project: str, since_ns: int, limit: int) -> list[UnpricedModel]:
        """See `UnpricedReader`."""
        return unpriced_models(self._handles.rows(unpriced_sql(project, since_ns, limit)))

    def work(self, seq: int, slot: int) -> list[WorkRow]:
        """See `WorkReader`."""
        return exposition.work_rows(self._handles.rows(exposition.work_sql(seq, slot)))

    def traces(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], TraceSpan]:
        """See `WorkReader`."""
        found = self._handles.rows(exposition.traces_sql(wanted)) if wanted else []
        return exposition.trace_spans(found, wanted)

    def active(self) -> dict[str, int]:
        """See `WorkReader`."""
        return dict(cast("list[tuple[str, int]]", self._handles.rows(exposition.ACTIVE)))

    def measured(self, question: Question) -> Measured:
        """See `MeasureReader`."""
        if question.measure.of == "sample":
            return samples.sampled(self._handles.rows(samples.samples_sql(question)))
        return self._days.measured(question)

    def measured_together(self, questions: Sequence[Question]) -> list[Measured]:
        """See `FiguresReader`."""
        kept = [question for question in questions if self._days.keeps(question)]
        found = {question: self._days.measured(question) for question in kept}
        for same in measures.alike([question for question in questions if question not in found]):
            if len(same) == 1:
                found[same[0]] = self.measured(same[0])
            else:
                found |= zip(same, measures.answered(same, self._handles.rows), strict=True)
        return [found[question] for question in questions]

    def contributors(self, asked: SessionsQuestion) -> list[Contributor]:
        """See `MeasureReader`."""
        return measures.contributors(self._handles.rows(measures.sessions_sql(asked)))

    def steps_between(self, since_ns: int, until_ns: int) -> int:
        """See `LedgerReader`."""
        return ledger.steps_between(self._handles.rows, since_ns, until_ns)

    def rows_between(self, since_ns: int, until_ns: int) -> Iterator[LedgerRow]:
        """See `LedgerReader`."""
        return ledger.rows_between(self._handles.rows, since_ns, until_ns)

    def sessions_between(self, since_ns: int, until_ns: int) -> Iterator[Summary]:
        """See `LedgerReader`."""
        return ledger.sessions_between(self._handles.rows, since_ns, until_ns)

    def services_seen(self, wanted: ReadinessFilter) -> list[ServiceSeen]:
        """See `ReadinessReader`."""
        services = readiness.Services(self._handles.rows(readiness.services_sql(wanted)))
        found = self._handles.rows(readiness.seen_sql(services, wanted)) if services.since else []
        return readiness.services_seen(services, found)

    def logs(self, project: str, trace_id: bytes, span_id: bytes, limit: int) -> list[LogLine]:
        """See `LogReader`."""
        sql = f"""
            SELECT {rows.LINE} FROM logs WHERE project = :project AND trace_id = :trace AND span_id = :span
            ORDER BY time_ns, seq, place LIMIT 1 BY seq, place LIMIT :limit"""  # noqa: S608 - names are ours, values are filled in
        return rows.log_lines(
            self._handles.rows(
                fill(sql, project=project, trace=trace_id or bytes(16), span=span_id or bytes(8), limit=limit)
            )
        )

    def log_lines(self, wanted: LogFilter) -> list[FoundLine]:
        """See `LogReader`."""
        return search.lines(self._handles.rows(search.lines_sql(wanted)))

    def sessions_of(self, traces: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], Summary]:
        """See `LogReader`."""
        keys = {(m.project, m.trace_id): session_key(m.project, m.session_id) for m in self.members_of_traces(traces)}
        held = {s.key: s for s in self.summaries(sorted(set(keys.values()))) if not s.moved_to}
        return {trace: held[key] for trace, key in keys.items() if key in held}

    def few(self, wanted: SessionFilter) -> tuple[str, ...] | None:
        """See `TextWindow`."""
        return search.few(wanted, self._handles.rows)

    def text_since_ns(self, wanted: SessionFilter, most: int) -> int:
        """See `TextWindow`."""
        return search.text_since_ns(wanted, most, self._handles.rows)

    def words_since_ns(self, wanted: SessionFilter, most: int) -> int:
        """See `TextWindow`."""
        return search.words_since_ns(wanted, most, self._handles.rows)

    def log_text_since_ns(self, wanted: LogFilter, most: int) -> int:
        """See `TextWindow`."""
        return search.log_text_since_ns(wanted, most, self._handles.rows)

    def streams(self, wanted: StreamFilter) -> list[MetricStream]:
        """See `MetricReader`."""
        return metrics.streams(self._handles.rows(metrics.streams_sql(wanted)))

    def points(self, wanted: PointFilter) -> list[StoredMetric]:
        """See `MetricReader`."""
        return metrics.points(self._handles.rows(metrics.points_sql(wanted)))

    def sizes(self) -> list[TableSize]:
        """What each table takes on disk."""
        sql = """
            SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts
            WHERE active AND database = currentDatabase() GROUP BY table"""
        found = {str(table): (cast("int", count), cast("int", size)) for table, count, size in self._handles.rows(sql)}
        return [TableSize(table, *found.get(table, (0, 0))) for table in TABLES]

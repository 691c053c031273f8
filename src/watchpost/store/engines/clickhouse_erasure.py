"""Sessions taken out of ClickHouse: what is counted of them copied under pseudonyms, the rest hidden, then no longer on disk.

The text of a mutation stays in the engine's folder, so none of ours names anything: names stand in tables in memory meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

import msgspec
import pyarrow as pa
import re2

from watchpost.model.session import session_key
from watchpost.model.step import FEEDBACK_SCOPE
from watchpost.store.contracts import Member
from watchpost.store.engines import clickhouse_rows as rows
from watchpost.store.engines.clickhouse_aliases import alias_ids
from watchpost.store.engines.clickhouse_handles import Handles
from watchpost.store.engines.clickhouse_mentions import TRACE
from watchpost.store.engines.clickhouse_sql import fill, readable
from watchpost.store.erasure import Erasure, Ref, Traced, TraceRef

_Item = TypeVar("_Item")

_AT_ONCE = 500
"""Sessions, or ids in a list, that are taken at a time."""

WORD_LENGTH = 6
"""The id of a user that is shorter is not looked for in the words of log lines: a number or a syllable is too often something else."""

_NAMES = (
    "session.id",
    "session_id",
    "gen_ai.conversation.id",
    "conversation_id",
    "thread_id",
    "langfuse.session.id",
    "watchpost.session.id",
    "user.id",
    "user_id",
    "enduser.id",
    "langfuse.user.id",
    "watchpost.user.id",
)
"""The attributes of log lines and metric points that say whose they are."""

_OF_SESSION = "(project, session_id) IN (SELECT project, session_id FROM erasing_sessions)"
_OF_TRACE = "(project, trace_id) IN (SELECT project, trace_id FROM erasing_traces)"
_OF_KEY = "key IN (SELECT key FROM erasing_sessions)"


def _named(column: str) -> str:
    """That an attribute of a JSON object names what is erased; looked for only where any could."""
    whose = " OR ".join(
        f"(project, JSONExtractString({column}, '{name}')) IN (SELECT project, name FROM erasing_names)"  # noqa: S608 - names are ours
        for name in _NAMES
    )
    return f"(multiSearchAny({column}, ['session', 'conversation', 'thread', 'user']) AND ({whose}))"


_PATTERN = "(SELECT max(pattern) FROM erasing_words)"
_WORDED = f"""(project IN (SELECT project FROM erasing_words)
  AND (match(body, {_PATTERN}) OR match(attributes, {_PATTERN})))"""  # noqa: S608 - names are ours
"""That the id of a user stands in a log line as a word."""

GOING: Mapping[str, str] = {
    "spans": _OF_TRACE,
    "outlines": _OF_TRACE,
    "members": f"({_OF_SESSION} OR {_OF_TRACE})",
    "members_by_trace": f"({_OF_SESSION} OR {_OF_TRACE})",
    "ledger": _OF_SESSION,
    "sessions": f"({_OF_KEY} OR moved_to IN (SELECT key FROM erasing_sessions))",  # noqa: S608 - names are ours
    "sampling": _OF_KEY,
    "logs": f"({_OF_TRACE} OR {_named('attributes')} OR {_WORDED})",
    "mentions": f"(project, trace) IN (SELECT project, {TRACE} FROM erasing_traces)",  # noqa: S608 - names are ours
    "metrics": f"({_named('attributes')} OR {_named('resource')})",
}
"""Of each table the rows that go."""

IMPERSONAL: Mapping[str, str] = {
    "schema_version": "versions of this program",
    "mentions_of_spans": "a view, which fills mentions and holds nothing",
    "sorting": "in memory, emptied by whoever fills it",
    "erasing_sessions": "in memory, emptied when an erasure is hidden",
    "erasing_traces": "in memory, emptied when an erasure is hidden",
    "erasing_names": "in memory, emptied when an erasure is hidden",
    "erasing_words": "in memory, emptied when an erasure is hidden",
}
"""Tables that hold nothing of anybody, and why."""

SCRATCH = (
    "CREATE TABLE IF NOT EXISTS erasing_sessions (project String, session_id String, key String) ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS erasing_traces (project String, trace_id FixedString(16)) ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS erasing_names (project String, name String) ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS erasing_words (project String, pattern String) ENGINE = Memory",
)
"""What mutations look names up in."""

_TRACES = "(SELECT groupArray(trace_id) FROM erasing_traces)"
_SHOWING = f"hasAny(`exemplars.trace_id`, {_TRACES})"
_SHOWN_NO_MORE = f"""
INSERT INTO metrics SELECT * EXCEPT (shown) REPLACE (
  arrayMap((span, trace) -> if(has({_TRACES}, trace), toFixedString('', 8), span), `exemplars.span_id`, shown) AS `exemplars.span_id`,
  arrayMap(trace -> if(has({_TRACES}, trace), toFixedString('', 16), trace), shown) AS `exemplars.trace_id`)
FROM (SELECT *, `exemplars.trace_id` AS shown FROM metrics WHERE {_SHOWING}) SETTINGS insert_deduplicate = 0"""  # noqa: S608 - names are ours
"""Points of others once more, without traces that go as examples: a mutation of these columns is refused by the smaller engine."""


class ClickHouseEraser:
    """See `TelemetryEraser`. One thread at a time."""

    def __init__(self, handles: Handles, rewrote: Callable[[], None]) -> None:
        """`rewrote` is told whenever rows of the ledger are no longer those that were written."""
        self._handles = handles
        self._rewrote = rewrote

    def find(self, project: str, session_id: str, user_id: str) -> Traced:
        """See `TelemetryEraser`."""
        found = self._of_id(project, session_id) if session_id else self._of_user(project, user_id)
        looked_at: set[Ref] = set()
        while new := found - looked_at:
            looked_at |= new
            found |= self._merged(sorted(new))
        sessions = tuple(sorted(found))
        return Traced(sessions, tuple(sorted(self._traces(sessions))))

    def copy(self, erasure: Erasure) -> Mapping[str, int]:
        """See `TelemetryEraser`."""
        self._fill(erasure)
        counts = {table: self._count(table, going) for table, going in GOING.items()}
        named = [(project, session_id) for project, session_id in erasure.found.sessions]
        try:
            for number, some in enumerate(_parts(named)):
                self._copy(erasure, some, number)
        finally:
            self._rewrote()
        return {table: count for table, count in counts.items() if count}

    def conceal(self, erasure: Erasure) -> None:
        """See `TelemetryEraser`. Not while rows move from partition to partition: what is on its way would arrive."""
        self._fill(erasure)
        self._handles.moving.acquire()
        try:
            for table, going in GOING.items():
                self._hide(table, going, self._partitions(table, going))
            if showing := self._partitions("metrics", _SHOWING):
                self._run(_SHOWN_NO_MORE)
                self._hide("metrics", _SHOWING, showing)
        finally:
            self._handles.moving.release()
            self._rewrote()
            self._empty()

    def purge(self) -> int:
        """See `TelemetryEraser`. On a handle for reading, so that nobody waits who writes."""
        masked = self._handles.rows(
            """SELECT DISTINCT table, partition_id FROM system.parts
            WHERE database = currentDatabase() AND active AND has_lightweight_delete"""
        )
        for table, partition in masked:
            with self._handles.reader() as client:
                client.command(
                    f"ALTER TABLE {table} APPLY DELETED MASK IN PARTITION ID '{partition}' SETTINGS mutations_sync = 2"
                )
        ((since,),) = self._handles.rows(
            fill(
                """SELECT toUnixTimestamp(if(count() = 0, now(), min(remove_time))) FROM system.parts
                WHERE database = currentDatabase() AND NOT active AND table IN :tables""",
                tables=list(GOING),
            )
        )
        return cast("int", since) * 10**9

    def _of_id(self, project: str, session_id: str) -> set[Ref]:
        """The session of an id, in every project that has one if none is given."""
        if project:
            return {(project, session_id)}
        members = self._members("members", "session_id", [readable(session_id)])
        known = fill("SELECT DISTINCT project, session_id FROM sessions WHERE session_id = :name", name=session_id)
        return {(m.project, m.session_id) for m in members} | set(self._pairs(known))

    def _of_user(self, project: str, user_id: str) -> set[Ref]:
        """The sessions of which a span, or what was counted, names a user."""
        only = fill(" AND project = :project", project=project) if project else ""
        found: set[Ref] = set()
        for table in ("sessions", "ledger"):
            sql = f"SELECT DISTINCT project, session_id FROM {table} WHERE user_id = :user{only}"  # noqa: S608 - names are ours
            found |= set(self._pairs(fill(sql, user=user_id)))
        traces: set[TraceRef] = set()
        for table in ("spans", "outlines"):
            sql = f"SELECT DISTINCT project, trace_id FROM {table} WHERE user_id = :user{only}"  # noqa: S608 - names are ours
            traces |= set(cast("list[TraceRef]", self._handles.rows(fill(sql, user=user_id))))
        for some in _parts(sorted(traces)):
            members = self._members("members_by_trace", "trace_id", [trace_id for _, trace_id in some])
            found |= {(m.project, m.session_id) for m in members if (m.project, m.trace_id) in traces}
        return found | self._awaited(user_id, only)

    def _awaited(self, user_id: str, only: str) -> set[Ref]:
        """The sessions that never came, of which only feedback of this user is known."""
        sql = f"""SELECT DISTINCT project, trace_id FROM spans WHERE scope = :scope{only}
          AND JSONExtractString(rest, 'attributes', 'watchpost.feedback.by') = :user"""  # noqa: S608 - names are ours
        said = set(cast("list[TraceRef]", self._handles.rows(fill(sql, scope=FEEDBACK_SCOPE, user=user_id))))
        found: set[Ref] = set()
        for some in _parts(sorted(said)):
            members = self._members("members_by_trace", "trace_id", [trace_id for _, trace_id in some])
            found |= {(m.project, m.session_id) for m in members if (m.project, m.trace_id) in said}
        came: set[str] = set()
        for refs in _parts(sorted(found)):
            keys = [session_key(*ref) for ref in refs]
            rows = self._handles.rows(fill("SELECT DISTINCT key FROM sessions WHERE key IN :keys", keys=keys))
            came |= {str(key) for (key,) in rows}
        return {ref for ref in found if session_key(*ref) not in came}

    def _merged(self, refs: Sequence[Ref]) -> set[Ref]:
        """The sessions that took traces of these, and those of which these took them."""
        found: set[Ref] = set()
        for some in _parts(refs):
            keys = [session_key(*ref) for ref in some]
            sql = """
                SELECT project, session_id FROM sessions FINAL WHERE moved_to IN :keys
                  OR key IN (SELECT moved_to FROM sessions FINAL WHERE key IN :keys)"""
            found |= set(self._pairs(fill(sql, keys=keys)))
        return found

    def _traces(self, refs: Sequence[Ref]) -> set[TraceRef]:
        wanted = set(refs)
        return {
            (m.project, m.trace_id)
            for some in _parts(refs)
            for m in self._members("members", "session_id", [readable(session_id) for _, session_id in some])
            if (m.project, m.session_id) in wanted
        }

    def _members(self, table: str, column: str, values: Sequence[str | bytes]) -> list[Member]:
        sql = f"SELECT {rows.MEMBER} FROM {table} WHERE {column} IN :values"  # noqa: S608 - names are ours
        return rows.live_members(self._handles.rows(fill(sql, values=values)))

    def _copy(self, erasure: Erasure, refs: Sequence[Ref], number: int) -> None:
        """Write the current rows of ledger and index once more, with names that lead nowhere."""
        aliases = {ref: erasure.pseudonym(ref) for ref in refs}
        names = [readable(session_id) for _, session_id in refs]
        ledger = self._arrow("SELECT * FROM ledger FINAL WHERE NOT gone AND session_id IN :names", names=names)
        keys = [session_key(*ref) for ref in refs]
        sessions = self._arrow("SELECT * FROM sessions FINAL WHERE moved_to = '' AND key IN :keys", keys=keys)
        seed = f"{erasure.nonce} {number}".encode()
        for table, part in (
            ("ledger", alias_ids(_renamed(ledger, aliases), seed)),
            ("sessions", _renamed(sessions, aliases)),
        ):
            if part.num_rows:
                token = {"insert_deduplication_token": f"{erasure.id} {number}"}
                self._handles.writer.insert_arrow(table, part, settings=token)

    def _fill(self, erasure: Erasure) -> None:
        """Put names where mutations look them up."""
        self._empty()
        found = erasure.found
        named = list(found.sessions)
        if erasure.user_id:
            projects = self._handles.rows(
                "SELECT DISTINCT project FROM logs UNION DISTINCT SELECT DISTINCT project FROM metrics"
            )
            asked = [erasure.project] if erasure.project else [str(project) for (project,) in projects]
            named += [(project, erasure.user_id) for project in asked]
            if len(erasure.user_id) >= WORD_LENGTH:
                self._insert("erasing_words", [(project, _word(erasure.user_id)) for project in asked])
        self._insert("erasing_sessions", [(*ref, session_key(*ref)) for ref in found.sessions])
        self._insert("erasing_traces", found.traces)
        self._insert("erasing_names", named)

    def _insert(self, table: str, rows: Sequence[tuple[str | bytes, ...]]) -> None:
        for some in _parts(rows):
            values = ", ".join(fill(":row", row=row) for row in some)
            self._run(f"INSERT INTO {table} VALUES {values}")  # noqa: S608 - values are filled in

    def _empty(self) -> None:
        for table in ("erasing_sessions", "erasing_traces", "erasing_names", "erasing_words"):
            self._run(f"TRUNCATE TABLE {table}")

    def _count(self, table: str, going: str) -> int:
        return cast("int", self._handles.rows(f"SELECT count() FROM {table} WHERE {going}")[0][0])  # noqa: S608 - names are ours

    def _partitions(self, table: str, going: str) -> list[str]:
        found = self._handles.rows(f"SELECT DISTINCT _partition_id FROM {table} WHERE {going}")  # noqa: S608 - names are ours
        return [str(partition) for (partition,) in found]

    def _hide(self, table: str, going: str, partitions: Iterable[str]) -> None:
        """One partition after the other: of a mutation of the whole table every part would be read."""
        for partition in partitions:
            where = f"IN PARTITION ID '{partition}' WHERE {going}"
            self._run(f"DELETE FROM {table} {where} SETTINGS lightweight_deletes_sync = 2")  # noqa: S608 - names are ours

    def _pairs(self, sql: str) -> list[Ref]:
        return [(str(project), str(name)) for project, name in self._handles.rows(sql)]

    def _arrow(self, sql: str, **values: Sequence[str]) -> pa.Table:
        return self._handles.writer.query_arrow(fill(sql, **values))

    def _run(self, sql: str) -> None:
        self._handles.writer.command(sql)


def _renamed(table: pa.Table, aliases: Mapping[Ref, str]) -> pa.Table:
    """The rows of these sessions, and no others, under their pseudonyms and nobody's."""
    refs = list(zip(_texts(table["project"]), _texts(table["session_id"]), strict=True))
    table = table.filter(pa.array([ref in aliases for ref in refs], pa.bool_()))
    kept = [(ref[0], aliases[ref]) for ref in refs if ref in aliases]
    changed = {"session_id": [alias for _, alias in kept], "user_id": [""] * len(kept)}
    if "key" in table.column_names:
        changed["key"] = [session_key(*ref) for ref in kept]
    for name, values in changed.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    return table


def _texts(column: pa.ChunkedArray) -> list[str]:
    found: list[object] = column.to_pylist()
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in found]


def _word(user_id: str) -> str:
    """An expression for an id that stands alone in JSON, and is no part of a longer one or of an address."""
    written = re2.escape(msgspec.json.encode(readable(user_id)).decode()[1:-1])
    return rf"(?:[^\pL\pN_@.-]|\\[bfnrt]|\\u[0-9a-f]{{4}}){written}(?:[^\pL\pN_@.-]|[.-][^\pL\pN_])"


def _parts(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))

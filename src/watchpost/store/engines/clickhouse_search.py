"""Search in SQL: sessions by what they are told apart by, by what their texts name or say, by flags and errors; and log lines.

What follows from spans is asked of traces, and a trace is looked up among the memberships that are live, so that what was merged or
moved is found where it is now. For a text spans are read: those of few sessions, or all that were received of late, and of those before
them the ones that may hold its words.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import cast

import msgspec

from watchpost.model.session import Summary
from watchpost.query.logs import LogFilter
from watchpost.query.sessions import SessionFilter
from watchpost.store.engines import clickhouse_mentions as mentions
from watchpost.store.engines import clickhouse_rows as rows
from watchpost.store.engines.clickhouse_sql import fill, readable
from watchpost.store.engines.clickhouse_words import has_words, words_of
from watchpost.store.readers import FoundLine, UnnamedError

Rows = Callable[[str], list[Sequence[object]]]

FEW = 500
"""Sessions whose spans are read one by one: each costs about as much as the thousand spans among which it is stored."""

_LEAST = 4
"""A search reads that part of what it may read at least, before it leaves out what would be too much."""

_USUAL_BYTES = 2_048
"""Bytes of a usual span, all columns together. Where spans are longer, fewer are read: it is their bytes that take the time."""

_EQUAL = (
    "project",
    "key",
    "session_id",
    "state",
    "outcome",
    "workflow",
    "user_id",
    "service",
    "org_id",
    "feature",
    "release",
)
_START = "if(started_ns > 0, started_ns, received_ns)"
_NO_TRACE = bytes(16)
_TEXTS = (("error", "input", "output"), ("texts",))
"""The columns of spans that hold texts, and those that hold lists of them."""


def fits(session: Summary, wanted: SessionFilter) -> bool:
    """Whether a session as it is now meets what can be told from its summary."""
    asked = {name: getattr(wanted, name) for name in _EQUAL if getattr(wanted, name)}
    start = session.started_ns or session.received_ns
    return (
        not session.moved_to
        and all((getattr(session, name) or "") == value for name, value in asked.items())
        and (not wanted.since_ns or max(start, session.ended_ns) >= wanted.since_ns)
        and (not wanted.until_ns or start < wanted.until_ns)
    )


def sessions_where(wanted: SessionFilter, ask: Rows) -> str:
    """The condition on `sessions`. Raises `UnnamedError` for an entity that is none."""
    conditions = _conditions(wanted, ask)
    if wanted.text:
        conditions.append(_in_sessions(wanted.project, f"(project, trace_id) IN ({_spans_saying(wanted)})"))
    return " AND ".join(conditions)


def few(wanted: SessionFilter, ask: Rows) -> tuple[str, ...] | None:
    """The keys of the sessions that what is asked beside a text leaves, if it leaves few. Raises as `sessions_where` does."""
    conditions = _conditions(wanted, ask)
    if len(conditions) == 1 + bool(wanted.project):
        return None
    found = ask(f"SELECT DISTINCT key FROM sessions WHERE {' AND '.join(conditions)} LIMIT {FEW + 1}")  # noqa: S608 - conditions are ours, values are filled in
    return tuple(str(key) for (key,) in found) if len(found) <= FEW else None


def latest_sql(keys: Sequence[str]) -> str:
    """Rows (`received_ns`, key, revision, project, session id) of what these sessions are now, the latest first."""
    return fill(
        """
        SELECT received_ns, key, revision, project, session_id FROM (
          SELECT received_ns, key, revision, project, session_id, moved_to FROM sessions WHERE key IN :keys
          ORDER BY revision DESC LIMIT 1 BY key)
        WHERE moved_to = '' ORDER BY received_ns DESC, key DESC""",
        keys=keys,
    )


def saying_sql(text: str, traces: Sequence[tuple[str, bytes]]) -> str:
    """Rows (project, trace id) of traces that say a text: those of these, and perhaps some of another project."""
    own = fill(
        "project IN :projects AND trace_id IN :traces",
        projects=sorted({project for project, _ in traces}),
        traces=[trace_id for _, trace_id in traces],
    )
    return _traces([own, _says(text, *_TEXTS)])


def text_since_ns(wanted: SessionFilter, most: int, ask: Rows) -> int:
    """Since when spans can be read for a text if no more than `most` of usual length are to be read; 0 for ever.

    Spans are stored in parts, each of one stretch of time of reception and read as a whole: so one part is read at least, and more until they are
    a fair share of `most`.
    """
    parts = _parts(wanted.project, ask)
    if sum(spans for _, _, spans in parts) <= most:
        return 0
    ends = sorted(((last, spans) for _, last, spans in parts), reverse=True)
    since, read, ended = parts[0][0], 0, 0
    for first, _, _ in parts:
        reading, end = read, ended
        while end < len(ends) and ends[end][0] >= first:
            reading += ends[end][1]
            end += 1
        if reading > most and read > most // _LEAST:
            break
        since, read, ended = first, reading, end
        if read > most:
            break
    return since


def words_since_ns(wanted: SessionFilter, most: int, ask: Rows) -> int:
    """Since when spans can be read for the words of a text, before those that are read for it anyway, if about `most` are to be read."""
    until = wanted.text_since_ns
    words = _words(wanted.text)
    if not until or not words:
        return until

    def read(since_ns: int) -> int:
        return _to_read(wanted.project, (since_ns, until), words, ask)

    if read(0) <= most:
        return 0
    earlier = [day for day, _ in _days("spans", wanted.project, ask) if day < until]
    return ([until, *earlier])[bisect.bisect_right(earlier, most, key=read)]


def log_text_since_ns(wanted: LogFilter, most: int, ask: Rows) -> int:
    """The same for log lines, of which those of a trace or session are read whatever their number."""
    if not wanted.text or wanted.trace_id or wanted.session is not None:
        return 0
    read, since = 0, 0
    for day_ns, count in _days("logs", wanted.project, ask):
        read += count
        if since and read > most:
            return since
        since = day_ns
    return 0


def lines_sql(wanted: LogFilter) -> str:
    """Rows for `lines`, the latest first."""
    return f"""
        SELECT project, seq, place, received_ns, {rows.LINE} FROM logs
        WHERE {" AND ".join(["true", *_of_lines(wanted), *_of_times(wanted)])}
        ORDER BY time_ns DESC, seq DESC, place DESC LIMIT 1 BY project, seq, place LIMIT {wanted.limit:d}"""  # noqa: S608 - names are ours, values are filled in


def lines(found: Iterable[Sequence[object]]) -> list[FoundLine]:
    """Rows of `lines_sql`."""
    return [FoundLine(*cast("tuple[str, int, int, int]", row[:4]), rows.log_lines([row[4:]])[0]) for row in found]


def _of_lines(wanted: LogFilter) -> list[str]:
    """Whose lines, and what they are to hold."""
    conditions = [_of_project(wanted.project)]
    if wanted.session is not None:
        project, session_id = wanted.session
        own = fill("project = :project AND session_id = :session", project=project, session=session_id)
        traces = _live("project, trace_id", "members", own)
        conditions += [
            fill("project = :project AND trace_id != :none", project=project, none=_NO_TRACE),
            f"(project, trace_id) IN ({traces})",
        ]
    for name, value in (("trace_id", wanted.trace_id), ("span_id", wanted.span_id), ("event_name", wanted.event_name)):
        if value:
            conditions.append(fill(f"{name} = :value", value=value))
    for name, value in wanted.attributes:
        held = "(JSONExtractRaw(attributes, :name) = :value OR JSONExtractString(attributes, :name) = :value)"
        conditions.append(fill(held, name=name, value=value))
    if wanted.text:
        conditions.append(_says(wanted.text, ("body", "attributes")))
    return conditions


def _of_times(wanted: LogFilter) -> list[str]:
    """When lines were written or came in, how severe they are, and after which of the list they stand."""
    bounds = {
        "severity >= ": wanted.severity,
        "time_ns >= ": wanted.since_ns,
        "time_ns < ": wanted.until_ns,
        "received_ns >= ": wanted.received_since_ns,
    }
    conditions = [f"{condition}{bound:d}" for condition, bound in bounds.items() if bound]
    if wanted.before is not None:
        time_ns, seq, place = wanted.before
        conditions.append(f"time_ns <= {time_ns:d} AND (time_ns, seq, place) < ({time_ns:d}, {seq:d}, {place:d})")
    return conditions


def _conditions(wanted: SessionFilter, ask: Rows) -> list[str]:
    """Everything that is asked but a text."""
    asked = {name: cast("str", getattr(wanted, name)) for name in _EQUAL if getattr(wanted, name)}
    conditions = ["moved_to = ''", *(fill(f"{name} = :value", value=value) for name, value in asked.items())]
    if wanted.since_ns:
        conditions.append(f"greatest({_START}, ended_ns) >= {wanted.since_ns:d}")
    if wanted.until_ns:
        conditions.append(f"{_START} < {wanted.until_ns:d}")
    if wanted.trace_id:
        conditions.append(_in_sessions(wanted.project, fill("trace_id = :trace", trace=wanted.trace_id)))
    if wanted.entity:
        conditions += _naming(wanted, ask)
    if wanted.flag:
        conditions.append(
            _in_ledger(wanted.project, fill("arrayExists(x -> has(x, :flag), `steps.flags`)", flag=wanted.flag))
        )
    if wanted.flagged:
        conditions.append(_in_ledger(wanted.project, "arrayExists(x -> notEmpty(x), `steps.flags`)"))
    if wanted.error:
        conditions.append(_in_ledger(wanted.project, "has(`steps.status`, 'error')"))
    return conditions


def _naming(wanted: SessionFilter, ask: Rows) -> list[str]:
    """One condition for each thing that the entity names; several may be named in different traces."""
    things = cast("list[tuple[str, int, int]]", ask(mentions.things_sql(readable(wanted.entity))))
    if not things:
        raise UnnamedError(wanted.entity)
    of = _of_project(wanted.project)
    found = []
    for _, is_number, digest in things:
        named = mentions.naming_sql(digest, is_number=bool(is_number))
        traces = f"SELECT project, trace FROM mentions WHERE {of} AND {named}"  # noqa: S608 - names are ours, values are filled in
        found.append(_in_sessions(wanted.project, f"(project, {mentions.TRACE}) IN ({traces})"))
    return found


def _in_sessions(project: str, traces: str) -> str:
    """That a trace which is now the session's meets a condition on `members_by_trace`."""
    live = _live("project, session_id", "members_by_trace", f"{_of_project(project)} AND {traces}")
    return f"(project, session_id) IN ({live})"


def _live(columns: str, table: str, condition: str) -> str:
    """Columns of the memberships of a table that meet a condition and hold."""
    return f"""
        SELECT {columns} FROM {table} WHERE {condition}
        GROUP BY project, session_id, trace_id HAVING argMax(live, seq) = 1"""  # noqa: S608 - names are ours, values are filled in


def _in_ledger(project: str, held: str) -> str:
    """That a current row of the session in the ledger meets a condition."""
    of = _of_project(project)
    slots = f"SELECT project, slot, session_id FROM ledger WHERE {of} AND {held}"  # noqa: S608 - names are ours, values are filled in
    return f"""(project, session_id) IN (
        SELECT project, session_id FROM ledger WHERE {of} AND (project, slot, session_id) IN ({slots})
        GROUP BY project, slot, session_id HAVING argMax(NOT gone AND {held}, seq))"""  # noqa: S608 - names are ours, values are filled in


def _spans_saying(wanted: SessionFilter) -> str:
    """The traces in which a span says the text."""
    conditions = [_of_project(wanted.project), _says(wanted.text, *_TEXTS)]
    since, words_since = wanted.text_since_ns, wanted.words_since_ns
    if not since:
        return _traces(conditions)
    saying = _traces([f"received_ns >= {since:d}", *conditions])
    words = _words(wanted.text)
    if words_since is None or words_since >= since or not words:
        return saying
    before = _traces([_received(words_since, since), *conditions], has_words(words))
    return f"{saying} UNION ALL {before}"


def _traces(conditions: Sequence[str], at_last: str = "true") -> str:
    """The traces of spans that meet conditions; `at_last` narrows down what is read and is asked of nothing else."""
    return f"SELECT project, trace_id FROM spans PREWHERE {' AND '.join(conditions)} WHERE {at_last}"  # noqa: S608 - names are ours, values are filled in


def _received(since_ns: int, until_ns: int) -> str:
    return f"received_ns >= {since_ns:d} AND received_ns < {until_ns:d}"


def _words(text: str) -> frozenset[str]:
    """The words that stand wherever a text does, however it is written, if those at its ends are whole ones."""
    return frozenset.intersection(*map(words_of, _spellings(text)))


def _spellings(text: str) -> list[str]:
    """A text as it is, and as JSON writes it."""
    text = readable(text)
    written = msgspec.json.encode(text).decode()[1:-1]
    return list(dict.fromkeys((text, written, json.dumps(text)[1:-1])))


def _says(text: str, columns: Sequence[str], lists: Sequence[str] = ()) -> str:
    """That a text stands in one of the columns as it is or as JSON writes it, in small or capital letters."""
    found = []
    for needle in _spellings(text):
        found += [_stands(column, needle) for column in columns]
        found += [f"arrayExists(x -> {_stands('x', needle)}, {column})" for column in lists]
    return f"({' OR '.join(found)})"


def _stands(text: str, needle: str) -> str:
    """That it stands in a text; what is of ASCII is found at two thirds of the cost."""
    if needle.isascii():
        return fill(f"position(lower({text}), :needle) > 0", needle=needle.lower())
    return fill(f"positionCaseInsensitiveUTF8({text}, :needle) > 0", needle=needle)


def _parts(project: str, ask: Rows) -> list[tuple[int, int, int]]:
    """For each part of the spans when its first and its last were received, and how many of usual length a search reads; the latest first.

    Told by what the engine knows of parts without reading rows, but for the project. The first is told in whole microseconds, as answers do.
    """
    found = ask("""
        SELECT _part, min(received_ns), max(received_ns), count() FROM spans GROUP BY _part SETTINGS apply_deleted_mask = 0""")
    stored = ask("""
        SELECT name, data_uncompressed_bytes / rows FROM system.parts
        WHERE active AND database = currentDatabase() AND table = 'spans'""")
    length = dict(cast("list[tuple[str, float]]", stored))
    parts = {part: (first, last, count) for part, first, last, count in cast("list[tuple[str, int, int, int]]", found)}
    if project:
        own = ask(f"SELECT _part, count() FROM spans WHERE {_of_project(project)} GROUP BY _part")  # noqa: S608 - names are ours, values are filled in
        counts = cast("list[tuple[str, int]]", own)
        parts = {part: (*parts[part][:2], count) for part, count in counts if part in parts}
    return sorted(
        (
            (first // 1000 * 1000, last, int(count * max(1.0, length.get(part, 0.0) / _USUAL_BYTES)))
            for part, (first, last, count) in parts.items()
        ),
        reverse=True,
    )


def _days(table: str, project: str, ask: Rows) -> list[tuple[int, int]]:
    """The beginnings of the days of reception and how many rows each has, the last day first; told by partitions, without their rows."""
    found = ask(f"""
        SELECT _partition_value.1 AS day, count() FROM {table} WHERE {_of_project(project)}
        GROUP BY day ORDER BY day DESC""")  # noqa: S608 - names are ours, values are filled in
    days = cast("list[tuple[int, int]]", found)
    return [(int(datetime.strptime(f"{day:d}+0000", "%Y%m%d%z").timestamp()) * 10**9, count) for day, count in days]


def _to_read(project: str, received: tuple[int, int], words: Iterable[str], ask: Rows) -> int:
    """How many spans received in a window the index leaves to be read for words."""
    found = ask(f"""
        EXPLAIN ESTIMATE {_traces([_of_project(project), _received(*received)], has_words(words))}
        SETTINGS use_skip_indexes_on_data_read = 0""")
    return sum(cast("int", row[3]) for row in found)


def _of_project(project: str) -> str:
    return fill("project = :project", project=project) if project else "true"

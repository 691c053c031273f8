"""Search in SQL: sessions by what they are told apart by, by what their texts name or say, by flags and errors; and log lines.

What follows from spans is asked of traces, and a trace is looked up among the memberships that are live, so that what was merged or
moved is found where it is now. For a text spans are read: all of those of some days of reception, and of the days before them those that
may hold its words.
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

FEW = 1_000
"""Sessions whose spans are read one by one instead of day by day."""

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
_DAY_NS = 86_400 * 10**9
_NO_TRACE = bytes(16)


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
        few = _few(wanted, conditions, ask)
        if few is not None:
            conditions = ["moved_to = ''", _among(few)]
        conditions.append(_in_sessions(wanted.project, f"(project, trace_id) IN ({_spans_saying(wanted, few)})"))
    return " AND ".join(conditions)


def text_since_ns(wanted: SessionFilter, most: int, ask: Rows) -> int:
    """Since when spans can be read for a text if no more than `most` are to be read, or a day's; 0 for ever."""
    conditions = _conditions(wanted, ask)
    if not wanted.text or _few(wanted, conditions, ask) is not None:
        return 0
    return _readable_since_ns("spans", wanted.project, most, ask)


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
    return _readable_since_ns("logs", wanted.project, most, ask)


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


def _few(wanted: SessionFilter, conditions: Sequence[str], ask: Rows) -> list[tuple[str, str]] | None:
    """The sessions, (project, session id), that what is asked beside a text leaves, if it leaves few."""
    if len(conditions) == 1 + bool(wanted.project):
        return None
    found = ask(f"SELECT DISTINCT project, session_id FROM sessions WHERE {' AND '.join(conditions)} LIMIT {FEW + 1}")  # noqa: S608 - names are ours, values are filled in
    return cast("list[tuple[str, str]]", found) if len(found) <= FEW else None


def _among(sessions: Sequence[tuple[str, str]]) -> str:
    """That it is one of these sessions."""
    names: dict[str, list[str]] = {}
    for project, session_id in sessions:
        names.setdefault(project, []).append(session_id)
    of = "(project = :project AND session_id IN :names)"
    return f"({' OR '.join(fill(of, project=project, names=own) for project, own in names.items()) or 'false'})"


def _spans_saying(wanted: SessionFilter, few: Sequence[tuple[str, str]] | None) -> str:
    """The traces in which a span says the text; of these sessions alone, if they are few."""
    conditions = [_of_project(wanted.project), _says(wanted.text, ("error", "input", "output"), lists=("texts",))]
    if few is not None:
        traces = f"SELECT trace_id FROM members WHERE {_among(few)}"  # noqa: S608 - names are ours, values are filled in
        return _traces([f"trace_id IN ({traces})", *conditions])
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
    return f"SELECT DISTINCT project, trace_id FROM spans PREWHERE {' AND '.join(conditions)} WHERE {at_last}"  # noqa: S608 - names are ours, values are filled in


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


def _readable_since_ns(table: str, project: str, most: int, ask: Rows) -> int:
    """The beginning of the earliest day of reception such that the rows since then are no more than `most`, or are those of the last day."""
    read, since = 0, 0
    for day_ns, count in _days(table, project, ask):
        read += count
        if since and read > most:
            return since
        since = day_ns
    return 0


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

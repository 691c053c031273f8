"""The state of the flow in a SQL database: SQLite, or PostgreSQL where several replicas share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from watchpost.model.alert import Alert
from watchpost.model.fact import Hold, Verdict
from watchpost.model.flag import Flag
from watchpost.model.knowledge import Draft, Lesson
from watchpost.model.notice import DeliveryState, Due, Receipt
from watchpost.model.release import Release, Track
from watchpost.model.silence import Silence
from watchpost.query.alerts import AlertFilter
from watchpost.query.flags import FlagFilter, KindCount, VerdictCount
from watchpost.query.releases import ReleaseFilter
from watchpost.store.alerts import AcknowledgedAlert, AlertGroup, StandingAlert
from watchpost.store.engines import sql_alerts, sql_cohorts, sql_erasure, sql_holds, sql_outbox, sql_releases
from watchpost.store.engines.sql_schema import migrate
from watchpost.store.engines.sql_tables import CURSOR, DRAFTS, FLAGS, LESSONS, OUTBOX, PINS, TABLES, VERDICTS
from watchpost.store.state import Cursor, SessionPin, StateBatch, StoredNotice, StoredVerdict

_IN_LIMIT = 500
"""How many values one `IN` takes; the least that a supported database allows in a statement is 999."""

_BUSY_MS = 10_000


class SqlState:
    """The state store: `StateWriter`, `KnowledgeSource`, `FlagReader`, `FlagList` and `Outbox`. Safe for any number of threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    @classmethod
    def open(cls, url: str, program: str) -> Self:
        """Connect to an SQLAlchemy URL such as `sqlite:////absolute/path` and bring the schema up to date.

        `program` is the version of this program, to be named where the schema is newer.

        Raises:
            StoreNewerError: the database was written by a newer program.
        """
        engine = sa.create_engine(url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _make_durable)
        try:
            migrate(engine, program)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Give up the connections; what was committed stays."""
        self._engine.dispose()

    @property
    def eraser(self) -> sql_erasure.SqlErasures:
        """What was erased, and what takes it out of here."""
        return sql_erasure.SqlErasures(self._engine)

    @property
    def cohorts(self) -> sql_cohorts.SqlCohorts:
        """Filters that people kept under a name."""
        return sql_cohorts.SqlCohorts(self._engine)

    def commit(self, batch: StateBatch) -> None:
        """See `StateWriter`."""
        cursor: dict[str, object] = {"id": 1, "batch": batch.cursor.batch, "seq": batch.cursor.seq}
        with self._engine.begin() as connection:
            self._put(connection, "cursor", [cursor], replace=True)
            self._put(connection, "flags", [_flag_row(each) for each in batch.flags], replace=True)
            self._put(connection, "outbox", [sql_outbox.notice_row(each) for each in batch.notices], replace=False)
            self._put(connection, "pins", [msgspec.structs.asdict(each) for each in batch.pins], replace=True)
            self._put(connection, "lessons", [_lesson_row(each) for each in batch.lessons], replace=False)
            self._put(connection, "drafts", [msgspec.structs.asdict(each) for each in batch.drafts], replace=True)
            self._put(connection, "verdicts", [_verdict_row(each) for each in batch.verdicts], replace=False)
            self._put(connection, "holds", [sql_holds.hold_row(each) for each in batch.holds], replace=True)
            self._put(connection, "erasures", [sql_erasure.asked_row(each) for each in batch.erasures], replace=False)
            sql_alerts.forget(connection, batch.raised)
            for table, rows in sql_alerts.written(batch.raised).items():
                self._put(connection, table, rows, replace=True)
            released = batch.released
            sql_releases.forget(connection, list(released.gone))
            self._put(
                connection, "releases", [sql_releases.release_row(each) for each in released.releases], replace=True
            )
            self._put(
                connection, "release_tracks", [sql_releases.track_row(each) for each in released.tracks], replace=True
            )

    def _put(self, connection: Connection, name: str, rows: list[dict[str, object]], *, replace: bool) -> None:
        """Insert rows into a table; those that are there already are replaced, or left as they are."""
        if not rows:
            return
        table = TABLES[name]
        insert = self._insert(table)
        keys = [table.c.id] if table is OUTBOX else list(table.primary_key)
        if replace:
            names = [column.name for column in table.columns if not column.primary_key]
            rest = {name: insert.excluded[name] for name in names}
            connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=rest), rows)
        else:
            connection.execute(insert.on_conflict_do_nothing(index_elements=keys), rows)

    def cursor(self) -> Cursor:
        """See `StateWriter`."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(CURSOR.c.batch, CURSOR.c.seq)).one_or_none()
        return Cursor() if row is None else Cursor(row.batch, row.seq)

    def flags(self, sessions: Sequence[tuple[str, str]]) -> list[Flag]:
        """See `FlagReader`."""
        return self._flags(FLAGS.c.session_id, sessions)

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        """See `FlagReader`."""
        return self._flags(FLAGS.c.trace_id, ((project, trace_id.hex()) for project, trace_id in traces))

    def _flags(self, column: sa.Column[str], pairs: Iterable[tuple[str, str]]) -> list[Flag]:
        """The flags of (project, value of the column) pairs, by time."""
        found: list[tuple[int, str, str]] = []
        with self._engine.connect() as connection:
            for project, values in _by_project(pairs).items():
                for start in range(0, len(values), _IN_LIMIT):
                    query = sa.select(FLAGS.c.at_ns, FLAGS.c.id, FLAGS.c.flag).where(
                        FLAGS.c.project == project, column.in_(values[start : start + _IN_LIMIT])
                    )
                    found += [(row.at_ns, row.id, row.flag) for row in connection.execute(query)]
        return [msgspec.json.decode(text, type=Flag) for _, _, text in sorted(found)]

    def flags_by_id(self, ids: Sequence[str]) -> list[Flag]:
        """See `VerdictReader`."""
        found: list[tuple[int, str, str]] = []
        with self._engine.connect() as connection:
            for some in _parts(ids):
                query = sa.select(FLAGS.c.at_ns, FLAGS.c.id, FLAGS.c.flag).where(FLAGS.c.id.in_(some))
                found += [(row.at_ns, row.id, row.flag) for row in connection.execute(query)]
        return [msgspec.json.decode(text, type=Flag) for _, _, text in sorted(found)]

    def verdicts(self, flag_ids: Sequence[str]) -> list[Verdict]:
        """See `VerdictReader`."""
        columns = (VERDICTS.c.flag_id, VERDICTS.c.verdict, VERDICTS.c.given_by, VERDICTS.c.note, VERDICTS.c.at_ns)
        found: list[tuple[tuple[int, int], Verdict]] = []
        with self._engine.connect() as connection:
            for some in _parts(flag_ids):
                query = sa.select(VERDICTS.c.seq, VERDICTS.c.place, *columns).where(VERDICTS.c.flag_id.in_(some))
                found += [((seq, place), Verdict(*rest)) for seq, place, *rest in connection.execute(query)]
        return [verdict for _, verdict in sorted(found, key=lambda each: each[0])]

    def verdict_counts(self, project: str) -> list[VerdictCount]:
        """See `VerdictReader`."""
        about = (VERDICTS.c.project, VERDICTS.c.kind, VERDICTS.c.tool)
        confirmed = sa.func.sum(sa.case((VERDICTS.c.verdict == "confirm", 1), else_=0)).label("confirmed")
        query = sa.select(*about, confirmed, sa.func.count().label("given")).where(_holds()).group_by(*about)
        if project:
            query = query.where(VERDICTS.c.project == project)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            VerdictCount(row.project, row.kind, row.tool, int(row.confirmed), row.given - int(row.confirmed))
            for row in rows
        ]

    def flags_matching(self, wanted: FlagFilter) -> list[Flag]:
        """See `FlagList`."""
        with self._engine.connect() as connection:
            found = connection.execute(_matching(FLAGS.c.flag, wanted))
            return [msgspec.json.decode(row.flag, type=Flag) for row in found]

    def flag_kinds(self, wanted: FlagFilter) -> list[KindCount]:
        """See `FlagList`."""
        found = _matching(FLAGS.c.kind, wanted).subquery()
        many = sa.func.count().label("many")
        query = sa.select(found.c.kind, many).group_by(found.c.kind).order_by(many.desc(), found.c.kind)
        with self._engine.connect() as connection:
            return [KindCount(row.kind, row.many) for row in connection.execute(query)]

    def holds(self) -> list[Hold]:
        """See `HoldReader`."""
        with self._engine.connect() as connection:
            return sql_holds.holds(connection)

    def lessons(self, project: str) -> list[Lesson]:
        """See `KnowledgeSource`."""
        query = sa.select(LESSONS.c.lesson).order_by(LESSONS.c.project, LESSONS.c.version)
        if project:
            query = query.where(LESSONS.c.project == project)
        with self._engine.connect() as connection:
            return [msgspec.json.decode(row.lesson, type=Lesson) for row in connection.execute(query)]

    def drafts(self, project: str) -> list[Draft]:
        """See `KnowledgeSource`."""
        query = sa.select(DRAFTS.c.project, DRAFTS.c.kind, DRAFTS.c.name, DRAFTS.c.body)
        if project:
            query = query.where(DRAFTS.c.project == project)
        with self._engine.connect() as connection:
            return [Draft(*row) for row in connection.execute(query)]

    def pins(self, sessions: Sequence[tuple[str, str]]) -> list[SessionPin]:
        """See `KnowledgeSource`."""
        found: list[SessionPin] = []
        with self._engine.connect() as connection:
            for project, values in _by_project(sessions).items():
                for start in range(0, len(values), _IN_LIMIT):
                    query = sa.select(
                        PINS.c.project, PINS.c.session_id, PINS.c.knowledge, PINS.c.taught, PINS.c.sound
                    ).where(PINS.c.project == project, PINS.c.session_id.in_(values[start : start + _IN_LIMIT]))
                    found += [SessionPin(*row) for row in connection.execute(query)]
        return found

    def release_tracks(self) -> list[Track]:
        """See `TrackReader`."""
        with self._engine.connect() as connection:
            return sql_releases.tracks(connection)

    def releases(self, wanted: ReleaseFilter) -> list[Release]:
        """See `ReleaseReader`."""
        with self._engine.connect() as connection:
            return sql_releases.releases(connection, wanted)

    def release(self, release_id: str) -> Release | None:
        """See `ReleaseReader`."""
        with self._engine.connect() as connection:
            return sql_releases.release(connection, release_id)

    def due(self, channel: str, now_ns: int, limit: int) -> list[Due]:
        """See `Outbox`."""
        with self._engine.connect() as connection:
            return sql_outbox.due(connection, channel, now_ns, limit)

    def settle(self, receipt: Receipt) -> None:
        """See `Outbox`."""
        with self._engine.begin() as connection:
            sql_outbox.settle(connection, receipt)

    def standing(self) -> list[Alert]:
        """See `AlertMemory`."""
        with self._engine.connect() as connection:
            return sql_alerts.standing(connection)

    def dispatched(self) -> list[Alert]:
        """See `AlertMemory`."""
        with self._engine.connect() as connection:
            return sql_alerts.dispatched(connection)

    def alert_groups(self) -> list[AlertGroup]:
        """See `AlertMemory`."""
        with self._engine.connect() as connection:
            return sql_alerts.alert_groups(connection)

    def silences(self, ended_after_ns: int) -> list[Silence]:
        """See `AlertMemory`."""
        with self._engine.connect() as connection:
            return sql_alerts.silences(connection, ended_after_ns)

    def alerts(self, wanted: AlertFilter) -> list[StandingAlert]:
        """See `AlertReader`."""
        with self._engine.connect() as connection:
            return sql_alerts.alerts(connection, wanted)

    def alert(self, alert_id: str) -> StandingAlert | None:
        """See `AlertReader`."""
        with self._engine.connect() as connection:
            return sql_alerts.alert(connection, alert_id)

    def alert_history(self, alert_id: str, limit: int) -> list[StandingAlert]:
        """See `AlertReader`."""
        with self._engine.connect() as connection:
            return sql_alerts.alert_history(connection, alert_id, limit)

    def acknowledged(self, alert_id: str) -> list[AcknowledgedAlert]:
        """See `AlertReader`."""
        with self._engine.connect() as connection:
            return sql_alerts.acknowledged(connection, alert_id)

    def backlog(self) -> dict[tuple[str, DeliveryState], int]:
        """See `Outbox`."""
        with self._engine.connect() as connection:
            return sql_outbox.backlog(connection)

    def notices_about(self, alert_id: str, limit: int) -> list[StoredNotice]:
        """See `watchpost.store.state.NoticeReader`."""
        with self._engine.connect() as connection:
            return sql_outbox.notices_about(connection, alert_id, limit)

    def last_tries(self) -> list[StoredNotice]:
        """See `watchpost.store.state.NoticeReader`."""
        with self._engine.connect() as connection:
            return sql_outbox.last_tries(connection)


def _make_durable(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """A commit of SQLite survives a power cut, what is deleted is overwritten, and readers and the writer do not block each other."""
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", f"busy_timeout = {_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _by_project(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of (project, value) pairs, each once, in order."""
    wanted: dict[str, set[str]] = {}
    for project, value in pairs:
        wanted.setdefault(project, set()).add(value)
    return {project: sorted(values) for project, values in wanted.items()}


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    """Values, each once, in as many lists as `IN` can take."""
    once = sorted(set(values))
    return (once[start : start + _IN_LIMIT] for start in range(0, len(once), _IN_LIMIT))


def _matching(column: sa.Column[str], wanted: FlagFilter) -> sa.Select[str]:
    """A column of the flags that are wanted, the latest first."""
    query = sa.select(column).order_by(FLAGS.c.at_ns.desc(), FLAGS.c.id.desc()).limit(wanted.limit)
    for name in ("project", "session_id", "kind", "tool", "state"):
        if asked := getattr(wanted, name):
            query = query.where(FLAGS.c[name] == asked)
    about = VERDICTS.c.flag_id == FLAGS.c.id
    match wanted.verdict:
        case "":
            pass
        case "none":
            query = query.where(~sa.exists().where(about))
        case verdict:
            query = query.where(sa.exists().where(about, VERDICTS.c.verdict == verdict, _holds()))
    if wanted.since_ns:
        query = query.where(FLAGS.c.at_ns >= wanted.since_ns)
    if wanted.until_ns:
        query = query.where(FLAGS.c.at_ns < wanted.until_ns)
    if wanted.before is not None:
        query = query.where(sa.tuple_(FLAGS.c.at_ns, FLAGS.c.id) < wanted.before)
    return query


def _holds() -> sa.ColumnElement[bool]:
    """That no later verdict was given about the same flag."""
    later = VERDICTS.alias()
    order = sa.tuple_(later.c.seq, later.c.place) > sa.tuple_(VERDICTS.c.seq, VERDICTS.c.place)
    return ~sa.exists().where(later.c.flag_id == VERDICTS.c.flag_id, order).correlate(VERDICTS)


def _verdict_row(stored: StoredVerdict) -> dict[str, object]:
    given = stored.verdict
    return {
        "seq": stored.seq,
        "place": stored.place,
        "flag_id": given.flag_id,
        "project": stored.project,
        "kind": stored.kind,
        "tool": stored.tool,
        "verdict": given.verdict,
        "given_by": given.by,
        "note": given.note,
        "at_ns": given.at_ns,
    }


def _lesson_row(lesson: Lesson) -> dict[str, object]:
    return {
        "project": lesson.project,
        "version": lesson.version,
        "lesson": msgspec.json.encode(lesson).decode(),
    }


def _flag_row(flag: Flag) -> dict[str, object]:
    return {
        "id": flag.id,
        "project": flag.project,
        "session_id": flag.session_id,
        "trace_id": flag.trace_id.hex(),
        "at_ns": flag.at_ns,
        "flag": msgspec.json.encode(flag).decode(),
        "kind": flag.kind,
        "tool": flag.tool,
        "state": flag.state,
    }

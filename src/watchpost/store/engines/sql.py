"""The state of the flow in a SQL database: SQLite, or PostgreSQL where several replicas share it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from watchpost.model.flag import Flag
from watchpost.model.notice import AlertEvent, DeliveryState, Due, Notice, Receipt
from watchpost.store.contracts import Cursor, StateBatch
from watchpost.store.engines.sql_schema import migrate
from watchpost.store.engines.sql_tables import CURSOR, FLAGS, OUTBOX

_IN_LIMIT = 500
"""How many values one `IN` takes; the least that a supported database allows in a statement is 999."""

_BUSY_MS = 10_000


class SqlState:
    """The state store: `StateWriter`, `FlagReader` and `Outbox`. Safe for any number of threads."""

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

    def commit(self, batch: StateBatch) -> None:
        """See `StateWriter`."""
        cursor = self._insert(CURSOR).values(id=1, batch=batch.cursor.batch, seq=batch.cursor.seq)
        cursor = cursor.on_conflict_do_update(
            index_elements=[CURSOR.c.id], set_={"batch": cursor.excluded.batch, "seq": cursor.excluded.seq}
        )
        with self._engine.begin() as connection:
            connection.execute(cursor)
            if batch.flags:
                flags = self._insert(FLAGS)
                columns = {column.name: flags.excluded[column.name] for column in FLAGS.c if column.name != "id"}
                connection.execute(
                    flags.on_conflict_do_update(index_elements=[FLAGS.c.id], set_=columns),
                    [_flag_row(f) for f in batch.flags],
                )
            if batch.notices:
                notices = self._insert(OUTBOX).on_conflict_do_nothing(index_elements=[OUTBOX.c.id])
                connection.execute(notices, [_notice_row(n) for n in batch.notices])

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
        wanted: dict[str, set[str]] = {}
        for project, value in pairs:
            wanted.setdefault(project, set()).add(value)
        found: list[tuple[int, str, str]] = []
        with self._engine.connect() as connection:
            for project, values in wanted.items():
                ordered = sorted(values)
                for start in range(0, len(ordered), _IN_LIMIT):
                    query = sa.select(FLAGS.c.at_ns, FLAGS.c.id, FLAGS.c.flag).where(
                        FLAGS.c.project == project, column.in_(ordered[start : start + _IN_LIMIT])
                    )
                    found += [(row.at_ns, row.id, row.flag) for row in connection.execute(query)]
        return [msgspec.json.decode(text, type=Flag) for _, _, text in sorted(found)]

    def due(self, channel: str, now_ns: int, limit: int) -> list[Due]:
        """See `Outbox`."""
        query = (
            sa.select(OUTBOX.c.id, OUTBOX.c.event, OUTBOX.c.attempts)
            .where(OUTBOX.c.channel == channel, OUTBOX.c.state == "waiting", OUTBOX.c.retry_at_ns <= now_ns)
            .order_by(OUTBOX.c.number)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Due(Notice(row.id, channel, msgspec.json.decode(row.event, type=AlertEvent)), row.attempts) for row in rows
        ]

    def settle(self, receipt: Receipt) -> None:
        """See `Outbox`. A receipt for a notice that is not waiting changes nothing: what was delivered stays delivered."""
        change = (
            sa.update(OUTBOX)
            .where(OUTBOX.c.id == receipt.notice_id, OUTBOX.c.state == "waiting")
            .values(
                state=receipt.state,
                attempts=OUTBOX.c.attempts + 1,
                retry_at_ns=receipt.retry_at_ns,
                tried_ns=receipt.tried_ns,
                detail=receipt.detail,
            )
        )
        with self._engine.begin() as connection:
            connection.execute(change)

    def backlog(self) -> dict[tuple[str, DeliveryState], int]:
        """See `Outbox`."""
        query = sa.select(OUTBOX.c.channel, OUTBOX.c.state, sa.func.count()).group_by(OUTBOX.c.channel, OUTBOX.c.state)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {(channel, cast("DeliveryState", state)): count for channel, state, count in rows}


def _make_durable(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """A commit of SQLite survives a power cut, and readers and the writer do not block each other."""
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _flag_row(flag: Flag) -> dict[str, object]:
    return {
        "id": flag.id,
        "project": flag.project,
        "session_id": flag.session_id,
        "trace_id": flag.trace_id.hex(),
        "at_ns": flag.at_ns,
        "flag": msgspec.json.encode(flag).decode(),
    }


def _notice_row(notice: Notice) -> dict[str, object]:
    return {
        "id": notice.id,
        "channel": notice.channel,
        "event": msgspec.json.encode(notice.event).decode(),
        "state": "waiting",
        "attempts": 0,
        "retry_at_ns": 0,
        "tried_ns": 0,
        "detail": "",
    }

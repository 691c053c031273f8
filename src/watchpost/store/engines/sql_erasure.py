"""Erasures in SQL: which are asked for, what of the state goes with them, and what is remembered of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from watchpost.model.session import session_key
from watchpost.store.engines.erased_names import Names
from watchpost.store.engines.sql_tables import (
    ALERT_CHANGES,
    ALERT_GROUPS,
    ALERTS,
    DISPATCHED,
    ERASURES,
    FLAGS,
    HOLDS,
    OUTBOX,
    PINS,
    TOMBSTONES,
    VERDICTS,
)
from watchpost.store.erasure import Erasure, ErasureRecord, ErasureState

_IN_LIMIT = 300

GOING: Mapping[str, str] = {
    "flags": "those of the sessions and of their traces",
    "pins": "those of the sessions",
    "holds": "those of the sessions",
    "verdicts": "names of their flags, and notes; what was said stays, so that precision does not move",
    "outbox": "notices about nothing else; names in the others",
    "alerts": "names, and texts in which one stands",
    "alert_changes": "the same",
    "dispatched_alerts": "the same",
    "alert_groups": "the same",
    "erasures": "the names, once it is hidden",
}
"""Tables of which something goes, and what."""

IMPERSONAL: Mapping[str, str] = {
    "cursor": "two numbers",
    "lessons": "what is usual in many sessions: names of fields, kinds of values, quantiles",
    "drafts": "the same before it is sure; the traces that candidates name are taken out as the flow learns",
    "releases": "versions of agents, models, prompts and tools",
    "release_tracks": "when those were used",
    "tombstones": "keyed digests",
    "silences": "what people wrote to be told of less",
    "alert_acknowledgements": "who was on an alert, which is named by a digest",
    "alembic_version": "versions of this program",
}
"""Tables that hold nothing of anybody, and why."""


_TEXTS = (
    (OUTBOX, OUTBOX.c.notice, (OUTBOX.c.number,)),
    (ALERTS, ALERTS.c.alert, (ALERTS.c.id,)),
    (ALERT_CHANGES, ALERT_CHANGES.c.alert, (ALERT_CHANGES.c.id, ALERT_CHANGES.c.changed_ns, ALERT_CHANGES.c.state)),
    (DISPATCHED, DISPATCHED.c.alert, (DISPATCHED.c.id,)),
    (ALERT_GROUPS, ALERT_GROUPS.c.body, (ALERT_GROUPS.c.id,)),
)
"""Columns of JSON that may name somebody, and the keys of their tables."""


class SqlErasures:
    """See `ErasureLog` and `ErasureReader`. Safe for any number of threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def unhidden(self) -> list[Erasure]:
        """See `ErasureLog`."""
        query = sa.select(ERASURES.c.secret).where(ERASURES.c.state == "asked").order_by(ERASURES.c.seq, ERASURES.c.id)
        with self._engine.connect() as connection:
            return [msgspec.json.decode(row.secret, type=Erasure) for row in connection.execute(query)]

    def copied(self, erasure: Erasure, rows: Mapping[str, int]) -> None:
        """See `ErasureLog`."""
        secret = msgspec.json.encode(msgspec.structs.replace(erasure, copied=True)).decode()
        self._change(erasure.id, {"secret": secret, "rows": msgspec.json.encode(rows).decode()})

    def hide(self, erasure: Erasure, digests: Sequence[str], at_ns: int) -> None:
        """See `ErasureLog`."""
        rows = self._rows(erasure.id)
        stones = [{"digest": digest, "erasure": erasure.id} for digest in digests]
        with self._engine.begin() as connection:
            gone = dict(_take_out(connection, erasure))
            for stone in stones:
                connection.execute(sa.delete(TOMBSTONES).where(TOMBSTONES.c.digest == stone["digest"]))
            if stones:
                connection.execute(sa.insert(TOMBSTONES), stones)
            counted = msgspec.json.encode(rows | {table: count for table, count in gone.items() if count}).decode()
            done = {"state": "hidden", "hidden_ns": at_ns, "secret": "", "rows": counted}
            connection.execute(sa.update(ERASURES).where(ERASURES.c.id == erasure.id).values(done))

    def purge(self, upto_seq: int, at_ns: int) -> bool:
        """See `ErasureLog`. What SQLite deletes it overwrites, once no reader looks at the write-ahead log any more."""
        free = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with free.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
                if busy:
                    return False
            else:
                for table in GOING:
                    connection.exec_driver_sql(f"VACUUM {table}")
        hidden = (ERASURES.c.state == "hidden", ERASURES.c.seq < upto_seq)
        with self._engine.begin() as connection:
            connection.execute(sa.update(ERASURES).where(*hidden).values(state="purged", purged_ns=at_ns))
        return self.is_done()

    def is_done(self) -> bool:
        """See `ErasureReader`."""
        left = sa.select(ERASURES.c.id).where(ERASURES.c.state != "purged").limit(1)
        with self._engine.connect() as connection:
            return connection.execute(left).first() is None

    def erasures(self, limit: int) -> list[ErasureRecord]:
        """See `ErasureReader`."""
        query = sa.select(ERASURES).order_by(ERASURES.c.seq.desc(), ERASURES.c.id).limit(limit)
        with self._engine.connect() as connection:
            return [_record(row) for row in connection.execute(query)]

    def erasure(self, erasure_id: str) -> ErasureRecord | None:
        """See `ErasureReader`."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(ERASURES).where(ERASURES.c.id == erasure_id)).one_or_none()
        return None if row is None else _record(row)

    def is_erased(self, digest: str) -> bool:
        """See `ErasureReader`."""
        query = sa.select(TOMBSTONES.c.digest).where(TOMBSTONES.c.digest == digest)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def _rows(self, erasure_id: str) -> dict[str, int]:
        with self._engine.connect() as connection:
            held = connection.execute(sa.select(ERASURES.c.rows).where(ERASURES.c.id == erasure_id)).scalar_one()
        return msgspec.json.decode(held, type=dict[str, int])

    def _change(self, erasure_id: str, values: Mapping[str, object]) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.update(ERASURES).where(ERASURES.c.id == erasure_id).values(**values))


def asked_row(erasure: Erasure) -> dict[str, object]:
    """One that is asked for, as a row."""
    return {
        "id": erasure.id,
        "seq": erasure.seq,
        "project": erasure.project,
        "subject": "user" if erasure.user_id else "session",
        "digest": erasure.digest,
        "given_by": erasure.by,
        "reason": erasure.reason,
        "state": "asked",
        "asked_ns": erasure.asked_ns,
        "hidden_ns": 0,
        "purged_ns": 0,
        "sessions": len(erasure.found.sessions),
        "rows": "{}",
        "secret": msgspec.json.encode(erasure).decode(),
    }


def _take_out(connection: Connection, erasure: Erasure) -> Iterator[tuple[str, int]]:
    """Delete what `GOING` says; how many rows of each table."""
    found = erasure.found
    keys = [session_key(*ref) for ref in found.sessions]
    flags = _flag_ids(connection, erasure)
    yield (
        "flags",
        sum(connection.execute(sa.delete(FLAGS).where(FLAGS.c.id.in_(some))).rowcount for some in _parts(flags)),
    )
    yield (
        "pins",
        sum(
            connection.execute(sa.delete(PINS).where(PINS.c.project == ref[0], PINS.c.session_id == ref[1])).rowcount
            for ref in found.sessions
        ),
    )
    yield (
        "holds",
        sum(
            connection.execute(sa.delete(HOLDS).where(HOLDS.c.project == ref[0], HOLDS.c.session_id == ref[1])).rowcount
            for ref in found.sessions
        ),
    )
    said = 0
    for flag_id in flags:
        alias = hashlib.blake2b(flag_id.encode(), digest_size=16, key=bytes.fromhex(erasure.nonce)).hexdigest()
        change = sa.update(VERDICTS).where(VERDICTS.c.flag_id == flag_id).values(flag_id=alias, note="")
        said += connection.execute(change).rowcount
    yield "verdicts", said
    names = [*keys, *flags, *(trace.hex() for _, trace in found.traces), *(name for _, name in found.sessions)]
    names += [erasure.user_id] if erasure.user_id else []
    yield from _take_out_of_texts(connection, Names(names))


def _take_out_of_texts(connection: Connection, names: Names) -> Iterator[tuple[str, int]]:
    """A notice that is about nothing else goes; alerts, and notices about others too, stay without the names."""
    for table, column, keys in _TEXTS:
        touched = 0
        for row in connection.execute(sa.select(*keys, column)).all():
            *key, text = row
            if (left := names.out_of(text)) is None:
                continue
            touched += 1
            at = [each == value for each, value in zip(keys, key, strict=True)]
            if table is OUTBOX and not left.sessions:
                connection.execute(sa.delete(table).where(*at))
            else:
                connection.execute(sa.update(table).where(*at).values({column.name: left.text}))
        yield table.name, touched


def _flag_ids(connection: Connection, erasure: Erasure) -> list[str]:
    """The flags of the sessions and of their traces."""
    found: set[str] = set()
    for project, session_id in erasure.found.sessions:
        of = (FLAGS.c.project == project, FLAGS.c.session_id == session_id)
        found |= {row.id for row in connection.execute(sa.select(FLAGS.c.id).where(*of))}
    for project, trace_id in erasure.found.traces:
        of = (FLAGS.c.project == project, FLAGS.c.trace_id == trace_id.hex())
        found |= {row.id for row in connection.execute(sa.select(FLAGS.c.id).where(*of))}
    return sorted(found)


def _record(row: sa.Row[tuple[object, ...]]) -> ErasureRecord:
    return ErasureRecord(
        row.id,
        row.seq,
        row.project,
        cast("Literal['session', 'user']", row.subject),
        row.digest,
        row.given_by,
        row.reason,
        cast("ErasureState", row.state),
        row.asked_ns,
        row.hidden_ns,
        row.purged_ns,
        row.sessions,
        msgspec.json.decode(row.rows, type=dict[str, int]),
    )


def _parts(values: Iterable[object]) -> Iterator[list[object]]:
    held = list(values)
    return (held[start : start + _IN_LIMIT] for start in range(0, len(held), _IN_LIMIT))

"""Erasures in SQL: which are asked for, what of the state goes with them, and what is remembered of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Literal, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from watchpost.model.alert import Alert
from watchpost.model.notice import Notice
from watchpost.store.engines.erased_names import Names, names_of
from watchpost.store.engines.sql_cohorts import take_out_of_cohorts
from watchpost.store.engines.sql_tables import (
    ALERT_CHANGES,
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
    "outbox": "notices about nothing else, unless a receiver is to hear how it ends; names in the others",
    "alerts": "names, and texts in which one stands",
    "alert_changes": "the same",
    "dispatched_alerts": "the same",
    "alert_groups": "those of which a label names somebody, by the flow, with the batch of the erasure",
    "cohorts": "those of which the name or the filter names somebody",
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


_ALERTS = (
    (ALERTS, (ALERTS.c.id,)),
    (ALERT_CHANGES, (ALERT_CHANGES.c.id, ALERT_CHANGES.c.changed_ns, ALERT_CHANGES.c.state)),
    (DISPATCHED, (DISPATCHED.c.id,)),
)
"""Tables of alerts as JSON, and their keys."""


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
            for some in _parts(digests):
                connection.execute(sa.delete(TOMBSTONES).where(TOMBSTONES.c.digest.in_(some)))
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
    flags = _flag_ids(connection, erasure)
    yield (
        "flags",
        sum(connection.execute(sa.delete(FLAGS).where(FLAGS.c.id.in_(some))).rowcount for some in _parts(flags)),
    )
    for table in (PINS, HOLDS):
        yield (
            table.name,
            sum(
                connection.execute(
                    sa.delete(table).where(table.c.project == project, table.c.session_id.in_(some))
                ).rowcount
                for project, some in _by_project(erasure.found.sessions)
            ),
        )
    yield "verdicts", _unname_verdicts(connection, flags, bytes.fromhex(erasure.nonce))
    names = names_of([erasure], flags)
    yield "outbox", _take_out_of_notices(connection, names)
    yield from _take_out_of_alerts(connection, names)
    yield "cohorts", take_out_of_cohorts(connection, names)


def _unname_verdicts(connection: Connection, flags: Iterable[str], nonce: bytes) -> int:
    """Let what was said of these flags be about others of which nobody knows; how often something was."""
    said = 0
    for some in _parts(flags):
        query = sa.select(VERDICTS.c.flag_id).distinct().where(VERDICTS.c.flag_id.in_(some))
        for flag_id in connection.execute(query).scalars().all():
            alias = hashlib.blake2b(flag_id.encode(), digest_size=16, key=nonce).hexdigest()
            change = sa.update(VERDICTS).where(VERDICTS.c.flag_id == flag_id).values(flag_id=alias, note="")
            said += connection.execute(change).rowcount
    return said


def _take_out_of_alerts(connection: Connection, names: Names) -> Iterator[tuple[str, int]]:
    """Alerts stay without the names."""
    for table, keys in _ALERTS:
        changes: list[tuple[list[object], Alert]] = []
        for *key, text in connection.execute(sa.select(*keys, table.c.alert)):
            if names.may_stand_in(text):
                alert = msgspec.json.decode(text, type=Alert)
                if (left := names.alert(alert)) != alert:
                    changes.append((key, left))
        for key, left in changes:
            at = [each == value for each, value in zip(keys, key, strict=True)]
            connection.execute(sa.update(table).where(*at).values(alert=msgspec.json.encode(left).decode()))
        yield table.name, len(changes)


def _take_out_of_notices(connection: Connection, names: Names) -> int:
    """How many notices went, or stay without the names.

    One about nothing else goes. But where a receiver may have heard of a group of alerts, what it is told of them stays, so that it hears of their end.
    """
    query = sa.select(OUTBOX.c.number, OUTBOX.c.channel, OUTBOX.c.notice)
    found = [
        (number, channel, msgspec.json.decode(text, type=Notice))
        for number, channel, text in connection.execute(query)
        if names.may_stand_in(text)
    ]
    heard = {
        (channel, notice.key)
        for _, channel, notice in found
        if notice.key and connection.execute(_tries(channel, notice.key)).first() is not None
    }
    touched = 0
    for number, channel, notice in found:
        left = names.notice(notice)
        touched += left != notice
        if names.are_all_of(notice) and (channel, notice.key) not in heard:
            connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.number == number))
        elif left != notice:
            text = msgspec.json.encode(left).decode()
            connection.execute(sa.update(OUTBOX).where(OUTBOX.c.number == number).values(notice=text))
    return touched


def _tries(channel: str, key: str) -> sa.Select[tuple[int]]:
    """The notices of a conversation that a channel was tried with."""
    tried = sa.or_(OUTBOX.c.state != "waiting", OUTBOX.c.attempts > 0)
    return sa.select(OUTBOX.c.number).where(OUTBOX.c.channel == channel, OUTBOX.c.key == key, tried)


def _flag_ids(connection: Connection, erasure: Erasure) -> list[str]:
    """The flags of the sessions and of their traces."""
    found: set[str] = set()
    traces = ((project, trace_id.hex()) for project, trace_id in erasure.found.traces)
    for column, pairs in ((FLAGS.c.session_id, erasure.found.sessions), (FLAGS.c.trace_id, traces)):
        for project, some in _by_project(pairs):
            query = sa.select(FLAGS.c.id).where(FLAGS.c.project == project, column.in_(some))
            found |= set(connection.execute(query).scalars())
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


def _by_project(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """The values of (project, value) pairs, as many at a time as `IN` can take."""
    for project, same in groupby(sorted(pairs), key=itemgetter(0)):
        for some in _parts(value for _, value in same):
            yield project, some


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    held = list(values)
    return (held[start : start + _IN_LIMIT] for start in range(0, len(held), _IN_LIMIT))

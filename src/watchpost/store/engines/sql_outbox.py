"""Notices that wait, in SQL: one conversation of a channel at a time, in the order in which its notices came."""

from __future__ import annotations

import itertools
from typing import cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from watchpost.model.notice import DeliveryState, Due, Notice, Receipt
from watchpost.store.engines.sql_tables import OUTBOX
from watchpost.store.state import NOTICES_SEARCHED, StoredNotice


def _first_handle() -> sa.ScalarSelect[str]:
    """What the channel called the first notice that it took since the conversation's last resolve, before the one asked of."""
    resolve, told = OUTBOX.alias("resolve"), OUTBOX.alias("told")
    last_resolve = (
        sa.select(sa.func.max(resolve.c.number))
        .where(resolve.c.channel == OUTBOX.c.channel, resolve.c.key == OUTBOX.c.key)
        .where(resolve.c.number < OUTBOX.c.number, resolve.c.action == "resolve")
        .correlate(OUTBOX)
        .scalar_subquery()
    )
    return (
        sa.select(told.c.handle)
        .where(told.c.channel == OUTBOX.c.channel, told.c.key == OUTBOX.c.key, told.c.number < OUTBOX.c.number)
        .where(told.c.state == "delivered", told.c.handle != "", told.c.number > sa.func.coalesce(last_resolve, 0))
        .order_by(told.c.number)
        .limit(1)
        .correlate(OUTBOX)
        .scalar_subquery()
    )


def _due() -> sa.Select[tuple[str, int, str | None]]:
    older = OUTBOX.alias("older")
    waits_behind = sa.exists().where(
        older.c.channel == OUTBOX.c.channel,
        older.c.key == OUTBOX.c.key,
        older.c.state == "waiting",
        older.c.number < OUTBOX.c.number,
    )
    return (
        sa.select(OUTBOX.c.notice, OUTBOX.c.attempts, _first_handle().label("first_handle"))
        .where(OUTBOX.c.channel == sa.bindparam("of"), OUTBOX.c.state == "waiting", ~waits_behind)
        .where(OUTBOX.c.retry_at_ns <= sa.bindparam("until_ns"))
        .order_by(OUTBOX.c.number)
        .limit(sa.bindparam("most"))
    )


_DUE = _due()


def due(connection: Connection, channel: str, now_ns: int, limit: int) -> list[Due]:
    """See `watchpost.store.state.Outbox`."""
    rows = connection.execute(_DUE, {"of": channel, "until_ns": now_ns, "most": limit}).all()
    return [Due(msgspec.json.decode(row.notice, type=Notice), row.attempts, row.first_handle or "") for row in rows]


_SETTLE = (
    sa.update(OUTBOX)
    .where(OUTBOX.c.id == sa.bindparam("of"), OUTBOX.c.state == "waiting")
    .values(attempts=OUTBOX.c.attempts + 1, state=sa.bindparam("to"))
    .values({name: sa.bindparam(name) for name in ("retry_at_ns", "tried_ns", "detail", "handle")})
)


def settle(connection: Connection, receipt: Receipt) -> None:
    """See `watchpost.store.state.Outbox`. A receipt for a notice that is not waiting changes nothing: what was delivered stays delivered."""
    told = {
        "of": receipt.notice_id,
        "to": receipt.state,
        "retry_at_ns": receipt.retry_at_ns,
        "tried_ns": receipt.tried_ns,
        "detail": receipt.detail,
        "handle": receipt.handle,
    }
    connection.execute(_SETTLE, told)


def backlog(connection: Connection) -> dict[tuple[str, DeliveryState], int]:
    """See `watchpost.store.state.Outbox`."""
    query = sa.select(OUTBOX.c.channel, OUTBOX.c.state, sa.func.count()).group_by(OUTBOX.c.channel, OUTBOX.c.state)
    rows = connection.execute(query).all()
    return {(channel, cast("DeliveryState", state)): count for channel, state, count in rows}


def notices_about(connection: Connection, alert_id: str, limit: int) -> list[StoredNotice]:
    """See `watchpost.store.state.NoticeReader`."""
    last = connection.execute(sa.select(sa.func.max(OUTBOX.c.number))).scalar_one() or 0
    query = (
        sa.select(OUTBOX)
        .where(OUTBOX.c.number > last - NOTICES_SEARCHED, OUTBOX.c.notice.contains(alert_id, autoescape=True))
        .order_by(OUTBOX.c.number.desc())
    )
    found = (_stored(row) for row in connection.execute(query))
    return list(itertools.islice((each for each in found if _names(each.notice, alert_id)), limit))


def last_tries(connection: Connection) -> list[StoredNotice]:
    """See `watchpost.store.state.NoticeReader`."""
    tried = sa.select(OUTBOX.c.channel, sa.func.max(OUTBOX.c.tried_ns)).where(OUTBOX.c.attempts > 0)
    latest = [tried.group_by(OUTBOX.c.channel), tried.where(OUTBOX.c.state != "delivered").group_by(OUTBOX.c.channel)]
    wanted = {tuple(row) for query in latest for row in connection.execute(query)}
    found = [
        connection.execute(
            sa.select(OUTBOX)
            .where(OUTBOX.c.channel == channel, OUTBOX.c.tried_ns == tried_ns, OUTBOX.c.attempts > 0)
            .order_by(OUTBOX.c.number.desc())
            .limit(1)
        ).one()
        for channel, tried_ns in sorted(wanted)
    ]
    return [_stored(row) for row in found]


def _names(notice: Notice, alert_id: str) -> bool:
    return any(told.alert_id == alert_id for told in notice.alerts)


def _stored(row: sa.Row[tuple[object, ...]]) -> StoredNotice:
    return StoredNotice(
        msgspec.json.decode(row.notice, type=Notice), row.state, row.attempts, row.tried_ns, row.retry_at_ns, row.detail
    )


def notice_row(notice: Notice) -> dict[str, object]:
    """A notice that nobody has tried to deliver."""
    return {
        "id": notice.id,
        "channel": notice.channel,
        "notice": msgspec.json.encode(notice).decode(),
        "state": "waiting",
        "attempts": 0,
        "retry_at_ns": 0,
        "tried_ns": 0,
        "detail": "",
        "key": notice.conversation,
        "action": notice.action,
        "handle": "",
    }

"""Notices that wait, in SQL: one conversation of a channel at a time, in the order in which its notices came."""

from __future__ import annotations

from typing import cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from watchpost.model.notice import DeliveryState, Due, Notice, Receipt
from watchpost.store.engines.sql_tables import OUTBOX


def due(connection: Connection, channel: str, now_ns: int, limit: int) -> list[Due]:
    """See `watchpost.store.state.Outbox`."""
    older = OUTBOX.alias()
    waits_behind = sa.exists().where(
        older.c.channel == OUTBOX.c.channel,
        older.c.key == OUTBOX.c.key,
        older.c.state == "waiting",
        older.c.number < OUTBOX.c.number,
    )
    query = (
        sa.select(OUTBOX)
        .where(OUTBOX.c.channel == channel, OUTBOX.c.state == "waiting", OUTBOX.c.retry_at_ns <= now_ns, ~waits_behind)
        .order_by(OUTBOX.c.number)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    return [
        Due(
            msgspec.json.decode(row.notice, type=Notice),
            row.attempts,
            _handle(connection, channel, row.key, row.number),
        )
        for row in rows
    ]


def _handle(connection: Connection, channel: str, key: str, number: int) -> str:
    """What the channel called the first notice that it took since the conversation's last resolve, before this one."""
    earlier = (OUTBOX.c.channel == channel, OUTBOX.c.key == key, OUTBOX.c.number < number)
    last_resolve = sa.select(sa.func.max(OUTBOX.c.number)).where(*earlier, OUTBOX.c.action == "resolve")
    query = (
        sa.select(OUTBOX.c.handle)
        .where(*earlier, OUTBOX.c.state == "delivered", OUTBOX.c.handle != "")
        .where(OUTBOX.c.number > sa.func.coalesce(last_resolve.scalar_subquery(), 0))
        .order_by(OUTBOX.c.number)
        .limit(1)
    )
    return str(connection.execute(query).scalar() or "")


def settle(connection: Connection, receipt: Receipt) -> None:
    """See `watchpost.store.state.Outbox`. A receipt for a notice that is not waiting changes nothing: what was delivered stays delivered."""
    change = (
        sa.update(OUTBOX)
        .where(OUTBOX.c.id == receipt.notice_id, OUTBOX.c.state == "waiting")
        .values(
            state=receipt.state,
            attempts=OUTBOX.c.attempts + 1,
            retry_at_ns=receipt.retry_at_ns,
            tried_ns=receipt.tried_ns,
            detail=receipt.detail,
            handle=receipt.handle,
        )
    )
    connection.execute(change)


def backlog(connection: Connection) -> dict[tuple[str, DeliveryState], int]:
    """See `watchpost.store.state.Outbox`."""
    query = sa.select(OUTBOX.c.channel, OUTBOX.c.state, sa.func.count()).group_by(OUTBOX.c.channel, OUTBOX.c.state)
    rows = connection.execute(query).all()
    return {(channel, cast("DeliveryState", state)): count for channel, state, count in rows}


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

"""Whole notices: which of them are one conversation, what they do to it, and what the channel calls it."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_AT_ONCE = 1000


def upgrade() -> None:
    """Keep each notice whole instead of its event alone, and let each that is there be a conversation of its own."""
    for name, given in (("key", ""), ("action", "trigger"), ("handle", "")):
        op.add_column("outbox", sa.Column(name, sa.String, nullable=False, server_default=given))
    op.add_column("outbox", sa.Column("notice", sa.Text, nullable=False, server_default=""))
    _fill()
    op.drop_column("outbox", "event")
    op.create_index("outbox_by_conversation", "outbox", ["channel", "key", "state", "number"])


def _fill() -> None:
    names = ("id", "channel", "event", "key", "notice")
    outbox = sa.table("outbox", sa.column("number", sa.BigInteger), *(sa.column(name, sa.String) for name in names))
    change = (
        sa.update(outbox)
        .where(outbox.c.number == sa.bindparam("at"))
        .values(key=outbox.c.id, notice=sa.bindparam("whole"))
    )
    connection, last = op.get_bind(), -1
    while rows := connection.execute(
        sa.select(outbox).where(outbox.c.number > last).order_by(outbox.c.number).limit(_AT_ONCE)
    ).all():
        last = rows[-1].number
        connection.execute(
            change,
            [
                {
                    "at": row.number,
                    "whole": msgspec.json.encode(
                        {"id": row.id, "channel": row.channel, "event": msgspec.Raw(row.event.encode())}
                    ).decode(),
                }
                for row in rows
            ],
        )

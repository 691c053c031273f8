"""What people said of flags, and by what flags are listed."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_AT_ONCE = 1000


class _Held(msgspec.Struct):
    """What is looked up by, out of a flag as JSON."""

    kind: str
    state: str
    evidence: dict[str, object]


def upgrade() -> None:
    """Add verdicts, and take out of each flag what it is listed by."""
    op.create_table(
        "verdicts",
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("flag_id", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("tool", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("given_by", sa.String, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("verdicts_by_flag", "verdicts", ["flag_id", "seq", "place"])
    op.add_column("pins", sa.Column("sound", sa.Boolean, nullable=False, server_default=sa.false()))
    for name in ("kind", "tool", "state"):
        op.add_column("flags", sa.Column(name, sa.String, nullable=False, server_default=""))
    _fill()
    op.create_index("flags_by_time", "flags", ["at_ns", "id"])
    op.create_index("flags_by_kind", "flags", ["project", "kind", "at_ns", "id"])


def _fill() -> None:
    flags = sa.table("flags", *(sa.column(name, sa.String) for name in ("id", "kind", "tool", "state", "flag")))
    change = (
        sa.update(flags)
        .where(flags.c.id == sa.bindparam("at"))
        .values({name: sa.bindparam(f"new_{name}") for name in ("kind", "tool", "state")})
    )
    connection, last = op.get_bind(), ""
    while rows := connection.execute(
        sa.select(flags.c.id, flags.c.flag).where(flags.c.id > last).order_by(flags.c.id).limit(_AT_ONCE)
    ).all():
        last = rows[-1].id
        found = [(row.id, msgspec.json.decode(row.flag, type=_Held)) for row in rows]
        connection.execute(
            change,
            [
                {
                    "at": flag_id,
                    "new_kind": held.kind,
                    "new_tool": str(held.evidence.get("tool", "")).replace("\0", " "),
                    "new_state": held.state,
                }
                for flag_id, held in found
            ],
        )

"""Which sessions people hold, so that their traces outlive their time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add holds."""
    op.create_table(
        "holds",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("given_by", sa.String, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
    )

"""Filters of sessions that people kept under a name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add cohorts."""
    op.create_table(
        "cohorts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("saved_ns", sa.BigInteger, nullable=False),
    )

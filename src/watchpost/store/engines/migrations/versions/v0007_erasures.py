"""What was erased when, for whom and why, and the sessions that are gone by a digest of their keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add both."""
    op.create_table(
        "erasures",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("given_by", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("asked_ns", sa.BigInteger, nullable=False),
        sa.Column("hidden_ns", sa.BigInteger, nullable=False),
        sa.Column("purged_ns", sa.BigInteger, nullable=False),
        sa.Column("sessions", sa.Integer, nullable=False),
        sa.Column("rows", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
    )
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("erasure", sa.String, nullable=False),
    )

"""What was learnt from sessions, and which of it each session is judged by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add pins, lessons and drafts."""
    op.create_table(
        "pins",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("knowledge", sa.BigInteger, nullable=False),
        sa.Column("taught", sa.Boolean, nullable=False),
    )
    op.create_table(
        "lessons",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("lesson", sa.Text, nullable=False),
    )
    op.create_table(
        "drafts",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )

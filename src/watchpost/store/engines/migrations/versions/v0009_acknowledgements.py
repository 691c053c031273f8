"""Who was on which alert, and when they said so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add acknowledgements of alerts."""
    op.create_table(
        "alert_acknowledgements",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("at_ns", sa.BigInteger, primary_key=True),
        sa.Column("by", sa.String, nullable=False),
    )

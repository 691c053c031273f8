"""How alerts stand and stood, what was told of them, and silences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add alerts, their history, what is dispatched, groups and silences."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
    )
    op.create_index("alerts_by_change", "alerts", ["changed_ns", "id"])
    op.create_index("alerts_by_state", "alerts", ["state", "changed_ns", "id"])
    op.create_table(
        "alert_changes",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("changed_ns", sa.BigInteger, primary_key=True),
        sa.Column("state", sa.String, primary_key=True),
        sa.Column("alert", sa.Text, nullable=False),
    )
    op.create_table(
        "dispatched_alerts", sa.Column("id", sa.String, primary_key=True), sa.Column("alert", sa.Text, nullable=False)
    )
    op.create_table(
        "alert_groups",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("ends_ns", sa.BigInteger, nullable=False),
        sa.Column("silence", sa.LargeBinary, nullable=False),
    )

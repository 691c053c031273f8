"""What was released when, and the periods of use that this follows from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add both."""
    op.create_table(
        "releases",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("workflow", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("retracted", sa.Boolean, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
    )
    op.create_index("releases_by_time", "releases", ["at_ns", "id"])
    op.create_table(
        "release_tracks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("track", sa.Text, nullable=False),
    )

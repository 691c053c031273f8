"""The tables of the state store as the newest migration leaves them."""

from __future__ import annotations

import sqlalchemy as sa

_META = sa.MetaData()

CURSOR = sa.Table(
    "cursor",
    _META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("batch", sa.BigInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
)
"""One row, of id 1."""

FLAGS = sa.Table(
    "flags",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("session_id", sa.String, nullable=False),
    sa.Column("trace_id", sa.String, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("flag", sa.Text, nullable=False),
)
"""Flags as JSON, beside what they are looked up by; `trace_id` is hexadecimal."""

OUTBOX = sa.Table(
    "outbox",
    _META,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("channel", sa.String, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("retry_at_ns", sa.BigInteger, nullable=False),
    sa.Column("tried_ns", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
"""Notices in the order in which they came, with their event as JSON; times are Unix nanoseconds, 0 for none."""

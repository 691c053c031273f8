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
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("tool", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
)
"""Flags as JSON, beside what they are looked up by; `trace_id` is hexadecimal."""

VERDICTS = sa.Table(
    "verdicts",
    _META,
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
"""What people said of flags, all of it, by its place in the log."""

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

PINS = sa.Table(
    "pins",
    _META,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("session_id", sa.String, primary_key=True),
    sa.Column("knowledge", sa.BigInteger, nullable=False),
    sa.Column("taught", sa.Boolean, nullable=False),
    sa.Column("sound", sa.Boolean, nullable=False),
)

LESSONS = sa.Table(
    "lessons",
    _META,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("lesson", sa.Text, nullable=False),
)
"""Lessons as JSON, beside what names them."""

DRAFTS = sa.Table(
    "drafts",
    _META,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

TABLES = _META.tables
"""All of them, by name."""

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
    sa.Column("notice", sa.Text, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("retry_at_ns", sa.BigInteger, nullable=False),
    sa.Column("tried_ns", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("handle", sa.String, nullable=False),
)
"""Notices in the order in which they came, as JSON, beside what they are looked up by; times are Unix nanoseconds, 0 for none.

`key` names the conversation; a notice without one is named by its id.
"""

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

RELEASES = sa.Table(
    "releases",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("workflow", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("retracted", sa.Boolean, nullable=False),
    sa.Column("release", sa.Text, nullable=False),
)
"""Releases as JSON, beside what they are looked up by."""

RELEASE_TRACKS = sa.Table(
    "release_tracks",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("track", sa.Text, nullable=False),
)
"""Tracks as JSON, named by a digest of what they are about."""

HOLDS = sa.Table(
    "holds",
    _META,
    sa.Column("project", sa.String, primary_key=True),
    sa.Column("session_id", sa.String, primary_key=True),
    sa.Column("given_by", sa.String, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("released", sa.Boolean, nullable=False),
)

ERASURES = sa.Table(
    "erasures",
    _META,
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
"""Erasures; `rows` by table as JSON, and as `secret` the whole of it as JSON, names too, until it is hidden."""

TOMBSTONES = sa.Table(
    "tombstones",
    _META,
    sa.Column("digest", sa.String, primary_key=True),
    sa.Column("erasure", sa.String, nullable=False),
)
"""Keyed digests of the keys of erased sessions."""

ALERTS = sa.Table(
    "alerts",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("severity", sa.String, nullable=False),
    sa.Column("changed_ns", sa.BigInteger, nullable=False),
    sa.Column("alert", sa.Text, nullable=False),
)
"""Alerts as they stand, as JSON, beside what they are listed by."""

ALERT_CHANGES = sa.Table(
    "alert_changes",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("changed_ns", sa.BigInteger, primary_key=True),
    sa.Column("state", sa.String, primary_key=True),
    sa.Column("alert", sa.Text, nullable=False),
)
"""How alerts stood after each change, those that were only pending left out."""

DISPATCHED = sa.Table(
    "dispatched_alerts",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("alert", sa.Text, nullable=False),
)

ALERT_GROUPS = sa.Table(
    "alert_groups",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

SILENCES = sa.Table(
    "silences",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("project", sa.String, nullable=False),
    sa.Column("ends_ns", sa.BigInteger, nullable=False),
    sa.Column("silence", sa.LargeBinary, nullable=False),
)

ALERT_ACKNOWLEDGEMENTS = sa.Table(
    "alert_acknowledgements",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("at_ns", sa.BigInteger, primary_key=True),
    sa.Column("by", sa.String, nullable=False),
)
"""Who was on which alert, by its id; kept when its group is not any more."""

COHORTS = sa.Table(
    "cohorts",
    _META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("saved_ns", sa.BigInteger, nullable=False),
)
"""Filters of sessions by a name; `asked` is JSON."""

TABLES = _META.tables
"""All of them, by name."""


def without_nul(value: str) -> str:
    """Text as every database takes it."""
    return value.replace("\0", " ")

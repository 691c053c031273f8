"""Releases in SQL: as JSON, beside what they are looked up by."""

from __future__ import annotations

import hashlib

import msgspec
import sqlalchemy as sa

from watchpost.model.release import Release, Track
from watchpost.query.releases import ReleaseFilter
from watchpost.store.engines.sql_tables import RELEASE_TRACKS, RELEASES, without_nul


def release_row(release: Release) -> dict[str, object]:
    """A release as a row."""
    return {
        "id": release.id,
        "project": without_nul(release.project),
        "workflow": without_nul(release.workflow),
        "kind": release.kind,
        "at_ns": release.at_ns,
        "retracted": release.retracted is not None,
        "release": msgspec.json.encode(release).decode(),
    }


def track_row(track: Track) -> dict[str, object]:
    """A track as a row, named by a digest of what it is about."""
    about = (track.project, track.workflow, track.kind, track.name, track.version)
    digest = hashlib.blake2b(msgspec.json.encode(about), digest_size=16).hexdigest()
    return {"id": digest, "track": msgspec.json.encode(track).decode()}


def forget(connection: sa.Connection, ids: list[str]) -> None:
    """Take releases out that turned out to be none."""
    if ids:
        connection.execute(sa.delete(RELEASES).where(RELEASES.c.id == sa.bindparam("gone")), [{"gone": i} for i in ids])


def tracks(connection: sa.Connection) -> list[Track]:
    """See `TrackReader`."""
    return [msgspec.json.decode(row.track, type=Track) for row in connection.execute(sa.select(RELEASE_TRACKS.c.track))]


def releases(connection: sa.Connection, wanted: ReleaseFilter) -> list[Release]:
    """See `ReleaseReader`."""
    table = RELEASES.c
    query = sa.select(table.release).order_by(table.at_ns.desc(), table.id.desc()).limit(wanted.limit)
    if wanted.projects:
        query = query.where(table.project.in_([without_nul(each) for each in wanted.projects]))
    if wanted.workflows:
        query = query.where(table.workflow.in_(["", *(without_nul(each) for each in wanted.workflows)]))
    if wanted.kind:
        query = query.where(table.kind == wanted.kind)
    if wanted.since_ns:
        query = query.where(table.at_ns >= wanted.since_ns)
    if wanted.until_ns:
        query = query.where(table.at_ns < wanted.until_ns)
    if not wanted.retracted:
        query = query.where(~table.retracted)
    if wanted.before is not None:
        query = query.where(sa.tuple_(table.at_ns, table.id) < wanted.before)
    return [msgspec.json.decode(row.release, type=Release) for row in connection.execute(query)]


def release(connection: sa.Connection, release_id: str) -> Release | None:
    """See `ReleaseReader`."""
    row = connection.execute(sa.select(RELEASES.c.release).where(RELEASES.c.id == release_id)).one_or_none()
    return None if row is None else msgspec.json.decode(row.release, type=Release)

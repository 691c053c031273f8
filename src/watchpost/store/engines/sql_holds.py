"""Holds in SQL: of each session the last one."""

from __future__ import annotations

import sqlalchemy as sa

from watchpost.model.fact import Hold
from watchpost.store.engines.sql_tables import HOLDS, without_nul


def hold_row(hold: Hold) -> dict[str, object]:
    """A hold as a row; NUL, which databases do not take, becomes a space."""
    return {
        "project": without_nul(hold.project),
        "session_id": without_nul(hold.session_id),
        "given_by": without_nul(hold.by),
        "note": without_nul(hold.note),
        "at_ns": hold.at_ns,
        "released": hold.released,
    }


def holds(connection: sa.Connection) -> list[Hold]:
    """The holds that were not released, the latest first."""
    columns = (HOLDS.c.project, HOLDS.c.session_id, HOLDS.c.given_by, HOLDS.c.note, HOLDS.c.at_ns)
    query = sa.select(*columns).where(~HOLDS.c.released).order_by(HOLDS.c.at_ns.desc(), HOLDS.c.session_id)
    return [Hold(*row) for row in connection.execute(query)]

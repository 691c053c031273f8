"""Cohorts in SQL."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from watchpost.query.cohorts import Cohort
from watchpost.store.cohorts import CohortsFullError, NameTakenError
from watchpost.store.engines.erased_names import Names
from watchpost.store.engines.sql_tables import COHORTS, without_nul

_OF_SOMEBODY = frozenset({"session_id", "user_id", "trace", "entity", "text", "q"})
"""Parameters that name a session, a person or what was said; the others name what is used by many."""


class SqlCohorts:
    """A `CohortStore`. Safe for any number of threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def cohorts(self) -> list[Cohort]:
        """See `CohortStore`."""
        with self._engine.connect() as connection:
            return _cohorts(connection)

    def keep(self, cohort: Cohort, most: int) -> None:
        """See `CohortStore`."""
        row = {
            "name": without_nul(cohort.name),
            "asked": msgspec.json.encode(cohort.asked).decode(),
            "saved_ns": cohort.saved_ns,
        }
        change = sa.update(COHORTS).where(COHORTS.c.id == cohort.id).values(**row)
        try:
            with self._engine.begin() as connection:
                if connection.execute(change).rowcount:
                    return
                connection.execute(sa.insert(COHORTS).values(id=cohort.id, **row))
                if connection.execute(sa.select(sa.func.count()).select_from(COHORTS)).scalar_one() > most:
                    raise CohortsFullError
        except sa.exc.IntegrityError as error:
            raise NameTakenError from error

    def drop(self, cohort_id: str) -> bool:
        """See `CohortStore`."""
        with self._engine.begin() as connection:
            return bool(connection.execute(sa.delete(COHORTS).where(COHORTS.c.id == cohort_id)).rowcount)


def take_out_of_cohorts(connection: Connection, names: Names) -> int:
    """Delete those of which the name or the filter names somebody; how many."""
    told = [each for each in _cohorts(connection) if names.labels(said := _said(each)) != said]
    for each in told:
        connection.execute(sa.delete(COHORTS).where(COHORTS.c.id == each.id))
    return len(told)


def _said(cohort: Cohort) -> dict[str, str]:
    """What a cohort says that may be about somebody."""
    return {"name": cohort.name} | {name: text for name, text in cohort.asked.items() if name in _OF_SOMEBODY}


def _cohorts(connection: Connection) -> list[Cohort]:
    query = sa.select(COHORTS.c.id, COHORTS.c.name, COHORTS.c.asked, COHORTS.c.saved_ns)
    found = [
        Cohort(row.id, row.name, msgspec.json.decode(row.asked, type=dict[str, str]), row.saved_ns)
        for row in connection.execute(query)
    ]
    return sorted(found, key=lambda each: (each.name.casefold(), each.name))

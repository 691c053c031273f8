"""Where cohorts are kept, and how that may be refused.

A cohort decides nothing: no flag, no alert and no number follows from one. So it is a plain record, written in a transaction of its own
when somebody says so, and no fact of the log that a replay would have to come upon again.
"""

from __future__ import annotations

from typing import Protocol

from watchpost.query.cohorts import Cohort


class NameTakenError(Exception):
    """Another cohort is called so."""


class CohortsFullError(Exception):
    """There are as many cohorts as may be kept."""


class CohortStore(Protocol):
    """Cohorts, for everybody who uses this Watchpost."""

    def cohorts(self) -> list[Cohort]:
        """All of them, by name."""
        ...

    def keep(self, cohort: Cohort, most: int) -> None:
        """Write it, in the place of the one of its id. It is durable on return; what raises writes nothing.

        Raises:
            NameTakenError: one of another id has the name.
            CohortsFullError: it would be one more than `most`.
        """
        ...

    def drop(self, cohort_id: str) -> bool:
        """Forget it; whether there was one."""
        ...

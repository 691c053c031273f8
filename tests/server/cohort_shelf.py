"""A `CohortStore` in a dictionary."""

from __future__ import annotations

from watchpost.query.cohorts import Cohort
from watchpost.store.cohorts import CohortsFullError, NameTakenError


class CohortShelf:
    """Keeps the promises of `CohortStore`, for as long as it lives."""

    def __init__(self) -> None:
        self._held: dict[str, Cohort] = {}

    def cohorts(self) -> list[Cohort]:
        return sorted(self._held.values(), key=lambda each: (each.name.casefold(), each.name))

    def keep(self, cohort: Cohort, most: int) -> None:
        if any(each.name == cohort.name and each.id != cohort.id for each in self._held.values()):
            raise NameTakenError
        if cohort.id not in self._held and len(self._held) >= most:
            raise CohortsFullError
        self._held[cohort.id] = cohort

    def drop(self, cohort_id: str) -> bool:
        return self._held.pop(cohort_id, None) is not None

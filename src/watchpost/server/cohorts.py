"""Filters of sessions kept under a name, for everybody: what is taken, what is refused, and how they are answered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import get_args
from urllib.parse import parse_qsl, urlencode

import msgspec

from watchpost.model.session import Outcome, State
from watchpost.query.cohorts import MOST, NAME_LENGTH, Cohort
from watchpost.server.answers import moment
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.server.search import LONGEST, session_filter
from watchpost.store.cohorts import CohortsFullError, CohortStore, NameTakenError

PARAMETERS = ("q", "project", "session_id", "state", "outcome", "workflow", "user_id", "service", "org_id", "feature", "release", "trace", "entity", "text", "text_since", "flag", "flagged", "error", "since", "until")  # fmt: skip
"""What a filter of sessions is asked for by, in the order in which it is shown."""

_MAY_HIDE = ("q", "user_id", "entity", "text")
"""What may hold what is hidden in all telemetry."""

_CHOICES: Mapping[str, tuple[str, ...]] = {"state": get_args(State), "outcome": get_args(Outcome)}


class CohortGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A filter to be kept: the parameters of `GET /api/sessions` with their values."""

    name: str
    filter: dict[str, str]


class CohortAnswer(msgspec.Struct, frozen=True):
    """One cohort. `query` is its filter as it stands in an address."""

    id: str
    name: str
    filter: dict[str, str]
    query: str
    saved_at: str | None


class CohortsAnswer(msgspec.Struct, frozen=True):
    """Every cohort, by name."""

    cohorts: list[CohortAnswer]


class Cohorts:
    """Its methods read or write the store and block; call them from worker threads.

    `hidden` gives a text of a project as it stands in telemetry: what is hidden there is not kept here either.
    """

    def __init__(self, store: CohortStore, hidden: Callable[[str, str], str], now_ns: Callable[[], int]) -> None:
        self._store = store
        self._hidden = hidden
        self._now_ns = now_ns

    def all(self) -> CohortsAnswer:
        """All of them."""
        return CohortsAnswer([_answer(each) for each in self._store.cohorts()])

    def save(self, given: CohortGiven) -> CohortAnswer:
        """Keep a filter. Raises `ParameterError` for a name that is taken, or too long, for a filter that is none, and where there are too many."""
        now_ns = self._now_ns()
        asked = self._checked(given.filter, now_ns)
        name = _name(given.name)
        digest = hashlib.blake2b(f"{now_ns}\0{name}\0{urlencode(asked)}".encode(), digest_size=8).hexdigest()
        return self._keep(Cohort(digest, name, asked, now_ns))

    def rename(self, cohort_id: str, name: str) -> CohortAnswer:
        """Call it otherwise; raises as `save` does, and `NotFoundError` for one that is not there."""
        found = next((each for each in self._store.cohorts() if each.id == cohort_id), None)
        if found is None:
            raise NotFoundError(f"no cohort has the id {cohort_id}")
        return self._keep(msgspec.structs.replace(found, name=_name(name), saved_ns=self._now_ns()))

    def drop(self, cohort_id: str) -> None:
        """Forget it; raises `NotFoundError` for one that is not there."""
        if not self._store.drop(cohort_id):
            raise NotFoundError(f"no cohort has the id {cohort_id}")

    def _keep(self, cohort: Cohort) -> CohortAnswer:
        try:
            self._store.keep(cohort, MOST)
        except NameTakenError as error:
            raise ParameterError("name", "another cohort is called so") from error
        except CohortsFullError as error:
            raise ParameterError("name", f"there are {MOST} cohorts; delete one that nobody needs") from error
        return _answer(cohort)

    def _checked(self, given: Mapping[str, str], now_ns: int) -> dict[str, str]:
        """A filter as it is kept, in the order of `PARAMETERS`."""
        for name, value in given.items():
            if name not in PARAMETERS:
                raise ParameterError("filter", f"{name[:80]} is no parameter of a filter of sessions")
            if value and value not in _CHOICES.get(name, (value,)):
                raise ParameterError(name, f"it is one of {', '.join(_CHOICES[name])}")
            if len(value) > LONGEST:
                raise ParameterError(name, f"longer than {LONGEST} characters")
        session_filter(given, now_ns)
        asked = {name: given[name] for name in PARAMETERS if given.get(name)}
        if not asked:
            raise ParameterError("filter", "it asks for nothing: a cohort is some sessions and not all")
        project = asked.get("project", "")
        return {name: self._hidden(project, text) if name in _MAY_HIDE else text for name, text in asked.items()}


def filter_of(query: str) -> dict[str, str]:
    """The parameters that stand in an address, the last of each. Raises `ParameterError` for what is none."""
    try:
        return dict(parse_qsl(query.removeprefix("?"), errors="strict", max_num_fields=len(PARAMETERS) + 5))
    except ValueError as error:
        raise ParameterError("filter", "is no query of an address") from error


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise ParameterError("name", "a cohort needs one")
    if len(name) > NAME_LENGTH:
        raise ParameterError("name", f"is longer than {NAME_LENGTH} characters")
    if not name.isprintable():
        raise ParameterError("name", "holds characters that cannot be printed")
    return name


def _answer(cohort: Cohort) -> CohortAnswer:
    return CohortAnswer(cohort.id, cohort.name, dict(cohort.asked), urlencode(cohort.asked), moment(cohort.saved_ns))

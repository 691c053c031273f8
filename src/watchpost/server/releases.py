"""Releases as API and CLI answer them: what was released when, what people tell of, and what they take back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from watchpost.model.fact import Fact, ReleaseTold, Retraction
from watchpost.model.release import Release, ReleaseKind, ReleaseSource, Retracted, told_id
from watchpost.query.releases import ReleaseFilter
from watchpost.server.answers import moment
from watchpost.server.archive import write_cursor
from watchpost.server.days import UTC_DAYS, Days
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.server.review import BY_LENGTH, NOTE_LENGTH, WAIT_S, Notebook
from watchpost.server.words import line, note
from watchpost.store.state import ReleaseReader

NAME_LENGTH = 200

SHOWN = 200
"""Releases that are drawn on one series, the latest."""

_AHEAD_NS = 86_400 * 10**9
"""How far ahead a release may be told."""


class RetractedAnswer(msgspec.Struct, frozen=True):
    """Who said that a release was none, why and when; empty text where they gave no name or note."""

    by: str
    note: str
    at: str | None


class ReleaseAnswer(msgspec.Struct, frozen=True):
    """From `at` on, this version was used, or so somebody told. An empty `workflow` is every workflow of the project.

    `began` says that nothing changed: it is what was used when this workflow began. `retracted` is null unless somebody took it back.
    """

    id: str
    project: str
    workflow: str
    kind: ReleaseKind
    name: str
    version: str
    at: str | None
    source: ReleaseSource
    began: bool
    by: str
    note: str
    retracted: RetractedAnswer | None


class ReleasesAnswer(msgspec.Struct, frozen=True):
    """A page of releases, the latest first; `next` is the cursor of the following page, null at the end."""

    releases: list[ReleaseAnswer]
    next: str | None


class ReleaseGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody tells of a release. Without `at`, ISO 8601, it is now; an empty `workflow` is every workflow of the project."""

    kind: ReleaseKind
    name: str
    version: str
    project: str = "default"
    workflow: str = ""
    at: str = ""
    by: str = ""
    note: str = ""


class RetractionGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who says that a release was none, and why."""

    by: str = ""
    note: str = ""


class ReleaseBook:
    """Its methods read the store and block, but for `give`; call them from a worker thread."""

    def __init__(
        self, reader: ReleaseReader, notes: Notebook, now_ns: Callable[[], int], days: Days = UTC_DAYS
    ) -> None:
        self._reader = reader
        self._notes = notes
        self._now_ns = now_ns
        self._days = days

    def moment_ns(self, text: str, parameter: str) -> int:
        """A moment as a parameter names it; see `Days`."""
        return self._days.moment_ns(text, parameter, self._now_ns())

    def page(self, wanted: ReleaseFilter) -> ReleasesAnswer:
        """At most `wanted.limit` releases."""
        found = self._reader.releases(msgspec.structs.replace(wanted, limit=wanted.limit + 1))
        shown = found[: wanted.limit]
        more = len(found) > len(shown)
        return ReleasesAnswer(
            [release_answer(each) for each in shown], write_cursor(shown[-1].at_ns, shown[-1].id) if more else None
        )

    def one(self, release_id: str) -> ReleaseAnswer:
        """One release, retracted or not; raises `NotFoundError`."""
        return release_answer(found_release(self._reader, release_id))

    def told(self, given: ReleaseGiven) -> ReleaseTold:
        """What is to be noted of a release; raises `ParameterError` for what cannot be one."""
        name, version = line("name", given.name, NAME_LENGTH), line("version", given.version, NAME_LENGTH)
        if not version:
            raise ParameterError("version", "is empty")
        project = line("project", given.project, NAME_LENGTH)
        if not project:
            raise ParameterError("project", "is empty")
        now_ns = self._now_ns()
        at_ns = self._days.moment_ns(given.at, "at", now_ns) or now_ns
        if at_ns > now_ns + _AHEAD_NS:
            raise ParameterError("at", "more than a day ahead")
        workflow, by = line("workflow", given.workflow, 1024), line("by", given.by, BY_LENGTH)
        return ReleaseTold(
            project, workflow, given.kind, name, version, at_ns, by, note("note", given.note, NOTE_LENGTH)
        )

    def retraction(self, release_id: str, given: RetractionGiven) -> Retraction:
        """What is to be noted where a release was none; raises `NotFoundError` and `ParameterError`."""
        release = found_release(self._reader, release_id)
        return Retraction(
            release, line("by", given.by, BY_LENGTH), note("note", given.note, NOTE_LENGTH), self._now_ns()
        )

    async def give(self, said: ReleaseTold | Retraction) -> tuple[ReleaseAnswer, bool]:
        """Note it: the release, and whether that holds already. Raises as `Notebook.note` does."""
        facts: Sequence[Fact] = (said,)
        seq = await self._notes.note(facts)
        holds = await self._notes.settled(seq, WAIT_S)
        return release_answer(said_of(said)), holds


def said_of(said: ReleaseTold | Retraction) -> Release:
    """The release as it is once that holds."""
    if isinstance(said, Retraction):
        retracted = Retracted(said.release.at_ns, said.by, said.note, said.at_ns)
        return msgspec.structs.replace(said.release, retracted=retracted)
    what = (said.project, said.workflow, said.kind, said.name, said.version)
    return Release(told_id(*what, said.at_ns), *what, said.at_ns, "told", by=said.by, note=said.note)


def found_release(reader: ReleaseReader, release_id: str) -> Release:
    """One release; raises `NotFoundError`."""
    release = reader.release(release_id)
    if release is None:
        raise NotFoundError(f"no release has the id {release_id}")
    return release


def release_answer(release: Release) -> ReleaseAnswer:
    """A release as it is answered."""
    said = release.retracted
    return ReleaseAnswer(
        release.id,
        release.project,
        release.workflow,
        release.kind,
        release.name,
        release.version,
        moment(release.at_ns),
        release.source,
        release.began,
        release.by,
        release.note,
        None if said is None else RetractedAnswer(said.by, said.note, moment(said.said_ns)),
    )

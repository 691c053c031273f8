"""Which version of what was used since when, by what the ledger says of sessions that ended; and what people said of releases."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from watchpost.model.fact import ReleaseTold, Retraction
from watchpost.model.knowledge import Lesson
from watchpost.model.release import HOUR_NS, Period, Release, ReleaseKind, Retracted, Track, seen_id, told_id
from watchpost.store.contracts import LedgerRow
from watchpost.store.state import ReleaseNews, TrackReader

PAUSE_HOURS = 7 * 24
"""A version that was not used for longer than this is released again when it is."""

BEGINNING_NS = HOUR_NS
"""What is used within so long of the first use of anything of its kind and name is what all began with."""

MOST_VERSIONS = 200
"""Versions of one thing that are told apart: what has more of them names no versions."""

MOST_TRACKS = 50_000
"""Versions of all things of a project that are followed; about 1 kB each."""

MOST_PERIODS = 100
"""Periods of one version; beyond that the two oldest count as one."""

Named = tuple[str, str, ReleaseKind, str]
"""Project, workflow, kind and name of what has versions."""

_Use = tuple[ReleaseKind, str, str]
"""Kind, name and version."""


class _Version:
    """The periods of one version, in order, changed in place."""

    __slots__ = ("periods", "retracted")

    def __init__(self) -> None:
        self.periods: list[Period] = []
        self.retracted: list[Retracted] = []

    def use(self, at_ns: int) -> bool:
        """Take in a use; false where it changes nothing. What comes of several does not depend on their order."""
        hour = at_ns // HOUR_NS
        place = bisect_right(self.periods, at_ns, key=lambda period: period.first_ns)
        if place and hour <= self.periods[place - 1].last_hour:
            return False
        new = Period(at_ns, hour)
        start = end = place
        if place and hour - self.periods[place - 1].last_hour <= PAUSE_HOURS:
            start, new = place - 1, Period(self.periods[place - 1].first_ns, hour)
        if place < len(self.periods) and self.periods[place].first_hour - hour <= PAUSE_HOURS:
            end, new = place + 1, Period(new.first_ns, max(self.periods[place].last_hour, hour))
        self.periods[start:end] = [new]
        if len(self.periods) > MOST_PERIODS:
            self.periods[:2] = [Period(self.periods[0].first_ns, self.periods[1].last_hour)]
        return True

    def retraction(self, period: Period) -> Retracted | None:
        """What was said against a period, the latest of it."""
        said = [each for each in self.retracted if period.first_ns <= each.at_ns < (period.last_hour + 1) * HOUR_NS]
        return max(said, key=lambda each: each.said_ns, default=None)


class _Thing:
    """All versions of one thing, and the releases that were last made of them."""

    __slots__ = ("told", "versions")

    def __init__(self) -> None:
        self.versions: dict[str, _Version] = {}
        self.told: dict[str, Release] = {}


class Releases:
    """Grows by ledger rows, lessons and facts. What follows is the same for any order in which sessions end, and after any replay."""

    def __init__(self, source: TrackReader) -> None:
        """Go on from what the source holds."""
        self._things: dict[Named, _Thing] = {}
        self._tracks: dict[str, int] = {}
        for track in source.release_tracks():
            held = self._add((track.project, track.workflow, track.kind, track.name), track.version)
            held.periods += track.periods
            held.retracted += track.retracted
        for named, thing in self._things.items():
            thing.told = {release.id: release for release in _releases(named, thing)}

    def take(
        self, rows: Iterable[LedgerRow], lessons: Iterable[Lesson], said: Sequence[ReleaseTold | Retraction]
    ) -> ReleaseNews:
        """What is to be written of a batch: its ledger rows, the lessons it published and the facts in it, in order."""
        changed: dict[Named, dict[str, None]] = {}
        for row in rows:
            if row.outcome and row.slot > 0:
                for use, at_ns in _uses(row):
                    self._use((row.project, row.workflow, use[0], use[1]), use[2], at_ns, changed)
        for lesson in lessons:
            if lesson.kind == "contract" and lesson.content is not None:
                self._use((lesson.project, "", "tool", lesson.name), str(lesson.version), lesson.at_ns, changed)
        told: dict[str, Release] = {}
        for fact in said:
            self._hear(fact, told, changed)
        return self._news(told, changed)

    def _hear(
        self, fact: ReleaseTold | Retraction, told: dict[str, Release], changed: dict[Named, dict[str, None]]
    ) -> None:
        if isinstance(fact, ReleaseTold):
            what = (fact.project, fact.workflow, fact.kind, fact.name, fact.version)
            release = Release(told_id(*what, fact.at_ns), *what, fact.at_ns, "told", by=fact.by, note=fact.note)
            told[release.id] = release
            return
        release = fact.release
        retracted = Retracted(release.at_ns, fact.by, fact.note, fact.at_ns)
        if release.source == "told":
            told[release.id] = msgspec.structs.replace(release, retracted=retracted)
            return
        named = (release.project, release.workflow, release.kind, release.name)
        thing = self._things.get(named)
        version = thing.versions.get(release.version) if thing is not None else None
        if version is not None:
            version.retracted.append(retracted)
            changed.setdefault(named, {})[release.version] = None

    def _use(self, named: Named, version: str, at_ns: int, changed: dict[Named, dict[str, None]]) -> None:
        if self._add(named, version).use(at_ns):
            changed.setdefault(named, {})[version] = None

    def _add(self, named: Named, version: str) -> _Version:
        """A version that is followed, or, beyond what can be, one that is not."""
        thing = self._things.get(named)
        known = thing.versions.get(version) if thing is not None else None
        if known is not None:
            return known
        project, made = named[0], _Version()
        if self._tracks.get(project, 0) >= MOST_TRACKS:
            return made
        thing = self._things.setdefault(named, _Thing())
        if len(thing.versions) < MOST_VERSIONS:
            thing.versions[version] = made
            self._tracks[project] = self._tracks.get(project, 0) + 1
        return made

    def _news(self, told: dict[str, Release], changed: dict[Named, dict[str, None]]) -> ReleaseNews:
        releases, gone, tracks = list(told.values()), [], []
        for named, versions in changed.items():
            thing = self._things.get(named)
            if thing is None:
                continue
            now = {release.id: release for release in _releases(named, thing)}
            releases += [release for release in now.values() if thing.told.get(release.id) != release]
            gone += [each for each in thing.told if each not in now]
            thing.told = now
            tracks += [_track(named, each, held) for each in versions if (held := thing.versions.get(each)) is not None]
        return ReleaseNews(releases, gone, tracks)


def _uses(row: LedgerRow) -> Iterator[tuple[_Use, int]]:
    """The first use of each version in a row; a call that failed may not have reached what it names."""
    if row.release and row.steps:
        yield ("agent", row.service, row.release), row.steps[0].start_ns
    known: set[tuple[str, str, str, str]] = set()
    for step in row.steps:
        if not step.model or step.status == "error":
            continue
        parts = (step.kind, step.agent, step.model, step.prompt)
        if parts in known:
            continue
        known.add(parts)
        yield ("model", "embeddings" if step.kind == "retrieval" else step.agent, step.model), step.start_ns
        if step.prompt:
            name, _, version = step.prompt.rpartition("@")
            yield ("prompt", name or step.agent, version), step.start_ns


def _track(named: Named, version: str, held: _Version) -> Track:
    return Track(*named, version, tuple(held.periods), tuple(held.retracted))


def _releases(named: Named, thing: _Thing) -> Iterator[Release]:
    """What the periods of all versions of one thing say."""
    firsts = [version.periods[0].first_ns for version in thing.versions.values() if version.periods]
    began_ns = min(firsts, default=0) + BEGINNING_NS
    for name, version in thing.versions.items():
        track = _track(named, name, version)
        for place, period in enumerate(version.periods):
            yield Release(
                seen_id(track, place),
                *named,
                name,
                period.first_ns,
                "seen",
                began=period.first_ns < began_ns,
                retracted=version.retraction(period),
            )

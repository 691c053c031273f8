"""A change of what agents are made of: a model, a prompt, a tool, an index or the agent itself, from a time on."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

ReleaseKind = Literal["agent", "model", "prompt", "tool", "index", "other"]

ReleaseSource = Literal["seen", "told"]
"""Whether it was seen in what agents sent, or somebody told of it."""

HOUR_NS = 3600 * 10**9


class Retracted(msgspec.Struct, frozen=True):
    """Somebody said that a release was none. `at_ns` is the time of the release when they said so."""

    at_ns: int
    by: str
    note: str
    said_ns: int


class Release(msgspec.Struct, frozen=True):
    """From `at_ns` on, Unix nanoseconds, this version of something was used that was not before.

    `name` says what it is a version of: the service of an agent, the agent that calls a model, a prompt, a tool; empty where nothing names it.
    An empty `workflow` is every workflow of the project. `began` says that nothing changed: it is what was used when all of this began.
    """

    id: str
    project: str
    workflow: str
    kind: ReleaseKind
    name: str
    version: str
    at_ns: int
    source: ReleaseSource
    began: bool = False
    by: str = ""
    note: str = ""
    retracted: Retracted | None = None


class Period(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When a version was used without a long pause: the first use, and the hour of the last, in hours since 1970."""

    first_ns: int
    last_hour: int

    @property
    def first_hour(self) -> int:
        """The hour of the first use."""
        return self.first_ns // HOUR_NS


class Track(msgspec.Struct, frozen=True):
    """The periods in which one version was used, in order, and what of them was retracted."""

    project: str
    workflow: str
    kind: ReleaseKind
    name: str
    version: str
    periods: tuple[Period, ...]
    retracted: tuple[Retracted, ...] = ()


def seen_id(track: Track, place: int) -> str:
    """32 hexadecimal digits that name a period by its place among those of its version: they stay when its first use turns out to be earlier."""
    return _digest("seen", track.project, track.workflow, track.kind, track.name, track.version, str(place))


def told_id(project: str, workflow: str, kind: ReleaseKind, name: str, version: str, at_ns: int) -> str:  # noqa: PLR0917 - the parts of an identity
    """32 hexadecimal digits that are the same for the same release told again."""
    return _digest("told", project, workflow, kind, name, version, str(at_ns))


def _digest(*parts: str) -> str:
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()

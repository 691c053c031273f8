"""What was learnt from other sessions: tool contracts, id formats, norms. Versioned, and pinned for each session."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Literal

import msgspec

JsonType = Literal["null", "boolean", "integer", "number", "string", "object", "array"]


class Field(msgspec.Struct, frozen=True):
    """One field of a tool's response; no `types` stand for any. `required` says that every response whose parent was there has it.

    `seen` is how many responses had it. `settled` says that enough of them did to judge its type, `closed` that so many did that a
    name which is new in this object is drift in itself, `never_null` the same of null.
    """

    types: tuple[JsonType, ...]
    required: bool
    seen: int = 0
    settled: bool = True
    closed: bool = True
    never_null: bool = False


class Contract(msgspec.Struct, frozen=True, tag="contract"):
    """What a tool's responses look like.

    `fields` are by path: `a.b` for members, `a[]` for the items of a list, `a.*` for the values of an object whose keys are data and
    not names, `a()` for the JSON in a string; the empty path is the response itself. A name that holds one of these signs stands in
    quotes, as JSON writes it. `variants` are the fields of responses of quite another make, where the tool has several. `errors` are
    the shapes in which the tool says that it failed, as `watchpost_core.shape` writes them. It was learnt from so many `responses` of
    so many `sessions`, both 0 where it was declared.
    """

    fields: dict[str, Field]
    errors: tuple[str, ...] = ()
    responses: int = 0
    sessions: int = 0
    variants: tuple[dict[str, Field], ...] = ()


class IdFormat(msgspec.Struct, frozen=True, tag="id_format"):
    """How the ids of one kind are written: a pattern that all of an id matches, and the fields in which it was `seen`."""

    pattern: str
    fields: tuple[str, ...] = ()
    seen: int = 0


class Norm(msgspec.Struct, frozen=True, tag="norm"):
    """What is usual of a tool, a model or a workflow: quantiles of so many observations, in the unit that the name says."""

    count: int
    p50: float
    p95: float
    p99: float


Content = Contract | IdFormat | Norm

Source = Literal["learnt", "pinned", "declared"]


class Lesson(msgspec.Struct, frozen=True):
    """One thing published. `kind` and `name` say what about: `contract` of a tool, `id_format` of a kind of id, `norm` of a measure.

    `version` counts all that a project ever published, from 1, so that one number says what was known. Of one kind and name the
    greatest version that is not beyond that number holds. `content` is None where nothing holds any more. `by` and `note` are who said
    so and why, empty where nobody did.
    """

    project: str
    kind: str
    name: str
    version: int
    source: Source
    content: Content | None
    at_ns: int
    by: str = ""
    note: str = ""


class Draft(msgspec.Struct, frozen=True):
    """What a learner has gathered about one thing so far, as it alone understands it: JSON."""

    project: str
    kind: str
    name: str
    body: bytes


_version = attrgetter("version")


class Lessons:
    """All that was ever published in a project. Each new one has a greater version than those before it."""

    def __init__(self, lessons: Iterable[Lesson] = ()) -> None:
        self._held: dict[str, dict[str, list[Lesson]]] = {}
        self._formats: set[str] = set()
        self.version = 0
        """That of the latest."""
        for lesson in sorted(lessons, key=_version):
            self.add(lesson)

    def add(self, lesson: Lesson) -> None:
        """Take one more."""
        self._held.setdefault(lesson.kind, {}).setdefault(lesson.name, []).append(lesson)
        if isinstance(lesson.content, IdFormat):
            self._formats.add(lesson.kind)
        self.version = lesson.version

    def latest(self, kind: str, name: str, version: int) -> Lesson | None:
        """The one of a kind and name that holds at a version; None where nothing was published by then."""
        lessons = self._held.get(kind, {}).get(name)
        if lessons is None:
            return None
        if lessons[-1].version <= version:
            return lessons[-1]
        place = bisect_right(lessons, version, key=_version)
        return lessons[place - 1] if place else None

    def names(self, kind: str) -> Iterable[str]:
        """What was ever published of a kind."""
        return self._held.get(kind, ())

    @property
    def format_kinds(self) -> Iterable[str]:
        """The kinds of which an id format was ever published."""
        return sorted(self._formats)


class Knowledge:
    """All that was known in a project at one version. Never changes."""

    def __init__(self, version: int, lessons: Lessons | Iterable[Lesson]) -> None:
        """Show, of the lessons up to this version, the latest of each kind and name."""
        self.version = version
        self._lessons = lessons if isinstance(lessons, Lessons) else Lessons(lessons)

    @cached_property
    def formats(self) -> Mapping[str, IdFormat]:
        """The id formats, by name."""
        return {
            name: lesson.content
            for kind in self._lessons.format_kinds
            for name in self._lessons.names(kind)
            if (lesson := self.lesson(kind, name)) is not None and isinstance(lesson.content, IdFormat)
        }

    @property
    def tools(self) -> frozenset[str]:
        """The tools that a contract is known of."""
        return frozenset(name for name in self._lessons.names("contract") if self.lesson("contract", name) is not None)

    def lesson(self, kind: str, name: str) -> Lesson | None:
        """What holds about one thing."""
        lesson = self._lessons.latest(kind, name, self.version)
        return lesson if lesson is not None and lesson.content is not None else None

    def contract(self, tool: str) -> Contract | None:
        """The contract of a tool."""
        lesson = self.lesson("contract", tool)
        return lesson.content if lesson is not None and isinstance(lesson.content, Contract) else None

    def norm(self, name: str) -> Norm | None:
        """What is usual, such as `tool_seconds get_order` or `workflow_tokens refunds`."""
        lesson = self.lesson("norm", name)
        return lesson.content if lesson is not None and isinstance(lesson.content, Norm) else None


NOTHING_KNOWN = Knowledge(0, ())

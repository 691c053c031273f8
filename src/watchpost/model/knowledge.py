"""What was learnt from other sessions: tool contracts, id formats, norms. Versioned, and pinned for each session."""

from __future__ import annotations

from collections.abc import Iterable
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
    greatest version that is not beyond that number holds. `content` is None where nothing holds any more.
    """

    project: str
    kind: str
    name: str
    version: int
    source: Source
    content: Content | None
    at_ns: int


class Draft(msgspec.Struct, frozen=True):
    """What a learner has gathered about one thing so far, as it alone understands it: JSON."""

    project: str
    kind: str
    name: str
    body: bytes


class Knowledge:
    """All that was known in a project at one version. Never changes."""

    def __init__(self, version: int, lessons: Iterable[Lesson]) -> None:
        """Hold, of the lessons up to this version, the latest of each kind and name."""
        self.version = version
        held: dict[tuple[str, str], Lesson] = {}
        for lesson in lessons:
            if lesson.version <= version:
                at = (lesson.kind, lesson.name)
                if at not in held or held[at].version < lesson.version:
                    held[at] = lesson
        self._held = {at: lesson for at, lesson in held.items() if lesson.content is not None}
        self.formats: dict[str, IdFormat] = {
            name: lesson.content for (_, name), lesson in self._held.items() if isinstance(lesson.content, IdFormat)
        }
        """The id formats, by name."""
        self.tools = frozenset(name for kind, name in self._held if kind == "contract")
        """The tools that a contract is known of."""

    def lesson(self, kind: str, name: str) -> Lesson | None:
        """What holds about one thing."""
        return self._held.get((kind, name))

    def contract(self, tool: str) -> Contract | None:
        """The contract of a tool."""
        lesson = self._held.get(("contract", tool))
        return lesson.content if lesson is not None and isinstance(lesson.content, Contract) else None

    def norm(self, name: str) -> Norm | None:
        """What is usual, such as `tool_seconds get_order` or `workflow_tokens refunds`."""
        lesson = self._held.get(("norm", name))
        return lesson.content if lesson is not None and isinstance(lesson.content, Norm) else None


NOTHING_KNOWN = Knowledge(0, ())

"""In what two contracts of a tool differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from watchpost.model.knowledge import Contract, Field


class Difference(msgspec.Struct, frozen=True):
    """One field that is only in the later contract, only in the earlier one, or in both and not the same; `variant` counts from 0."""

    what: Literal["added", "removed", "changed"]
    variant: int
    path: str
    before: Field | None
    after: Field | None


def differences(before: Contract, after: Contract) -> list[Difference]:
    """All of them, by variant and path. How often a field was seen is no difference. A variant is held against the one most like it."""
    earlier = [before.fields, *before.variants]
    later = [after.fields, *after.variants]
    found: list[Difference] = []
    for number, fields in enumerate(later):
        nearest = max(earlier, key=lambda each: _alike(each, fields), default={})
        if nearest in earlier:
            earlier.remove(nearest)
        found += _between(nearest, fields, number)
    for number, fields in enumerate(earlier, start=len(later)):
        found += _between(fields, {}, number)
    return found


def _alike(first: Mapping[str, Field], second: Mapping[str, Field]) -> float:
    return len(first.keys() & second.keys()) / len(first.keys() | second.keys())


def _between(before: Mapping[str, Field], after: Mapping[str, Field], variant: int) -> list[Difference]:
    found: list[Difference] = []
    for path in sorted({*before, *after}):
        first, second = before.get(path), after.get(path)
        if first is None:
            found.append(Difference("added", variant, path, None, second))
        elif second is None:
            found.append(Difference("removed", variant, path, first, None))
        elif msgspec.structs.replace(first, seen=0) != msgspec.structs.replace(second, seen=0):
            found.append(Difference("changed", variant, path, first, second))
    return found

"""In what two contracts of a tool differ."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
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
    """All of them, by variant and path. How often a field was seen is no difference.

    Variants are held against one another in pairs, those first that are most alike; one that is left over in the later contract is held
    against the earlier one that it is most like, and one in the earlier contract is gone.
    """
    earlier = [before.fields, *before.variants]
    later = [after.fields, *after.variants]
    pairs = sorted(
        product(range(len(later)), range(len(earlier))), key=lambda at: -_alike(earlier[at[1]], later[at[0]])
    )
    paired: dict[int, int] = {}
    for new, old in pairs:
        if new not in paired and old not in paired.values():
            paired[new] = old
    nearest = dict(reversed(pairs)) | paired
    found: list[Difference] = []
    for number, fields in enumerate(later):
        found += _between(earlier[nearest[number]], fields, number)
    gone = [fields for old, fields in enumerate(earlier) if old not in paired.values()]
    for number, fields in enumerate(gone, start=len(later)):
        found += _between(fields, {}, number)
    return found


def _alike(first: Mapping[str, Field], second: Mapping[str, Field]) -> float:
    every = first.keys() | second.keys()
    return len(first.keys() & second.keys()) / len(every) if every else 1.0


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

"""Which field that is gone is probably which new one under another name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from rapidfuzz import fuzz

from watchpost.detect.contract import Change

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_COMPARED = 12
"""Fields gone and fields new, of one object, that are compared with each other."""


class Rename(msgspec.Struct, frozen=True):
    """A field that is gone and one that is new beside it; `because` says what is alike."""

    gone: Change
    new: Change
    because: str


def renames(changes: Sequence[Change]) -> list[Rename]:
    """The probable renames among the changes of one response, each field in one at most.

    Both stand in the same object and have a type in common, or both have members of which half are the same. Their names share half of
    their words, or are alike letter by letter; or they are the only ones, one gone and one new, in their object.
    """
    found: list[Rename] = []
    parents: dict[str, tuple[list[Change], list[Change]]] = {}
    for change in changes:
        if change.what == "removed" and not change.got:
            parents.setdefault(_parent(change.path), ([], []))[0].append(change)
        elif change.what == "added":
            parents.setdefault(_parent(change.path), ([], []))[1].append(change)
    for gone, new in parents.values():
        pairs = [
            (alike, -place, before, after)
            for place, before in enumerate(gone[:_COMPARED])
            for after in new[:_COMPARED]
            if _same_kind(before, after) and (alike := _alike(_name(before.path), _name(after.path))) >= 0.5
        ]
        taken: set[str] = set()
        for _, _, before, after in sorted(pairs, key=lambda pair: (pair[0], pair[1]), reverse=True):
            if not taken & {before.path, after.path}:
                taken.update((before.path, after.path))
                found.append(Rename(before, after, "names"))
        if not taken and len(gone) == len(new) == 1 and _same_kind(gone[0], new[0]):
            found.append(Rename(gone[0], new[0], "place"))
    return found


def _parent(path: str) -> str:
    return path[: len(path) - len(_name(path))]


def _name(path: str) -> str:
    if path.endswith('"'):
        return path[path[:-1].rfind('"') :]
    return path[max(path.rfind("."), path.rfind("]"), path.rfind(")")) + 1 :]


def _same_kind(gone: Change, new: Change) -> bool:
    if gone.holds and new.holds:
        return len(gone.holds & new.holds) * 2 >= len(gone.holds | new.holds)
    plain = {"integer", "number"}
    before, after = ({"number" if kind in plain else kind for kind in kinds} for kinds in (gone.expected, new.got))
    return bool(before & after)


def _alike(first: str, second: str) -> float:
    """How alike two names are, from 0 to 1: by the share of words they have in common, or by their letters where those are nearly the same."""
    one, other = ({word.lower() for word in _WORDS.findall(name)} for name in (first, second))
    words = len(one & other) / len(one | other) if one | other else 0.0
    letters = fuzz.ratio("".join(sorted(one)), "".join(sorted(other)), score_cutoff=70) / 100
    return max(words, letters)

"""Which flags are wanted, and how often people said that flags are right."""

from __future__ import annotations

import msgspec


class FlagFilter(msgspec.Struct, frozen=True):
    """Conditions on flags; empty text leaves a condition out.

    `verdict` is `confirm`, `dismiss`, or `none` for flags that nobody has given one. `since_ns` and `until_ns` bound the time of the flagged
    step, the first included and the second not; an `until_ns` of 0 is no bound. `before` continues a list: the (`at_ns`, `id`) of the
    last flag already shown.
    """

    project: str = ""
    session_id: str = ""
    kind: str = ""
    tool: str = ""
    state: str = ""
    verdict: str = ""
    since_ns: int = 0
    until_ns: int = 0
    before: tuple[int, str] | None = None
    limit: int = 50


class KindCount(msgspec.Struct, frozen=True):
    """How many flags are of one kind."""

    kind: str
    flags: int


class VerdictCount(msgspec.Struct, frozen=True):
    """Of the flags of one kind about one tool in one project, how many were confirmed and how many dismissed; the latest verdict of a flag counts."""

    project: str
    kind: str
    tool: str
    confirmed: int
    dismissed: int

"""Which releases are wanted."""

from __future__ import annotations

import msgspec


class ReleaseFilter(msgspec.Struct, frozen=True):
    """Conditions on releases; empty text and an empty tuple leave a condition out.

    A release of every workflow is one of any `workflows`. `since_ns` and `until_ns` bound its time, the first included and the second not; an
    `until_ns` of 0 is no bound. `before` continues a list: the (`at_ns`, `id`) of the last release already shown.
    """

    projects: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    kind: str = ""
    since_ns: int = 0
    until_ns: int = 0
    retracted: bool = False
    """Whether retracted ones are wanted too."""
    before: tuple[int, str] | None = None
    limit: int = 50

"""Filters of sessions that people kept under a name."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

NAME_LENGTH = 80
"""Characters of a name."""

MOST = 100
"""So many are kept."""


class Cohort(msgspec.Struct, frozen=True):
    """A filter of sessions under a name of its own: the parameters that ask for it, by their names, and when it was last said what it is."""

    id: str
    name: str
    asked: Mapping[str, str]
    saved_ns: int

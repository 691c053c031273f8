"""The seam of what learns from sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from watchpost.model.knowledge import Content
from watchpost.model.step import Step


class Ended(msgspec.Struct, frozen=True):
    """A session that ended, as learners see it. One that is not `sound` failed or was flagged, and is no example of anything."""

    workflow: str
    steps: Sequence[Step]
    sound: bool


class Learner(Protocol):
    """Learns one kind of knowledge in one project. What it has gathered about each name is a draft, what is certain of it is published.

    A session that is not sound may be remembered as a candidate, and changes nothing that is published.
    """

    def learn(self, session: Ended) -> Iterable[str]:
        """Take an ended session in, once; the names whose drafts changed."""
        ...

    def load(self, name: str, body: bytes) -> None:
        """Go on from a draft as `draft` gave it."""
        ...

    def draft(self, name: str) -> bytes:
        """What was gathered about a name."""
        ...

    def content(self, name: str, held: Content | None) -> Content | None:
        """What is to hold about a name from now on: `held` itself, which holds now, where nothing worth saying changed."""
        ...

"""Which sessions are still needed to learn from: all of a workflow at first, a few of them once it is known."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from watchpost.detect.learner import Ended
from watchpost.model.knowledge import Content

KIND = "attendance"

ALL = 300
"""The sound sessions of a workflow from which everything is learnt; learning costs more than judging."""

ONE_IN = 10
"""Of those beyond, one in so many is learnt from, chosen by its id: what changes slowly is still noticed."""

MOST_WORKFLOWS = 10_000


class Attendance:
    """Counts the sound sessions of each workflow that were learnt from. A `Learner` that publishes nothing."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def is_wanted(self, workflow: str, session_id: str) -> bool:
        """Whether a sound session of a workflow is to be learnt from."""
        return self._counts.get(workflow, 0) < ALL or crc32(session_id.encode(errors="replace")) % ONE_IN == 0

    def learn(self, session: Ended) -> Iterable[str]:
        """Count it, if it is sound; beyond `MOST_WORKFLOWS` names nothing is counted, and everything is learnt from."""
        workflow = session.workflow
        if not session.sound or (workflow not in self._counts and len(self._counts) >= MOST_WORKFLOWS):
            return ()
        self._counts[workflow] = self._counts.get(workflow, 0) + 1
        return (workflow,) if self._counts[workflow] <= ALL else ()

    def load(self, name: str, body: bytes) -> None:
        """Go on counting."""
        self._counts[name] = int(body)

    def draft(self, name: str) -> bytes:
        """The count of a workflow."""
        return b"%d" % self._counts[name]

    def content(self, name: str, held: Content | None) -> Content | None:
        """Nothing."""
        del name
        return held

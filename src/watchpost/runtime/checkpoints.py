"""Which sessions have come far enough to look whether they are still about what they were asked to do."""

from __future__ import annotations

from collections.abc import Iterable

from watchpost.detect.context_drift import MEASURED, Checkpoint, ContextDriftSettings, checkpoint_of
from watchpost.session.session import Session


class Checkpoints:
    """Counts how far each session held has come. One that comes into memory was looked at as often as it holds measurements."""

    def __init__(self, settings: ContextDriftSettings) -> None:
        self._settings = settings
        self._reached: dict[str, int] = {}

    def due(self, changed: Iterable[Session]) -> list[Checkpoint]:
        """The checkpoints that these sessions have just reached, the latest of each; a sealed one reaches none."""
        if not self._settings.method:
            return []
        found: list[Checkpoint] = []
        for session in changed:
            if session.is_sealed:
                continue
            reached = len(session.steps) // self._settings.every
            before = self._reached.get(session.key)
            if before is None:
                before = sum(step.name == MEASURED for step in session.steps)
            self._reached[session.key] = max(reached, before)
            if reached > before:
                due = checkpoint_of(session.project, session.session_id, session.steps, self._settings)
                found += [due] if due is not None else []
        return found

    def forget(self, sessions: Iterable[Session]) -> None:
        """Let go of sessions that leave memory."""
        for session in sessions:
            self._reached.pop(session.key, None)

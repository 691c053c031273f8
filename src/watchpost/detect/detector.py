"""The seam that every detector fulfils."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from watchpost.model.flag import Finding
from watchpost.model.step import Step


class Detector(Protocol):
    """A fold over one session's steps, from its first step on."""

    def see(self, step: Step) -> Sequence[Finding]:
        """Take the next step in order and say what it reveals; findings stand at this step."""
        ...

    def rewind(self, steps: int) -> None:
        """Forget all but the first `steps` steps."""
        ...

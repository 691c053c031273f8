"""How a detector takes back what it counted: each change leaves behind how it is undone."""

from __future__ import annotations

from collections.abc import Callable


class Undo:
    """Changes in the order in which they were made, each with the place of the step that made it.

    A change that a step makes costs one entry, and taking steps back costs the changes they made.
    """

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: list[tuple[int, Callable[[], object]]] = []

    def note(self, place: int, undo: Callable[[], object]) -> None:
        """The step at this place, which is none before the last one noted, made a change that `undo` takes back."""
        self._changes.append((place, undo))

    def rewind(self, steps: int) -> None:
        """Take back, latest first, every change of a step whose place is `steps` or beyond."""
        while self._changes and self._changes[-1][0] >= steps:
            self._changes.pop()[1]()

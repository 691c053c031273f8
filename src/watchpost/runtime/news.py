"""Who is told of what a batch changed, once it stands in the stores."""

from __future__ import annotations

from collections.abc import Callable

from watchpost.runtime.react import Reaction


class News:
    """Tells its listeners of every batch, in the thread that applied it. A listener must return at once and never raise."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[Reaction], None], ...] = ()

    def listen(self, listener: Callable[[Reaction], None]) -> None:
        """Tell this one too, from the next batch on."""
        self._listeners = (*self._listeners, listener)

    def tell(self, reaction: Reaction) -> None:
        """A batch stands in the stores."""
        for listener in self._listeners:
            listener(reaction)

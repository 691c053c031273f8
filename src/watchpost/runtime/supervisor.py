"""The one place that expects anything to fail: it says what failed, tries again where that helps, and stops where it does not."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import structlog

_Result = TypeVar("_Result")

RETRY_S = 1.0

_PROCESSORS = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
    # without the local variables that structlog shows by default: they hold traces and secrets
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
)


class StoppedError(Exception):
    """The process stops while something still fails; it is taken up again from the log."""


class Supervisor:
    """Whether the flow is ready, what is failing, and whether it is to stop.

    One that is not patient, for a command that somebody waits for, tries nothing twice.
    """

    def __init__(self, *, patient: bool) -> None:
        self._patient = patient
        self.stopping = threading.Event()
        self.ready = False
        self._failing: dict[str, str] = {}
        self._lock = threading.Lock()

    def unready(self) -> str | None:
        """Why the flow does not work, in a sentence; None if it does."""
        with self._lock:
            if self._failing:
                return "; ".join(f"{what}: {why}" for what, why in sorted(self._failing.items()))
        return None if self.ready else "starting: what the log holds is being taken up"

    def insist(self, what: str, action: Callable[[], _Result]) -> _Result:
        """Do it, again and again until it succeeds; raises `StoppedError` if it still fails when the process stops."""
        while True:
            try:
                result = action()
            except Exception as error:
                if not self._patient:
                    raise
                self._fails(what, error)
                if self.stopping.wait(RETRY_S):
                    raise StoppedError(what) from error
            else:
                self._works(what)
                return result

    @contextmanager
    def watching(self, what: str) -> Iterator[None]:
        """Let nothing escape from a thread unseen: what ends it is said, and keeps the process unready."""
        try:
            yield
        except StoppedError:
            return
        except Exception as error:  # noqa: BLE001 - a defect in deciding must be seen, not kill the thread in silence
            self._fails(what, error)

    async def persist(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, again and again until it returns."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - notices wait in the outbox, whatever keeps them from being sent
                self._fails(what, error)
                await asyncio.sleep(RETRY_S)
                self._works(what)
            else:
                return

    def _works(self, what: str) -> None:
        with self._lock:
            self._failing.pop(what, None)

    def _fails(self, what: str, error: Exception) -> None:
        with self._lock:
            first = what not in self._failing
            self._failing[what] = f"{type(error).__name__}: {error}"
        if first:
            tell(what, error)


def tell(what: str, error: Exception) -> None:
    """One entry on standard error, which may stand on the very disk that is full."""
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=_PROCESSORS)
    with suppress(OSError):
        log.error("failing", what=what, exc_info=error)

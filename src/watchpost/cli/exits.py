"""How a command ends when something is wrong: one line on standard error, and an exit code that a script can tell from others."""

from __future__ import annotations

from enum import IntEnum

from watchpost.ingest.recordings import UnreadableRecordingError
from watchpost.log.faults import LogCorruptError, LogFullError, LogVersionError, LogWriteError
from watchpost.runtime.settings import SettingsError
from watchpost.runtime.wiring import STORE_FAULTS, LogBehindError
from watchpost.store.folder import FolderDamagedError, FolderHeldError, FolderNewerError
from watchpost.store.versions import StoreNewerError


class Exit(IntEnum):
    """Exit codes of all commands; 2 is also what a wrong command line gives."""

    FAILED = 1
    USAGE = 2
    HELD = 3
    NEWER = 4
    NOT_FOUND = 5


class CommandError(Exception):
    """What a command could not do, and how it ends."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


_CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (SettingsError, Exit.USAGE),
    (FolderHeldError, Exit.HELD),
    (FolderNewerError, Exit.NEWER),
    (StoreNewerError, Exit.NEWER),
    (LogVersionError, Exit.NEWER),
    (FolderDamagedError, Exit.FAILED),
    (LogCorruptError, Exit.FAILED),
    (LogBehindError, Exit.FAILED),
    (LogFullError, Exit.FAILED),
    (LogWriteError, Exit.FAILED),
    (UnreadableRecordingError, Exit.FAILED),
    (OSError, Exit.FAILED),
    *((fault, Exit.FAILED) for fault in STORE_FAULTS),
)

KNOWN: tuple[type[Exception], ...] = (CommandError, *(kind for kind, _ in _CODES))
"""What can go wrong without being a defect."""


def exit_code(error: Exception) -> Exit:
    """The exit code of a known fault."""
    if isinstance(error, CommandError):
        return error.code
    return next(code for kind, code in _CODES if isinstance(error, kind))

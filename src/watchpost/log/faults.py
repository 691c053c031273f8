"""What can go wrong with the log: one class per thing the caller can do about it."""

from __future__ import annotations

from pathlib import Path


class RecordTooLargeError(ValueError):
    """The payload is over `max_record_bytes`. Nothing was kept; a smaller one may be."""


class LogBusyError(Exception):
    """`max_queued_bytes` are already waiting for the disk. Nothing was kept; the same may succeed in a moment."""


class LogFullError(Exception):
    """The disk, a quota or the file size limit has no room left. Nothing was kept; the same may succeed once there is room."""


class LogWriteError(Exception):
    """The disk failed to take the record. Nothing was kept; the same may succeed, and somebody should look at the disk."""


class LogClosedError(Exception):
    """The log was closed, or had to stop. Only opening it again helps; a record answered with this may still be found then."""


class LogCorruptError(Exception):
    """Acknowledged records cannot be read: `path` is damaged at byte `offset`. Restore the file, or move it and its successors away."""

    def __init__(self, path: Path, offset: int, detail: str) -> None:
        super().__init__(f"{path} is damaged at byte {offset}: {detail}")
        self.path = path
        self.offset = offset


class LogVersionError(Exception):
    """`path` was written by a newer program, in format `version`. Nothing was touched; use that program."""

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(f"{path} has log format {version}; this program reads up to {known}")
        self.path = path
        self.version = version

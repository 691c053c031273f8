"""The data folder: where everything that one Watchpost keeps stands, and the lock that one process has on it."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Self

import msgspec

FORMAT = 1
"""The layout that this program writes and reads."""

_KEY_BYTES = 32


class Holder(msgspec.Struct, frozen=True):
    """Who holds a folder: a process id, 0 if unknown, and the address of its server, empty while it serves none."""

    pid: int = 0
    address: str = ""


class FolderHeldError(Exception):
    """Another process holds the folder: ask that one, at `holder.address`, or stop it."""

    def __init__(self, path: Path, holder: Holder) -> None:
        serving = f", which serves at {holder.address}" if holder.address else ""
        super().__init__(f"{path} is held by process {holder.pid}{serving}")
        self.path = path
        self.holder = holder


class FolderNewerError(Exception):
    """The folder was written by a newer program: start that one, or name another folder."""

    def __init__(self, path: Path, found: int) -> None:
        super().__init__(f"{path} has format {found}; this program knows formats up to {FORMAT}")
        self.path = path
        self.found = found


class FolderDamagedError(Exception):
    """The folder cannot be used as it is: `file` must be restored from a backup, or another folder named."""

    def __init__(self, file: Path, detail: str) -> None:
        super().__init__(f"{file}: {detail}")
        self.file = file


class DataFolder:
    """A data folder that this process holds until it closes it or ends, however it ends.

    `key` has 32 random bytes, the same for the life of the folder: the secret behind redaction's pseudonyms.
    """

    def __init__(self, path: Path, lock: int, key: bytes) -> None:
        self.path = path
        self.key = key
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Take the folder, made first if there is none; what an earlier process left in `tmp` is deleted.

        A folder made here is readable by its owner only, as is everything in it that could hold telemetry.

        Raises:
            FolderHeldError: another process has it.
            FolderNewerError: its format is newer than this program.
            FolderDamagedError: a file in it is not what this program wrote.
        """
        path = path.absolute()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _take(path)
        try:
            _check_format(path)
            _lay_out(path)
            return cls(path, lock, _secret(path / "key"))
        except BaseException:
            os.close(lock)
            raise

    @property
    def log(self) -> Path:
        """The append-only log's folder."""
        return self.path / "log"

    @property
    def telemetry(self) -> Path:
        """The embedded telemetry engine's folder."""
        return self.path / "telemetry"

    @property
    def state(self) -> Path:
        """The state store's file."""
        return self.path / "state.db"

    @property
    def tmp(self) -> Path:
        """For files that need not outlive this process."""
        return self.path / "tmp"

    def announce(self, address: str) -> None:
        """Tell others who try to open the folder where this process serves."""
        _announce(self._lock, address)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._lock)


def _take(path: Path) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(lock, 4096)
        os.close(lock)
        raise FolderHeldError(path, _holder(text)) from None
    _announce(lock, "")
    return lock


def _announce(lock: int, address: str) -> None:
    """Rewrite the lock file in place: a new file would not carry the lock."""
    text = msgspec.json.encode(Holder(os.getpid(), address))
    os.ftruncate(lock, 0)
    os.pwrite(lock, text, 0)


def _holder(text: bytes) -> Holder:
    try:
        return msgspec.json.decode(text, type=Holder)
    except msgspec.DecodeError:
        return Holder()


def _check_format(path: Path) -> None:
    """Write the format of a new folder; refuse one that this program does not know."""
    file = path / "format"
    if not file.exists():
        strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in {"lock", "format.new"})
        if strangers:
            raise FolderDamagedError(file, f"is missing beside {strangers[0]}: not a data folder of Watchpost")
        _write_durably(file, f"{FORMAT}\n".encode())
    text = file.read_text("utf-8", "replace").strip()
    if not text.isdecimal():
        raise FolderDamagedError(file, "does not hold a format number")
    if int(text) > FORMAT:
        raise FolderNewerError(path, int(text))


def _lay_out(path: Path) -> None:
    shutil.rmtree(path / "tmp", ignore_errors=True)
    for name in ("log", "telemetry", "tmp"):
        (path / name).mkdir(mode=0o700, exist_ok=True)
    (path / "state.db").touch(mode=0o600)


def _secret(file: Path) -> bytes:
    if not file.exists():
        _write_durably(file, os.urandom(_KEY_BYTES))
    key = file.read_bytes()
    if len(key) != _KEY_BYTES:
        raise FolderDamagedError(file, f"holds {len(key)} bytes instead of {_KEY_BYTES}")
    return key


def _write_durably(file: Path, content: bytes) -> None:
    """After a crash at any point the file is there whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    new.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

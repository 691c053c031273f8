from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from watchpost.log.faults import LogClosedError, LogFullError, LogWriteError
from watchpost.log.log import Log
from watchpost.log.record import DELIVERY, Appended, LogLimits
from watchpost.log.segment import sync_folder

LIMITS = LogLimits()


class FailingSync:
    """Flushes for real until told to fail, so many times, with an error number."""

    def __init__(self) -> None:
        self.failures = 0
        self.number = errno.EIO

    def fail(self, times: int, number: int = errno.EIO) -> None:
        self.failures, self.number = times, number

    def __call__(self, descriptor: int) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(self.number, os.strerror(self.number))
        os.fdatasync(descriptor)


class Heard:
    """What was handed on, by token."""

    def __init__(self) -> None:
        self.tokens: list[object] = []

    def __call__(self, appended: Sequence[Appended]) -> None:
        self.tokens.extend(record.token for record in appended)


def payloads(log: Log) -> list[bytes]:
    return [record.payload for record in log.read(0)]


def append(log: Log, payload: bytes) -> Future[int]:
    return log.append(DELIVERY, payload, payload)


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_a_failed_flush_took_never_comes_back_and_its_file_is_not_written_again(
    tmp_path: Path, before: int, times: int
) -> None:
    sync, heard = FailingSync(), Heard()
    log = Log.open(tmp_path, LIMITS, on_durable=heard, sync=sync)
    kept = [b"kept %d" % number for number in range(before)]
    for payload in kept:
        append(log, payload).result(10)
    [suspect] = tmp_path.glob("*.log")
    [inode, size] = [suspect.stat().st_ino, suspect.stat().st_size]
    sync.fail(times)
    for number in range(times):
        with pytest.raises(LogWriteError):
            append(log, b"lost %d, and longer than what follows" % number).result(10)
    assert append(log, b"after").result(10) == before + 1
    log.release(0)
    assert [path.stat().st_size for path in tmp_path.glob("*.log") if path.stat().st_ino == inode] in ([], [size])
    assert heard.tokens == payloads(log) == [*kept, b"after"]
    log.close()
    log = Log.open(tmp_path, LIMITS)
    assert payloads(log) == [*kept, b"after"]
    assert log.next_seq == before + 2
    log.close()


def test_what_a_failed_flush_left_in_its_file_is_not_read_when_the_cut_was_lost(tmp_path: Path) -> None:
    uncut: dict[Path, bytes] = {}
    sync = FailingSync()

    def keeping(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        uncut[path] = path.read_bytes()
        sync(descriptor)

    log = Log.open(tmp_path, LIMITS, sync=keeping)
    append(log, b"kept").result(10)
    [suspect] = tmp_path.glob("*.log")
    sync.fail(1)
    with pytest.raises(LogWriteError):
        append(log, b"residue").result(10)
    append(log, b"after").result(10)
    assert b"residue" in uncut[suspect]
    suspect.write_bytes(uncut[suspect])
    assert payloads(log) == [b"kept", b"after"]
    log.close()
    log = Log.open(tmp_path, LIMITS)
    assert payloads(log) == [b"kept", b"after"]
    assert log.next_seq == 3
    log.close()


def test_a_flush_that_finds_no_room_says_full(tmp_path: Path) -> None:
    sync = FailingSync()
    log = Log.open(tmp_path, LIMITS, sync=sync)
    sync.fail(1, errno.ENOSPC)
    with pytest.raises(LogFullError, match="No space left"):
        append(log, b"lost").result(10)
    assert append(log, b"kept").result(10) == 1
    log.close()


def test_all_of_a_failed_group_hear_of_it(tmp_path: Path) -> None:
    held, go_on = threading.Event(), threading.Event()
    sync = FailingSync()

    def holding(descriptor: int) -> None:
        held.set()
        assert go_on.wait(10)
        sync(descriptor)

    go_on.set()
    heard = Heard()
    log = Log.open(tmp_path, LIMITS, on_durable=heard, sync=holding)
    held.clear()
    go_on.clear()
    first = append(log, b"first")
    assert held.wait(10)
    answers = [append(log, b"%d" % number) for number in range(20)]
    sync.fail(2)
    go_on.set()
    for answer in [first, *answers]:
        with pytest.raises(LogWriteError):
            answer.result(10)
    assert append(log, b"kept").result(10) == 1
    assert heard.tokens == [b"kept"]
    log.close()


def test_a_segment_whose_name_cannot_be_flushed_stops_the_log(tmp_path: Path) -> None:
    failing = False

    def names(folder: Path) -> None:
        if failing:
            raise OSError(errno.EIO, "Input/output error")
        sync_folder(folder)

    log = Log.open(tmp_path, LogLimits(segment_bytes=1), sync_folder=names)
    append(log, b"kept").result(10)
    failing = True
    with pytest.raises(LogWriteError):
        append(log, b"lost").result(10)
    with pytest.raises(LogClosedError):
        append(log, b"refused").result(10)
    log.close()
    log = Log.open(tmp_path, LIMITS)
    assert payloads(log) == [b"kept"]
    assert append(log, b"after").result(10) == 2
    log.close()


def test_a_new_segment_that_cannot_be_made_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    sync = FailingSync()
    log = Log.open(tmp_path, LogLimits(segment_bytes=100), sync=sync)
    append(log, b"x" * 100).result(10)
    sync.fail(1, errno.ENOSPC)
    with pytest.raises(LogFullError):
        append(log, b"lost").result(10)
    sync.fail(1, errno.ENOSPC)
    log.release(1)
    assert log.size_bytes > 100
    assert append(log, b"kept").result(10) == 2
    log.release(1)
    assert payloads(log) == [b"kept"]
    log.close()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from watchpost.log.faults import LogFullError
from watchpost.log.log import Log
from watchpost.log.record import LogLimits

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

handed = []
log = Log.open(Path(sys.argv[1]), LogLimits(), on_durable=lambda records: handed.extend(r.token for r in records))
kept = []
def append(number, size):
    payload = b"%08d" % number + b"x" * size
    try:
        assert log.append(0, payload, payload).result(10) == len(kept) + 1
    except LogFullError:
        return False
    kept.append(payload)
    return True

room(100_000)
accepted = [append(number, 30_000) for number in range(6)]
assert accepted == [True] * 3 + [False] * 3, accepted
assert append(6, 100), "a smaller record still fits"
size = log.size_bytes
[path] = Path(sys.argv[1]).glob("*.log")
assert path.stat().st_size == size <= 100_000
assert not append(7, 30_000)
room(resource.RLIM_INFINITY)
assert append(8, 200_000), "room again"
assert handed == kept
assert [record.payload for record in log.read(0)] == kept
log.close()
again = Log.open(Path(sys.argv[1]), LogLimits())
assert [record.payload for record in again.read(0)] == kept
again.close()
print("survived", len(kept))
"""


def test_a_full_disk_refuses_keeps_what_was_acknowledged_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.stdout, run.stderr) == ("survived 5\n", "")

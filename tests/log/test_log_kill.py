from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from watchpost.log.log import Log
from watchpost.log.record import DELIVERY, LogLimits

SMALL = LogLimits(segment_bytes=20_000)

APPENDER = """
import os, sys, threading
from pathlib import Path
from watchpost.log.log import Log
from watchpost.log.record import LogLimits

log = Log.open(Path(sys.argv[1]), LogLimits(segment_bytes=20_000))

def appends(name):
    for number in range(10**9):
        payload = b"%s-%d-%d " % (sys.argv[2].encode(), name, number) + b"x" * (number * 37 % 3000)
        seq = log.append(0, payload).result()
        os.write(1, b"%d %s\\n" % (seq, payload.split()[0]))

threads = [threading.Thread(target=appends, args=(name,)) for name in range(4)]
for thread in threads:
    thread.start()
"""


def killed_while_appending(folder: Path, name: int, after: int) -> list[tuple[int, bytes]]:
    """Let a process append until it has acknowledged some records, kill it, and say all that it has acknowledged."""
    with subprocess.Popen([sys.executable, "-c", APPENDER, str(folder), str(name)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(after)]
        child.kill()
        lines += child.stdout.readlines()
    words = [line.split() for line in lines if line.endswith(b"\n")]
    assert len(words) >= after
    return [(int(seq), payload) for seq, payload in words]


def test_whatever_was_acknowledged_is_there_after_kill_9(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    acknowledged: dict[int, bytes] = {}
    released = 0
    for kill in range(20):
        for seq, payload in killed_while_appending(folder, kill, 1 + kill * 67 % 150):
            assert seq not in acknowledged
            acknowledged[seq] = payload
        log = Log.open(folder, SMALL)
        found = {record.seq: record.payload for record in log.read(released)}
        assert list(found) == list(range(released + 1, log.next_seq))
        for seq, payload in found.items():
            assert acknowledged.get(seq, payload.split()[0]) == payload.split()[0]
        assert {seq for seq in acknowledged if seq > released} <= found.keys()
        if kill % 3 == 2:
            released = log.next_seq - 1
            log.release(released)
        log.close()


def test_whatever_was_acknowledged_is_there_when_the_power_goes_right_after(tmp_path: Path) -> None:
    """Only what was flushed is left: the names that the folder had then, each file as long as it was then."""
    flushed: dict[int, int] = {}
    named: set[Path] = set()

    def sync(descriptor: int) -> None:
        file = os.fstat(descriptor)
        flushed[file.st_ino] = file.st_size

    def sync_folder(folder: Path) -> None:
        named.clear()
        named.update(folder.glob("*.log"))

    def after_power_failure(place: Path) -> Path:
        place.mkdir()
        for path in named:
            shutil.copy(path, place)
            os.truncate(place / path.name, flushed.get(path.stat().st_ino, 0))
        return place

    log = Log.open(tmp_path / "log", LogLimits(segment_bytes=500), sync=sync, sync_folder=sync_folder)
    for number in range(1, 31):
        released = number // 10 * 10
        assert log.append(DELIVERY, b"x" * (number * 37 % 200)).result(10) == number
        if number == released:
            log.release(released)
        left = Log.open(after_power_failure(tmp_path / str(number)), SMALL)
        assert left.next_seq == number + 1
        assert [record.seq for record in left.read(released)] == list(range(released + 1, number + 1))
        left.close()
    log.close()

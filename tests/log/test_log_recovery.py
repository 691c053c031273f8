from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from watchpost.log.faults import LogCorruptError, LogVersionError
from watchpost.log.log import Log
from watchpost.log.record import DELIVERY, LogLimits, Record

LIMITS = LogLimits()
PAYLOADS = [b"the first", b"", b"the third, which is a little longer", b"the last"]


def opened(folder: Path, limits: LogLimits = LIMITS) -> Log:
    """Without flushing: these tests damage files themselves, and many of them."""
    return Log.open(folder, limits, sync=lambda _descriptor: None, sync_folder=lambda _folder: None)


def written(folder: Path, payloads: Sequence[bytes], limits: LogLimits = LIMITS) -> list[int]:
    """Write a group for each payload; how large the log was before and after each."""
    log = opened(folder, limits)
    ends = [log.size_bytes]
    for payload in payloads:
        log.append(DELIVERY, payload).result(10)
        ends.append(log.size_bytes)
    log.close()
    return ends


def contents(folder: Path) -> list[Record]:
    log = opened(folder)
    try:
        return list(log.read(0))
    finally:
        log.close()


def records(payloads: Sequence[bytes]) -> list[Record]:
    return [Record(number, DELIVERY, payload) for number, payload in enumerate(payloads, 1)]


def only_file(folder: Path) -> Path:
    [path] = folder.glob("*.log")
    return path


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_a_tail_torn_at_any_byte_is_cut_off_and_its_number_is_used_again(tmp_path: Path) -> None:
    source = tmp_path / "whole"
    ends = written(source, PAYLOADS)
    for length in range(ends[-2], ends[-1]):
        folder = tmp_path / str(length)
        shutil.copytree(source, folder)
        os.truncate(only_file(folder), length)
        log = opened(folder)
        assert log.size_bytes == ends[-2]
        assert list(log.read(0)) == records(PAYLOADS[:-1])
        assert log.append(DELIVERY, b"again").result(10) == len(PAYLOADS)
        log.close()
        assert contents(folder) == records([*PAYLOADS[:-1], b"again"])


def test_a_bit_flipped_anywhere_in_the_last_record_takes_that_record_and_no_other(tmp_path: Path) -> None:
    ends = written(tmp_path, PAYLOADS)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    for bit in range(ends[-2] * 8, ends[-1] * 8):
        path.write_bytes(whole)
        flip(path, bit)
        assert contents(tmp_path) == records(PAYLOADS[:-1])


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"\xff" * 5000, b"WPOSTLOG" * 100])
def test_what_is_no_record_is_cut_off_the_end(tmp_path: Path, tail: bytes) -> None:
    written(tmp_path, PAYLOADS)
    with only_file(tmp_path).open("ab") as file:
        file.write(tail)
    assert contents(tmp_path) == records(PAYLOADS)


def test_a_record_that_stands_there_twice_is_read_once(tmp_path: Path) -> None:
    ends = written(tmp_path, PAYLOADS)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes() + path.read_bytes()[ends[1] :])
    assert contents(tmp_path) == records(PAYLOADS)


def test_a_bit_flipped_in_an_acknowledged_record_that_others_follow_is_named_and_left_alone(tmp_path: Path) -> None:
    ends = written(tmp_path, PAYLOADS)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    for bit in range(ends[1] * 8, ends[2] * 8):
        path.write_bytes(whole)
        flip(path, bit)
        damaged = path.read_bytes()
        with pytest.raises(LogCorruptError, match="damaged") as caught:
            opened(tmp_path)
        assert (caught.value.path, caught.value.offset) == (path, ends[1])
        assert str(path) in str(caught.value)
        assert path.read_bytes() == damaged


def test_damage_in_an_earlier_segment_is_named_when_it_is_read(tmp_path: Path) -> None:
    one_each = LogLimits(segment_bytes=1)
    written(tmp_path, PAYLOADS, one_each)
    paths = sorted(tmp_path.glob("*.log"))
    assert [path.name for path in paths] == [f"{seq:020}.log" for seq in range(1, 5)]
    [header] = written(tmp_path / "empty", [])
    flip(paths[2], paths[2].stat().st_size * 8 - 1)
    log = Log.open(tmp_path, LIMITS)
    reader = log.read(0)
    assert [next(reader), next(reader)] == records(PAYLOADS[:2])
    with pytest.raises(LogCorruptError) as caught:
        next(reader)
    assert (caught.value.path, caught.value.offset) == (paths[2], header)
    assert [record.seq for record in log.read(3)] == [4]
    log.close()


def test_an_earlier_segment_that_is_cut_short_or_gone_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, PAYLOADS, LogLimits(segment_bytes=1))
    paths = sorted(tmp_path.glob("*.log"))
    size = paths[2].stat().st_size
    os.truncate(paths[2], size - 1)
    log = Log.open(tmp_path, LIMITS)
    with pytest.raises(LogCorruptError):
        list(log.read(0))
    log.close()
    paths[2].unlink()
    log = Log.open(tmp_path, LIMITS)
    with pytest.raises(LogCorruptError) as caught:
        list(log.read(0))
    assert (caught.value.path, caught.value.offset) == (paths[1], paths[1].stat().st_size)
    log.close()


def test_a_group_that_the_disk_took_in_another_order_is_torn_not_corrupt(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    def held(descriptor: int) -> None:
        started.set()
        assert go_on.wait(10)
        os.fdatasync(descriptor)

    written(tmp_path, PAYLOADS)
    go_on.set()
    log = Log.open(tmp_path, LIMITS, sync=held)
    started.clear()
    go_on.clear()
    log.append(DELIVERY, b"alone")
    assert started.wait(10)
    answers = [log.append(DELIVERY, b"of one group") for _ in range(5)]
    go_on.set()
    assert answers[-1].result(10) == 10
    end = log.size_bytes
    log.close()
    before, after = written(tmp_path / "one", [b"of one group"])
    flip(only_file(tmp_path), (end - 4 * (after - before)) * 8)
    assert contents(tmp_path) == records([*PAYLOADS, b"alone", b"of one group"])


def test_a_payload_that_holds_frames_cannot_pose_as_history(tmp_path: Path) -> None:
    written(tmp_path / "forger", [b"x"] * 20)
    forged = only_file(tmp_path / "forger").read_bytes()
    folder = tmp_path / "log"
    [_, end] = written(folder, [forged])
    flip(only_file(folder), (end - 1) * 8)
    assert contents(folder) == []


def test_a_newer_format_is_refused_by_name_and_left_alone(tmp_path: Path) -> None:
    written(tmp_path, PAYLOADS)
    path = only_file(tmp_path)
    data = bytearray(path.read_bytes())
    data[8:12] = (2).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(LogVersionError, match="format 2") as caught:
        Log.open(tmp_path, LIMITS)
    assert caught.value.path == path
    assert path.read_bytes() == data


@pytest.mark.parametrize("start", [b"", b"WPOSTLO", b"\0" * 64, b"WPOSTLOG" + b"\1\0\0\0" + b"\0" * 16])
def test_a_segment_without_a_good_header_is_named(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / f"{1:020}.log"
    path.write_bytes(start)
    with pytest.raises(LogCorruptError) as caught:
        Log.open(tmp_path, LIMITS)
    assert (caught.value.path, caught.value.offset) == (path, 0)


def test_a_segment_under_another_name_is_named(tmp_path: Path) -> None:
    written(tmp_path, PAYLOADS)
    path = only_file(tmp_path).rename(tmp_path / f"{7:020}.log")
    with pytest.raises(LogCorruptError, match="begins with record 1") as caught:
        Log.open(tmp_path, LIMITS)
    assert caught.value.path == path


def test_half_made_segments_are_swept_and_foreign_files_are_left(tmp_path: Path) -> None:
    written(tmp_path, PAYLOADS)
    draft, foreign = tmp_path / f"{5:020}.draft", tmp_path / "notes.log"
    draft.write_bytes(b"WPOST")
    foreign.write_bytes(b"not ours")
    assert contents(tmp_path) == records(PAYLOADS)
    assert not draft.exists()
    assert foreign.read_bytes() == b"not ours"


def test_what_a_killed_process_left_is_flushed_before_anybody_relies_on_it(tmp_path: Path) -> None:
    written(tmp_path, PAYLOADS)
    flushed: list[tuple[int, int]] = []
    names: list[Path] = []

    def sync(descriptor: int) -> None:
        file = os.fstat(descriptor)
        flushed.append((file.st_ino, file.st_size))

    log = Log.open(tmp_path, LIMITS, sync=sync, sync_folder=names.append)
    file = only_file(tmp_path).stat()
    assert flushed == [(file.st_ino, file.st_size)]
    assert names == [tmp_path.parent, tmp_path]
    log.close()

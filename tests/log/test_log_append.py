from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from watchpost.log.faults import LogBusyError, LogClosedError, RecordTooLargeError
from watchpost.log.log import Log
from watchpost.log.record import BATCH_BOUNDARY, DELIVERY, Appended, LogLimits, Record

LIMITS = LogLimits()


class HeldSync:
    """Flushes for real, counts, and waits while it is told to hold."""

    def __init__(self) -> None:
        self.count = 0
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def hold(self) -> None:
        self.started.clear()
        self.go_on.clear()

    def __call__(self, descriptor: int) -> None:
        self.count += 1
        self.started.set()
        assert self.go_on.wait(30)
        os.fdatasync(descriptor)


def test_records_are_numbered_from_one_and_read_back_as_given(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "log", LIMITS)
    answers = [log.append(DELIVERY, b"one"), log.append(BATCH_BOUNDARY, b""), log.append(255, b"\0" * 100_000)]
    assert [answer.result(10) for answer in answers] == [1, 2, 3]
    assert log.next_seq == 4
    assert list(log.read(1)) == [Record(2, BATCH_BOUNDARY, b""), Record(3, 255, b"\0" * 100_000)]
    assert list(log.read(3)) == []
    log.close()


def test_an_append_is_answered_only_after_its_flush(tmp_path: Path) -> None:
    sync = HeldSync()
    log = Log.open(tmp_path, LIMITS, sync=sync)
    sync.hold()
    answer = log.append(DELIVERY, b"wait for me")
    assert sync.started.wait(10)
    assert not answer.done()
    assert list(log.read(0)) == []
    assert log.next_seq == 1
    sync.go_on.set()
    assert answer.result(10) == 1
    log.close()


def test_what_waits_during_a_flush_shares_the_next_one(tmp_path: Path) -> None:
    sync = HeldSync()
    log = Log.open(tmp_path, LIMITS, sync=sync)
    before = sync.count
    sync.hold()
    answers = [log.append(DELIVERY, b"first")]
    assert sync.started.wait(10)
    answers += [log.append(DELIVERY, b"%d" % number) for number in range(300)]
    sync.go_on.set()
    assert [answer.result(10) for answer in answers] == list(range(1, 302))
    assert sync.count - before == 2
    log.close()


def test_eight_threads_are_handed_on_in_sequence_order_once_and_before_their_answer(tmp_path: Path) -> None:
    handed: list[Appended] = []
    sync = HeldSync()

    def hand_on(records: Sequence[Appended]) -> None:
        handed.extend(records)

    log = Log.open(tmp_path, LogLimits(segment_bytes=4_000), on_durable=hand_on, sync=sync)

    def one_thread(name: int) -> list[int]:
        seqs: list[int] = []
        for start in range(0, 100, 10):
            given = [b"%d-%d" % (name, number) for number in range(start, start + 10)]
            for token, answer in [(token, log.append(DELIVERY, token, token)) for token in given]:
                seq = answer.result(30)
                assert handed[seq - 1] == Appended(seq, DELIVERY, len(token), token)
                seqs.append(seq)
        return seqs

    with ThreadPoolExecutor(8) as threads:
        by_thread = list(threads.map(one_thread, range(8)))
    assert all(seqs == sorted(seqs) for seqs in by_thread)
    assert sorted(seq for seqs in by_thread for seq in seqs) == list(range(1, 801))
    assert [record.seq for record in handed] == list(range(1, 801))
    assert [record.payload for record in log.read(0)] == [record.token for record in handed]
    assert sync.count < 800
    log.close()


def test_a_record_cancelled_before_its_group_forms_is_never_written(tmp_path: Path) -> None:
    sync = HeldSync()
    log = Log.open(tmp_path, LIMITS, sync=sync)
    sync.hold()
    first = log.append(DELIVERY, b"first")
    assert sync.started.wait(10)
    given_up, kept = log.append(DELIVERY, b"given up"), log.append(DELIVERY, b"kept")
    assert given_up.cancel()
    assert not first.cancel()
    sync.go_on.set()
    assert kept.result(10) == 2
    assert [record.payload for record in log.read(0)] == [b"first", b"kept"]
    log.close()


def test_a_payload_over_the_limit_is_refused_as_a_bad_value(tmp_path: Path) -> None:
    log = Log.open(tmp_path, LogLimits(max_record_bytes=10))
    with pytest.raises(RecordTooLargeError):
        log.append(DELIVERY, b"x" * 11)
    with pytest.raises(ValueError, match="kind"):
        log.append(256, b"")
    assert log.append(DELIVERY, b"x" * 10).result(10) == 1
    log.close()


def test_what_waits_for_the_disk_is_bounded_in_bytes(tmp_path: Path) -> None:
    sync = HeldSync()
    log = Log.open(tmp_path, LogLimits(max_queued_bytes=100), sync=sync)
    for queued in ([1000], [50, 50], [99, 0, 1]):
        sync.hold()
        answers = [log.append(DELIVERY, b"on its way")]
        assert sync.started.wait(10)
        answers += [log.append(DELIVERY, b"x" * size) for size in queued]
        with pytest.raises(LogBusyError):
            log.append(DELIVERY, b"x")
        sync.go_on.set()
        assert all(answer.result(10) for answer in answers)
    log.close()


def test_closing_answers_what_is_queued_and_takes_no_more(tmp_path: Path) -> None:
    log = Log.open(tmp_path, LIMITS)
    answers = [log.append(DELIVERY, b"%d" % number) for number in range(50)]
    log.close()
    log.close()
    assert [answer.result(0) for answer in answers] == list(range(1, 51))
    with pytest.raises(LogClosedError):
        log.append(DELIVERY, b"late")
    with pytest.raises(LogClosedError):
        log.release(50)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_raises_leaves_nobody_waiting(tmp_path: Path) -> None:
    sync = HeldSync()

    def hand_on(_records: Sequence[Appended]) -> None:
        raise ZeroDivisionError

    log = Log.open(tmp_path, LIMITS, on_durable=hand_on, sync=sync)
    sync.hold()
    first = log.append(DELIVERY, b"durable, yet not handed on")
    assert sync.started.wait(10)
    second = log.append(DELIVERY, b"queued")
    sync.go_on.set()
    for answer in (first, second):
        with pytest.raises(LogClosedError):
            answer.result(10)
    with pytest.raises(LogClosedError):
        log.append(DELIVERY, b"late")
    log.close()


@pytest.mark.parametrize("limits", [{"segment_bytes": 0}, {"max_queued_bytes": -1}, {"max_record_bytes": 1 << 32}])
def test_limits_that_cannot_hold_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="limits of the log"):
        LogLimits(**limits)

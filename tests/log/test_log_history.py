from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from watchpost.log.log import Log
from watchpost.log.record import DELIVERY, Appended, LogLimits, Record

SMALL = LogLimits(segment_bytes=300, max_record_bytes=400)


class AgainstAList(RuleBasedStateMachine):
    """The log beside a plain list: whatever is appended, released, torn or reopened, it reads as the list does."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name) / "log"
        self.truth: list[Record] = []
        self.released = 0
        self.handed: list[int] = []
        self.open()

    def open(self) -> None:
        self.log = Log.open(self.folder, SMALL, on_durable=self.hand_on)

    def hand_on(self, appended: Sequence[Appended]) -> None:
        self.handed.extend(record.seq for record in appended)

    def teardown(self) -> None:
        self.log.close()
        self.place.cleanup()

    @rule(batch=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=400)), min_size=1, max_size=5))
    def append(self, batch: list[tuple[int, bytes]]) -> None:
        answers = [self.log.append(kind, payload) for kind, payload in batch]
        for (kind, payload), answer in zip(batch, answers, strict=True):
            assert answer.result(10) == len(self.truth) + 1
            self.truth.append(Record(len(self.truth) + 1, kind, payload))

    @rule(share=st.floats(0, 1))
    def release(self, share: float) -> None:
        self.released = max(self.released, round(share * len(self.truth)))
        self.log.release(self.released)

    @rule()
    def release_all(self) -> None:
        self.released = len(self.truth)
        self.log.release(self.released)
        assert self.log.size_bytes < 100

    @rule(share=st.floats(0, 1))
    def read_from_the_middle(self, share: float) -> None:
        after = self.released + round(share * (len(self.truth) - self.released))
        assert list(self.log.read(after)) == self.truth[after:]

    @rule(tail=st.binary(max_size=60))
    def reopen(self, tail: bytes) -> None:
        self.log.close()
        with max(self.folder.glob("*.log")).open("ab") as file:
            file.write(tail)
        self.open()

    @invariant()
    def reads_as_the_list_does(self) -> None:
        kept = list(self.log.read(0))
        assert kept == self.truth[len(self.truth) - len(kept) :]
        assert len(kept) >= len(self.truth) - self.released

    @invariant()
    def numbers_go_on(self) -> None:
        assert self.log.next_seq == len(self.truth) + 1
        assert self.handed == list(range(1, len(self.truth) + 1))

    @invariant()
    def size_is_what_the_files_take(self) -> None:
        assert self.log.size_bytes == sum(path.stat().st_size for path in self.folder.glob("*.log"))


TestAgainstAList = AgainstAList.TestCase
TestAgainstAList.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_numbers_go_on_when_all_was_released_and_the_log_reopened(tmp_path: Path) -> None:
    for start in range(1, 31, 10):
        log = Log.open(tmp_path, SMALL)
        answers = [log.append(DELIVERY, b"x" * 50) for _ in range(10)]
        assert [answer.result(10) for answer in answers] == list(range(start, start + 10))
        log.release(start + 9)
        assert list(log.read(0)) == []
        log.close()
        assert [path.name for path in tmp_path.iterdir()] == [f"{start + 10:020}.log"]


def test_release_gives_space_back_and_keeps_all_that_is_not_released(tmp_path: Path) -> None:
    log = Log.open(tmp_path, LogLimits(segment_bytes=10_000))
    for _ in range(100):
        log.append(DELIVERY, b"x" * 1000).result(10)
    whole = log.size_bytes
    log.release(50)
    assert whole * 0.4 < log.size_bytes < whole * 0.65
    assert [record.seq for record in log.read(50)] == list(range(51, 101))
    log.release(100)
    assert log.size_bytes < 10_000 / 16
    log.close()


def test_release_deletes_up_to_the_number_it_is_given_and_not_one_more(tmp_path: Path) -> None:
    log = Log.open(tmp_path, LogLimits(segment_bytes=1))
    for _ in range(10):
        log.append(DELIVERY, b"x").result(10)
    for upto in range(10):
        log.release(upto)
        assert [record.seq for record in log.read(0)] == list(range(upto + 1, 11))
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"{seq:020}.log" for seq in range(upto + 1, 11)]
    log.close()


def test_a_lost_folder_goes_on_at_the_number_it_is_given(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "log", SMALL, first_seq=501)
    assert log.next_seq == 501
    assert log.append(DELIVERY, b"").result(10) == 501
    log.close()
    log = Log.open(tmp_path / "log", SMALL, first_seq=7)
    assert log.next_seq == 502
    log.close()

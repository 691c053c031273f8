"""The log itself: many threads append, one writes, everything durable is handed on in order."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path

import msgspec

from watchpost.log import segment as segments
from watchpost.log.faults import LogBusyError, LogClosedError, LogFullError, LogWriteError, RecordTooLargeError
from watchpost.log.frame import MARKER_BYTES, frame_bytes, frame_header
from watchpost.log.record import Appended, LogLimits, Record
from watchpost.log.segment import Segment, SegmentWriter, Sync

_NAME = re.compile(r"\d{20}\.log")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GROUP_BYTES = 8 << 20  # beyond this a write takes longer than the flush, and the first in the group waits for the last
_GROUP_RECORDS = 512
_WORTH_ROTATING = 16  # release begins a new segment for a sixteenth of one, not for every batch


class _Waiting(msgspec.Struct, frozen=True):
    kind: int
    payload: bytes
    token: object
    answer: Future[int]


def _hand_on_to_nobody(_records: Sequence[Appended]) -> None:
    """The default of `on_durable`."""


class Log:
    """An append-only log in a folder. Thread-safe; `open` makes one.

    Group commit: one thread writes all that waits with one write and one flush, then answers all of it; while it
    flushes, the next group forms. Groups are bounded by 8 MiB and 512 records.

    After a failed write the segment is cut back to its last flushed byte and used again, so appends succeed once there is
    room. After a failed flush it is cut back too, and never written again, because a later flush of the same file could
    report success for pages that the kernel has dropped: the next group begins a new segment, and fails in turn
    for as long as that cannot be made. If the name of a new segment cannot be flushed, the log stops: `LogClosedError`.
    """

    def __init__(
        self,
        folder: Path,
        limits: LogLimits,
        *,
        sealed: Sequence[Segment],
        active: SegmentWriter,
        next_seq: int,
        on_durable: Callable[[Sequence[Appended]], None],
        sync: Sync,
        sync_folder: Callable[[Path], None],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._on_durable = on_durable
        self._sync = sync
        self._sync_folder = sync_folder
        self._entropy = entropy

        self._disk = threading.Lock()  # held while the active segment is written or replaced; taken before _state
        self._state = threading.Condition()  # guards all below; held for moments only
        self._sealed = deque(sealed)
        self._active = active
        self._next_seq = next_seq
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._group: list[_Waiting] = []
        self._closing = False
        self._stopped = False

        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        folder: Path,
        limits: LogLimits,
        *,
        first_seq: int = 1,
        on_durable: Callable[[Sequence[Appended]], None] = _hand_on_to_nobody,
        sync: Sync = os.fdatasync,
        sync_folder: Callable[[Path], None] = segments.sync_folder,
        entropy: Callable[[int], bytes] = os.urandom,  # noqa: TID251 it is an argument; this is its default
    ) -> Log:
        """Open the log in `folder`, made if missing, and cut off what a crash left half-written.

        `first_seq` numbers the first record of a folder without segments, and means nothing to another: with one more than the last
        record ever consumed, a log folder that was lost does not give out its numbers again.

        `on_durable` gets every record appended from now on, in sequence order, exactly once, after it is on disk and
        before its future resolves. It runs in the writing thread: while it runs nothing is acknowledged, and if it
        raises, the log stops. Records that were there before are for `read`.

        `sync` flushes a file, `sync_folder` the names in a folder, `entropy(n)` gives n random bytes.

        Raises:
            LogCorruptError: acknowledged records of the last segment are damaged, or a segment has no good header. Damage in
                earlier segments is found by `read`.
            LogVersionError: a newer program wrote a segment.
            OSError: the folder cannot be made, read or written.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        for draft in folder.glob("*.draft"):
            draft.unlink()
        found = [segments.read_start(path) for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name)]
        if found:
            last = segments.recover_segment(found[-1], sync)
            active, next_seq = segments.reopen_segment(last, sync), last.last + 1
        else:
            active, next_seq = segments.create_segment(folder, first_seq, entropy(MARKER_BYTES), sync), first_seq
        sync_folder(folder)
        sealed = [msgspec.structs.replace(one, last=after.first - 1) for one, after in pairwise(found)]
        return cls(
            folder,
            limits,
            sealed=sealed,
            active=active,
            next_seq=next_seq,
            on_durable=on_durable,
            sync=sync,
            sync_folder=sync_folder,
            entropy=entropy,
        )

    @property
    def next_seq(self) -> int:
        """One more than the sequence number of the last durable record."""
        with self._state:
            return self._next_seq

    @property
    def first_seq(self) -> int:
        """The sequence number of the oldest record that is still on disk; one that is still to come where none is."""
        with self._state:
            return self._sealed[0].first if self._sealed else self._active.first

    @property
    def size_bytes(self) -> int:
        """What the segments take on disk."""
        with self._state:
            return sum(one.end for one in self._sealed) + self._active.end

    def append(self, kind: int, payload: bytes, token: object = None) -> Future[int]:
        """Queue a record; the future resolves with its sequence number once it is on disk and has been handed to `on_durable`.

        A future cancelled before its group forms takes the record with it; later it cannot be cancelled any more.
        It resolves in the writing thread. It fails with `LogFullError`, `LogWriteError` or `LogClosedError`.

        Raises:
            RecordTooLargeError: the payload is over `max_record_bytes`.
            ValueError: `kind` is not within 0 to 255.
            LogBusyError: `max_queued_bytes` already wait; a payload that finds an empty queue is always taken.
            LogClosedError: the log is closed or had to stop.
        """
        if not 0 <= kind <= 255:
            raise ValueError(f"kind must be within 0 to 255, not {kind}")
        if len(payload) > self._limits.max_record_bytes:
            raise RecordTooLargeError(f"payload of {len(payload)} bytes is over {self._limits.max_record_bytes}")
        answer: Future[int] = Future()
        with self._state:
            if self._closing or self._stopped:
                raise LogClosedError("the log is closed")
            if self._queue and self._queued_bytes + len(payload) > self._limits.max_queued_bytes:
                raise LogBusyError(f"{self._queued_bytes} bytes wait for the disk already")
            self._queue.append(_Waiting(kind, payload, token, answer))
            self._queued_bytes += len(payload)
            self._state.notify_all()
        return answer

    def read(self, after: int) -> Iterator[Record]:
        """The records with `seq > after` that are durable now and not released, in order, one in memory at a time.

        Do not release what an iterator has still to read.

        Raises:
            LogCorruptError: from the iterator, where acknowledged records are damaged or missing.
            OSError: from the iterator, where a file cannot be read.
        """
        with self._state:
            held = [*self._sealed, self._active.as_segment(self._next_seq - 1)]
        return (
            record for one in held if one.last > after for record in segments.read_records(one) if record.seq > after
        )

    def release(self, upto: int) -> None:
        """Delete every segment that holds no record beyond `upto`. Those records are not read again; their numbers stay used.

        The active segment stays, but once all it holds is released and it is worth it, a new one takes its place: after a
        release of everything less than a sixteenth of `segment_bytes` remains, unless the disk has no room for a
        new header. Oldest first and flushed one by one, so that no crash leaves a gap. One thread at a time.

        Raises:
            LogClosedError: the log is closed or had to stop.
            OSError: a segment could not be deleted; calling again takes it up there.
        """
        with self._disk:
            with self._state:
                if self._closing or self._stopped:
                    raise LogClosedError("the log is closed")
            spent = self._active.first < self._next_seq <= upto + 1
            if spent and self._active.end >= self._limits.segment_bytes // _WORTH_ROTATING:
                with contextlib.suppress(OSError):  # the next append or release meets the same disk, and tries again
                    self._rotate()
        while self._sealed and self._sealed[0].last <= upto:
            self._sealed[0].path.unlink(missing_ok=True)
            self._sync_folder(self._folder)
            with self._state:
                self._sealed.popleft()

    def seal(self) -> None:
        """Begin a new segment, so that what came so far goes with the next `release` that covers it, however little it is.

        Raises:
            LogClosedError: the log is closed or had to stop.
            OSError: there is no room for a new segment; nothing changed.
        """
        with self._disk:
            with self._state:
                if self._closing or self._stopped:
                    raise LogClosedError("the log is closed")
            if self._active.first < self._next_seq:
                self._rotate()

    def close(self) -> None:
        """Write and answer what is queued, then stop. A second call does nothing. Not to be called from `on_durable`."""
        with self._state:
            self._closing = True
            self._state.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._take_group():
                self._commit()
        finally:
            self._finish()

    def _take_group(self) -> bool:
        """Wait for records and take those that the next group holds; False when there will be none any more."""
        with self._state:
            self._group = []
            while not self._group and not self._stopped:
                self._fill_group()
                if not self._group and not self._queue:
                    if self._closing:
                        return False
                    self._state.wait()
            return not self._stopped

    def _fill_group(self) -> None:
        room = min(_GROUP_BYTES, self._limits.segment_bytes)
        while self._queue and len(self._group) < _GROUP_RECORDS:
            size = frame_bytes(len(self._queue[0].payload))
            if self._group and size > room:
                return
            waiting = self._queue.popleft()
            self._queued_bytes -= len(waiting.payload)
            if waiting.answer.set_running_or_notify_cancel():
                self._group.append(waiting)
                room -= size

    def _commit(self) -> None:
        try:
            with self._disk:
                appended = self._store()
        except OSError as error:
            kind = LogFullError if error.errno in _NO_ROOM else LogWriteError
            for waiting in self._group:
                fault = kind(f"the record was not kept: {error}")
                fault.__cause__ = error
                waiting.answer.set_exception(fault)
            return
        self._on_durable(appended)
        for waiting, record in zip(self._group, appended, strict=True):
            waiting.answer.set_result(record.seq)

    def _store(self) -> list[Appended]:
        """Put the group on disk. On an error none of it is, and its numbers are free."""
        size = sum(frame_bytes(len(waiting.payload)) for waiting in self._group)
        holds_records = self._active.first < self._next_seq
        if not self._active.sound or (holds_records and self._active.end + size > self._limits.segment_bytes):
            self._rotate()
        pieces = []
        appended = []
        for place, waiting in enumerate(self._group):
            record = Record(self._next_seq + place, waiting.kind, waiting.payload)
            pieces += [frame_header(self._active.marker, record, place), record.payload]
            appended.append(Appended(record.seq, record.kind, len(record.payload), waiting.token))
        self._active.write(pieces)
        with self._state:
            self._next_seq += len(appended)
        return appended

    def _rotate(self) -> None:
        """Put a new segment in the active one's place; one that holds no record is replaced under its own name."""
        fresh = segments.create_segment(self._folder, self._next_seq, self._entropy(MARKER_BYTES), self._sync)
        with self._state:
            spent, self._active = self._active, fresh
            if spent.first < self._next_seq:
                self._sealed.append(spent.as_segment(self._next_seq - 1))
        spent.close()
        try:
            self._sync_folder(self._folder)
        except OSError:
            # the segment may be nameless after a power failure, and a second flush may say yes to what the first one lost
            with self._state:
                self._stopped = True
                self._state.notify_all()
            raise

    def _finish(self) -> None:
        """Leave nobody waiting, also when the thread ends by an error."""
        with self._state:
            self._stopped = True
            left = [waiting for waiting in self._queue if waiting.answer.set_running_or_notify_cancel()]
            left += [waiting for waiting in self._group if not waiting.answer.done()]
            self._queue.clear()
        for waiting in left:
            waiting.answer.set_exception(LogClosedError("the log stopped before it could say that the record is kept"))
        with self._disk:
            self._active.close()

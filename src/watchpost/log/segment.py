"""One file of the log: created whole, written at its end, read in order, its torn tail cut off.

A segment is named after the sequence number of its first record and begins with a header:

    magic    8 bytes   `WPOSTLOG`
    version  u32       of the format
    marker   4 bytes   of this segment's frames
    first    u64       sequence number of its first record
    checksum u32       CRC-32 of all that stands before

Numbers are little-endian; frames follow.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from watchpost.log.faults import LogCorruptError, LogVersionError
from watchpost.log.frame import MARKER_BYTES, read_frame
from watchpost.log.record import Record

Sync = Callable[[int], None]
"""Takes a file descriptor and returns once its data, and what is needed to find them, are on disk."""

VERSION = 1

_MAGIC = b"WPOSTLOG"
_START = struct.Struct(f"<8sI{MARKER_BYTES}sQ")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _START.size + _CHECKSUM.size

_IOVEC_LIMIT = 1024  # the kernel takes no more pieces in one writev
_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class Segment(msgspec.Struct, frozen=True):
    """A file that holds the records `first` to `last`, all before byte `end`; `last` is `first - 1` where it holds none."""

    path: Path
    marker: bytes
    first: int
    last: int
    end: int


def segment_path(folder: Path, first: int) -> Path:
    """Where the segment beginning with record `first` lies: names sort as their records do."""
    return folder / f"{first:020}.log"


class SegmentWriter:
    """The end of one segment. Owns `descriptor`, which is open for appending. Not thread-safe.

    `end` is the byte behind the last flushed record. `sound` turns False for good when the state of the file behind `end`
    is not known any more: after a failed flush the kernel may have dropped the pages and call the next flush a success,
    so nothing written to this file can be trusted again. What stands before `end` was flushed and stays good.
    """

    def __init__(self, segment: Segment, descriptor: int, sync: Sync) -> None:
        self.first = segment.first
        self.marker = segment.marker
        self.end = segment.end
        self.sound = True
        self._path = segment.path
        self._descriptor = descriptor
        self._sync = sync

    def write(self, pieces: Sequence[bytes]) -> None:
        """Return only when all pieces are on disk; on an error none of them is in the file, as far as it can be known.

        Raises:
            OSError: the write or the flush failed.
        """
        try:
            written = _write_all(self._descriptor, pieces)
        except OSError:
            self._take_back()
            raise
        try:
            self._sync(self._descriptor)
        except OSError:
            self.sound = False
            self._take_back()
            raise
        self.end += written

    def as_segment(self, last: int) -> Segment:
        """The flushed part, which ends with record `last`."""
        return Segment(self._path, self.marker, self.first, last, self.end)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self.end)
        except OSError:
            self.sound = (
                False  # the caller hears of the error that brought us here; this one changes only what we dare next
            )


def create_segment(folder: Path, first: int, marker: bytes, sync: Sync) -> SegmentWriter:
    """A new, empty segment. It replaces one of the same name, so that one can only be left behind while it holds no record.

    It gets its name when its header is on disk; the folder is left for the caller to flush.

    Raises:
        OSError: there is no new segment, and what stood under its name still does.
    """
    path = segment_path(folder, first)
    draft = path.with_suffix(".draft")
    start = _START.pack(_MAGIC, VERSION, marker, first)
    descriptor = os.open(draft, _APPENDING | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(descriptor, [start + _CHECKSUM.pack(zlib.crc32(start))])
        sync(descriptor)
        draft.replace(path)
    except OSError:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # opening the log sweeps drafts too
            draft.unlink()
        raise
    return SegmentWriter(Segment(path, marker, first, first - 1, HEADER_BYTES), descriptor, sync)


def reopen_segment(segment: Segment, sync: Sync) -> SegmentWriter:
    """Go on behind the last record of a recovered segment."""
    return SegmentWriter(segment, os.open(segment.path, _APPENDING), sync)


def read_start(path: Path) -> Segment:
    """What header and size say of a segment: where it begins, that it ends no later than the file; `last` is left at `first - 1`.

    Raises:
        LogVersionError: a newer program wrote it.
        LogCorruptError: it has no good header, or another segment's.
    """
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
        end = os.fstat(file.fileno()).st_size
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        raise LogCorruptError(path, 0, "it does not begin as a segment of the log does")
    _, version, marker, first = _START.unpack_from(header)
    if version > VERSION:
        raise LogVersionError(path, version, VERSION)
    if _CHECKSUM.unpack_from(header, _START.size)[0] != zlib.crc32(header[: _START.size]):
        raise LogCorruptError(path, 0, "the checksum of its header is wrong")
    if path != segment_path(path.parent, first):
        raise LogCorruptError(path, 0, f"its header says that it begins with record {first}")
    return Segment(path, marker, first, first - 1, end)


def read_records(segment: Segment) -> Iterator[Record]:
    """Every record of the segment, one in memory at a time. What lies behind the last is what a failed write left, and is not read.

    Raises:
        LogCorruptError: a record that must be there is damaged or missing.
    """
    offset = HEADER_BYTES
    with segment.path.open("rb") as file:
        file.seek(offset)
        for seq in range(segment.first, segment.last + 1):
            frame = read_frame(file, segment.marker, segment.end - offset)
            if frame is None or frame.record.seq != seq:
                raise LogCorruptError(segment.path, offset, f"record {seq} is not there, or its checksum is wrong")
            yield frame.record
            offset += frame.size


def recover_segment(segment: Segment, sync: Sync) -> Segment:
    """The last segment of a log with its torn tail cut off and all that is left on disk.

    A group is written only after the one before it was flushed. So a bad record that only records of its own group follow
    was never acknowledged: the disk took the pages of one group in any order before the power went. A bad record
    that a later group follows was acknowledged, and its loss is an error, not a tail.

    Raises:
        LogCorruptError: acknowledged records are damaged; the file is as it was.
    """
    offset, seq = HEADER_BYTES, segment.first
    with segment.path.open("r+b") as file:
        file.seek(offset)
        while (frame := read_frame(file, segment.marker, segment.end - offset)) and frame.record.seq == seq:
            offset += frame.size
            seq += 1
        if offset < segment.end:
            file.seek(offset)
            if _holds_later_group(file.read(), segment.marker, seq):
                raise LogCorruptError(segment.path, offset, f"record {seq} is not there, but records behind it are")
            file.truncate(offset)
        # a record that a killed process wrote may be only in the kernel's memory; whoever reads it now must be able to rely on it
        sync(file.fileno())
    return Segment(segment.path, segment.marker, segment.first, seq - 1, offset)


def sync_folder(folder: Path) -> None:
    """Return once the names in the folder are on disk.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _holds_later_group(tail: bytes, marker: bytes, seq: int) -> bool:
    place = tail.find(marker)
    while place >= 0:
        file = io.BytesIO(tail)
        file.seek(place)
        frame = read_frame(file, marker, len(tail) - place)
        if frame is not None and frame.group > seq:
            return True
        place = tail.find(marker, place + 1)
    return False


def _write_all(descriptor: int, pieces: Sequence[bytes]) -> int:
    rest = [memoryview(piece) for piece in pieces]
    total = 0
    while rest:
        written = os.writev(descriptor, rest[:_IOVEC_LIMIT])
        total += written
        done = 0
        while done < len(rest) and written >= len(rest[done]):
            written -= len(rest[done])
            done += 1
        del rest[:done]
        if rest:
            rest[0] = rest[0][written:]
    return total

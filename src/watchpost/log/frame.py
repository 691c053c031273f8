"""How a record lies in a segment: a header that says whether what follows is whole and untouched, then the payload.

    marker   4 bytes   random, the same for every frame of a segment: no payload can know it, so none can pose as a frame
    checksum u32       CRC-32 of all that follows
    length   u32       of the payload, in bytes
    place    u32       how many records of its group stand before it; all groups before this one were flushed first
    seq      u64
    kind     u8
    payload

Numbers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import msgspec

from watchpost.log.record import Record

MARKER_BYTES = 4

_SEAL = struct.Struct("<4sI")
_FIELDS = struct.Struct("<IIQB")
_HEADER_BYTES = _SEAL.size + _FIELDS.size


class Frame(msgspec.Struct, frozen=True):
    """One whole frame. `group` is the sequence number of the first record of its group, `size` counts all its bytes."""

    record: Record
    group: int
    size: int


def frame_bytes(payload_bytes: int) -> int:
    """What a payload of that size takes on disk."""
    return _HEADER_BYTES + payload_bytes


def frame_header(marker: bytes, record: Record, place: int) -> bytes:
    """The bytes to write before the payload of the record."""
    fields = _FIELDS.pack(len(record.payload), place, record.seq, record.kind)
    return _SEAL.pack(marker, zlib.crc32(record.payload, zlib.crc32(fields))) + fields


def read_frame(file: BinaryIO, marker: bytes, available: int) -> Frame | None:
    """The frame at the file's position, which moves behind it; None if the next `available` bytes do not begin with a good one.

    Reads no more than `available` bytes, whatever the header claims.
    """
    if available < _HEADER_BYTES:
        return None
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return None
    found, checksum = _SEAL.unpack_from(header)
    length, place, seq, kind = _FIELDS.unpack_from(header, _SEAL.size)
    if found != marker or length > available - _HEADER_BYTES:
        return None
    payload = file.read(length)
    if len(payload) < length or zlib.crc32(payload, zlib.crc32(header[_SEAL.size :])) != checksum:
        return None
    return Frame(Record(seq, kind, payload), seq - place, _HEADER_BYTES + length)

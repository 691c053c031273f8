"""A recorded file as a stream of JSON values, decompressed as it is read and never held beyond a given size.

Text comes as one value per line, as one value over many lines, or as many values over many lines each (the form in which
SDKs print spans). Which it is shows in the first line.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from backports import zstd

MAX_VALUE_BYTES = 128 * 1024 * 1024
"""Longest line, and largest file that is no sequence of lines, in decompressed bytes."""

ROOM = 256 * 1024 * 1024
RATIO = 200
"""A compressed file may hold `ROOM` bytes, or `RATIO` times its own size where that is more; real recordings reach 20 times."""

CORRUPT: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, zstd.ZstdError)
"""What reading may raise where the file or its compression is damaged."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 27}
BOM = b"\xef\xbb\xbf"


class UnreadableError(ValueError):
    """The rest of the file cannot be read; the message says why."""


class Value(msgspec.Struct, frozen=True):
    """One JSON value and the number of the line on which it begins."""

    line: int
    json: object


class Broken(msgspec.Struct, frozen=True):
    """What begins on a line is no JSON."""

    line: int
    reason: str


@contextmanager
def opened(path: Path) -> Iterator[RecordedFile]:
    """A file, decompressed as its first bytes ask for. Raises one of `CORRUPT` where it cannot be opened."""
    with path.open("rb") as file:
        magic = file.read(4)
        room = max(ROOM, path.stat().st_size * RATIO)
    if magic.startswith(_GZIP):
        with gzip.GzipFile(path) as inflated:
            yield RecordedFile(cast("BinaryIO", inflated), room)
    elif magic == _ZSTD:
        with zstd.ZstdFile(path, options=_ZSTD_OPTIONS) as inflated:
            yield RecordedFile(cast("BinaryIO", inflated), room)
    else:
        with path.open("rb") as plain:
            yield RecordedFile(plain, None)


class RecordedFile:
    """What an open file holds, at most `room` bytes of it if that is given.

    Reading raises one of `CORRUPT` where the file is damaged, and `UnreadableError` where it holds too much.
    """

    def __init__(self, stream: BinaryIO, room: int | None) -> None:
        self._stream = stream
        self._room = room

    def head(self, size: int) -> bytes:
        """The first bytes, at most `size`."""
        self._stream.seek(0)
        return self._stream.read(size)

    def whole(self) -> bytes | None:
        """All of it, or None where that is more than `MAX_VALUE_BYTES`."""
        content = self.head(MAX_VALUE_BYTES + 1)
        return content if len(content) <= MAX_VALUE_BYTES else None

    def values(self) -> Iterator[Value | Broken]:
        """Every JSON value in order, with what is none between them."""
        first = next(self._lines(), None)
        if first is None:
            return
        if isinstance(parsed(first[0], first[1]), Broken):
            content = self.whole()
            value = None if content is None else parsed(first[0], content.removeprefix(BOM))
            if isinstance(value, Value):
                yield value
                return
        parts = self._blocks() if first[1].rstrip() == b"{" else self._lines()
        for line, text in parts:
            yield parsed(line, text)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Lines that are not blank, numbered from 1; one that is too long is cut at the limit."""
        self._stream.seek(0)
        number = total = 0
        while line := self._stream.readline(MAX_VALUE_BYTES + 1):
            number += 1
            total += len(line)
            if len(line) > MAX_VALUE_BYTES:
                raise UnreadableError(f"line {number} has more than {MAX_VALUE_BYTES} bytes")
            if self._room is not None and total > self._room:
                raise UnreadableError(f"decompresses to more than {self._room} bytes; decompress it first")
            if number == 1:
                line = line.removeprefix(BOM)
            if line.strip():
                yield number, line

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Values that each begin with a line of `{` and end with a line of `}`."""
        gathered: list[bytes] = []
        size = start = 0
        for number, line in self._lines():
            start = start if gathered else number
            gathered.append(line)
            size += len(line)
            if size > MAX_VALUE_BYTES:
                raise UnreadableError(f"what begins on line {start} has more than {MAX_VALUE_BYTES} bytes")
            if line.rstrip() == b"}":
                yield start, b"".join(gathered)
                gathered, size = [], 0
        if gathered:
            yield start, b"".join(gathered)


def parsed(line: int, text: bytes) -> Value | Broken:
    """The JSON value of a text."""
    try:
        return Value(line, cast("object", msgspec.json.decode(text)))
    except UnicodeDecodeError:
        return Broken(line, "is not UTF-8")
    except msgspec.DecodeError as error:
        return Broken(line, f"is no JSON: {error}")
    except RecursionError:
        return Broken(line, "nests too deep")

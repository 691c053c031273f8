"""The process that decodes: requests come in on standard input, what is to be kept of them goes out on standard output.

Both ways a message is its length, eight bytes little-endian, and MessagePack. The first in is the `Setup`; the others are
asked and answered in order. It ends when its input does, and so with the process that started it, however that one ends.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import BinaryIO

import msgspec

from watchpost.ingest.request import OtlpRequest, RefusedError
from watchpost.runtime.prepare import Prepared, Preparer, Setup

HEAD_BYTES = 8

COLLECT_AFTER = (50_000, 20, 50)
"""How much may be made before the collector looks for cycles; telemetry makes many values and no cycles."""


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """One request, and when it was received."""

    received_ns: int
    request: OtlpRequest


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A `RefusedError` as a value."""

    status: int
    detail: str
    field: str


class Defect(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A request on which decoding itself failed, with the traceback."""

    traceback: str


Answer = Prepared | Refused | Defect


def framed(encoder: msgspec.msgpack.Encoder, message: Setup | Ask | Answer) -> bytearray:
    """A message with its length before it."""
    frame = bytearray(HEAD_BYTES)
    encoder.encode_into(message, frame, HEAD_BYTES)
    frame[:HEAD_BYTES] = (len(frame) - HEAD_BYTES).to_bytes(HEAD_BYTES, "little")
    return frame


def work(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer everything that is asked, until the other side closes either way."""
    setup = _message(asked)
    if setup is None:
        return
    preparer = Preparer(msgspec.msgpack.decode(setup, type=Setup))
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Ask)
    with suppress(BrokenPipeError):
        while (message := _message(asked)) is not None:
            answers.write(framed(encoder, _answer(preparer, decoder.decode(message))))
            answers.flush()


def _answer(preparer: Preparer, ask: Ask) -> Answer:
    try:
        return preparer.prepare(ask.request, ask.received_ns)
    except RefusedError as error:
        return Refused(error.status, error.detail, error.field)
    except Exception:  # noqa: BLE001 - one request must not take the process and the requests behind it along
        return Defect(traceback.format_exc())


def _message(asked: BinaryIO) -> bytes | None:
    """The next message; None at the end of the input, also where it ends within one."""
    head = asked.read(HEAD_BYTES)
    length = int.from_bytes(head, "little")
    message = asked.read(length)
    return message if len(head) == HEAD_BYTES and len(message) == length else None


def main() -> None:
    """Work on standard input and output, which nothing else in this process may write to."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the server, which still has requests to answer
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        work(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()

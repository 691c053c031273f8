"""Decoding in a process of its own, so that an acknowledgement need not wait for the interpreter that `react` keeps busy.

Everything here runs on one event loop. Bytes go through pipes that hold about a whole request, because every system call
gives the interpreter away and has to wait to get it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence

import msgspec

from watchpost.ingest.otlp import check_size
from watchpost.ingest.request import OtlpRequest, OverloadedError, RefusedError
from watchpost.runtime.decode_worker import HEAD_BYTES, Answer, Ask, Defect, Refused, framed
from watchpost.runtime.prepare import Prepared, Setup

RETRY_AFTER_S = 1
PIPE_BYTES = 1 << 20
END_S = 5.0
"""How long the process may take to end once its input has ended; it may be in the middle of the largest request."""

_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
"""Lets glibc keep what one request has used for the next one; given back and taken anew each time it costs a fifth of all CPU."""

_COMMAND = (sys.executable, "-P", "-m", "watchpost.runtime.decode_worker")


class DecodingEndedError(Exception):
    """The process that decodes ended by itself."""


class DecodingDefectError(Exception):
    """Decoding a request failed in a way that is no fault of the request; carries the traceback of the other process."""


class DecodingProcess:
    """One process that decodes while `run` runs; a `Decoder` together with others in `DecodingProcesses`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._channel: _Channel | None = None

    @property
    def waiting_bytes(self) -> float:
        """How much it still has to decode; infinite while it does not run."""
        return math.inf if self._channel is None else self._channel.waiting_bytes

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        return None if self._channel is None else self._channel.process.pid

    async def run(self, stop: asyncio.Event) -> None:
        """Start the process and end it at `stop`; raises `DecodingEndedError` if it ends before.

        What it was asked and has not answered by then fails with `OverloadedError`.
        """
        channel = self._channel = _Channel(self._setup, asyncio.get_running_loop())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((channel.ended, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            self.close()
            code = await asyncio.to_thread(channel.reap)
        if not stop.is_set():
            raise DecodingEndedError(f"the process that decodes requests ended with {_meaning(code)}")

    async def prepare(self, request: OtlpRequest, received_ns: int) -> Prepared:
        """As a `Decoder` promises; raises `DecodingDefectError` where decoding itself failed."""
        check_size(request, self._setup.limits)
        if self._channel is None:
            raise _away()
        match await self._channel.ask(Ask(received_ns, request)):
            case Refused(status, detail, field):
                raise RefusedError(status, detail, field)
            case Defect(told):
                raise DecodingDefectError(told)
            case Prepared() as prepared:
                return prepared

    def close(self) -> None:
        """Close the channel, by which the process ends."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


class DecodingProcesses:
    """A `Decoder` that gives each request to the process with the least to do."""

    def __init__(self, processes: Sequence[DecodingProcess]) -> None:
        self._processes = processes

    async def prepare(self, request: OtlpRequest, received_ns: int) -> Prepared:
        """As promised."""
        idlest = min(self._processes, key=lambda process: process.waiting_bytes)
        return await idlest.prepare(request, received_ns)

    def close(self) -> None:
        """As promised."""
        for process in self._processes:
            process.close()


class _Channel:
    """A running process and the pipes to it. It answers in the order in which it is asked."""

    def __init__(self, setup: Setup, loop: asyncio.AbstractEventLoop) -> None:
        self.process, self._asking, self._answering = _started()
        self._loop = loop
        self._open = True
        self.ended: asyncio.Future[None] = loop.create_future()
        self.waiting_bytes = 0
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
        self._unsent: deque[_Question] = deque()
        self._unanswered: deque[_Question] = deque()
        self._out = memoryview(framed(self._encoder, setup))
        self._in = bytearray()
        loop.add_reader(self._answering, self._read)
        self._write()

    def ask(self, ask: Ask) -> asyncio.Future[Answer]:
        """The answer, once it is there; `OverloadedError` if the channel ends before. It may be cancelled at any time."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self.waiting_bytes += len(ask.request.body)
        self._unsent.append(_Question(ask, len(ask.request.body), answer))
        if not self._out:
            self._write()
        return answer

    def close(self) -> None:
        """Close both ways and answer all that still waits. A second call does nothing."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._answering)
        self._loop.remove_writer(self._asking)
        os.close(self._asking)
        os.close(self._answering)
        for question in (*self._unanswered, *self._unsent):
            if not question.answer.done():
                question.answer.set_exception(_away())

    def reap(self) -> int:
        """Wait for the end of the process, and bring it about if it does not come; its exit code, a negative one the signal."""
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _write(self) -> None:
        """Send what waits to be sent, as far as there is room for it."""
        try:
            while self._out or self._take():
                self._out = self._out[os.write(self._asking, self._out) :]
        except BlockingIOError:
            self._loop.add_writer(self._asking, self._write)
        except BrokenPipeError:
            self._loop.remove_writer(self._asking)  # that the process has ended is read from the other pipe
        else:
            self._loop.remove_writer(self._asking)

    def _take(self) -> bool:
        """Turn to the next question that somebody still waits for; False if there is none."""
        while self._unsent:
            question = self._unsent.popleft()
            if question.answer.cancelled():
                self.waiting_bytes -= question.size
                continue
            self._out = memoryview(framed(self._encoder, question.ask))
            self._unanswered.append(question)
            return True
        return False

    def _read(self) -> None:
        """Take what has been answered."""
        came = os.read(self._answering, PIPE_BYTES)
        if not came:
            self._loop.remove_reader(self._answering)
            self.ended.set_result(None)
            return
        self._in += came
        while (end := HEAD_BYTES + int.from_bytes(self._in[:HEAD_BYTES], "little")) <= len(self._in):
            answer = self._decoder.decode(memoryview(self._in)[HEAD_BYTES:end])
            del self._in[:end]
            question = self._unanswered.popleft()
            self.waiting_bytes -= question.size
            if not question.answer.done():
                question.answer.set_result(answer)


class _Question(msgspec.Struct, frozen=True):
    """What is asked, the bytes of its body, and where its answer goes."""

    ask: Ask
    size: int
    answer: asyncio.Future[Answer]


def _started() -> tuple[subprocess.Popen[bytes], int, int]:
    """The process, where to write to it and where to read from it, neither of which blocks. Raises `OSError`."""
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        asked, asking = _pipe(theirs, ours)
        answering, answers = _pipe(ours, theirs)
        os.set_blocking(asking, False)
        os.set_blocking(answering, False)
        process = subprocess.Popen(  # noqa: S603 - our own program
            _COMMAND,
            stdin=asked,
            stdout=answers,
            env=os.environ | _KEPT_MEMORY,  # noqa: TID251 - handed on, not read
        )
        ours.pop_all()
    return process, asking, answering


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """The reading and the writing end of a pipe that holds as much as any pipe may, each closed with those of its side."""
    ends = os.pipe()
    reader.callback(os.close, ends[0])
    writer.callback(os.close, ends[1])
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux alone lets a pipe grow
        with contextlib.suppress(PermissionError):  # a user over its share of memory for pipes keeps small ones
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return ends


def _away() -> OverloadedError:
    return OverloadedError("the process that decodes requests has ended; another is being started", RETRY_AFTER_S)


def _meaning(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"

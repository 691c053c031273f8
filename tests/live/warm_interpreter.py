"""`watchpost` in processes of their own that need not import it first.

An interpreter that has imported everything and has opened nothing waits, and forks for each command that it is asked for.
The child is a process like any other: it has its own folder, environment and output, is killed and waited for like one,
and runs the installed `watchpost` from its first line. Two interpreters take turns, and each is replaced after `LIVES`
commands, so that a server that comes after another does not hash as that one did: what depends on the order of a set shows.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

COMMAND = str(Path(sys.executable).with_name("watchpost"))
LIVES = 10
START_S = 60
END_S = 5


class Started:
    """A process that was asked for, as far as `subprocess.Popen` is used of one."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._code: int | None = None
        self.pid = self._heard()

    def poll(self) -> int | None:
        """Its exit code, negative where a signal ended it; None while it runs."""
        if self._code is None and select.select([self._line], [], [], 0)[0]:
            self._ended()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """The same once it has ended; raises `subprocess.TimeoutExpired` where that takes longer."""
        if self._code is None and not select.select([self._line], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(COMMAND, timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send it, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ended a moment ago
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _ended(self) -> None:
        self._code = self._heard()
        self._line.close()

    def _heard(self) -> int:
        said = self._line.recv(4, socket.MSG_WAITALL)
        assert len(said) == 4, "the interpreter that forked it is gone"
        return int.from_bytes(said, "big", signed=True)


class Interpreter:
    """One of those that wait, and where it is asked."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp()
        self._door = str(Path(self._folder) / "door")
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._door],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        self.lives = 0

    def start(self, wanted: Mapping[str, object]) -> Started:
        """Have it fork."""
        self.lives += 1
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(START_S)
        line.connect(self._door)
        line.sendall(json.dumps(wanted).encode() + b"\n")
        return Started(line)

    def retire(self) -> None:
        """It forks no more, and ends when the last that it forked has."""
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            end.close()

    def close(self) -> None:
        """End it."""
        self.retire()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder)


class Interpreters:
    """Two that take turns. Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: deque[Interpreter] = deque()
        self._retired: list[Interpreter] = []

    def start(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], output: Path) -> Started:
        """`watchpost` with these arguments in this folder, what it says at the end of a file."""
        wanted = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "output": str(output),
        }
        with self._lock:
            while len(self._ready) < 2:
                self._ready.append(Interpreter())
            self._ready.rotate()
            one = self._ready[0]
            started = one.start(wanted)
            if one.lives == LIVES:
                self._retired.append(self._ready.popleft())
                one.retire()
        return started

    def close(self) -> None:
        """End all of them."""
        for one in (*self._ready, *self._retired):
            one.close()


_INTERPRETERS = Interpreters()
atexit.register(_INTERPRETERS.close)


def start(arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], output: Path) -> Started:
    """`watchpost` with these arguments in this folder, what it says at the end of a file."""
    return _INTERPRETERS.start(arguments, folder=folder, environment=environment, output=output)


class Waiting:
    """The inside of one that waits."""

    def __init__(self, door: str) -> None:
        self._lines: dict[int, socket.socket] = {}
        self._wakes, self._woken = socket.socketpair()
        for end in (self._wakes, self._woken):
            end.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken.fileno())
        self._door: socket.socket | None = socket.socket(socket.AF_UNIX)
        self._door.bind(door)
        self._door.listen()

    def command(self) -> Mapping[str, object] | None:
        """What to run, in a child that was forked for it; None in the parent, when nobody will ask any more."""
        while self._door is not None or self._lines:
            door = self._door
            heard = [self._wakes.fileno(), *([] if door is None else [0, door.fileno()])]
            awake, _, _ = select.select(heard, [], [])
            if self._wakes.fileno() in awake:
                self._wakes.recv(4096)
                self._reap()
            if door is None:
                continue
            if 0 in awake:
                door.close()
                self._door = None
            elif door.fileno() in awake and (wanted := self._fork(door)) is not None:
                return wanted
        return None

    def _fork(self, door: socket.socket) -> Mapping[str, object] | None:
        line, _ = door.accept()
        with line.makefile("rb") as read:
            wanted = cast("Mapping[str, object]", json.loads(read.readline()))
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (line, door, self._wakes, self._woken, *self._lines.values()):
                each.close()
            return wanted
        self._lines[pid] = line
        line.sendall(pid.to_bytes(4, "big", signed=True))
        return None

    def _reap(self) -> None:
        while self._lines:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            line = self._lines.pop(pid)
            with line, suppress(BrokenPipeError):  # whoever asked for it did not wait for its end
                line.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))


def become(wanted: Mapping[str, object]) -> None:
    """Run what is wanted, to its end."""
    os.setsid()
    os.chdir(str(wanted["folder"]))
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(str(wanted["output"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for opened, stands_for in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(opened, stands_for)
    os.close(nothing)
    os.close(said)
    os.environ.clear()
    os.environ.update(cast("dict[str, str]", wanted["environment"]))
    sys.argv = [COMMAND, *cast("list[str]", wanted["arguments"])]
    runpy.run_path(COMMAND, run_name="__main__")


def main() -> None:
    sys.path[0] = str(Path(COMMAND).parent)
    import watchpost.cli.main  # noqa: F401, PLC0415  this is what a child need not do any more

    gc.freeze()
    waiting = Waiting(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if (wanted := waiting.command()) is not None:
        become(wanted)


if __name__ == "__main__":
    main()

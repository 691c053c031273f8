"""Programs that a benchmark starts: how long until they are ready, what they use, and their end, which is never left to chance."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import msgspec

from load import LOOPBACK, Plan, Report

_TICKS = os.sysconf("SC_CLK_TCK")
_BENCH = Path(__file__).parent


class NotReadyError(Exception):
    """A program ended or took too long before it was ready; carries the end of what it printed."""


def free_port() -> int:
    """A port of loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer and how long it took, in seconds."""

    status: int
    body: bytes
    seconds: float


class Client:
    """GET requests to one loopback port over one connection, opened again when the other side has closed it."""

    def __init__(self, port: int, timeout_s: float = 60.0) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)

    def get(self, path: str) -> Answer:
        """The whole answer, whatever its status. Raises OSError while nobody listens."""
        begun = time.perf_counter()
        try:
            return self._get(path, begun)
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()
            return self._get(path, begun)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _get(self, path: str, begun: float) -> Answer:
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        body = response.read()
        return Answer(response.status, body, time.perf_counter() - begun)


class Program:
    """One started program with all the processes it starts. Use as a context manager: leaving it ends them."""

    def __init__(self, command: Sequence[str], environment: Sequence[str], folder: Path, log: Path) -> None:
        """Start it in `folder` with `NAME=value` added to the environment; what it prints goes to `log`."""
        self._log = log
        self.begun = time.perf_counter()
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                ["env", *environment, *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait_ready(self, port: int, path: str, timeout_s: float) -> float:
        """Seconds from start until `path` answers 200."""
        client = Client(port, timeout_s=5.0)
        while time.perf_counter() - self.begun < timeout_s and self._process.poll() is None:
            try:
                if client.get(path).status == 200:
                    return time.perf_counter() - self.begun
            except OSError:
                client.close()
            time.sleep(0.01)
        self.kill()
        raise NotReadyError(self._log.read_text(errors="replace")[-2000:])

    def cpu_s(self) -> float:
        """User and system seconds used so far by all its live processes."""
        fields = [stat.rpartition(")")[2].split() for _, stat in self._stats()]
        return sum(int(field[11]) + int(field[12]) for field in fields) / _TICKS

    def resident(self) -> int:
        """Resident bytes of all its processes, pages they share counted once."""
        return 1024 * sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid, _ in self._stats())

    def resident_peak(self) -> int:
        """The sum of the greatest resident bytes each of its processes ever had."""
        return 1024 * sum(_kilobytes(pid, "status", "VmHWM") for pid, _ in self._stats())

    def stop(self, timeout_s: float = 60.0) -> float:
        """Ask it to end, and end it if it does not; returns how long it took in seconds."""
        begun = time.perf_counter()
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            print(f"did not end within {timeout_s:.0f} s when asked: {self._process.args!r}", file=sys.stderr)
        self.kill()
        return time.perf_counter() - begun

    def kill(self) -> None:
        """End all its processes at once, as `kill -9` does."""
        for _ in range(2):  # a child may be born while its parent is found
            for pid, _ in self._stats():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            self._process.wait()

    def _stats(self) -> list[tuple[str, str]]:
        """Process id and `/proc/PID/stat` of every process of its session, which its children share whatever group they make."""
        session = str(self._process.pid)
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                stat = (folder / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if stat.rpartition(")")[2].split()[3] == session:
                found.append((folder.name, stat))
        return found


def _kilobytes(pid: str, file: str, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def offer(
    plan: Plan, meanwhile: Callable[[Callable[[], bool]], None] | None = None, begun: Callable[[], None] | None = None
) -> Report:
    """Carry out a plan from a process of its own. `begun` is called just before the clock starts, `meanwhile` after.

    `meanwhile` is given a function that says whether the sender is still at work.
    """
    with subprocess.Popen(
        [sys.executable, str(_BENCH / "load.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sender:
        if sender.stdin is None or sender.stdout is None:
            raise NotReadyError("a sender without pipes")
        print(msgspec.json.encode(plan).decode(), file=sender.stdin, flush=True)
        if sender.stdout.readline() != "ready\n":
            raise NotReadyError("the sender ended before it was ready")
        if begun is not None:
            begun()
        print("go", file=sender.stdin, flush=True)
        try:
            if meanwhile is not None:
                report = sender.stdout
                meanwhile(lambda: not select.select([report], [], [], 0)[0])
            return msgspec.json.decode(sender.stdout.read(), type=Report)
        finally:
            sender.kill()

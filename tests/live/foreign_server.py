"""A server of another project in a process of its own, on a free loopback port, and where its programs are."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

from watchpost_process import eventually

STOP_S = 10


def program(name: str) -> str | None:
    """Where a program is: beside the interpreter, or on the path, as Debian may call it too; None where there is none."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or shutil.which(f"prometheus-{name}")


def may_be_missing(name: str) -> bool:
    """Whether there is no such program and no way in which the set-up could have brought one."""
    return program(name) is None and shutil.which("apt-get") is None


class ForeignServer:
    """A `with` block around it, begun once `/-/ready` answers. It runs in `folder`, and what it prints stands in a file there.

    `arguments` are those for a host and port to listen on.
    """

    def __init__(self, name: str, folder: Path, arguments: Callable[[str], list[str]]) -> None:
        self._name = name
        self._folder = folder
        self._arguments = arguments
        self.url = ""

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "{}:{}".format(*free.getsockname())
        self.url = f"http://{address}"
        command = [program(self._name) or self._name, *self._arguments(address)]
        with self._prints.open("wb") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=self._folder)
        try:
            eventually(self._is_ready)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    @property
    def _prints(self) -> Path:
        return self._folder / f"{self._name}.txt"

    def _is_ready(self) -> bool | None:
        assert self._process.poll() is None, self._prints.read_text(encoding="utf-8")
        try:
            with urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310  our own process
                return True
        except URLError:
            return None

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

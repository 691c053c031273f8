"""A server whose decoding process is killed puts requests off, takes them again, and loses nothing that it acknowledged."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import httpx

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import PROTOBUF, Served, batch, eventually, tool_span, trace_of

SENDERS = 4
KILLS = 2
SESSION = "kept"


def decoding_pid(server: Served) -> int | None:
    """The process that decodes for a server; None while there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == server.process.pid and b"decode_worker" in command:
            return int(folder.name)
    return None


def is_gone(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def is_gone_or_none(pid: int) -> bool | None:
    return is_gone(pid) or None


def is_another(server: Served, old: int) -> bool | None:
    return decoding_pid(server) not in {None, old} or None


class Sender(threading.Thread):
    """Sends one step after the other until told to stop, and knows what it was answered."""

    def __init__(self, server: Served, first: int, stop: threading.Event) -> None:
        super().__init__()
        self._url = server.url
        self._numbers = range(first, 10**6, SENDERS)
        self._over = stop
        self.acknowledged: set[int] = set()
        self.put_off = 0
        self.other: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            for number in self._numbers:
                if self._over.is_set():
                    return
                body = batch([tool_span(trace_of(SESSION), number, SESSION)])
                answer = client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF})
                if answer.status_code == 200:
                    self.acknowledged.add(number)
                elif answer.status_code == 503 and int(answer.headers["retry-after"]) > 0:
                    self.put_off += 1
                    self._over.wait(0.05)
                else:
                    self.other.append(f"{answer.status_code} {answer.text}")


def has_taken(senders: Sequence[Sender], count: int) -> bool | None:
    return sum(len(sender.acknowledged) for sender in senders) > count or None


def test_nothing_acknowledged_is_lost_when_the_decoding_process_is_killed(tmp_path: Path) -> None:
    with Served(tmp_path) as server:
        stop = threading.Event()
        senders = [Sender(server, first, stop) for first in range(1, SENDERS + 1)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(KILLS):
                taken = sum(len(sender.acknowledged) for sender in senders)
                eventually(partial(has_taken, senders, taken + 20))
                pid = eventually(lambda: decoding_pid(server))
                os.kill(pid, signal.SIGKILL)
                eventually(partial(is_another, server, pid))
        finally:
            stop.set()
            for sender in senders:
                sender.join()
        assert [sender.other for sender in senders] == [[]] * SENDERS
        assert all(sender.put_off for sender in senders)
        acknowledged = set().union(*(sender.acknowledged for sender in senders))
        session = server.session(SESSION, steps=len(acknowledged))
        stored: set[int] = set()
        while (page := server.steps(session, after=len(stored))).steps:
            stored |= {int(step.name.removeprefix("call ")) for step in page.steps}
        assert acknowledged <= stored
        assert server.client.get("/readyz").status_code == 200
        assert "the process that decodes requests ended with signal 9" in server.said()


def test_the_decoding_process_is_gone_once_its_server_is(tmp_path: Path) -> None:
    for end in (signal.SIGTERM, signal.SIGKILL):
        with Served(tmp_path) as server:
            server.works()
            pid = eventually(partial(decoding_pid, server))
            server.stop(end)
            eventually(partial(is_gone_or_none, pid))


def test_without_processes_of_its_own_decoding_happens_in_the_server(tmp_path: Path) -> None:
    with Served(tmp_path, "[ingest]\nprocesses = 0\n") as server:
        server.works()
        assert decoding_pid(server) is None

"""A full disk, a stop in the middle of the load, a folder that another process has, a folder of a newer program."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from served import COMMAND, PROTOBUF, Served, batch, environment, eventually, tool_span, trace_of

QUICK = "[flow]\nbatch_seconds = 0.05\n"
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """One `watchpost` command to its end."""
    return subprocess.run(
        [COMMAND, *command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", tmp_path], check=False).returncode != 0:
        pytest.skip("this root may not mount a file system")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def fill(server: Served, first: int, *, most: int) -> int:
    """Send a step after the other until one is not taken, and say how many were; fails the test if all `most` are."""
    for number in range(first, first + most):
        answer = server.post(batch([tool_span(trace_of("full"), number, "full", note="x" * 50_000)]))
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
            return number - 1
        assert answer.status_code == 200, answer.content
    raise AssertionError(f"{most} steps found room")


def comes_back(server: Served, acknowledged: int) -> None:
    """Everything acknowledged is shown, and the next batch is taken and shown, without a restart."""
    assert server.session("full", acknowledged).totals.steps == acknowledged
    eventually(lambda: server.client.get("/readyz").status_code == 200 or None)
    again = server.post(batch([tool_span(trace_of("full"), acknowledged + 1, "full")]))
    assert again.status_code == 200
    assert server.session("full", acknowledged + 1).totals.steps == acknowledged + 1


def test_a_log_that_may_not_grow_is_said_and_taken_up_again(tmp_path: Path) -> None:
    with Served(tmp_path, QUICK) as server:
        assert server.post(batch([tool_span(trace_of("full"), 1, "full", note="x" * 900_000)])).status_code == 200
        server.session("full")
        size = max(segment.stat().st_size for segment in (server.data / "log").iterdir())
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size + 200_000, resource.RLIM_INFINITY))
        acknowledged = fill(server, 2, most=10)
        assert acknowledged > 1
        assert fill(server, acknowledged + 1, most=1) == acknowledged
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, NO_LIMIT)
        comes_back(server, acknowledged)
        assert server.stop() == 0


def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk: Path) -> None:
    with Served(small_disk, QUICK) as server:
        server.works()
        filler = small_disk / "filler"
        filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - 300_000))
        acknowledged = fill(server, 1, most=50)
        assert acknowledged
        eventually(lambda: "space" in server.client.get("/readyz").text or None)
        assert server.client.get("/healthz").status_code == 200
        filler.unlink()
        comes_back(server, acknowledged)
        assert server.stop() == 0


def test_a_disk_that_stays_full_is_waited_out_over_a_restart(small_disk: Path) -> None:
    with Served(small_disk, QUICK) as server:
        server.works()
        filler = small_disk / "filler"
        filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - 300_000))
        acknowledged = fill(server, 1, most=50)
        assert server.stop() == 0
    filler.unlink()
    with Served(small_disk, QUICK) as server:
        comes_back(server, acknowledged)


def load(server: Served, until: Callable[[int], None]) -> dict[str, int]:
    """Four senders that go on until they are not answered; `until` is told how many batches were taken. How many each had taken."""
    taken: dict[str, int] = {}
    lock = threading.Lock()

    def send(name: str) -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            number = 0
            while True:
                body = batch([tool_span(trace_of(name), number + 1, name)])
                try:
                    answer = client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF})
                except httpx.TransportError:
                    return
                if answer.status_code != 200:
                    return
                number += 1
                with lock:
                    taken[name] = number
                    until(sum(taken.values()))

    senders = [threading.Thread(target=send, args=(f"load-{one}",)) for one in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(60)
        assert not sender.is_alive()
    return taken


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda by: by.name)
def test_a_stop_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path, by: signal.Signals) -> None:
    with Served(tmp_path, QUICK) as server:

        def stop_at_200(count: int) -> None:
            if count == 200:
                server.process.send_signal(by)

        taken = load(server, stop_at_200)
        ended = server.process.wait(10)
        assert ended == (-by if by == signal.SIGKILL else 0)
        assert "Traceback" not in server.said()
    with Served(tmp_path, QUICK) as server:
        assert len(taken) == 4
        for name, count in taken.items():
            # one more may have been taken whose answer did not get through
            assert count <= server.session(name, count).totals.steps <= count + 1


@pytest.mark.parametrize("option", ["--port", "--grpc-port"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ports = {"--port": "0", "--grpc-port": "0", option: port}
        ended = run(tmp_path, "serve", *(word for pair in ports.items() for word in pair))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"watchpost: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_folder_that_is_held_names_its_holder_and_is_read_through_it(tmp_path: Path) -> None:
    with Served(tmp_path, QUICK) as server:
        server.works()
        second = run(tmp_path, "serve", "--data", "data", "--port", "0", "--grpc-port", "0")
        assert second.returncode == 3
        assert f"held by process {server.process.pid}" in second.stderr
        assert server.url in second.stderr
        assert second.stderr.count("\n") == 1
        read = run(tmp_path, "sessions", "--data", "data", "--json")
        assert read.returncode == 0
        assert [one["session_id"] for one in json.loads(read.stdout)] == ["good-1"]
        server.works()


def test_a_folder_whose_holder_serves_nothing_names_the_process(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from watchpost.store.folder import DataFolder\n"
    program += "held = DataFolder.open(Path('data')); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for command in ("serve --port 0", "show nobody"):
            refused = run(tmp_path, *command.split(), "--data", "data")
            assert (refused.returncode, refused.stdout) == (3, ""), command
            assert refused.stderr.endswith(f"is held by process {holder.pid}\n"), command
        assert holder.stdin is not None
        holder.stdin.close()


@pytest.fixture(scope="module")
def old_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds a data folder of this program."""
    folder = tmp_path_factory.mktemp("newer")
    with Served(folder, QUICK) as server:
        server.works()
    return folder


def raise_format(data: Path) -> Callable[[], object]:
    (data / "format").write_text("2\n", encoding="utf-8")
    return lambda: (data / "format").write_text("1\n", encoding="utf-8")


def raise_state(data: Path) -> Callable[[], object]:
    def put(version: str) -> str:
        with sqlite3.connect(data / "state.db") as state:
            (before,) = state.execute("SELECT version_num FROM alembic_version").fetchone()
            state.execute("UPDATE alembic_version SET version_num = ?", (version,))
        state.close()
        return str(before)

    before = put("9999")
    return lambda: put(before)


def raise_log(data: Path) -> Callable[[], object]:
    segment = max((data / "log").iterdir())
    before = segment.read_bytes()
    segment.write_bytes(before[:8] + (9).to_bytes(4, "little") + before[12:])
    return lambda: segment.write_bytes(before)


def raise_telemetry(data: Path) -> Callable[[], object]:
    """In processes of their own, for a process can open one embedded database only."""
    program = "import sys, clickhouse_connect\n"
    program += "client = clickhouse_connect.get_client(interface='chdb', path=sys.argv[1])\n"
    program += "client.command(sys.argv[2])\n"

    def put(statement: str) -> None:
        subprocess.run([sys.executable, "-c", program, data / "telemetry", statement], check=True, timeout=60)

    put("INSERT INTO schema_version VALUES (99, '9.9.9')")
    return lambda: put("ALTER TABLE schema_version DELETE WHERE version = 99 SETTINGS mutations_sync = 2")


@pytest.mark.parametrize(
    ("raise_version", "number"),
    [(raise_format, "2"), (raise_state, "9999"), (raise_log, "9"), (raise_telemetry, "99")],
    ids=["folder", "state", "log", "telemetry"],
)
def test_a_folder_of_a_newer_program_is_refused_and_left_alone(
    old_folder: Path, raise_version: Callable[[Path], Callable[[], object]], number: str
) -> None:
    lower_version = raise_version(old_folder / "data")
    refused = run(old_folder, "serve", "--data", "data", "--port", "0", "--grpc-port", "0")
    assert (refused.returncode, refused.stdout) == (4, ""), refused.stderr
    assert refused.stderr.startswith("watchpost: ")
    assert refused.stderr.count("\n") == 1
    assert f" {number}" in refused.stderr
    lower_version()
    with Served(old_folder, QUICK) as server:
        assert server.session("good-1", 2).totals.steps == 2

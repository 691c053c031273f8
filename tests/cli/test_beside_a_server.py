"""Commands while a server holds the data folder: they go through it, and say how it stands."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell

from watchpost.store.folder import DataFolder

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, batch, tool_span, trace_of

STEP = {"step": 0, "kind": "tool", "agent": "a", "name": "get_order", "input": {"order": "A1"}, "output": "open"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served"), "[flow]\nbatch_seconds = 0.05\n") as server:
        yield server


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def record(shell: Shell, session_id: str) -> str:
    steps = [STEP | {"step": number} for number in range(3)]
    (shell.folder / "runs.jsonl").write_text(json.dumps({"session_id": session_id, "source": "shop", "steps": steps}))
    return "runs.jsonl"


@pytest.mark.parametrize("through", ["--server", "--data"])
def test_an_import_goes_through_the_server_and_twice_is_once(server: Served, shell: Shell, through: str) -> None:
    where = server.url if through == "--server" else str(server.data)
    name = record(shell, f"sent by{through}")
    for _ in range(2):
        ended = shell("import", name, through, where)
        assert (ended.code, ended.out) == (0, "1 requests imported, 0 spans, log lines or metric points left out\n")
    session = server.session(f"sent by{through}", 3)
    server.works()  # a batch is written only when the one before it has its flags
    listed = json.loads(shell("sessions", through, where, "--json", "--session-id", f"sent by{through}").out)
    assert [(one["key"], one["totals"]["steps"], one["flags"][0]["step"]) for one in listed] == [(session.key, 3, 3)]
    shown = json.loads(shell("show", session.key, through, where, "--json").out)
    assert [step["number"] for step in shown["steps"]] == [1, 2, 3]


def test_every_session_and_step_is_listed_however_many_pages_that_takes(server: Served, shell: Shell) -> None:
    spans = [tool_span(trace_of(f"many-{one}"), 1, f"many-{one}") for one in range(250)]
    spans += [tool_span(trace_of("steps"), number, "steps") for number in range(1, 451)]
    assert server.post(batch(spans)).status_code == 200
    key = server.session("steps", 450).key
    listed = json.loads(shell("sessions", "--server", server.url, "--json").out)
    assert {f"many-{one}" for one in range(250)} <= {one["session_id"] for one in listed}
    assert len({one["key"] for one in listed}) == len(listed)
    shown = json.loads(shell("show", key, "--server", server.url, "--json").out)
    assert [step["number"] for step in shown["steps"]] == list(range(1, 451))


def test_a_session_that_the_server_does_not_have_has_the_same_exit_code(server: Served, shell: Shell) -> None:
    ended = shell("show", "nobody", "--server", server.url)
    assert (ended.code, ended.fault) == (5, "no session has the key nobody")


def test_what_a_server_does_not_explain_is_said_by_its_status(server: Served, shell: Shell) -> None:
    ended = shell("contracts", "show", "a\nb", "--server", server.url)
    assert (ended.code, ended.fault) == (5, "Not Found")


def test_doctor_says_who_serves_the_folder_and_when_it_no_longer_answers(server: Served, shell: Shell) -> None:
    ended = shell("doctor", "--data", str(server.data))
    assert ended.code == 0
    assert f"process {server.process.pid} serves this folder at {server.url}" in ended.out
    checks = {
        check["name"]: check["ok"] for check in json.loads(shell("doctor", "--data", str(server.data), "--json").out)
    }
    assert checks["server"] is True


def test_doctor_says_that_a_server_does_not_answer(shell: Shell) -> None:
    folder = DataFolder.open(shell.folder / "data")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        folder.announce(nobody)
        ended = shell("doctor", "--data", "data")
    folder.close()
    assert ended.code == 1
    assert f"FAIL  server: process {os.getpid()} at {nobody} does not answer" in ended.out

"""Whatever a command is given, it says in one line what is wrong, and its exit code tells the faults apart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from commands import Shell

HOOK = '[webhooks.c]\nurl = "https://example.com/"\nsecrets = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]\n'


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def stranger() -> Iterator[str]:
    """A server that is no Watchpost."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"\x1b[31mred": "\xff"}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("watch", "watch"),
        ("serve --fast", "--fast"),
        ("serve --port many", "--port"),
        ("show", "key"),
        ("import", "paths"),
        ("import missing.jsonl", "missing.jsonl"),
        ("sessions --json=7", "--json"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error_that_names_what_is_wrong(shell: Shell, command: str, named: str) -> None:
    ended = shell(*command.split())
    assert (ended.code, ended.out) == (2, "")
    assert named in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("sessions", "watchpost-data is no data folder"),
        ("sessions --data elsewhere", "elsewhere is no data folder"),
        ("show nobody --data elsewhere", "elsewhere is no data folder"),
        ("sessions --state asleep", "--state asleep: it is one of running, ended, reopened"),
        ("sessions --outcome fine", "--outcome fine: it is one of completed, tool_error"),
        ("serve --port 70000", "port: "),
        ("serve --grpc-port -1", "grpc_port: "),
        ("serve --host 0.0.0.0", "0.0.0.0 can be reached from other machines"),
        ("sessions --server nonsense", "nonsense is no address of a server"),
        ("sessions --server http://[::", "http://[:: is no address of a server"),
        ("show nobody --server ftp://x", "ftp://x is no address of a server"),
    ],
)
def test_options_that_cannot_work_are_a_usage_error_in_one_line(shell: Shell, command: str, fault: str) -> None:
    ended = shell(*command.split())
    assert ended.code == 2
    assert ended.fault.startswith(fault)


def test_reading_leaves_no_folder_behind(shell: Shell) -> None:
    shell("sessions", "--data", "elsewhere")
    assert not (shell.folder / "elsewhere").exists()


def test_a_session_that_is_not_there_has_an_exit_code_of_its_own(shell: Shell) -> None:
    assert shell("doctor", "--data", "data").code == 0
    ended = shell("show", "nobody", "--data", "data")
    assert (ended.code, ended.fault) == (5, "no session has the key nobody")


@pytest.mark.parametrize(
    "content", [b"", bytes(range(256)) * 64, b"\x1f\x8b" + b"no gzip at all", b"[]", b"{\x1b[2Jbad"]
)
def test_a_file_that_is_no_recording_is_named_with_the_reason(shell: Shell, content: bytes) -> None:
    (shell.folder / "file").write_bytes(content)
    ended = shell("import", "file", "--data", "data")
    assert ended.code == 1
    assert ended.fault.startswith("file: ")
    assert ended.fault.isprintable()


def test_a_folder_without_recordings_is_named(shell: Shell) -> None:
    (shell.folder / "empty").mkdir()
    assert shell("import", "empty", "--data", "data").fault == "empty: holds no recording"


def test_a_data_folder_that_is_a_file_or_a_strangers_is_refused(shell: Shell) -> None:
    (shell.folder / "file").write_text("x")
    assert shell("serve", "--data", "file", "--port", "0").code == 1
    (shell.folder / "photos").mkdir()
    (shell.folder / "photos" / "beach.jpg").write_text("x")
    ended = shell("serve", "--data", "photos", "--port", "0")
    assert ended.code == 1
    assert "not a data folder of Watchpost" in ended.fault
    assert (shell.folder / "photos" / "beach.jpg").read_text() == "x"


@pytest.mark.parametrize("command", ["sessions", "show nobody", "import recording"])
def test_a_server_that_does_not_answer_is_named(shell: Shell, nobody: str, command: str) -> None:
    step = '{"session_id": "s", "steps": [{"step": 0, "kind": "tool", "name": "t"}]}'
    (shell.folder / "recording").write_text(step)
    ended = shell(*command.split(), "--server", nobody)
    assert ended.code == 1
    assert ended.fault.startswith(f"{nobody} does not answer: ")


@pytest.mark.parametrize("command", ["sessions", "show nobody"])
def test_a_server_that_is_no_watchpost_is_named(shell: Shell, stranger: str, command: str) -> None:
    ended = shell(*command.split(), "--server", stranger)
    assert ended.code == 1
    assert "does not answer as this Watchpost does" in ended.fault


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("prot = 1", "prot: "),
        ("[ingest]\nbody = 1", "ingest.body: "),
        ('port = "many"', "port: "),
        ("[flow]\nbatch_seconds = 0", "flow.batch_seconds: "),
        ("port = ", "watchpost.toml: "),
        ('[[rules]]\nname = "r"', "rules: "),
        (HOOK.replace("whsec_", ""), "webhooks.c: a webhook secret starts with whsec_"),
        (HOOK.replace("MDEy", "?"), "webhooks.c: a webhook secret is whsec_"),
        (HOOK.replace('secrets = ["', 'secrets = [] # "'), "webhooks.c: a webhook needs a secret"),
        (HOOK.replace("https", "ftp"), "webhooks.c: the address starts with"),
        ('[redaction.patterns]\nbad = "("', "redaction: pattern 'bad': '('"),
        ('[redaction]\nkinds = ["bogus"]', "redaction: pattern 'bogus'"),
        ('[[prices]]\nmodel = "m"\ninput = -1\noutput = 1', "prices: #1 (m): input: must be from 0"),
        ("[loop]\ncycle_rounds = 1", "loop: cycle_rounds must be at least 2"),
        ("[loop]\nalike = 1.5", "loop: alike must be above 0"),
        ("[loop.polling]\nwait = -1", "loop: polling.wait must not be negative"),
        ('state = "nonsense"', "Could not parse"),
        ('state = "postgresql+nodriver://localhost/x"', "Can't load plugin"),
    ],
)
def test_settings_that_cannot_work_name_the_setting(shell: Shell, settings: str, fault: str) -> None:
    assert shell("doctor", "--data", "data").code == 0
    shell.configure(settings)
    ended = shell("sessions", "--data", "data")
    assert ended.code == (1 if settings.startswith("state") else 2)
    assert fault in ended.fault
    doctor = shell("doctor", "--data", "data")
    assert doctor.code == 1
    assert fault in doctor.out


def test_a_settings_file_that_cannot_be_read_is_named(shell: Shell) -> None:
    (shell.folder / "watchpost.toml").write_bytes(b'host = "\xff"')
    assert shell("sessions").fault.startswith("watchpost.toml: ")
    (shell.folder / "watchpost.toml").unlink()
    (shell.folder / "watchpost.toml").mkdir()
    ended = shell("sessions")
    assert "watchpost.toml" in ended.fault or "watchpost-data" in ended.fault


def test_a_telemetry_database_that_does_not_answer_is_said(shell: Shell, nobody: str) -> None:
    shell.configure(f'telemetry = "clickhouse://user:geheim@{nobody.removeprefix("http://")}"')
    ended = shell("serve", "--data", "data", "--port", "0", "--grpc-port", "0")
    assert ended.code == 1
    assert "Connection refused" in ended.fault
    assert "geheim" not in ended.err


def test_a_port_that_is_taken_is_named_before_anything_is_touched(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = shell("serve", "--data", "data", "--port", str(port), "--grpc-port", "0")
    assert ended.code == 1
    assert f"127.0.0.1:{port}" in ended.fault
    assert not (shell.folder / "data").exists()

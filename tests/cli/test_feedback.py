"""`watchpost feedback`, on a data folder and through a server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commands import Shell

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, batch, tool_span, trace_of

STEP = {"kind": "tool", "agent": "a", "name": "get_order", "input": {"order": "A1"}, "output": "open"}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def imported(shell: Shell) -> str:
    """The key of the one session of a data folder."""
    (shell.folder / "runs.jsonl").write_text(
        json.dumps({"session_id": "s", "source": "shop", "steps": [STEP | {"step": 0}]})
    )
    assert shell("import", "runs.jsonl", "--data", "data").code == 0
    (found,) = json.loads(shell("sessions", "--data", "data", "--json").out)
    return str(found["key"])


def test_feedback_on_a_folder_is_counted_at_once(shell: Shell) -> None:
    key = imported(shell)
    said = shell("feedback", key, "--thumbs-down", "--comment", "wrong order", "--data", "data", "--json")
    assert (said.code, json.loads(said.out)["session"]) == (0, key)
    steps = json.loads(shell("show", key, "--data", "data", "--json").out)["steps"]
    assert sorted(step["kind"] for step in steps) == ["evaluation", "tool"]
    waiting = shell("feedback", "--session-id", "never seen", "--score", "0.5", "--data", "data")
    assert (waiting.code, "counted when it does" in waiting.out) == (0, True)
    assert len(json.loads(shell("sessions", "--data", "data", "--json").out)) == 1


def test_feedback_through_a_server_says_where_it_is(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    with Served(folder, "[flow]\nbatch_seconds = 0.05\n") as server:
        assert server.post(batch([tool_span(trace_of("one"), 1, "chat")])).status_code == 200
        session = server.session("chat")
        said = shell("feedback", "--trace", trace_of("one").hex(), "--ticket", "--server", server.url)
        assert (said.code, said.out.endswith(f"of session {session.key}\n")) == (0, True)
        assert server.session("chat", 2).key == session.key


def test_saying_nothing_two_things_or_of_nothing_is_refused(shell: Shell) -> None:
    key = imported(shell)
    for wrong in ([key], [key, "--thumbs-up", "--ticket"], ["--thumbs-up"], [key, "--thumbs-up", "--trace", "zz"]):
        assert shell("feedback", *wrong, "--data", "data").code == 2
    assert (
        shell("feedback", "nosuchkey", "--thumbs-up", "--data", "data").code
        == shell("show", "nosuchkey", "--data", "data").code
    )

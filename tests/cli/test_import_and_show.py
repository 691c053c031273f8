"""Recordings go in, sessions come out: in JSON, as text, from a folder and from a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Shell

FIXTURES = Path(__file__).parents[1] / "fixtures"
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe[bold]\r\n\x9b31m"
TOTALS = {
    "steps",
    "llm_calls",
    "tool_calls",
    "tool_errors",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
    "retries",
    "unseen_tool_calls",
    "estimated",
}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def record(shell: Shell, session_id: str, *steps: dict[str, object]) -> str:
    """A session JSONL file of one session; its name."""
    numbered = [{"step": number, **step} for number, step in enumerate(steps)]
    (shell.folder / "runs.jsonl").write_text(
        json.dumps({"session_id": session_id, "source": "shop", "steps": numbered})
    )
    return "runs.jsonl"


def call(tool: str = "get_order", **more: object) -> dict[str, object]:
    return {"kind": "tool", "agent": "support", "name": tool, "input": {"order": "A1"}, "output": "open", **more}


def test_a_row_that_goes_to_a_program_stays_on_one_line(shell: Shell) -> None:
    record(shell, "session " * 30, *[call("t" * 90) for _ in range(4)])
    assert shell("import", "runs.jsonl", "--data", "data").code == 0
    [row] = [line for line in shell("flags", "--data", "data").out.splitlines() if "LOOP_DETECTED" in line]
    assert "t" * 90 in row
    [row] = [line for line in shell("sessions", "--data", "data").out.splitlines() if "LOOP_DETECTED" in line]
    assert "session " * 29 in row


def test_an_import_is_listed_as_json_with_state_outcome_flags_and_totals(shell: Shell) -> None:
    (shell.folder / "recordings").mkdir()
    for name in ("tau_airline.jsonl.gz", "pydantic_ai.traces.pb.gz", "vercel_ai.traces.otlp.json"):
        (shell.folder / "recordings" / name).write_bytes((FIXTURES / name).read_bytes())
    record(shell, "loop", call(), call(), call(), call())
    ended = shell("import", "recordings", "runs.jsonl", "--data", "data")
    assert (ended.code, ended.out) == (0, "4 requests imported, 0 spans, log lines or metric points left out\n")
    sessions = json.loads(shell("sessions", "--data", "data", "--json").out)
    by_id = {one["session_id"]: one for one in sessions}
    assert len(by_id) == len(sessions) >= 6
    for one in sessions:
        assert (one["state"], set(one["totals"])) == ("ended", TOTALS)
        assert one["outcome"] is not None
        assert one["totals"]["steps"] > 0
    (flag,) = by_id["loop"]["flags"]
    assert (flag["kind"], flag["step"], flag["state"]) == ("LOOP_DETECTED", 3, "confirmed")
    assert by_id["loop"]["totals"]["tool_calls"] == 4
    assert by_id["loop"]["totals"]["input_tokens"] is None


def test_an_import_twice_is_an_import_once(shell: Shell) -> None:
    (shell.folder / "tau.jsonl.gz").write_bytes((FIXTURES / "tau_airline.jsonl.gz").read_bytes())
    record(shell, "loop", call(), call(), call())
    seen = []
    for _ in range(2):
        assert shell("import", "tau.jsonl.gz", "runs.jsonl", "--data", "data").code == 0
        listed = json.loads(shell("sessions", "--data", "data", "--json").out)
        seen.append({one["key"]: {**one, "revision": 0} for one in listed})
    assert seen[0] == seen[1]
    assert len(seen[0]) == 4


def test_parts_that_cannot_be_read_are_said_and_the_rest_is_imported(shell: Shell) -> None:
    name = record(shell, "good", call())
    with (shell.folder / name).open("a") as file:
        file.write("\n{broken\n")
    ended = shell("import", name, "--data", "data")
    assert (ended.code, ended.out) == (0, "1 requests imported, 0 spans, log lines or metric points left out\n")
    assert ended.err.startswith(f"watchpost: {name}: line 2: ")


def test_a_session_is_shown_with_its_steps_and_its_flag(shell: Shell) -> None:
    name = record(shell, "loop", call(), call(), call(error="too late"))
    assert shell("import", name, "--data", "data").code == 0
    (session,) = json.loads(shell("sessions", "--data", "data", "--json").out)
    text = shell("show", session["key"], "--data", "data")
    assert text.code == 0
    assert "LOOP_DETECTED at step 3, confirmed: get_order called 3 times" in text.out
    assert text.out.count("get_order") >= 4
    assert "error tool_execution_failed" in text.out
    shown = json.loads(shell("show", session["key"], "--data", "data", "--json").out)
    assert shown["session"] == session
    assert [(step["number"], step["tool"], step["status"]) for step in shown["steps"]] == [
        (1, "get_order", "ok"),
        (2, "get_order", "ok"),
        (3, "get_order", "error"),
    ]


def test_filters_choose_sessions(shell: Shell) -> None:
    for session_id in ("one", "two"):
        assert shell("import", record(shell, session_id, call()), "--data", "data").code == 0

    def listed(*options: str) -> set[str]:
        return {one["session_id"] for one in json.loads(shell("sessions", "--data", "data", "--json", *options).out)}

    assert listed() == {"one", "two"}
    assert listed("--session-id", "one") == {"one"}
    assert listed("--state", "running") == set()
    assert listed("--state", "ended", "--outcome", "completed", "--workflow", "shop") == {"one", "two"}
    assert listed("--project", "other") == set()


def test_hostile_text_is_shown_and_does_nothing(shell: Shell) -> None:
    hostile = call(f"tool{HOSTILE}", agent=HOSTILE, error=HOSTILE)
    name = record(shell, f"session{HOSTILE}", hostile, hostile, hostile)
    assert shell("import", name, "--data", "data").code == 0
    listed = shell("sessions", "--data", "data")
    (session,) = json.loads(shell("sessions", "--data", "data", "--json").out)
    shown = shell("show", session["key"], "--data", "data")
    for ended in (listed, shown):
        assert ended.code == 0
        assert not set(ended.out) & {"\x1b", "\x07", "\x9b", "\r", "\u202e"}
        assert all(line.isprintable() for line in ended.out.split("\n"))
    assert r"\x1b[2J" in shown.out
    assert r"\u202egnp.exe[bold]" in shown.out
    raw = shell("show", session["key"], "--data", "data", "--json").out
    assert not set(raw) & {"\x1b", "\x07", "\r"}


def test_the_environment_beats_the_file_and_the_command_line_beats_both(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.configure('data = "from-file"')
    name = record(shell, "one", call())
    assert shell("import", name).code == 0
    assert (shell.folder / "from-file" / "lock").exists()
    monkeypatch.setenv("WATCHPOST_DATA", "from-environment")
    assert shell("import", name).code == 0
    assert (shell.folder / "from-environment" / "lock").exists()
    assert shell("import", name, "--data", "from-options").code == 0
    assert (shell.folder / "from-options" / "lock").exists()
    assert not (shell.folder / "watchpost-data").exists()

"""`watchpost flags`, `verdict` and `precision`, on a data folder and through a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, batch, eventually, tool_span, trace_of

STEP = {"kind": "tool", "agent": "a", "name": "get_order", "input": {"order": "A1"}, "output": "open"}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    arguments = {"gen_ai.tool.call.arguments": '{"order": "A1"}'}
    spans = [tool_span(trace_of("loop"), number, "loop", **arguments) for number in (1, 2, 3)]
    with Served(tmp_path_factory.mktemp("served"), "[flow]\nbatch_seconds = 0.05\n") as server:
        assert server.post(batch(spans)).status_code == 200
        eventually(lambda: server.client.get("/api/flags").json()["flags"] or None)
        yield server


def loops(shell: Shell, many: int = 1) -> None:
    """Import sessions that loop."""
    steps = [STEP | {"step": number} for number in range(3)]
    lines = [json.dumps({"session_id": f"s{n}", "source": "shop", "steps": steps}) for n in range(many)]
    (shell.folder / "runs.jsonl").write_text("\n".join(lines))
    assert shell("import", "runs.jsonl", "--data", "data").code == 0


def listed(shell: Shell, *options: str) -> list[dict[str, object]]:
    ended = shell("flags", "--json", *options)
    assert ended.code == 0, ended.err
    found: list[dict[str, object]] = json.loads(ended.out)
    return found


def test_a_verdict_on_a_folder_without_a_server_holds_at_once(shell: Shell) -> None:
    loops(shell, 2)
    first, second = listed(shell, "--data", "data")
    ended = shell("verdict", str(first["id"]), "dismiss", "--by", "ann", "--note", "polling", "--data", "data")
    assert (ended.code, ended.out) == (0, f"LOOP_DETECTED at step 3 of {first['session_id']} is dismissed\n")
    again = {one["id"]: one["verdict"] for one in listed(shell, "--data", "data")}
    said = again[first["id"]]
    assert isinstance(said, dict)
    assert (said["verdict"], said["by"], said["note"]) == ("dismiss", "ann", "polling")
    assert again[second["id"]] is None
    assert [one["id"] for one in listed(shell, "--data", "data", "--verdict", "none")] == [second["id"]]
    detail = json.loads(shell("verdict", str(first["id"]), "confirm", "--data", "data", "--json").out)
    assert [one["verdict"] for one in detail["verdicts"]] == ["dismiss", "confirm"]


def test_flags_are_listed_as_asked(shell: Shell) -> None:
    loops(shell, 3)
    everything = listed(shell, "--data", "data")
    assert len(everything) == 3
    assert listed(shell, "--data", "data", "--limit", "2") == everything[:2]
    one = everything[0]
    assert listed(shell, "--data", "data", "--session", str(one["session"])) == [one]
    for option, value in [("--kind", "STALE_DATA"), ("--tool", "pay"), ("--project", "x"), ("--state", "withdrawn")]:
        assert listed(shell, "--data", "data", option, value) == []
    for option, value in [("--since", "2999-01-01"), ("--until", "1999-01-01"), ("--verdict", "confirm")]:
        assert listed(shell, "--data", "data", option, value) == []
    shown = shell("flags", "--data", "data").out
    assert all(str(each["id"]) in shown for each in everything)


def test_precision_tells_who_stopped_paging(shell: Shell) -> None:
    shell.configure("[precision]\nverdicts = 4\n")
    loops(shell, 4)
    for one in listed(shell, "--data", "data"):
        last = shell("verdict", str(one["id"]), "dismiss", "--data", "data")
    reason = "stopped paging: precision 0.00 [0.00, 0.49] of 4 verdicts, needs 0.5"
    assert f"LOOP_DETECTED: {reason}" in last.out
    assert reason in shell("precision", "--data", "data").out
    assert f"LOOP_DETECTED: {reason}" in shell("flags", "--data", "data").out
    (found,) = json.loads(shell("precision", "--data", "data", "--json").out)["detectors"]
    assert (found["kind"], found["dismissed"], found["tools"][0]["muted"]) == ("LOOP_DETECTED", 4, reason)
    assert json.loads(shell("precision", "--data", "data", "--project", "x", "--json").out)["detectors"] == []


@pytest.mark.parametrize("through", ["--server", "--data"])
def test_a_verdict_goes_through_the_server(server: Served, shell: Shell, through: str) -> None:
    where = server.url if through == "--server" else str(server.data)
    (one,) = listed(shell, through, where)
    ended = shell("verdict", str(one["id"]), "confirm", "--by", through, through, where)
    assert (ended.code, ended.out) == (0, "LOOP_DETECTED at step 3 of loop is confirmed\n")
    (again,) = listed(shell, through, where, "--verdict", "confirm")
    said = again["verdict"]
    assert isinstance(said, dict)
    assert said["by"] == through
    (found,) = json.loads(shell("precision", through, where, "--json").out)["detectors"]
    assert (found["confirmed"], found["dismissed"]) == (1, 0)


@pytest.mark.parametrize("through", ["--server", "--data"])
def test_what_cannot_be_said_is_said_the_same_with_and_without_a_server(
    server: Served, shell: Shell, through: str
) -> None:
    if through == "--server":
        where = server.url
    else:
        loops(shell)
        where = "data"
    (one,) = listed(shell, through, where)
    unknown = shell("verdict", "nosuch", "confirm", through, where)
    assert (unknown.code, unknown.fault) == (5, "no flag has the id nosuch")
    too_long = shell("verdict", str(one["id"]), "confirm", "--note", "a" * 2001, through, where)
    assert (too_long.code, too_long.fault) == (2, "note: is longer than 2000 characters")
    perhaps = shell("verdict", str(one["id"]), "perhaps", through, where)
    assert (perhaps.code, perhaps.fault) == (2, "verdict perhaps: it is one of confirm, dismiss")
    soon = shell("flags", "--since", "soon", through, where)
    assert (soon.code, soon.fault) == (2, "since: no moment as ISO 8601 writes it")
    nobody = shell("flags", "--session", "nobody", through, where)
    assert (nobody.code, nobody.fault) == (5, "no session has the key nobody")
    maybe = shell("flags", "--verdict", "maybe", through, where)
    assert (maybe.code, maybe.fault) == (2, "--verdict maybe: it is one of confirm, dismiss, none")

"""Erasing from the command line, on recorded conversations: afterwards no byte of the data folder tells of what is gone."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import clickhouse_connect
import msgspec
import pytest
from commands import Shell

RECORDED = Path(__file__).parents[1] / "fixtures" / "tau_airline.jsonl.gz"
SAID = "nobody but Marvin Zaphod would ever say this"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    lines = gzip.decompress(RECORDED.read_bytes()).decode().splitlines()
    marked = json.dumps(SAID)[1:-1]
    whole: list[str] = []
    for line in lines[:4]:
        session = json.loads(line)
        if not whole:
            for step in session["steps"]:
                if isinstance(step.get("output"), str) or step.get("kind") == "user":
                    step["output"] = f"{step.get('output', '')} {marked}"
        whole.append(json.dumps(session))
    (tmp_path / "said.jsonl").write_text("\n".join(whole), encoding="utf-8")
    assert shell("import", "said.jsonl").code == 0
    return shell


def sessions(shell: Shell) -> list[dict[str, object]]:
    return msgspec.json.decode(shell("sessions", "--json").out, type=list[dict[str, object]])


def measured(shell: Shell) -> list[str]:
    return [shell("measures", name, "--json").out for name in ("agent_runs_total", "llm_calls_total")]


def files_with(folder: Path, words: Iterable[bytes]) -> list[str]:
    """The files in which any of the words stands as bytes, but for parts that the engine has out of use and deletes by itself."""
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "telemetry"))
    gone = [Path(path) for (path,) in client.query("SELECT path FROM system.parts WHERE NOT active").result_rows]
    client.close()
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [
        str(path.relative_to(folder))
        for path in files
        if any(word in path.read_bytes() for word in words) and not any(part in path.resolve().parents for part in gone)
    ]


def columns_with(folder: Path, words: Iterable[bytes]) -> list[str]:
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "telemetry"))
    try:
        found: list[str] = []
        named = (
            "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND type LIKE '%String%'"
        )
        for table, name, kind in client.query(named).result_rows:
            text = f"`{name}`" if "Array" not in kind else f"arrayStringConcat(arrayFlatten([`{name}`]), '|')"
            either = " OR ".join(f"position(toString({text}), unhex('{word.hex()}')) > 0" for word in words)
            if client.command(f"SELECT count() FROM {table} WHERE {either}"):  # noqa: S608 - a test's own names
                found.append(f"{table}.{name}")
        return found
    finally:
        client.close()


def test_no_byte_of_the_folder_tells_of_an_erased_session(shell: Shell) -> None:
    data = shell.folder / "watchpost-data"
    before = sessions(shell)
    first = (shell.folder / "said.jsonl").read_text().splitlines()[0]
    mine = next(one for one in before if str(one["session_id"]) in first)
    words = [str(mine["session_id"]).encode(), SAID.encode(), str(mine["key"]).encode()]
    assert columns_with(data, words)
    done = shell("erase", "--session", str(mine["key"]), "--by", "dpo", "--reason", "asked by mail", "--yes", "--json")
    assert done.code == 0, done.err
    told = msgspec.json.decode(done.out, type=dict[str, object])
    assert told["state"] == "hidden"
    assert told["sessions"] == 1
    assert columns_with(data, words) == []
    assert files_with(data, words) == []
    after = sessions(shell)
    assert len(after) == len(before)
    others = {one["key"] for one in before} - {mine["key"]}
    assert [one for one in after if one["key"] in others] == [one for one in before if one["key"] in others]
    (alias,) = (one for one in after if one["key"] not in others)
    assert str(alias["session_id"]).startswith("erased-")
    assert alias["totals"] == mine["totals"]
    assert shell("show", str(mine["key"])).code != 0


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--session", "a", "--user", "b"),
        ("--session", "never-seen", "--by", "a", "--reason", "b"),
        ("--user", "u", "--reason", "b"),
    ],
)
def test_what_cannot_be_erased_is_said_in_a_line(shell: Shell, wrong: tuple[str, ...]) -> None:
    ended = shell("erase", *wrong, "--yes")
    assert ended.code != 0
    assert ended.fault

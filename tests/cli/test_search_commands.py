"""`watchpost sessions` and `watchpost logs` find what the API finds, through a server and in a folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from commands import Shell

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served

ORDER = {"step": 0, "kind": "tool", "agent": "a", "name": "get_order", "input": {"order": "ORD-4711"}, "output": "open"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One session that speaks of an order and of olivia@example.com, another that does not, and two log lines of the first."""
    with Served(tmp_path_factory.mktemp("searched"), "[flow]\nbatch_seconds = 0.05\n") as server:
        yield server


@pytest.fixture
def shell(server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    shell = Shell(tmp_path, monkeypatch, capsys)
    runs = [
        {
            "session_id": "charged",
            "source": "shop",
            "steps": [ORDER, ORDER | {"step": 1, "output": "charged olivia@example.com twice"}],
        },
        {"session_id": "shipped", "source": "shop", "steps": [ORDER | {"input": {"order": "ORD-4712"}}]},
    ]
    (tmp_path / "runs.jsonl").write_text("\n".join(map(json.dumps, runs)))
    assert shell("import", "runs.jsonl", "--server", server.url).code == 0
    session = server.session("charged", 2)
    server.session("shipped", 1)
    steps = json.loads(shell("show", session.key, "--server", server.url, "--json").out)["steps"]
    lines = [
        {"timeUnixNano": str(1_790_000_000_000_000_000 + place), "severityNumber": 9 + 8 * place, "traceId": steps[0]["trace_id"],
         "spanId": steps[0]["step_id"], "body": {"stringValue": body}, "attributes": [{"key": "order", "value": {"stringValue": "ORD-4711"}}]}
        for place, body in enumerate(("looked up", "charged twice"))
    ]  # fmt: skip
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": lines}]}]})
    sent = httpx.post(f"{server.url}/v1/logs", content=body, headers={"content-type": "application/json"})
    assert sent.status_code == 200
    server.works()
    return shell


def found(shell: Shell, server: Served, *options: str) -> list[str]:
    listed = shell("sessions", "--server", server.url, "--json", *options)
    assert listed.code == 0, listed.err
    return sorted(session["session_id"] for session in json.loads(listed.out))


def test_sessions_are_found_by_all_that_a_report_names(server: Served, shell: Shell) -> None:
    trace = json.loads(shell("show", server.session("charged", 2).key, "--server", server.url, "--json").out)["steps"][
        0
    ]["trace_id"]
    for options in (
        ["--entity", "ord-4711"],
        ["--entity", "4711"],
        ["--text", "CHARGED"],
        ["--text", "charged olivia@example.com twice"],
        ["--entity", "olivia@example.com"],
        ["--trace", trace],
        ["order ORD-4711"],
        ["charged"],
        ["--entity", "4711", "--text", "twice", "--trace", trace, "--service", ""],
    ):
        assert found(shell, server, *options) == ["charged"], options
    assert found(shell, server, "--error") == []
    assert found(shell, server, "--since", "2999-01-01") == []
    assert found(shell, server, "--entity", "ORD-4713") == []
    assert found(shell, server, "ORD-4711' OR '1'='1") == ["charged"]


def test_log_lines_are_found_beside_their_session(server: Served, shell: Shell) -> None:
    key = server.session("charged", 2).key
    for options in (
        ["twice"],
        ["--severity", "error"],
        ["--session", key, "--severity", "17"],
        ["TWICE", "--where", "order=ORD-4711"],
    ):
        ended = shell("logs", "--server", server.url, "--json", *options)
        assert ended.code == 0, ended.err
        assert {(line["body"], line["session"]) for line in json.loads(ended.out)} == {("charged twice", key)}, options
    shown = shell("logs", "--server", server.url, "--session", key, "--limit", "1")
    assert "charged twice" in shown.out
    assert "looked up" not in shown.out


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (["sessions", "--trace", "xyz"], "trace: no id of 32 hexadecimal digits"),
        (["sessions", "--since", "yesterday"], "since: no moment as ISO 8601 writes it"),
        (["sessions", "--since", "2026-02-01", "--until", "2026-01-01"], "until: the window ends before it begins"),
        (["sessions", "--text", "x" * 1025], "text: longer than 1024 characters"),
        (
            ["logs", "--severity", "loud"],
            "severity: it is one of trace, debug, info, warn, error, fatal, or OTLP's number, 1 to 24",
        ),
        (["logs", "--where", "order"], "attribute: it is NAME=VALUE"),
        (["logs", "--step", "1"], "step: no id of 16 hexadecimal digits"),
    ],
)
def test_what_cannot_be_searched_is_said_before_anything_is_opened(
    command: list[str], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = Shell(tmp_path, monkeypatch, capsys)(*command)
    assert (ended.code, ended.fault) == (2, fault)


def test_what_only_the_store_can_tell_is_said_all_the_same(server: Served, shell: Shell) -> None:
    unnamed = shell("sessions", "--server", server.url, "--entity", "of a")
    assert (unnamed.code, unnamed.out) == (2, "")
    assert shell("logs", "--server", server.url, "--session", "nobody").code == 5

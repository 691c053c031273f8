"""`watchpost release`, `releases`, `versions` and `spending`: the same from the folder and through the server that holds it."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands import Shell
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, eventually, tool_span, trace_of

SETTINGS = "[flow]\nbatch_seconds = 0.05\n[session]\nquiet_seconds = 0.2\nidle_seconds = 0.2\n[spending]\ntimezone = 'Asia/Tokyo'\n"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def a_run(name: str, model: str, version: str, ago_s: int) -> bytes:
    """A session of one priced model call some time ago."""
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add()
    for key, value in (("service.name", "shop"), ("service.version", version)):
        sent.resource.attributes.add(key=key).value.string_value = value
    operation = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, "gen_ai.provider.name": "openai"}
    tokens = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
    span = tool_span(trace_of(name), 1, name, **operation, **tokens)
    span.start_time_unix_nano = time.time_ns() - ago_s * 10**9
    span.end_time_unix_nano = span.start_time_unix_nano + 10**9
    sent.scope_spans.add().spans.append(span)
    encoded: bytes = request.SerializeToString()
    return encoded


def test_releases_versions_and_spending_are_the_same_from_the_folder_and_through_the_server(
    tmp_path: Path, shell: Shell
) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    shell.configure(SETTINGS)
    with Served(folder, SETTINGS) as server:
        at = ("--data", str(server.data))
        for name, model, version, ago_s in (("one", "gpt-4o", "1.0", 9000), ("two", "gpt-4o-mini", "1.1", 300)):
            assert server.post(a_run(name, model, version, ago_s)).status_code == 200

        def seen() -> list[dict[str, object]] | None:
            found = json.loads(shell("releases", *at, "--json").out)
            return found if len(found) >= 4 else None

        seen_by_server = eventually(seen)
        assert {(one["kind"], one["version"], one["began"]) for one in seen_by_server} == {
            ("agent", "1.0", True),
            ("agent", "1.1", False),
            ("model", "gpt-4o", True),
            ("model", "gpt-4o-mini", False),
        }
        then = ("--at", datetime.fromtimestamp(time.time() - 7200, UTC).isoformat(), "--by", "ann")
        told = json.loads(shell("release", "index", "faq", "3", *then, *at, "--json").out)
        assert (told["kind"], told["version"], told["source"]) == ("index", "3", "told")
        drawn = shell("measures", "llm_calls", *at)
        assert "gpt-4o-mini" in drawn.out
        assert "told, ann" in drawn.out
        compared = json.loads(shell("measures", "llm_calls", *at, "--compare", f"release:{told['id']}", "--json").out)
        (total,) = (one["total"] for one in compared["series"])
        assert (total["since"], total["value"], total["before"]["value"]) == (told["at"], 1, 1)
        refused = shell("measures", "llm_calls", *at, "--compare", "release:none")
        assert (refused.code, refused.fault.partition(":")[0]) == (2, "compare")
        held = {
            command: json.loads(shell(*command.split(), *at, "--json").out)
            for command in ("releases", "versions --by model", "versions", "spending --by model --day yesterday")
        }
        now = json.loads(shell("spending", "--by", "model", *at, "--json").out)
        assert server.stop() == 0
    for command, answer in held.items():
        again = json.loads(shell(*command.split(), *at, "--json").out)
        times = {"since", "until"}
        assert _without(again, times) == _without(answer, times)
    versions = {one["version"]: one for one in held["versions --by model"]["versions"]}
    assert versions["gpt-4o"]["measures"]["cost_per_completed_session_usd"]["value"] == "0.0035"
    assert (now["timezone"], now["by"]) == ("Asia/Tokyo", "model")
    local = json.loads(shell("release", "other", "policy", "2", *at, "--json").out)
    assert shell("releases", "--retract", local["id"], "--by", "ann", *at).out.endswith(f"taken back: {local['id']}\n")
    assert local["id"] not in shell("releases", *at).out
    assert "gpt-4o-mini" in shell("versions", "--by", "model", *at).out
    assert "Asia/Tokyo" in shell("spending", "--by", "user_id", *at).out
    assert shell("releases", "--retract", "none", *at).code == 5


def _without(answer: object, names: set[str]) -> object:
    return {key: value for key, value in answer.items() if key not in names} if isinstance(answer, dict) else answer


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("release moon faq 3", "kind moon: it is one of agent"),
        ("releases --kind moon", "--kind moon: it is one of agent"),
        ("versions --by moon", "--by moon: it is one of release"),
        ("spending --by colour", "--by colour: it is one of"),
        ("spending --data elsewhere", "elsewhere is no data folder"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(shell: Shell, command: str, fault: str) -> None:
    ended = shell(*command.split())
    assert (ended.code, ended.fault.startswith(fault)) == (2, True), ended.fault


def test_a_folder_refuses_what_cannot_be_a_release_or_a_day(shell: Shell) -> None:
    shell.configure("[spending]\ntimezone = 'Mars/Olympus'\n")
    assert shell("spending").fault.startswith("spending.timezone: ")
    shell.configure("")
    (shell.folder / "file.jsonl").write_text("")
    shell("import", "file.jsonl")
    for command, field in (("release index faq 3 --at soon", "at"), ("spending --day soon", "day")):
        ended = shell(*command.split())
        assert (ended.code, ended.fault.partition(":")[0]) == (2, field), ended

"""`watchpost contracts`: what a folder's sessions taught of their tools, seen and pinned from the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from commands import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


def applicant(number: int, **beside: object) -> dict[str, object]:
    return {"id": f"A-{number}", "annual_income": 50_000 + number, "employed": True, **beside}


def bring_in(shell: Shell, *responses: Mapping[str, object], name: str = "s") -> None:
    """Import a session for each response of `get_applicant`, which it is the third step of."""
    ended = shell("import", str(record(shell, *responses, name=name)))
    assert ended.code == 0, ended.err


def record(shell: Shell, *responses: Mapping[str, object], name: str) -> Path:
    """The file of these sessions."""
    file = shell.folder / f"{name}.jsonl"
    lines = []
    for number, response in enumerate(responses):
        steps = [
            {"step": 0, "kind": "user", "agent": "user", "name": "", "input": "", "output": "Can I have a loan?"},
            {"step": 1, "kind": "llm", "agent": "a", "name": "m", "input": "x", "output": "I look that up."},
            {
                "step": 2,
                "kind": "tool",
                "agent": "a",
                "name": "get_applicant",
                "input": '{"q": 1}',
                "output": json.dumps(response),
            },
            {"step": 3, "kind": "llm", "agent": "a", "name": "m", "input": "x", "output": "You can."},
        ]
        lines.append(
            json.dumps(
                {"session_id": f"{name}{number}", "source": "x", "task": "t", "ground_truth": {}, "steps": steps}
            )
        )
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def known(shell: Shell) -> Shell:
    """A folder in which a tool's contract was learnt."""
    bring_in(shell, *(applicant(number) for number in range(12)))
    return shell


def drifted(number: int) -> dict[str, object]:
    response = applicant(number)
    response["income_annual"] = response.pop("annual_income")
    return response


def test_contracts_are_learnt_from_sessions_and_a_drifted_one_is_flagged_at_its_third_step(known: Shell) -> None:
    (entry,) = json.loads(known("contracts", "list", "--json").out)
    assert (entry["tool"], entry["source"], entry["candidates"]) == ("get_applicant", "learnt", 0)
    bring_in(known, drifted(99), name="drifted")
    (flag,) = json.loads(known("flags", "--kind", "TOOL_SCHEMA_DRIFT", "--json").out)
    assert flag["step"] == 3
    assert flag["summary"] == "get_applicant: field annual_income is gone, income_annual is new: probably renamed"
    shown = known("contracts", "show", "get_applicant")
    assert "annual_income" in shown.out
    assert flag["evidence"]["candidate"] in shown.out


def test_sessions_of_one_file_teach_and_are_judged_in_its_order(shell: Shell) -> None:
    after = [drifted(20), drifted(21), applicant(22)]
    bring_in(shell, *(applicant(number) for number in range(20)), *after)
    found = json.loads(shell("flags", "--kind", "TOOL_SCHEMA_DRIFT", "--json").out)
    assert sorted((flag["session_id"], flag["step"]) for flag in found) == [("s20", 3), ("s21", 3)]
    (candidate,) = json.loads(shell("contracts", "show", "get_applicant", "--json").out)["candidates"]
    assert candidate["sessions"] == 2


def test_sessions_of_very_many_requests_teach_and_are_judged_in_their_order_too(shell: Shell) -> None:
    responses = [*(applicant(number) for number in range(36)), drifted(36)]
    files = [str(record(shell, each, name=f"n{number}-")) for number, each in enumerate(responses)]
    assert shell("import", *files).code == 0
    (flag,) = json.loads(shell("flags", "--kind", "TOOL_SCHEMA_DRIFT", "--json").out)
    assert flag["session_id"] == "n36-0"


def test_sessions_that_were_drifted_from_the_start_are_what_is_usual(shell: Shell) -> None:
    bring_in(shell, *(drifted(number) for number in range(20)), applicant(20))
    (flag,) = json.loads(shell("flags", "--kind", "TOOL_SCHEMA_DRIFT", "--json").out)
    assert flag["session_id"] == "s20"


def test_versions_are_shown_and_compared_and_what_is_not_there_is_one_line(known: Shell) -> None:
    shown = json.loads(known("contracts", "show", "get_applicant", "--json").out)
    later, earlier = shown["versions"][0]["version"], shown["versions"][-1]["version"]
    assert later > earlier
    first = json.loads(known("contracts", "show", "get_applicant", "--version", str(earlier), "--json").out)
    assert first["version"] == earlier
    assert "~ annual_income: integer" in known("contracts", "diff", "get_applicant", str(earlier), str(later)).out
    assert known("contracts", "diff", "get_applicant", str(later), str(later)).out == "no difference\n"
    file = known.folder / "schema.json"
    file.write_text('{"type": "thing"}', encoding="utf-8")
    for command, code in (
        (("show", "unheard_of"), 5),
        (("show", "get_applicant", "--version", "999"), 5),
        (("pin", "get_applicant", "--version", "999"), 2),
        (("pin", "get_applicant", "--candidate", "0000"), 2),
        (("pin", "get_applicant", "--schema", str(file)), 2),
        (("pin", "unheard_of"), 5),
    ):
        ended = known("contracts", *command)
        assert ended.code == code, command
        assert ended.fault


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nests too deep"),
        (b"{not", "holds no JSON"),
        (b"\xff\xfe", "holds no JSON"),
        (b"[1]", "holds no JSON object"),
        (None, "cannot be read"),
    ],
)
def test_a_schema_file_that_cannot_be_used_is_named_in_one_line(known: Shell, content: bytes | None, said: str) -> None:
    if content is not None:
        (known.folder / "schema.json").write_bytes(content)
    ended = known("contracts", "pin", "get_applicant", "--schema", "schema.json")
    assert ended.code == 2
    assert ended.fault.startswith("schema.json ")
    assert said in ended.fault


def test_a_declared_contract_holds_without_anything_learnt(shell: Shell) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "employed": {"type": "boolean"}}}
    (shell.folder / "applicant.json").write_text(json.dumps(schema), encoding="utf-8")
    shell.configure('[schema_drift]\ncontracts = {get_applicant = "applicant.json"}\n')
    bring_in(shell, applicant(1))
    (flag,) = json.loads(shell("flags", "--kind", "TOOL_SCHEMA_DRIFT", "--json").out)
    assert flag["summary"] == "get_applicant: field annual_income is new"
    (entry,) = json.loads(shell("contracts", "list", "--json").out)
    assert (entry["source"], entry["version"]) == ("declared", 0)
    assert shell("contracts", "pin", "get_applicant", "--version", "1").code == 2


def test_a_contract_file_that_cannot_be_read_stops_the_start_by_name(shell: Shell) -> None:
    bring_in(shell, applicant(1))
    shell.configure('[schema_drift]\ncontracts = {get = "nowhere.json"}\n')
    assert "contracts.get: nowhere.json" in shell("contracts", "list").fault


def flags(shell: Shell) -> int:
    return len(json.loads(shell("flags", "--kind", "TOOL_SCHEMA_DRIFT", "--json").out))


def test_what_is_pinned_holds_until_it_is_unpinned(known: Shell) -> None:
    bring_in(known, drifted(1), name="first")
    shown = known("contracts", "show", "get_applicant", "--json").out
    digest = json.loads(shown)["candidates"][0]["digest"]
    pinned = known("contracts", "pin", "get_applicant", "--candidate", digest, "--by", "ada")
    assert pinned.out.endswith("holds, pinned\n")
    bring_in(known, drifted(2), applicant(3), name="second")
    assert flags(known) == 1
    file = known.folder / "shown.json"
    file.write_text(shown, encoding="utf-8")
    assert known("contracts", "pin", "get_applicant", "--schema", str(file)).out.endswith("holds, pinned\n")
    bring_in(known, drifted(4), name="third")
    assert flags(known) == 2
    assert known("contracts", "unpin", "get_applicant").out.endswith("holds, learnt\n")
    bring_in(known, drifted(5), name="fourth")
    assert flags(known) == 2

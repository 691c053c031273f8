from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

import pytest
from recorded import FIXTURES, MTIME, Import, session, sessions_of, step, write

from watchpost.ingest.read import raw_attributes
from watchpost.ingest.recordings import UnreadableRecordingError, requests
from watchpost.model.step import Reading, Tokens

REAL = ("tau_airline.jsonl.gz", "agentdyn.jsonl.gz")


def steps_in(recorded: dict[str, object]) -> list[dict[str, object]]:
    return cast("list[dict[str, object]]", recorded["steps"])


def only(imported: Import, kind: str) -> Reading:
    (reading,) = (reading for reading in imported.readings if reading.kind == kind)
    return reading


@pytest.mark.parametrize("name", REAL)
def test_every_step_of_a_real_file_becomes_one_step_in_the_same_order(name: str) -> None:
    imported = Import(FIXTURES / name)
    assert imported.said == imported.refused == []
    by_session: dict[str, list[Reading]] = {}
    for reading in imported.steps:
        by_session.setdefault(reading.own_session, []).append(reading)
    for recorded in sessions_of(name):
        readings = by_session.pop(str(recorded["session_id"]))
        assert [(r.input, r.output) for r in readings] == [(s["input"], s["output"]) for s in steps_in(recorded)]
        assert [r.status == "error" for r in readings] == [bool(s["error"]) for s in steps_in(recorded)]
        tools = [s["name"] if s["kind"] == "tool" else "" for s in steps_in(recorded)]
        assert [r.tool for r in readings] == tools
    assert by_session == {}


@pytest.mark.parametrize("name", REAL)
def test_kinds_of_a_real_file_are_read_from_kind_agent_and_tool(name: str) -> None:
    def kind(recorded: dict[str, object]) -> str:
        if recorded["agent"] == "system":
            return "state"
        return {"user": "human"}.get(str(recorded["kind"]), str(recorded["kind"]))

    expected = [kind(s) for recorded in sessions_of(name) for s in steps_in(recorded)]
    assert sorted(r.kind for r in Import(FIXTURES / name).steps) == sorted(expected)


def test_a_session_is_one_trace_under_a_workflow_root(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "a.jsonl", session([step("user"), step("llm", 1), step("agent", 2)])))
    root = only(imported, "workflow")
    assert (root.name, root.workflow, root.own_session, root.input) == ("shop", "shop", "s-1", "refund A1")
    assert [r.kind for r in imported.steps] == ["human", "llm", "handoff"]
    assert {(r.trace_id, r.parent_id, r.own_session) for r in imported.steps} == {(root.trace_id, root.span_id, "s-1")}


def test_a_session_without_a_source_belongs_to_the_workflow_session(tmp_path: Path) -> None:
    root = only(Import(write(tmp_path / "a.jsonl", {"session_id": "s", "steps": []})), "workflow")
    assert (root.name, root.workflow) == ("session", "session")


def test_a_system_prompt_is_a_state_step_and_an_attribute_of_the_root(tmp_path: Path) -> None:
    steps: list[object] = [
        step("user", agent="system", name="system", output="Be brief."),
        step("user", 1, output="hi"),
    ]
    imported = Import(write(tmp_path / "a.jsonl", session(steps)))
    said = raw_attributes(only(imported, "workflow"))["gen_ai.system_instructions"]
    assert json.loads(str(said)) == [{"type": "text", "content": "Be brief."}]
    assert [(r.kind, r.output) for r in imported.steps] == [("state", "Be brief."), ("human", "hi")]


def test_input_and_output_that_are_no_text_are_kept_as_json(tmp_path: Path) -> None:
    call = step("tool", name="refund", input={"id": 1, "why": None}, output=[True, 2.5])
    reading = only(Import(write(tmp_path / "a.jsonl", session([call]))), "tool")
    assert (reading.tool, json.loads(reading.input), json.loads(reading.output)) == (
        "refund",
        {"id": 1, "why": None},
        [True, 2.5],
    )


@pytest.mark.parametrize("name", ["FinalAnswerTool", "invoke_agent", "handoff to billing", "", "pay (merged)"])
@pytest.mark.parametrize("kind", ["llm", "tool"])
def test_no_name_turns_a_step_into_something_that_is_none(tmp_path: Path, kind: str, name: str) -> None:
    assert len(Import(write(tmp_path / "a.jsonl", session([step(kind, name=name)]))).steps) == 1


@pytest.mark.parametrize(
    ("kind", "agent", "expected"),
    [
        ("llm", "Excel_Expert", "Excel_Expert"),
        ("tool", "planner", "planner"),
        ("llm", "assistant", ""),
        ("tool", "Assistant", ""),
        ("user", "Ada", ""),
        ("llm", None, ""),
    ],
)
def test_an_agent_is_named_where_the_recording_names_one(
    tmp_path: Path, kind: str, agent: str | None, expected: str
) -> None:
    (reading,) = Import(write(tmp_path / "a.jsonl", session([step(kind, agent=agent)]))).steps
    assert reading.agent == expected


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"input": 12, "output": 3}, Tokens(12, 3)),
        ({"prompt": 12, "completion": 3}, Tokens(12, 3)),
        ({"prompt_tokens": 12}, Tokens(12)),
        ({"input": 0}, Tokens(0)),
        ({"input": -1, "output": True}, Tokens()),
        ({"input": 10**30, "output": "many"}, Tokens()),
        (15, Tokens()),
        (None, Tokens()),
    ],
)
def test_tokens_are_what_the_recording_reports_or_not_reported(
    tmp_path: Path, reported: object, expected: Tokens
) -> None:
    (reading,) = Import(write(tmp_path / "a.jsonl", session([step("llm", tokens=reported)]))).steps
    assert reading.tokens == expected


@pytest.mark.parametrize(
    ("kind", "error", "expected", "message"),
    [
        ("tool", "no such order", "tool_error: no such order", "no such order"),
        ("llm", True, "error", ""),
        ("tool", {"code": 5}, 'tool_error: {"code":5}', '{"code":5}'),
        ("tool", False, "", ""),
        ("tool", "", "", ""),
        ("tool", None, "", ""),
    ],
)
def test_an_error_is_the_status_with_its_text_and_a_short_type(
    tmp_path: Path, kind: str, error: object, expected: str, message: str
) -> None:
    imported = Import(write(tmp_path / "a.jsonl", session([step(kind, error=error)])))
    (reading,) = imported.steps
    assert (reading.error, reading.status) == (expected, "error" if expected else "ok")
    assert [span.status_message for span in imported.spans if span.parent_id] == [message]


def test_a_thought_is_the_rationale_of_its_step(tmp_path: Path) -> None:
    (reading,) = Import(write(tmp_path / "a.jsonl", session([step("llm", thought="cheapest first")]))).steps
    assert raw_attributes(reading)["agent.decision_rationale"] == "cheapest first"


def test_steps_stand_one_second_apart_from_the_second_the_file_was_last_changed(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "a.jsonl", session([step("llm"), step("llm", 1), step("llm", 2)])))
    assert [r.start_ns for r in imported.steps] == [(MTIME + place) * 10**9 for place in range(3)]
    assert [r.end_ns for r in imported.steps] == [r.start_ns for r in imported.steps]
    root = only(imported, "workflow")
    assert (root.start_ns, root.end_ns) == (MTIME * 10**9, (MTIME + 2) * 10**9)


@pytest.mark.parametrize("when", [0, -5, 2**33])
def test_a_file_of_any_age_has_times_that_are_kept_and_ended(tmp_path: Path, when: int) -> None:
    path = write(tmp_path / "a.jsonl", session([step("llm")]))
    os.utime(path, (when, when))
    imported = Import(path)
    assert imported.refused == []
    assert {r.status for r in imported.readings} == {"ok"}


def test_the_same_content_gives_the_same_ids_and_times_every_time(tmp_path: Path) -> None:
    line = session([step("llm"), step("tool", 1, name="pay")])
    first, copy = Import(write(tmp_path / "a.jsonl", line)), Import(write(tmp_path / "b.jsonl", line))
    assert first.spans == copy.spans
    assert len({span.span_id for span in first.spans}) == 3


def test_sessions_of_two_sources_are_two_traces_even_with_one_id(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "a.jsonl", session([]), session([], source="bank")))
    assert len({span.trace_id for span in imported.spans}) == 2


def test_the_ground_truth_changes_nothing(tmp_path: Path) -> None:
    plain = session([step("llm")])
    told = plain | {"ground_truth": {"outcome": "fail", "origin_step": 0, "reason": "the secret"}}
    first, second = Import(write(tmp_path / "a.jsonl", plain)), Import(write(tmp_path / "b.jsonl", told))
    assert first.requests == second.requests


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ('{"session_id": "s-2", "steps": [', "line 2: is no JSON"),
        ("[" * 5000, "line 2: nests too deep"),
        ('{"session_id": "s-2", "steps": [], "task": NaN}', "line 2: is no JSON"),
        (session([step("dream")], session_id="s-2"), "$.steps[0].kind"),
        (session([7], session_id="s-2"), "$.steps[0]"),
        (session([], session_id=""), "$.session_id"),
        ({"unknown": 1}, "line 2: is neither"),
        ("\x00", "line 2: is no JSON"),
    ],
)
def test_a_broken_line_is_said_and_the_others_are_read(tmp_path: Path, broken: object, reason: str) -> None:
    path = write(tmp_path / "a.jsonl", session([step("llm")]), broken, session([step("llm")], session_id="s-3"))
    imported = Import(path)
    assert {reading.own_session for reading in imported.steps} == {"s-1", "s-3"}
    (said,) = imported.said
    assert said.startswith(f"{path}: line 2: ")
    assert reason in said


def test_a_broken_first_line_does_not_hide_the_others(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "a.jsonl", '{"session_id": "s-0", "st', "", session([step("llm")])))
    assert len(imported.steps) == 1
    assert len(imported.said) == 1


def test_very_many_broken_lines_are_counted_after_the_first(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "a.jsonl", session([]), *["{"] * 500))
    assert len(imported.said) == 21
    assert "480 more" in imported.said[-1]


def test_steps_with_other_numbers_are_counted_by_place_and_that_is_said(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "a.jsonl", session([step("llm", 5), step("llm", 5)])))
    assert len({r.span_id for r in imported.steps}) == 2
    assert "counted by their place" in imported.said[0]


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "a.jsonl", session([]), session([step("\x1b[2J")])))
    assert "\x1b" not in imported.said[0]


def test_sessions_in_one_json_list_are_read_too(tmp_path: Path) -> None:
    listed = json.dumps([session([step("llm")]), 5, session([step("llm")], session_id="s-2")], indent=2)
    imported = Import(write(tmp_path / "a.json", listed))
    assert {r.own_session for r in imported.steps} == {"s-1", "s-2"}
    assert "line 1, [1]: is neither" in imported.said[0]


def test_a_long_session_is_cut_into_requests_the_door_takes(tmp_path: Path) -> None:
    imported = Import(write(tmp_path / "a.jsonl", session([step("llm", place) for place in range(12_000)])))
    assert imported.refused == imported.said == []
    assert [len(parcel.spans) for parcel in imported.parcels] == [5000, 5000, 2001]


def test_large_steps_make_small_requests_and_one_beyond_the_door_is_left_out(tmp_path: Path) -> None:
    big, huge = step("llm", output="x" * 3_000_000), step("llm", 2, output="x" * 13_000_000)
    imported = Import(write(tmp_path / "a.jsonl", session([big, big | {"step": 1}, huge])))
    assert max(len(request.body) for request in imported.requests) < 5 * 2**20
    assert len(imported.steps) == 2
    assert "left out one item" in imported.said[0]


def test_reading_begins_before_the_whole_file_is_read(tmp_path: Path) -> None:
    lines = [session([step("llm", output="x" * 100_000)], session_id=f"s-{n}") for n in range(100)]
    said: list[str] = []
    stream = requests(write(tmp_path / "a.jsonl", *lines, "broken"), said.append)
    next(stream)
    assert said == []
    assert len(list(stream)) == 2
    assert len(said) == 1


def test_a_file_without_one_session_that_can_be_read_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", session([step("dream")]), "{")
    with pytest.raises(UnreadableRecordingError, match="steps"):
        Import(path)

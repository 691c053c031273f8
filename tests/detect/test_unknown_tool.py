"""What the unknown tool detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import msgspec
import pytest
from detected import detected, seen, steps

from watchpost.detect.detector import Surroundings
from watchpost.detect.unknown_tool import KIND, UnknownToolDetector, UnknownToolSettings, names_unknown_tool
from watchpost.model.knowledge import Contract, Knowledge, Lesson


@pytest.mark.parametrize(
    "error",
    [
        "Unknown tool: get_weather",
        "Tool 'get_weather' not found",
        "Tool get_weather not found in agent assistant",
        "ModelBehaviorError: Tool get_weather not found in agent triage",
        "Invalid tool get_weather provided.",
        "Error: get_weather is not a valid tool, try one of [search].",
        "AI_NoSuchToolError: Model tried to call unavailable tool 'get_weather'.",
        "Function `get_weather` does not exist",
        "No such tool: get_weather",
        "There is no tool named get_weather",
        "ToolNotFoundError: get_weather",
        "The tool get_weather is not registered.",
        "unrecognized function call",
    ],
)
def test_errors_say_in_many_words_that_there_is_no_such_tool(error: str) -> None:
    assert names_unknown_tool(error)


@pytest.mark.parametrize(
    "error",
    [
        "",
        "order not found",
        "Tool call timed out",
        "The tool could not be reached",
        "FileNotFoundError: /tools/readme not found",
        "invalid tool arguments: city is missing",
        "name 'get_weather' is not defined",
        "ValidationError: 1 validation error for get_weather",
    ],
)
def test_other_errors_do_not(error: str) -> None:
    assert not names_unknown_tool(error)


def test_a_model_call_that_failed_for_it_is_found_too() -> None:
    (call,) = steps("step 1 llm model m1 type llm_invalid_tool_call failed")
    failed = msgspec.structs.replace(call, error="Unknown tool: x")
    (found,) = seen(UnknownToolDetector(UnknownToolSettings(), Surroundings()), failed)
    assert (found.subject, found.evidence["said"]) == ("m1", "Unknown tool: x")


def test_a_finding_shows_the_call_and_what_its_error_says() -> None:
    (found,) = detected('step 1 tool get {"n": 1} -> error "Unknown tool: get"', KIND)
    assert (found.subject, found.severity, found.refutable) == ("get", "error", False)
    assert found.evidence["said"] == "Unknown tool: get"
    assert found.evidence["ran"] is False


def test_with_closed_every_tool_without_a_contract_is_unknown_once_any_is_known() -> None:
    told = steps("step 1 tool get {}\nstep 2 tool put {}\nstep 3 tool drop {}\nstep 4 tool drop {}")
    settings = UnknownToolSettings(closed=True, tools=("pu*",))
    knowledge = Knowledge(1, [Lesson("default", "contract", "get", 1, "learnt", Contract({}), 0)])
    (found,) = seen(UnknownToolDetector(settings, Surroundings(knowledge=knowledge)), *told)
    assert (found.subject, found.evidence["reason"]) == ("drop", "undeclared")
    closed = UnknownToolDetector(UnknownToolSettings(closed=True), Surroundings())
    assert seen(closed, *told) == []

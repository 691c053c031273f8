"""What a person declares by hand holds over every convention."""

from __future__ import annotations

from typing import get_args

import pytest
from reading import read

from watchpost.model.step import SpanKind


@pytest.mark.parametrize("kind", get_args(SpanKind))
def test_every_kind_can_be_declared(kind: str) -> None:
    assert read({"watchpost.step.kind": kind}).kind == kind


@pytest.mark.parametrize("kind", ["human", "tool", "state"])
def test_a_declared_kind_holds_over_the_conventions_and_over_the_name_of_the_span(kind: str) -> None:
    attributes: dict[str, object] = {"gen_ai.operation.name": "chat", "openinference.span.kind": "LLM"}
    assert read({**attributes, "watchpost.step.kind": kind}, "handoff to Sales").kind == kind


def test_a_kind_that_is_none_is_not_declared() -> None:
    assert read({"watchpost.step.kind": "banana", "gen_ai.operation.name": "chat"}).kind == "llm"


def test_declared_facts_hold_over_the_conventions() -> None:
    reading = read(
        {
            "watchpost.step.kind": "human",
            "watchpost.session.id": "declared",
            "watchpost.agent": "desk",
            "watchpost.workflow": "refunds",
            "watchpost.user.id": "ada",
            "watchpost.input": "may I?",
            "watchpost.output": "yes",
            "session.id": "other",
            "gen_ai.agent.name": "other",
            "gen_ai.workflow.name": "other",
            "user.id": "other",
            "input.value": "other",
            "gen_ai.output.messages": "other",
        }
    )
    assert (reading.own_session, reading.agent, reading.workflow) == ("declared", "desk", "refunds")
    assert (reading.user_id, reading.input, reading.output) == ("ada", "may I?", "yes")


def test_declared_input_and_output_are_those_of_a_tool_call_too() -> None:
    reading = read({"watchpost.step.kind": "tool", "watchpost.input": "in", "watchpost.output": "out"}, "search")
    assert (reading.tool, reading.input, reading.output) == ("search", "in", "out")

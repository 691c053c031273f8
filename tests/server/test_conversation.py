"""Messages of many providers read as one conversation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.server.pages.conversation import MOST_TURNS, Contents, Part, contents_of

CALL = Part("call", "find_order", value={"order_id": "4711"})

ONE_CALL: list[tuple[str, object]] = [
    ("openai", {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "find_order", "arguments": '{"order_id": "4711"}'}}]}),
    ("opentelemetry", {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "find_order", "arguments": {"order_id": "4711"}}]}),
    ("anthropic", {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "find_order", "input": {"order_id": "4711"}}]}),
    ("google", {"role": "model", "parts": [{"functionCall": {"name": "find_order", "args": {"order_id": "4711"}}}]}),
    ("vercel", {"role": "assistant", "content": [{"type": "tool-call", "toolName": "find_order", "input": {"order_id": "4711"}}]}),
    ("bedrock", {"role": "assistant", "content": [{"toolUse": {"name": "find_order", "input": {"order_id": "4711"}}}]}),
    ("responses", {"type": "function_call", "name": "find_order", "arguments": '{"order_id": "4711"}'}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "name"), [(message, name) for name, message in ONE_CALL], ids=[n for n, _ in ONE_CALL]
)
def test_a_call_reads_the_same_whoever_wrote_it(message: object, name: str) -> None:
    turns = contents_of(json.dumps([message])).turns
    assert [(turn.role, turn.parts) for turn in turns] == [("assistant", (CALL,))], name


def test_a_request_begins_with_its_instructions() -> None:
    text = json.dumps({"model": "m", "system": "Be brief.", "messages": [{"role": "user", "content": "Hello"}]})
    assert [(turn.role, turn.parts[0].text) for turn in contents_of(text).turns] == [
        ("system", "Be brief."),
        ("user", "Hello"),
    ]


def test_answers_of_tools_and_thoughts_are_told_from_words() -> None:
    messages = [
        {"role": "tool", "tool_call_id": "c", "name": "find_order", "content": "shipped"},
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Then say so."}, {"type": "text", "content": "It is on its way."}]},
    ]  # fmt: skip
    assert [turn.parts for turn in contents_of(json.dumps(messages)).turns] == [
        (Part("result", "find_order", "shipped"),),
        (Part("reasoning", text="Then say so."), Part("text", text="It is on its way.")),
    ]


def test_a_result_is_the_tools_whoever_is_said_to_have_sent_it() -> None:
    content = [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "shipped"}]}]
    assert contents_of(json.dumps([{"role": "user", "content": content}])).turns[0].role == "tool"


@pytest.mark.parametrize("text", ['{"order_id": 4711}', "[1, 2]", '[{"role": "user", "content": "x"}, 7]'])
def test_what_is_no_conversation_stays_a_value(text: str) -> None:
    assert contents_of(text) == Contents(text, value=json.loads(text), structured=True)


@pytest.mark.parametrize("text", ["", "It is on its way.", "null", "7", '{"cut": "off'])
def test_what_has_no_structure_stays_a_text(text: str) -> None:
    assert contents_of(text) == Contents(text)


def test_of_a_long_conversation_the_beginning_and_the_end_are_shown() -> None:
    messages = [{"role": "user", "content": str(at)} for at in range(1, MOST_TURNS + 51)]
    told = contents_of(json.dumps(messages))
    assert (len(told.turns), told.left_out) == (MOST_TURNS, 50)
    assert (told.turns[0].number, told.turns[-1].number) == (1, MOST_TURNS + 50)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "type", "content", "parts", "tool_calls", "function", "functionCall", "message", "messages", "text", "name"])
        | st.text(max_size=4),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(values)
def test_nothing_that_can_be_written_breaks_the_reading(value: object) -> None:
    text = json.dumps(value)
    told = contents_of(text)
    assert told.text == text
    assert not (told.turns and told.structured)

"""What people say to models that have answered, read out of what model calls are given, in the words of every convention."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import read

from watchpost.ingest.read import raw_attributes
from watchpost.model.step import NO_REPLY, Reply
from watchpost.model.telemetry import Attributes, Event
from watchpost_core.replies import fingerprint, reply_in

ASKED = "Where is my parcel?"
ANSWER = "It is on its way to you."
REPLIED = "No, I meant the other parcel."
REPLY = Reply(REPLIED, ASKED, fingerprint(ANSWER))

SPOKEN = (("user", ASKED), ("assistant", ANSWER), ("user", REPLIED))
CALL: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
PLAIN = [{"role": role, "content": words} for role, words in SPOKEN]
PARTS = [{"role": role, "parts": [{"type": "text", "content": words}]} for role, words in SPOKEN]
GEMINI = [{"parts": [{"text": words}], "role": role.replace("assistant", "model")} for role, words in SPOKEN]
BLOCKS = [{"role": role, "content": [{"type": "text", "text": words}]} for role, words in SPOKEN]
LANGCHAIN = [
    {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": {"content": words}}
    for name, (_, words) in zip(("HumanMessage", "AIMessage", "HumanMessage"), SPOKEN, strict=True)
]
TOOLS = [{"type": "function", "function": {"name": "get", "description": 'The "role" of a user'}}]


def flat(before: str, behind: str, spoken: Sequence[tuple[str, str]] = SPOKEN) -> Attributes:
    return {
        f"{before}.{number}{behind}.{name}": value
        for number, (role, words) in enumerate(spoken)
        for name, value in (("role", role), ("content", words))
    }


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": json.dumps(PARTS)},
        {"gen_ai.input.messages": json.dumps(PARTS, separators=(",", ":"))},
        {"gen_ai.input.messages": PARTS},
        {"gen_ai.prompt": json.dumps(PLAIN)},
        flat("gen_ai.prompt", ""),
        {"openinference.span.kind": "LLM", **flat("llm.input_messages", ".message"), "input.value": "cut {"},
        {
            "openinference.span.kind": "LLM",
            **{f"llm.input_messages.{n}.message.role": role for n, (role, _) in enumerate(SPOKEN)},
            **{f"llm.input_messages.{n}.message.contents.0.message_content.type": "text" for n in range(3)},
            **{
                f"llm.input_messages.{n}.message.contents.0.message_content.text": words
                for n, (_, words) in enumerate(SPOKEN)
            },
        },
        {"input.value": json.dumps({"messages": PLAIN, "model": "m", "tools": TOOLS})},
        {"input.value": json.dumps({"contents": GEMINI, "config": {"temperature": 0}})},
        {"input.value": json.dumps({"messages": [LANGCHAIN]})},
        {"traceloop.entity.input": json.dumps(PLAIN)},
        {"ai.operationId": "ai.generateText.doGenerate", "ai.prompt.messages": json.dumps(BLOCKS)},
        {"langfuse.observation.type": "generation", "langfuse.observation.input": json.dumps(PLAIN)},
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanInputs": json.dumps({"model": "m", "messages": PLAIN})},
        {"watchpost.step.kind": "llm", "watchpost.input": json.dumps(PLAIN)},
        {"llm.model": "m", "llm.prompt": json.dumps(PLAIN)},
    ],
)
def test_a_reply_is_read_in_every_convention_and_all_stays_as_it_came(attributes: Attributes) -> None:
    reading = read(CALL | attributes)
    assert (reading.kind, reading.reply) == ("llm", REPLY)
    assert raw_attributes(reading) == CALL | attributes


def test_a_reply_is_read_in_events_of_messages() -> None:
    events = [Event(n, f"gen_ai.{role}.message", {"content": words}) for n, (role, words) in enumerate(SPOKEN)]
    choice = Event(9, "gen_ai.choice", {"message": "ok"})
    result = Event(4, "gen_ai.tool.message", {"content": "[]"})
    assert read(CALL, events=[*events, choice]).reply == REPLY
    assert read(CALL, events=[*events, result, choice]).reply == NO_REPLY
    assert read(CALL, events=[Event(1, "gen_ai.input", {"content": REPLIED})]).reply == NO_REPLY


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": json.dumps([*PARTS, {"role": "tool", "parts": [{"type": "tool_call_response"}]}])},
        {"gen_ai.input.messages": json.dumps([*PLAIN, {"type": "function_call_output", "output": "[]"}])},
        {"gen_ai.input.messages": json.dumps([*PLAIN[:2], {"role": "user", "content": [{"type": "tool_result"}]}])},
        {"gen_ai.input.messages": json.dumps(PLAIN[:1])},
        {"gen_ai.input.messages": json.dumps(PLAIN)[:-20]},
        {"gen_ai.input.messages": "__REDACTED__"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": json.dumps(PLAIN)},
        flat("llm.input_messages", ".message", [*SPOKEN, ("tool", "[]")]),
        {"input.value": json.dumps({"messages": [[*LANGCHAIN, {**LANGCHAIN[0], "id": ["ToolMessage"]}]]})},
        {},
    ],
)
def test_nothing_else_is_a_reply(attributes: Attributes) -> None:
    assert read(CALL | attributes).reply == NO_REPLY


def test_messages_of_attributes_are_counted_however_many_they_are() -> None:
    for many in range(1, 40):
        spoken = [*[("user", f"long ago {n}") for n in range(many)], *SPOKEN]
        assert read(CALL | flat("llm.input_messages", ".message", spoken)).reply == REPLY


WORDS = st.sampled_from(
    [ASKED, ANSWER, REPLIED, "ok", '{"role": "user"}', '"assistant"', [{"type": "text", "text": ANSWER}], []]
)
RESULT = st.just([{"type": "tool_result", "content": "[]"}])
MESSAGE = (
    st.fixed_dictionaries({"role": st.sampled_from(["assistant", "system", "developer"]), "content": WORDS})
    | st.fixed_dictionaries({"role": st.sampled_from(["user", "tool"]), "content": WORDS | RESULT})
    | st.just({"type": "function_call_output", "output": "[]"})
)


@given(
    messages=st.lists(MESSAGE, max_size=8),
    tight=st.booleans(),
    role_last=st.booleans(),
    model=st.sampled_from(["assistant", "model"]),
    in_request=st.booleans(),
)
def test_a_look_from_the_end_finds_what_reading_all_of_it_finds(
    messages: list[dict[str, object]], *, tight: bool, role_last: bool, model: str, in_request: bool
) -> None:
    messages = [{**each, "role": model} if each.get("role") == "assistant" else each for each in messages]
    sent = [dict(reversed(each.items())) if role_last else each for each in messages]
    request = {"model": "m", "messages": sent, "tools": TOOLS} if in_request else sent
    text = json.dumps(request, separators=(",", ":") if tight else None)
    found = reply_in(reversed(sent))
    assert read(CALL | {"gen_ai.input.messages": text}).reply == (NO_REPLY if found is None else Reply(*found))

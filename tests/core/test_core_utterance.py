"""The words in what frameworks send as a model's answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost_core.utterance import said

WORDS = "Order A1001 is late."
CALL = {"id": "c1", "type": "function", "function": {"name": "get", "arguments": '{"order_id": "A1001"}'}}
ENVELOPES: dict[str, object] = {
    "parts": [{"role": "assistant", "parts": [{"type": "text", "content": WORDS}, {"type": "tool_call", "name": "x"}]}],
    "a message": {"role": "assistant", "content": WORDS, "tool_calls": [CALL]},
    "choices": {"id": "chatcmpl-1", "choices": [{"message": {"role": "assistant", "content": WORDS}}]},
    "content blocks": {
        "role": "assistant",
        "content": [{"type": "thinking", "text": "Hm."}, {"type": "text", "text": WORDS}],
    },
    "a response": {
        "object": "response",
        "instructions": "Be brief.",
        "output": [
            {"type": "reasoning", "content": [{"text": "Hm."}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": WORDS}]},
        ],
    },
    "generations": {"generations": [[{"text": WORDS, "message": {"kwargs": {"content": WORDS}}}]]},
    "candidates": {"candidates": [{"content": {"parts": [{"text": WORDS}, {"functionCall": {"name": "x"}}]}}]},
    "text blocks": [{"text": WORDS}, {"toolUse": {"name": "x", "input": {"id": "A2"}}}],
    "typed blocks": [{"block_type": "text", "text": WORDS}],
    "a result": {"finish_reason": "stop", "content": WORDS},
}
REQUESTS: dict[str, object] = {
    "calls alone": [CALL],
    "tool uses": [{"toolUse": {"toolUseId": "1", "name": "get", "input": {"order_id": "A1001"}}}],
    "calls by name": [{"toolCallId": "1", "toolName": "get", "input": '{"order_id": "A1001"}'}],
    "function calls": [{"type": "function_call", "name": "get", "arguments": '{"order_id": "A1001"}'}],
    "a message without words": {"role": "assistant", "content": None, "tool_calls": [CALL]},
    "calls as content": {"finish_reason": "function_calls", "content": [{"id": "1", "name": "get", "arguments": "{}"}]},
}


@pytest.mark.parametrize("sent", ENVELOPES.values(), ids=ENVELOPES.keys())
def test_the_words_are_taken_out_of_every_envelope(sent: object) -> None:
    assert said(json.dumps(sent)) == WORDS


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_for_a_tool_is_no_words(sent: object) -> None:
    assert said(json.dumps(sent)) == ""
    assert "A1001" not in said(json.dumps(sent)[:-3])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WORDS, WORDS),
        ("", ""),
        (f"assistant: {WORDS}", WORDS),
        ("assistant: None", ""),
        ('[tool_call] get({"order_id":"A1001"})', ""),
        (f'{WORDS}\n[tool_call] get({{"order_id":"A1001"}})', f"{WORDS}\n"),
        ('{"order_id": "A1001", "late": true}', '{"order_id": "A1001", "late": true}'),
        ("[1, 2]", "[1, 2]"),
        ('[{"role": "assistant", "parts": [{"type": "text", "content": "Order \\"A1\\" is', 'Order "A1" is'),
    ],
)
def test_other_texts_stand_as_they_are(text: str, words: str) -> None:
    assert said(text) == words


def test_streamed_parts_are_one_line_and_whole_ones_are_lines() -> None:
    parts = [{"type": "text", "content": part} for part in ("Order ", "A1001 ", "is late.", "Sorry.")]
    assert said(json.dumps([{"role": "assistant", "parts": parts}])) == "Order A1001 is late.\nSorry."


@given(st.one_of(st.text(), st.text(st.sampled_from('[]{}":,\\ content text role'), max_size=80)))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(said(text), str)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(("role", "content", "text", "type", "parts", "toolUse", "output")), inner, max_size=3
        ),
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_read(value: object) -> None:
    assert isinstance(said(json.dumps(value)), str)


def test_deep_nesting_is_read() -> None:
    for text in ("[" * 100_000, '{"content":' * 20_000, '[{"content":' * 200 + "1" + "}]" * 200):
        assert isinstance(said(text), str)

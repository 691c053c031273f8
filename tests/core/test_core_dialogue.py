"""Who said what, in what models are sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost_core.dialogue import dialogue

SPOKEN = [("system", "Sell tickets."), ("user", "One, please."), ("assistant", "For when?")]

SENT: dict[str, object] = {
    "parts": [
        {"role": "system", "parts": [{"type": "text", "content": "Sell tickets."}]},
        {"role": "user", "parts": [{"type": "text", "content": "One, please."}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "x"}, {"type": "text", "content": "For when?"}]},
    ],
    "contents": [
        {"role": "developer", "content": "Sell tickets."},
        {"role": "user", "content": [{"type": "text", "text": "One, please."}]},
        {"role": "assistant", "content": "For when?"},
    ],
    "a request": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Sell tickets."},
            {"role": "user", "content": "One, please."},
            {"role": "model", "parts": [{"text": "For when?"}]},
        ],
    },
    "types": [
        {"type": "system", "content": "Sell tickets."},
        {"type": "human", "content": "One, please."},
        {"type": "ai", "content": "For when?"},
    ],
}


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT.keys())
def test_the_roles_and_words_of_messages_are_told_apart(sent: object) -> None:
    assert dialogue(json.dumps(sent)) == SPOKEN


@pytest.mark.parametrize("text", ["", "One, please.", '{"role"', '{"a": 1}', "[1, 2]", '["user"]', "[" * 100_000])
def test_what_is_no_list_of_messages_has_none(text: str) -> None:
    assert dialogue(text) == []


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_no_json_is_too_odd(value: object) -> None:
    for role, words in dialogue(json.dumps(value)):
        assert isinstance(role, str)
        assert isinstance(words, str)

"""Who replied to what, in the messages that a model is given."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost_core.replies import LONGEST, SHORTEST_ANSWER, fingerprint, messages_in, reply_in

ASKED = "Where is my parcel?"
ANSWER = "It is on its way to you."
REPLY = "No, I meant the other parcel."

Messages = Sequence[object]

PLAIN: Messages = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": ASKED},
    {"role": "assistant", "content": ANSWER},
    {"role": "user", "content": REPLY},
]


def replied(messages: Messages) -> tuple[str, str, int] | None:
    return reply_in(reversed(messages))


@pytest.mark.parametrize(
    "messages",
    [
        PLAIN,
        [{"role": role, "parts": [{"type": "text", "content": words}]} for role, words in
         [("user", ASKED), ("assistant", ANSWER), ("user", REPLY)]],
        [{"role": role, "parts": [{"text": words}]} for role, words in
         [("user", ASKED), ("model", ANSWER), ("user", REPLY)]],
        [{"role": role, "content": [{"type": kind, "text": words}]} for role, kind, words in
         [("user", "input_text", ASKED), ("assistant", "output_text", ANSWER), ("user", "input_text", REPLY)]],
        [{"role": role, "content": f'[{{"text": "{words}"}}]'} for role, words in
         [("user", ASKED), ("assistant", ANSWER), ("user", REPLY)]],
        [{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": {"content": words}}
         for name, words in [("HumanMessage", ASKED), ("AIMessageChunk", ANSWER), ("HumanMessage", REPLY)]],
        [{"type": role, "data": {"content": words}} for role, words in
         [("human", ASKED), ("ai", ANSWER), ("human", REPLY)]],
        [*PLAIN, {"role": "system", "content": "It is Monday."}],
        [*PLAIN[:2], {"role": "assistant", "tool_calls": [{"id": "1"}]}, {"role": "tool", "content": "[]"}, *PLAIN[2:]],
        [*PLAIN[:2], {"role": "user", "content": [{"type": "tool_result", "content": "[]"}]}, *PLAIN[2:]],
        [*PLAIN[:3], {"role": "user", "content": "For context: it is Monday."}, PLAIN[3]],
        [*PLAIN[:2], {"type": "reasoning", "summary": []}, *PLAIN[2:]],
    ],
)  # fmt: skip
def test_a_reply_is_told_with_what_was_answered_before_it_in_every_form(messages: Messages) -> None:
    assert replied(messages) == (REPLY, ASKED, fingerprint(ANSWER))


@pytest.mark.parametrize(
    "messages",
    [
        [],
        PLAIN[:2],
        PLAIN[:3],
        [*PLAIN, {"role": "assistant", "tool_calls": [{"id": "1"}]}, {"role": "tool", "content": "[]"}],
        [*PLAIN, {"type": "function_call", "name": "get"}, {"type": "function_call_output", "output": "[]"}],
        [*PLAIN[:3], {"role": "user", "content": [{"type": "tool_result"}, {"type": "text", "text": "go on"}]}],
        [*PLAIN[:3], {"role": "user", "parts": [{"function_response": {"name": "get"}}]}],
        [*PLAIN[:2], {"role": "assistant", "tool_calls": [{"id": "1"}]}, PLAIN[3]],
        [*PLAIN[:2], {"role": "tool", "content": "[]"}, PLAIN[3]],
        [*PLAIN[:2], {"role": "assistant", "content": "positive"}, PLAIN[3]],
        ["user: hello", 7, None],
    ],
)
def test_first_messages_results_of_tools_and_what_follows_no_answer_are_none(messages: Messages) -> None:
    assert replied(messages) is None


def test_what_programs_add_to_a_persons_words_is_left_out() -> None:
    reminded = f"<system-reminder>Answer a human <b>now</b>.</system-reminder>\n{REPLY}"
    assert replied([*PLAIN[:3], {"role": "user", "content": reminded}]) == (REPLY, ASKED, fingerprint(ANSWER))


def test_more_than_a_person_types_and_what_is_no_text_holds_no_words() -> None:
    for content in ("x" * (LONGEST + 1), [{"type": "image_url", "image_url": {"url": "data:"}}]):
        assert replied([*PLAIN[:3], {"role": "user", "content": content}]) == ("", ASKED, fingerprint(ANSWER))


def test_no_more_messages_are_taken_than_needed() -> None:
    taken = iter(reversed([{"role": "user", "content": "long ago"}, *PLAIN]))
    reply_in(taken)
    assert len(list(taken)) == 2


def test_an_answer_is_known_again_however_it_is_spaced_and_where_it_was_cut() -> None:
    long = "It is on its way. " * 100
    assert fingerprint(long) == fingerprint(long.replace(" ", "\n")[:600]) != fingerprint(ANSWER)
    assert fingerprint("x" * SHORTEST_ANSWER) != 0 == fingerprint("x " * (SHORTEST_ANSWER - 1))


@given(words=st.text())
def test_a_fingerprint_fits_a_signed_number_of_64_bits(words: str) -> None:
    assert 0 <= fingerprint(words) < 2**63


@pytest.mark.parametrize(
    ("found", "messages"),
    [
        ([1], [1]),
        ([[1, 2]], [1, 2]),
        ({"messages": [1], "model": "m"}, [1]),
        ({"contents": [1]}, [1]),
        ({"messages": "none", "input": [1]}, [1]),
        ({"messages": []}, []),
        ({"messages": {}}, []),
        ("text", []),
        (None, []),
    ],
)
def test_messages_are_found_where_requests_keep_them(found: object, messages: Messages) -> None:
    assert list(messages_in(found)) == messages


@given(
    st.lists(
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["role", "type", "content", "parts", "text", "lc", "id", "kwargs", "data"]), inner
                )
            ),
            max_leaves=12,
        )
        | st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "tool", ""]), "content": st.text(max_size=30)}
        )
    )
)
def test_any_messages_are_looked_at(messages: list[object]) -> None:
    found = replied(messages)
    assert found is None or found[2] > 0

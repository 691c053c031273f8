"""What texts on spans hold is told apart: whole, cut off, encoded twice, in Python's notation, left out; and read as far as it goes."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watchpost.ingest import content

FOUND = {"order_id": "A1", "lines": [1, 2.5, None, True]}
ENCODED = json.dumps(FOUND)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", "absent"),
        ("__REDACTED__", "redacted"),
        (" [REDACTED]\n", "redacted"),
        (ENCODED, "json"),
        ("[]", "json"),
        (json.dumps(ENCODED), "json"),
        ('"a text in quotes"', "json"),
        (repr(FOUND), "python"),
        ("('a', 1)", "python"),
        (ENCODED[:-1], "truncated"),
        (repr(FOUND)[:-3], "truncated"),
        ('"a text that never en', "truncated"),
        ("The order is open.", "text"),
        ("42", "text"),
        ("ToolCall(tool_name='a')", "text"),
    ],
)
def test_the_forms_of_a_content_are_told_apart(text: str, form: str) -> None:
    assert content.form(text) == form


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ENCODED, FOUND),
        (json.dumps(ENCODED), FOUND),
        (repr(FOUND), FOUND),
        ('"just text"', "just text"),
        (ENCODED[:-1], ENCODED[:-1]),
        ("__import__('os').getcwd()", "__import__('os').getcwd()"),
        ("[__import__('os')]", "[__import__('os')]"),
        ("plain", "plain"),
    ],
)
def test_a_structure_is_read_and_anything_else_stays_as_it_is(text: str, found: object) -> None:
    assert content.structure(text) == found


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"order_id": "A1"}', '{"order_id": "A1"}'),
        (json.dumps('{"order_id": "A1"}'), '{"order_id":"A1"}'),
        ("{'order_id': 'A1'}", '{"order_id":"A1"}'),
        ('{"args": [], "kwargs": {"order_id": "A1"}}', '{"order_id":"A1"}'),
        ('{"args": ["A1"], "kwargs": {}}', '["A1"]'),
        ('{"args": ["A1"], "kwargs": {"x": 1}}', '["A1",{"x":1}]'),
        ('{"order_id": "A1', '{"order_id": "A1'),
        ('"shoes"', "shoes"),
        ("shoes", "shoes"),
        ("__REDACTED__", ""),
        ('"__REDACTED__"', ""),
        ("", ""),
    ],
)
def test_the_arguments_of_a_call_come_as_one_json_text(text: str, arguments: str) -> None:
    assert content.arguments(text) == arguments


MESSAGE = {"lc": 1, "id": ["langchain", "schema", "messages", "ToolMessage"], "kwargs": {}}


@pytest.mark.parametrize(
    ("sent", "result"),
    [
        ({"content": "open", "tool_call_id": "c-1", "status": "success"}, ("open", False)),
        ({"content": "no such order", "tool_call_id": "c-1", "status": "error"}, ("no such order", True)),
        (MESSAGE | {"kwargs": {"content": "open", "tool_call_id": "c-1"}}, ("open", False)),
        ({"toolResult": {"content": [{"text": "open"}], "toolUseId": "c-1", "status": "error"}}, ("open", True)),
        ({"content": [{"type": "text", "text": "down"}], "isError": True}, ("down", True)),
        ({"content": [{"type": "text", "text": "open"}], "is_error": False}, ("open", False)),
        ([{"type": "text", "text": "open"}], ("open", False)),
        ({"status": "error", "order": 1}, ('{"status": "error", "order": 1}', False)),
        ([1, 2], ("[1, 2]", False)),
    ],
)
def test_a_result_comes_out_of_its_envelope_with_what_it_says_of_itself(sent: object, result: tuple[str, bool]) -> None:
    assert content.result(json.dumps(sent)) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("open", ("open", False)),
        ("__REDACTED__", ("", False)),
        ("{'status': 'open'}", ('{"status":"open"}', False)),
        ('"open"', ("open", False)),
        ('{"content": "open", "tool_call_id": "c-', ('{"content": "open", "tool_call_id": "c-', False)),
        ("", ("", False)),
    ],
)
def test_a_result_without_an_envelope_stays_what_it_is(text: str, result: tuple[str, bool]) -> None:
    assert content.result(text) == result


CALLBACK = {
    "input_str": "{'order': 'A1'}",
    "tags": ["prod"],
    "metadata": {"step": 2},
    "inputs": None,
    "kwargs": {"name": None},
}


@pytest.mark.parametrize(
    ("sent", "arguments"),
    [
        (CALLBACK | {"inputs": {"order": "A1"}}, '{"order":"A1"}'),
        (CALLBACK, '{"order":"A1"}'),
        (CALLBACK | {"input_str": "A1"}, "A1"),
        (CALLBACK | {"input_str": "__REDACTED__"}, ""),
        (CALLBACK | {"tags": None, "metadata": None}, '{"order":"A1"}'),
        ({key: CALLBACK[key] for key in ("input_str", "tags", "metadata")}, '{"order":"A1"}'),
        ({"kwargs": {"order": "A1"}}, '{"order":"A1"}'),
    ],
)
def test_arguments_come_out_of_what_a_framework_sends_beside_them(sent: object, arguments: str) -> None:
    assert content.arguments(json.dumps(sent)) == arguments


@pytest.mark.parametrize(
    "sent",
    [
        CALLBACK | {"order": "A1"},
        CALLBACK | {"tags": "prod"},
        {"input_str": "A1"},
        {"input_str": "A1", "tags": []},
        {"kwargs": {"order": "A1"}, "order": "A2"},
        {"kwargs": "none"},
    ],
)
def test_arguments_that_only_look_like_an_envelope_stay_as_sent(sent: object) -> None:
    assert content.arguments(json.dumps(sent)) == json.dumps(sent)


MESSAGE = {"content": "open", "type": "tool", "tool_call_id": "c-1", "status": "success"}


@pytest.mark.parametrize(
    ("sent", "result"),
    [
        ({"output": MESSAGE, "kwargs": {"tags": []}}, ("open", False)),
        ({"output": {"lc": 1, "id": ["ToolMessage"], "kwargs": MESSAGE}, "kwargs": {}}, ("open", False)),
        ({"output": MESSAGE | {"status": "error"}}, ("open", True)),
        ({"output": "open", "kwargs": {"name": "get"}}, ("open", False)),
        ({"output": {"status": "open"}, "kwargs": {}}, ('{"status":"open"}', False)),
        (
            {"blocks": [], "tool_name": "get", "raw_output": {"status": "open"}, "is_error": False},
            ('{"status":"open"}', False),
        ),
        ({"blocks": [], "tool_name": "get", "raw_output": "gone", "is_error": True}, ("gone", True)),
    ],
)
def test_a_result_comes_out_of_what_a_callback_or_a_framework_sends_around_it(
    sent: object, result: tuple[str, bool]
) -> None:
    assert content.result(json.dumps(sent)) == result


@pytest.mark.parametrize("sent", [{"output": "open"}, {"output": {"status": "open"}}, {"output": MESSAGE, "exit": 0}])
def test_a_result_that_only_looks_like_an_envelope_stays_as_sent(sent: object) -> None:
    assert content.result(json.dumps(sent)) == (json.dumps(sent), False)


@pytest.mark.parametrize(
    "answer",
    [
        [{"role": "assistant", "parts": [{"type": "tool_call", "id": "c-1", "name": "search", "arguments": {}}]}],
        [{"role": "assistant", "tool_calls": [{"id": "c-1", "type": "function", "function": {"name": "search"}}]}],
        {"content": [{"type": "tool_use", "id": "c-1", "name": "search", "input": {}}]},
        [{"type": "function_call", "call_id": "c-1", "id": "fc-9", "name": "search", "arguments": "{}"}],
        [{"toolCallId": "c-1", "toolName": "search", "input": "{}"}],
        [{"toolUse": {"toolUseId": "c-1", "name": "search", "input": {}}}],
        {"parts": [{"function_call": {"id": "c-1", "name": "search", "args": {}}}]},
        [{"block_type": "tool_call", "tool_call_id": "c-1", "tool_name": "search"}],
        {"messages": [json.dumps({"tool_calls": [{"id": "c-1", "function": {"name": "search"}}]})]},
    ],
)
def test_the_tool_calls_of_an_answer_are_found_however_they_are_written(answer: object) -> None:
    assert content.asked(json.dumps(answer)) == [("c-1", "search")]
    assert content.asked(repr(answer)) == [("c-1", "search")]


def test_calls_that_are_repeated_in_an_answer_are_counted_by_their_ids() -> None:
    call = {"id": "c-1", "function": {"name": "search"}}
    answer = {
        "message": {"tool_calls": [call]},
        "raw": {"tool_calls": [call, {"id": "c-2", "function": {"name": "get"}}]},
    }
    assert content.asked(json.dumps(answer)) == [("c-1", "search"), ("c-2", "get")]


@pytest.mark.parametrize("text", ["", "Done.", '{"content": "Done."}', '{"tool_calls": []}', '{"tool_calls": [{"id'])
def test_an_answer_without_calls_asks_for_none(text: str) -> None:
    assert content.asked(text) == []


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"usage": {"input": 5}}, "usage.input", 5),
        ({"usage.input": 5}, "usage.input", 5),
        ('{"usage": {"input": 5}}', "usage.input", 5),
        ([{"reason": "stop"}], "0.reason", "stop"),
        ({"usage": {"input": 5}}, "usage.output", None),
        ({"usage": 5}, "usage.input", None),
        ([1], "7", None),
        ("Usage(total=3, model='x', cached=None)", "total", 3),
        ("Usage(total=3, model='x', cached=None)", "model", "x"),
        ("Call(kwargs={'order': 'A1'})", "kwargs", {"order": "A1"}),
        ("Usage(subtotal=3)", "total", None),
        ("Usage(total=", "total", None),
        (None, "a", None),
    ],
)
def test_a_path_leads_into_json_and_into_pythons_notation(value: object, path: str, found: object) -> None:
    assert content.at(value, path) == found


def test_the_id_of_an_answer_is_found_in_it_and_that_of_the_answer_itself_is_preferred() -> None:
    assert content.response_id('{"output": [{"id": "msg_0001"}], "id": "resp_0001"}') == "resp_0001"
    assert content.response_id('{"id": "chatcmpl-0001"}') == "chatcmpl-0001"
    assert content.response_id('{"id": "something else"}') == ""


WORDS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        '"',
        "'",
        ":",
        ",",
        "\\",
        " ",
        "0",
        "1e999",
        "None",
        "kwargs",
        "args",
        "tool_calls",
        '"id"',
        '"function"',
        '"tool_call_id"',
        '"isError"',
        "content",
        "x=",
        "\ud800",
        "\x00",
        "ä",
    ]
)
TEXTS = st.text() | st.lists(WORDS, max_size=40).map("".join)


@given(text=TEXTS, path=st.text(max_size=8))
@example(text="[" * 100_000, path="a")
@example(text="(" * 60_000, path="a")
@example(text="{'a':" * 20_000, path="a")
@example(text="[" + "-" * 60_000 + "1]", path="a")
@example(text='"' + "\\" * 9, path="a")
@example(text="[" + "9" * 60_000 + "]", path="a")
@example(text='{"tool_calls": ' + "[" * 5_000 + "]" * 5_000 + "}", path="a")
def test_no_text_whatever_makes_reading_fail(text: str, path: str) -> None:
    content.structure(text)
    content.form(text)
    content.asked(text)
    content.response_id(text)
    content.at(text, path)
    content.arguments(text)
    shown, _ = content.result(text)
    assert isinstance(shown, str)


def calls_while(text: str) -> int:
    """How many Python functions are entered and left while a text is looked through for calls: a measure that no clock disturbs."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        content.asked(text)
    finally:
        sys.setprofile(before)
    return seen


@pytest.mark.parametrize(
    "shape",
    [
        lambda size: json.dumps({"tool_calls": [0] * size}),
        lambda size: json.dumps({"tool_calls": [{"a": {"b": number}} for number in range(size)]}),
        lambda size: json.dumps({"tool_calls": [json.dumps({"tool_calls": [number]}) for number in range(size)]}),
        lambda size: "[" * size + '"tool_call"' + "]" * size,
    ],
)
def test_the_search_for_calls_grows_with_the_text_at_most_and_ends_at_a_limit(shape: object) -> None:
    assert callable(shape)
    small, double, huge = (calls_while(str(shape(size))) for size in (500, 1000, 50_000))
    assert double <= 2.5 * small + 50
    assert huge <= 20 * content.NODES

"""What the invalid output detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import json

import msgspec
import pytest
from detected import detected, seen, steps
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.detector import Surroundings
from watchpost.detect.invalid_output import KIND, InvalidOutputDetector, InvalidOutputSettings, broken
from watchpost.model.flag import Finding
from watchpost.model.step import TEXT_KEPT

JSON_OBJECTS = st.dictionaries(
    st.text(min_size=1),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9),
    min_size=1,
)


def answered(text: str, workflow: str = "", **settings: object) -> list[Finding]:
    (call,) = steps('step 1 llm says "x" asks 0 model m1')
    chosen = msgspec.convert(settings, InvalidOutputSettings)
    return seen(
        InvalidOutputDetector(chosen, Surroundings(workflow=workflow)), msgspec.structs.replace(call, result=text)
    )


@given(JSON_OBJECTS, st.sampled_from([None, 2]), st.booleans())
def test_json_is_never_broken_however_it_is_written(value: dict[str, object], indent: int | None, plain: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=not plain)
    assert broken(text) == ""
    assert broken(f"```json\n{text}\n```") == ""
    assert answered(text, "w", json=["w"]) == []


@given(JSON_OBJECTS, st.data())
def test_json_that_was_cut_is_not_broken(value: dict[str, object], data: st.DataObject) -> None:
    text = json.dumps(value)
    assert broken(text[: data.draw(st.integers(0, len(text)))]) == ""


@given(st.text())
def test_no_text_is_too_much_for_it(text: str) -> None:
    for each in (text, "{" + text, '{"a": ' + text, "[" * 3000 + text, "```json\n" + text):
        assert isinstance(broken(each), str)


@pytest.mark.parametrize(
    "text",
    [
        '{"number": "R-17" "total": 120.5, "currency": "EUR"}',
        '{"number" "R-17", "total": 120.5, "currency": "EUR"}',
        '{"number": "R-17", "total": 120,50 EUR, "currency": "EUR"}',
        '{"said": "he said "no" to it", "then": "he left the house"}',
        '{"number": R-17, "total": 120.5, "currency": "EUR"}',
        '[{"number": "R-17"; "total": 120.5}, {"number": "R-18"}]',
        '{"number": "R-17", "total": 120.5, // the sum\n"currency": "EUR"}',
    ],
)
def test_what_begins_as_json_and_is_none_is_broken_with_the_place_named(text: str) -> None:
    (found,) = answered(text)
    assert (found.kind, found.subject, found.severity) == (KIND, "m1", "error")
    assert "at character" in str(found.evidence["fault"])
    assert found.evidence["begins"] == text
    assert answered(f"```json\n{text}\n```")


def test_an_answer_that_must_be_json_is_looked_at_whole() -> None:
    for text in ('{"total": 1', "The total is 1.", '{"total": 1} as you asked', "```json\n{'total': 1}\n```", " "):
        assert answered(text) == []
        (found,) = answered(text, "invoice-reader", json=["invoice-*"])
        assert found.evidence["reason"] == "answer"
        assert answered(text, "support", json=["invoice-*"]) == []


def test_an_answer_longer_than_what_is_kept_is_not_judged() -> None:
    text = '{"a": "b" "c": "' + "x" * TEXT_KEPT
    assert broken(text[:TEXT_KEPT]) == ""
    assert answered(text[:TEXT_KEPT], "w", json=["w"]) == []


def test_output_that_a_framework_refused_is_reported_as_such() -> None:
    (found,) = detected("step 1 llm model m1 type output_validation_failed failed", KIND)
    assert (found.subject, found.evidence["reason"]) == ("m1", "reported")


def test_a_tool_that_there_is_not_is_no_invalid_output() -> None:
    line = 'tool get {} -> error "Unknown tool: get" type llm_invalid_tool_call'
    assert detected(f"step 1-3 {line}", KIND) == []


def test_refused_arguments_can_count_from_the_first_or_never() -> None:
    line = 'tool get {"n": $step} -> error "ValidationError: n" type llm_invalid_tool_call'
    assert len(detected(f"set invalid_output.refused 1\nstep 1-3 {line}", KIND)) == 1
    assert detected(f"set invalid_output.refused 0\nstep 1-3 {line}", KIND) == []
    with pytest.raises(ValueError, match="refused"):
        InvalidOutputSettings(refused=-1)

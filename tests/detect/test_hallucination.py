"""Which ids a model makes up, and which only look as if it did."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.detect.detector import Surroundings
from watchpost.detect.hallucination import MOST_FINDINGS, HallucinationDetector, HallucinationSettings
from watchpost.model.flag import Finding
from watchpost.model.knowledge import IdFormat, Knowledge, Lesson
from watchpost.model.step import TEXT_KEPT, Step, StepKind, Tokens
from watchpost_core.mentions import MOST, mentions

DEFAULT = HallucinationSettings()
NOTHING_KNOWN = Surroundings()


def step(kind: StepKind, result: str = "", *, tool: str = "", arguments: object = "", given: str | None = None) -> Step:
    """`given` is the input of a model call, None where that was not reported."""
    told = arguments if isinstance(arguments, str) else json.dumps(arguments)
    made = Step(b"t" * 16, b"s" * 8, b"", 1, 2, kind, tool or kind, "", "", tool, "ok", "", Tokens(), None)
    return msgspec.structs.replace(
        made, arguments=told, result=result, mentioned=mentions(given or ""), informed=given is not None
    )


def human(words: str) -> Step:
    return step("human", words)


def call(tool: str, result: object = "", **arguments: object) -> Step:
    return step("tool", result if isinstance(result, str) else json.dumps(result), tool=tool, arguments=arguments)


def says(words: str, given: str | None = None) -> Step:
    return step("llm", words, given=given)


def found(
    *steps: Step, settings: HallucinationSettings = DEFAULT, known: Surroundings = NOTHING_KNOWN
) -> list[tuple[int, Finding]]:
    """What is found, with the number of its step, from 1."""
    detector = HallucinationDetector(settings, known)
    seen = enumerate(steps, start=1)
    return [(number, each) for number, one in seen if one.kind in detector.kinds for each in detector.see(number, one)]


def flagged(
    *steps: Step, settings: HallucinationSettings = DEFAULT, known: Surroundings = NOTHING_KNOWN
) -> list[tuple[int, str]]:
    return [(number, str(each.evidence["value"])) for number, each in found(*steps, settings=settings, known=known)]


ORDERS = {"orders": [{"order_id": "ORD-4711"}, {"order_id": "ORD-4712"}]}
ASKED = human("Where is my latest order?")
LISTED = call("list_orders", ORDERS)


def test_an_id_that_nothing_told_is_flagged_where_a_tool_is_called_with_it() -> None:
    ((number, finding),) = found(ASKED, LISTED, call("get_order", "not found", order_id="ORD-4721"))
    assert number == 3
    assert finding.kind == "ENTITY_HALLUCINATION"
    assert (finding.subject, finding.severity, finding.refutable) == ("ORD-4721", "high", True)
    assert finding.evidence == {
        "reason": "unknown_id_in_call",
        "tool": "get_order",
        "argument": "order_id",
        "value": "ORD-4721",
        "format": r"ORD\-\d{4}",
        "format_from": "session",
        "format_name": "",
        "expected_from": ["list_orders order_id"],
        "nearest": "ORD-4711",
        "known": ["ORD-4711", "ORD-4712"],
        "entities": ["ORD-4721"],
    }


def test_an_id_that_nothing_told_is_flagged_where_the_model_says_it() -> None:
    ((number, finding),) = found(ASKED, LISTED, says("I have cancelled order ORD-9913 for you."))
    assert (number, finding.severity, finding.evidence["reason"]) == (3, "warning", "unknown_id_in_words")
    assert (finding.evidence["tool"], finding.evidence["argument"]) == ("", "")


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("order ORD-4711", "ORD-4711"),
        ("order ord-4711", "ORD-4711"),
        ("order 4711, please", "ORD-4711"),
        ("order #4711", "ORD-004711"),
        ("order ORD-4711", "4711"),
        ("order 9583042", "#W9583042"),
        ("see https://shop.example/o/ORD-4711?x=1", "ORD-4711"),
        ("see /exports/ORD-4711.pdf", "ORD-4711"),
        ("`ORD-4711`, 'ORD-4712'", "'ORD-4712'"),
        ("the user is Mia Kim 4397", "mia_kim_4397"),
        ("account 550E8400-E29B-41D4-A716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("repository ada/shop-12 and ada/tea-7", "ada/shop-12"),
        ("shelf 7, box 13", "13"),
    ],
)
def test_an_id_that_was_told_is_known_however_it_is_written(told: str, value: str) -> None:
    use = call("get_order", order_id=value)
    assert flagged(human(told), use) == []
    assert flagged(says("", given=json.dumps([{"role": "user", "content": f"Hello,\n{told}"}])), use) == []
    assert flagged(ASKED, call("search", {"found": told}), use) == []
    assert flagged(ASKED, step("retrieval", told, tool="search"), use) == []
    assert flagged(ASKED, step("state", told), use) == []
    assert flagged(ASKED, use) != []


@pytest.mark.parametrize(
    "arguments",
    [
        {"order_id": "ORD-9913"},
        {"orderId": "ORD-9913"},
        {"order_ids": ["ORD-4711", "ORD-9913"]},
        {"lines": [{"order": {"id": "ORD-9913"}}]},
        {"sku": "TEA-9913"},
        {"user_id": "sara_doe_496"},
        {"item_id": 1096508426},
        {"file_id": "57"},
        {"order_id": "112-3456789-1234567"},
        {"product_id": "P023"},
        {"account_id": "550e8400-e29b-41d4-a716-446655440000"},
    ],
)
def test_every_field_named_as_an_id_is_looked_at(arguments: object) -> None:
    assert len(found(ASKED, LISTED, step("tool", tool="get", arguments=arguments))) == 1
    assert len(found(ASKED, LISTED, step("handoff", tool="to_orders", arguments=arguments))) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"date_id": "2024-05-19"},
        {"valid_id": True},
        {"parent_id": None},
        {"kind_id": "economy"},
        {"page_id": "https://shop.example/p/9913"},
        {"file_id": "report_2024.pdf"},
        {"user_id": "ada@example.com"},
        {"order_id": "[insert the id here]"},
        {"page_id": 1},
        {"query": "ORD-9913"},
        {"request_id": "8f14e45f"},
        {"session_id": "s-99131"},
        "{not json 9913",
        '["ORD-9913"]',
    ],
)
def test_what_is_no_id_or_comes_from_the_program_is_left_alone(arguments: object) -> None:
    assert flagged(ASKED, LISTED, step("tool", tool="get", arguments=arguments)) == []


@pytest.mark.parametrize(
    "words",
    [
        "It left on 2024-05-19 at 10:30 and costs $1,499.00, 20-25% less, in 3-5 days.",
        "Call 555-010-9913 about version v2.5.1 or COVID-19.",
        "I saved report_9913.pdf and see https://shop.example/ORD-9913.",
        "```\nget_order('ORD-9913')\n```",
        "An order id looks like ORD-0000 or ORD-1234.",
        "That makes 9913 in all.",
    ],
)
def test_dates_amounts_files_links_code_and_examples_in_words_are_left_alone(words: str) -> None:
    assert flagged(ASKED, LISTED, says(words)) == []


def test_words_are_judged_only_by_formats_that_are_known() -> None:
    words = says("Your claim is CLM-99131.")
    assert flagged(ASKED, LISTED, words) == []
    configured = HallucinationSettings(formats={"claim": r"CLM-\d{5}"})
    ((_, by_setting),) = found(ASKED, words, settings=configured)
    assert (by_setting.evidence["format_from"], by_setting.evidence["format_name"]) == ("configured", "claim")
    lesson = Lesson(
        "default", "id_format", "claim_id", 1, "learnt", IdFormat(r"CLM-\d{5}", ("list_claims claim_id",)), 0
    )
    ((_, by_lesson),) = found(ASKED, words, known=Surroundings(knowledge=Knowledge(1, [lesson])))
    assert (by_lesson.evidence["format_from"], by_lesson.evidence["expected_from"]) == (
        "learnt",
        ["list_claims claim_id"],
    )


def test_what_the_model_said_or_passed_to_a_tool_makes_no_id_known() -> None:
    assert flagged(
        ASKED,
        LISTED,
        call("search", "nothing", query="ORD-9913"),
        says("I look for it."),
        call("get_order", order_id="ORD-9913"),
    ) == [(4 + 1, "ORD-9913")]


def test_an_id_is_flagged_once_in_words_and_once_in_a_call() -> None:
    said, used = says("I look at ORD-9913."), call("get_order", "not found", order_id="ORD-9913")
    assert flagged(ASKED, LISTED, said, said, used, used, said) == [(3, "ORD-9913"), (5, "ORD-9913")]
    later = says("", given="assistant: I look at ORD-9913.")
    assert flagged(ASKED, LISTED, said, later, used) == [(3, "ORD-9913"), (5, "ORD-9913")]
    assert flagged(ASKED, LISTED, said, human("Yes, ORD-9913."), used) == [(3, "ORD-9913")]
    assert flagged(ASKED, LISTED, used, said) == [(3, "ORD-9913")]


def test_nothing_is_flagged_where_nobody_knows_what_the_model_was_told() -> None:
    use = call("get_order", order_id="ORD-9913")
    assert flagged(says("I look."), LISTED, use, says("ORD-9914 is late.")) == []
    assert flagged(says("I look.", given="Where is it?"), use) == [(2, "ORD-9913")]


def test_nothing_is_flagged_once_more_was_told_than_could_be_noted() -> None:
    endless = " ".join(f"thing{number}" for number in range(2 * MOST))
    use = call("get_order", order_id="ORD-9913")
    assert flagged(says("", given=endless), use) == []
    assert flagged(ASKED, msgspec.structs.replace(LISTED, mentioned=mentions(endless)), use) == []


def test_an_id_in_what_is_cut_off_a_long_result_is_known() -> None:
    cut = msgspec.structs.replace(LISTED, result="x" * TEXT_KEPT, mentioned=mentions("and ORD-9913"))
    assert flagged(ASKED, cut, call("get_order", order_id="ORD-9913")) == []


def test_an_id_told_long_ago_is_known() -> None:
    between = [call("think", f"thought {number}") for number in range(100)]
    assert flagged(human("About ORD-9913."), *between, call("get_order", order_id="ORD-9913")) == []


def test_the_first_part_of_an_address_that_was_hidden_is_no_made_up_id() -> None:
    use = call("get_user", user_id="mia_kim_4397")
    assert flagged(ASKED, human("I am [email:7f3a91c2]."), use, says("mia_kim_4397 it is."), use) == []
    assert flagged(ASKED, human("I am [email:7f3a91c2]."), human("Well?"), use) == [(4, "mia_kim_4397")]
    assert flagged(ASKED, human("I am [email:7f3a91c2]."), call("get", order_id="ORD-9913")) == [(3, "ORD-9913")]


def test_ids_that_a_tool_is_to_create_are_the_callers_to_choose() -> None:
    create = call("create_order", order_id="ORD-9913", customer_id="C-4711")
    assert flagged(ASKED, create) == [(2, "C-4711")]
    assert flagged(ASKED, call("createTicket", id="T-9913")) == []
    assert flagged(ASKED, call("open_ticket", id="T-9913")) == [(2, "T-9913")]
    assert flagged(ASKED, call("open_ticket", id="T-9913"), settings=HallucinationSettings(creates=("open_*",))) == []


def test_a_number_of_one_digit_is_judged_only_where_tools_have_shown_numbers_of_its_kind() -> None:
    use = call("open_event", event_id=8)
    assert flagged(ASKED, use) == []
    assert flagged(ASKED, call("list_events", [{"event_id": 3}, {"event_id": 4}]), use) == [(3, "8")]
    assert flagged(ASKED, call("list_events", [{"event_id": 3}, {"event_id": 8}]), use) == []
    assert flagged(ASKED, use, settings=HallucinationSettings(shortest_number=1)) == [(2, "8")]
    assert flagged(ASKED, call("open", event_id=813), settings=HallucinationSettings(shortest_number=4)) == []


@pytest.mark.parametrize(
    "result", ["{'order_id': 'ORD-4711'}", "order_id: ORD-4711\nstate: late", '[{"order_id":"ORD-4711"}]']
)
def test_ids_are_read_from_results_of_any_form(result: str) -> None:
    ((_, finding),) = found(ASKED, call("get", result), says("ORD-9913 is late."))
    assert finding.evidence["expected_from"] == ["get order_id"]


def test_what_is_looked_at_can_be_switched_off() -> None:
    said, used = says("ORD-9913 is late."), call("get_ticket", ticket_id="T-9913")
    assert flagged(ASKED, LISTED, said, used) == [(3, "ORD-9913"), (4, "T-9913")]
    assert flagged(ASKED, LISTED, said, used, settings=HallucinationSettings(words=False)) == [(4, "T-9913")]
    assert flagged(ASKED, LISTED, said, used, settings=HallucinationSettings(look=False)) == [(3, "ORD-9913")]
    ignored = HallucinationSettings(ignored_fields=("ticket_id",))
    assert flagged(ASKED, LISTED, said, used, settings=ignored) == [(3, "ORD-9913")]


def test_one_step_gives_a_bounded_number_of_findings() -> None:
    use = call("get_orders", order_ids=[f"ORD-{number}" for number in range(5000, 5100)])
    assert len(found(ASKED, use)) == MOST_FINDINGS


@pytest.mark.parametrize("pattern", ["ORD-(", "x*", "(?=x)x"])
def test_a_format_that_cannot_be_used_is_refused_by_its_name(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"formats\.order"):
        HallucinationSettings(formats={"order": pattern})


def test_a_number_has_a_digit() -> None:
    with pytest.raises(ValueError, match="shortest_number"):
        HallucinationSettings(shortest_number=0)


IDS = st.sampled_from(["ORD-4711", "ORD-4712", "4711", "P023", "P024", "13", "mia_kim_4397", "W9583042"])
STEPS = st.one_of(
    st.builds(human, IDS),
    st.builds(lambda each: call("list", {"order_id": each}), IDS),
    st.builds(lambda each, other: call("get", other, order_id=each), IDS, IDS),
    st.builds(says, IDS, st.one_of(st.none(), IDS)),
    st.builds(lambda each: human(f"[email:7f3a91c2] {each}"), IDS),
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=20), st.lists(STEPS, max_size=8), st.data())
def test_taking_steps_back_leaves_what_was_told_and_flagged_as_it_was(
    steps: list[Step], others: list[Step], data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, len(steps)))
    detector = HallucinationDetector(DEFAULT, NOTHING_KNOWN)
    for number, each in enumerate(steps, start=1):
        detector.see(number, each)
    detector.rewind(kept + 1)
    again = [(number, each) for number, one in enumerate(others, start=kept + 1) for each in detector.see(number, one)]
    assert again == [(number, each) for number, each in found(*steps[:kept], *others) if number > kept]


@settings(deadline=None)
@given(st.lists(STEPS, max_size=20), IDS)
def test_what_a_person_says_first_is_never_flagged(steps: list[Step], told: str) -> None:
    assert told not in [value for _, value in flagged(human(told), *steps)]

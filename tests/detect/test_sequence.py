"""Sequences: what they find is what a slow search finds; what cannot be read is refused where it is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequence_oracle import fired

from watchpost.detect.catalogue import DetectorSettingsError
from watchpost.detect.detector import Make, Surroundings
from watchpost.detect.own_sequences import own_sequence, sequence_makes
from watchpost.detect.run import DetectorRun
from watchpost.detect.scenario import parse as parse_scenario
from watchpost.detect.scenario_step import read_step
from watchpost.detect.sequence import MOST_AWAITED, MOST_OPEN, MOST_REMEMBERED, SequenceDetector
from watchpost.detect.sequence_pattern import OwnSequence, explain
from watchpost.detect.sequence_text import SequenceError, parse
from watchpost.model.flag import Finding
from watchpost.model.step import Step

HERE = Surroundings()


def run_of(pattern: str, *, by_workflow: bool = False) -> DetectorRun:
    own = OwnSequence("OWN", "warning", "it happened", parse(pattern))
    return DetectorRun([Make(lambda _: SequenceDetector(own), by_workflow)], HERE)


def session(lines: Sequence[str]) -> list[Step]:
    steps: list[Step] = []
    for number, line in enumerate(lines, start=1):
        steps.append(read_step(line, number, steps[-1] if steps else None))
    return steps


def findings(pattern: str, *lines: str) -> list[tuple[int, Finding]]:
    run = run_of(pattern)
    run.update(session(lines), 0, HERE)
    return list(run.findings)


def places(pattern: str, *lines: str) -> list[int]:
    return [place for place, _ in findings(pattern, *lines)]


STEPS = (
    "tool a",
    "tool b",
    "tool c",
    "tool a|b",
    "tool a failed",
    "llm",
    'tool says "yes"',
    "step by one",
    "tool b ok",
)
FREE = ("(x = 1)", "(x != 1)", "(x)", "", "")


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Sequences of up to three stages with everything that may stand in them."""
    bound: list[str] = []
    text = ""
    for stage in range(draw(st.integers(1, 3))):
        times = draw(st.sampled_from((1, 1, 1, 2, 3)))
        earlier = list(bound)
        text += " then " if stage else ""
        text += f"{times} times " if times > 1 else ""
        text += draw(st.sampled_from(STEPS)) + " "
        kind = draw(st.integers(0, 4))
        if kind == 0 and len(bound) < 2:
            bound.append(f"v{len(bound)}")
            text += f"(x as {bound[-1]})"
        elif kind == 1 and bound:
            text += f"(x {draw(st.sampled_from(('=', '!=')))} {draw(st.sampled_from(bound))})"
        else:
            text += draw(st.sampled_from(FREE))
        if stage or times > 1:
            if draw(st.booleans()):
                text += f" without {draw(absent(earlier if stage else bound))} between"
            if draw(st.booleans()):
                text += draw(st.sampled_from((" within 2 steps", " within 3 steps", " within 5s")))
        if draw(st.integers(0, 3)) == 0:
            text += f" without {draw(absent(bound, equal=True))} before"
    if draw(st.integers(0, 2)) == 0:
        text += f" at the end without {draw(absent(bound))}"
    return text


@st.composite
def absent(draw: st.DrawFn, bound: list[str], *, equal: bool = False) -> str:
    """A step that must not come."""
    text = draw(st.sampled_from(("tool c", "tool a", "tool d", "llm")))
    if draw(st.booleans()) and bound:
        text += f" (x {'=' if equal else draw(st.sampled_from(('=', '!=')))} {draw(st.sampled_from(bound))})"
    return text


LINES = tuple(
    f"{step}{how}"
    for step in ("tool a", "tool a", "tool b", "tool b", "tool c", "tool d")
    for how in (' {"x": 1}', ' {"x": "1"} -> "Yes."', ' {"x": 2}', ' {"x": 2} failed by one', "", ' {"x": 3} after 5s')
)
sessions = st.lists(st.sampled_from((*LINES, "llm", 'llm says "yes" by one')), max_size=9)


@settings(deadline=None, max_examples=600)
@given(pattern=patterns(), lines=sessions)
def test_what_a_sequence_finds_is_what_a_slow_search_finds(pattern: str, lines: list[str]) -> None:
    assert places(pattern, *lines) == fired(parse(pattern), session(lines))


@settings(deadline=None, max_examples=300)
@given(pattern=patterns(), lines=sessions, more=sessions, data=st.data())
def test_a_session_that_changes_behind_its_head_is_found_as_it_is_in_the_end(
    pattern: str, lines: list[str], more: list[str], data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, len(lines)), label="kept")
    run = run_of(pattern, by_workflow=data.draw(st.booleans(), label="by_workflow"))
    run.update(session(lines), 0, HERE)
    before = list(run.findings)
    steady = run.update(session([*lines[:kept], *more]), kept, HERE)
    assert [place for place, _ in run.findings] == places(pattern, *lines[:kept], *more)
    assert list(run.findings)[:steady] == before[:steady]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            (*STEPS, *FREE, "then", "without", "between", "before", "within", "3 times", "(", "at the end", '"', "x")
        ),
        max_size=9,
    ).map(" ".join)
    | st.text(max_size=40)
)
def test_any_text_is_a_sequence_that_can_be_explained_or_an_error_with_its_place(text: str) -> None:
    try:
        sequence = parse(text)
    except SequenceError as error:
        assert str(error).startswith("line ")  # noqa: PT017  # both ends are well
        return
    assert explain(sequence).endswith(".")


@pytest.mark.parametrize(
    ("pattern", "english"),
    [
        (
            "tool charge_card then tool ship_order within 10 steps without tool check_fraud between",
            "a call of charge_card, then a call of ship_order within 10 steps with no call of check_fraud in between.",
        ),
        (
            "tool refund (order_id as order, amount > 100) without tool get_order (order_id = order) before",
            (
                "a call of refund whose order_id is called order and amount is above 100 with no call of get_order "
                "whose order_id is order earlier in the session."
            ),
        ),
        (
            "3 times tool login failed within 30s",
            "3 times a call of login that failed within 30 s.",
        ),
        (
            'tool open_* -> (ticket.id as t) at the end without tool close (id = t) without human says "leave it"',
            (
                "a call of open_* whose result ticket.id is called t, then no call of close whose id is t "
                'and no person\'s words saying "leave it" until the session ends.'
            ),
        ),
    ],
)
def test_a_sequence_is_explained_in_plain_english(pattern: str, english: str) -> None:
    assert explain(parse(pattern)) == english


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("", "line 1, column 1: a step begins with step, llm, tool"),
        ("tool a\nthen tol b", "line 2, column 6: a step begins with .* not 'tol'"),
        ("tool a then", "line 1, column 12: a step begins with .* not the end"),
        ("tool a (", "line 1, column 9: the text ends where a field"),
        ("tool a (x = y)", "line 1, column 13: no step so far has bound 'y'"),
        ("tool a (x as y, z as y)", "line 1, column 22: 'y' is bound already"),
        ('tool a (x as "y")', "line 1, column 14: a value is bound to a name"),
        ('tool a (x > "y")', "line 1, column 13: > compares with a number"),
        ("tool a (x like y)", "line 1, column 16: like takes a text in quotes"),
        ("tool a (.x)", "line 1, column 9: a field is a name"),
        ("tool a (x", "line 1, column 10: here should be ','"),
        ("tool a within 3s", "within counts from the step before"),
        ("tool a without tool b between", "between needs a step before"),
        ("tool a then tool b within soon", "line 1, column 27: within takes a number of steps"),
        ("tool a then tool b without tool c", "stands before or between"),
        ("tool a (x as y) then tool b without tool c (z as w) between", "must be absent binds nothing"),
        (
            "tool a then tool b (x as y) without tool c (x = y) between",
            "'y' is bound only by the step that comes after",
        ),
        ("tool a (x as y) without tool c (x != y) before", "compares one field at most"),
        ("1 times tool a", "line 1, column 1: a step is counted 2 to 100 times"),
        ("tool a at the end", "here should be 'without'"),
        ("tool a at the end without tool b then tool c", "nothing may follow"),
        ("tool a tool b", "line 1, column 8: here should be 'then', not 'tool'"),
        ('tool "a', "line 1, column 6: the text has no closing quote"),
        ('tool "\\x"', "line 1, column 6: the text is not written as JSON writes it"),
        (" then ".join(["tool a"] * 11), "at most 10 stages"),
        ("tool " + "a" * 10_000, "at most 10000 characters"),
    ],
)
def test_a_sequence_that_cannot_be_read_is_refused_where_it_is_wrong(pattern: str, complaint: str) -> None:
    with pytest.raises(SequenceError, match=complaint):
        parse(pattern)


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("(order.id = 7)", True),
        ("(order.id = 8)", False),
        ("(order.lines.sku = 12)", True),
        ('(order.lines.sku != "b")', False),
        ('(order.lines.sku != "c")', True),
        ("(order.total > 99.5)", True),
        ("(order.total < 99.5)", False),
        ("(order.total >= 100)", True),
        ("(order.total <= 99)", False),
        ("(order.note > 1)", False),
        ('(order.note contains "FRAGILE")', True),
        ('(order.note like "fra*glass")', True),
        ('(order.note like "Fra*")', False),
        ("(order.paid = true)", True),
        ("(order.gone)", False),
        ("(order)", True),
        ("(order.lines)", True),
        ("(order.gone != 1)", False),
        ('-> (state = "sent")', True),
        ('-> (state = "lost")', False),
        ('(order.id = 7) -> (state = "lost")', False),
        ("by clerk", True),
        ("by cl* ok", True),
        ("by boss", False),
        ("failed", False),
        ("refused", False),
        ("running", False),
        ("type tool_timeout", False),
        ('says "SENT"', True),
    ],
)
def test_conditions_say_what_they_mean(condition: str, fits: bool) -> None:
    order = '{"id": "7", "total": 100.0, "paid": true, "gone": null, "note": "fragile glass", "lines": [{"sku": "b"}, {"sku": 12}]}'
    line = f'tool send {{"order": {order}}} -> {{"state": "sent"}} by clerk'
    assert bool(places(f"tool send {condition}", line)) is fits


def test_how_a_step_stands_can_be_asked_for() -> None:
    lines = ("tool a running", "tool b refused", "tool c -> error late type tool_timeout")
    found = [places(f"tool {how}", *lines) for how in ("running", "refused", "failed", "type tool_*", "ok")]
    assert found == [[0], [1], [2], [2], [1]]


def test_a_finding_names_the_steps_the_values_and_the_sequence() -> None:
    ((place, found),) = findings(
        "tool read (id as order) then tool write (id != order)", 'tool read {"id": 1}', "llm", 'tool write {"id": 2}'
    )
    assert (place, found.kind, found.severity, found.refutable) == (2, "OWN", "warning", False)
    assert (found.subject, found.summary) == ("order 1", "it happened (order 1)")
    assert found.evidence == {
        "reason": "sequence",
        "tool": "write",
        "value": 2,
        "threshold": 2,
        "window": "session",
        "calls": [
            {"span_id": f"{1:016x}", "tool": "read", "arguments": '{"id": 1}'},
            {"span_id": f"{3:016x}", "tool": "write", "arguments": '{"id": 2}'},
        ],
        "entities": ["1"],
        "sequence": "a call of read whose id is called order, then a call of write whose id is not order.",
    }


def test_a_finding_of_what_is_missing_is_refutable_and_shows_again_when_the_refutation_is_taken_back() -> None:
    steps = session(['tool open {"id": 1}', 'tool close {"id": 1}', 'tool open {"id": 2}'])
    run = run_of("tool open (id as t) at the end without tool close (id = t)")
    standing = []
    for count, unchanged in ((1, 0), (2, 1), (3, 2), (1, 1)):
        run.update(steps[:count], unchanged, HERE)
        standing.append([(place, finding.subject, finding.refutable) for place, finding in run.findings])
    assert standing == [[(0, "t 1", True)], [], [(2, "t 2", True)], [(0, "t 1", True)]]


def test_a_finding_that_stands_again_stands_where_it_stood() -> None:
    steps = session(['tool open {"id": 1}', 'tool open {"id": 2}', 'tool close {"id": 1}', "llm"])
    run = run_of("tool open (id as t) at the end without tool close (id = t)")
    run.update(steps, 0, HERE)
    assert [place for place, _ in run.findings] == [1]
    assert run.update([*steps[:2], steps[3]], 2, HERE) == 0
    assert [place for place, _ in run.findings] == [0, 1]


def test_the_oldest_of_too_many_open_matches_is_dropped() -> None:
    reads = [f'tool read {{"id": {number}}}' for number in range(MOST_OPEN + 1)]
    pattern = "tool read (id as x) then tool write (id = x)"
    assert places(pattern, *reads, 'tool write {"id": 0}') == []
    assert places(pattern, *reads, 'tool write {"id": 1}') == [MOST_OPEN + 1]
    again = [*reads[:MOST_OPEN], reads[0], reads[MOST_OPEN]]
    assert places(pattern, *again, 'tool write {"id": 0}') == [MOST_OPEN + 2]
    assert places(pattern, *again, 'tool write {"id": 1}') == []


def test_while_too_many_wait_for_the_end_no_other_is_reported() -> None:
    opened = [f'tool open {{"id": {number}}}' for number in range(MOST_AWAITED + 5)]
    pattern = "tool open (id as t) at the end without tool close (id = t)"
    assert places(pattern, *opened) == list(range(MOST_AWAITED))
    again = places(pattern, *opened, 'tool close {"id": 3}', 'tool open {"id": "late"}')
    assert again == [*range(3), *range(4, MOST_AWAITED), MOST_AWAITED + 6]


def test_with_too_many_values_remembered_none_counts_as_unseen() -> None:
    own = OwnSequence("OWN", "warning", "", parse("tool write (id as x) without tool read (id = x) before"))
    detector = SequenceDetector(own)
    for number in range(MOST_REMEMBERED - 1):
        detector.see(number, read_step(f'tool read {{"id": {number}}}', number + 1, None))
    new = read_step('tool write {"id": "new"}', 1, None)
    assert detector.see(MOST_REMEMBERED, new)
    detector.see(MOST_REMEMBERED + 1, read_step('tool read {"id": "last"}', 1, None))
    assert not detector.see(MOST_REMEMBERED + 2, new)
    detector.rewind(MOST_REMEMBERED + 1)
    assert detector.see(MOST_REMEMBERED + 1, new)


@pytest.mark.parametrize(
    ("given_sequence", "complaint"),
    [
        ({"name": "lower", "pattern": "tool a"}, "sequences.lower: name must be upper-case"),
        ({"name": "A", "pattern": "tool"}, ""),
        ({"name": "A", "pattern": "tol a"}, "sequences.A: line 1, column 1"),
        ({"name": "A"}, "sequences.A: .*`pattern`"),
        ({"name": "A", "pattern": "tool a", "severity": "loud"}, r"sequences.A: .*severity"),
        ({"name": "A", "pattern": "tool a", "colour": "red"}, "sequences.A: .*colour"),
    ],
)
def test_a_sequence_of_the_settings_is_refused_by_name(given_sequence: dict[str, object], complaint: str) -> None:
    if not complaint:
        assert own_sequence(given_sequence).summary == "a call of any tool."
        return
    with pytest.raises(DetectorSettingsError, match=complaint):
        own_sequence(given_sequence)


def test_two_sequences_of_one_name_are_refused() -> None:
    with pytest.raises(DetectorSettingsError, match=r"sequences.A: there are two"):
        sequence_makes([{"name": "A", "pattern": "tool a"}, {"name": "A", "pattern": "tool b"}])


def test_a_broken_sequence_in_a_scenario_names_its_line_and_its_own() -> None:
    with pytest.raises(Exception, match=r"line 2: sequences\.X: line 2, column 8"):
        parse_scenario("# a comment\nsequence X tool a\n  then tol b\nstep 1 llm\nexpect nothing")

"""What rules count in memory is what is worked out by hand from the same rows, for every measure, in any order and after any replacement."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import SlaLimit, Summary, Totals, session_key
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Dimension, Group, Measure, Question, Sum, value_of
from watchpost.rules.counting import is_countable
from watchpost.rules.memory import Memory
from watchpost.rules.ranks import Ranks
from watchpost.rules.recollection import Recollection
from watchpost.rules.tally import CELL_NS
from watchpost.rules.tape import Tape

sys.path.append(str(Path(__file__).parents[1] / "store"))
from measures_by_hand import (
    Hand,
    Number,
    Row,
    by_group,
    current_flags,
    current_sessions,
    current_steps,
    nearest_rank,
    of_flags,
    of_sessions,
    of_steps,
)

SECOND = 10**9
SLOT = 1_790_000_400
START = SLOT * SECOND
SLOTS = (SLOT, SLOT + 600, SLOT + 1200)
NUMBERS = itertools.count(1)
BY_HAND = {**of_steps(500), **of_flags(), **of_sessions(500)}
COUNTED = sorted(name for name, measure in MEASURES.items() if name in BY_HAND and is_countable(measure, ()))

FEW = st.sampled_from(["", "a", "b"])
COUNT = st.none() | st.sampled_from([0, 1, 2**32 - 1]) | st.integers(0, 5000)
ERRORS = st.sampled_from(
    ["", "llm_api_unreachable", "llm_rate_limited", "tool_timeout", "guardrail_triggered", "llm_infinite_loop"]
)
FLAGS = st.lists(
    st.sampled_from(["REFUSAL", "INVALID_OUTPUT", "LOOP_DETECTED", "PROMPT_INJECTION", "ENTITY_HALLUCINATION"]),
    max_size=3,
)
SCORES = st.none() | st.sampled_from([0.1, 0.2, -4.0, 1e6, 1.1e6, float("inf"), float("nan")])
LABELS = st.sampled_from(["", "Up", "DOWN", "good", "four stars"])
OUTCOMES = ("completed", "tool_error", "bad_output", "timeout", "budget_exceeded", "killed")
KINDS = ("llm", "llm", "tool", "tool", "handoff", "guardrail", "retrieval", "evaluation", "human")


@st.composite
def a_step(draw: st.DrawFn, slot: int) -> LedgerStep:
    number = next(NUMBERS)
    return LedgerStep(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=(slot + draw(st.integers(0, 599))) * SECOND,
        dur_us=draw(COUNT),
        kind=draw(st.sampled_from(KINDS)),
        name="",
        agent=draw(FEW),
        model=draw(FEW),
        tool=draw(FEW),
        status=draw(st.sampled_from(["ok", "error", "running", "unknown"])),
        error_type=draw(ERRORS),
        in_tok=draw(COUNT),
        out_tok=draw(COUNT),
        cost_nano=draw(COUNT),
        flags=tuple(draw(FLAGS)),
        cached_tok=draw(COUNT),
        reasoning_tok=draw(COUNT),
        first_us=draw(COUNT),
        score=draw(SCORES),
        label=draw(LABELS),
    )


@st.composite
def rows(draw: st.DrawFn) -> LedgerRow:
    slot = draw(st.sampled_from(SLOTS))
    steps = draw(st.lists(a_step(slot), min_size=1, max_size=4))
    return LedgerRow(
        draw(st.sampled_from(["p", "q"])),
        slot,
        draw(st.sampled_from(["s-1", "s-2", "s-3"])),
        next(NUMBERS),
        gone=draw(st.integers(0, 4)) == 0,
        workflow=draw(FEW),
        user_id="u",
        outcome=draw(st.sampled_from(["", *OUTCOMES])),
        steps=tuple(sorted(steps, key=lambda step: step.start_ns)),
        feature=draw(FEW),
    )


@st.composite
def summaries(draw: st.DrawFn) -> Summary:
    project, session = draw(st.sampled_from(["p", "q"])), draw(st.sampled_from(["s-1", "s-2", "s-3"]))
    limits: st.SearchStrategy[SlaLimit] = st.sampled_from(["latency", "tokens", "cost"])
    breached = draw(st.lists(limits, unique=True, max_size=2))
    return Summary(
        key=session_key(project, session),
        project=project,
        session_id=session,
        workflow=draw(FEW),
        user_id="u",
        state=draw(st.sampled_from(["ended", "ended", "running", "reopened"])),
        outcome=draw(st.sampled_from(OUTCOMES)),
        revision=next(NUMBERS),
        started_ns=draw(st.sampled_from([0, START, START + 999 * SECOND])),
        ended_ns=START + draw(st.integers(0, 1900)) * SECOND,
        received_ns=START,
        due_ns=0,
        totals=Totals(
            steps=draw(st.integers(0, 9)),
            llm_calls=draw(st.none() | st.integers(0, 9)),
            tool_calls=draw(st.none() | st.integers(0, 9)),
            input_tokens=draw(COUNT),
            output_tokens=draw(COUNT),
            cost_nano=draw(COUNT),
            retries=draw(st.integers(0, 3)),
        ),
        success=draw(st.none() | st.booleans()),
        breaches=tuple(breached),
        within=tuple(limit for limit in ("latency", "tokens") if limit not in breached),
        unchecked=tuple(limit for limit in ("cost",) if limit not in breached),
        moved_to=draw(st.sampled_from(["", "", "elsewhere"])),
    )


Point = tuple[int, int, Number]


def by_hand(
    question: Question, name: str, ledger: Sequence[LedgerRow], sessions: Sequence[Summary]
) -> dict[Group, Point]:
    steps = current_steps(ledger)
    if question.measure.of == "session":
        return points(question, current_sessions(sessions), of_sessions(question.quantile)[name])
    if question.measure.of == "flag":
        return points(question, current_flags(steps), of_flags()[name])
    return points(question, steps, of_steps(question.quantile)[name])


def points(question: Question, found: Sequence[Row], hand: Hand[Row]) -> dict[Group, Point]:
    within = [row for row in found if question.since_ns <= row.at_ns < question.until_ns]
    asked = [row for row in within if all(row.dimension(n) in values for n, values in question.filters)]
    groups = by_group((row for row in asked if hand.takes(row) or hand.untold(row)), question.by)
    answers = {}
    for group, members in groups.items():
        taking = [row for row in members if hand.takes(row)]
        untold = sum(1 for row in members if hand.untold(row))
        answers[group] = len(taking), untold, hand.value(taking) if taking or not untold else None
    return answers


@st.composite
def questions(draw: st.DrawFn, name: str) -> Question:
    measure = MEASURES[name]
    unused = {"project", "step_name", "prompt", "evaluator"}
    usable = [each for each in measure.dimensions if is_countable(measure, [each]) and each not in unused]
    dimensions: st.SearchStrategy[Dimension] = st.sampled_from(usable)
    filtered = draw(st.none() | dimensions)
    values = tuple(draw(st.lists(FEW | st.sampled_from(["error", "LOOP_DETECTED"]), min_size=1, max_size=2)))
    since_ns = START + draw(st.sampled_from([0, 15, 645])) * SECOND
    return Question(
        measure,
        since_ns,
        since_ns + draw(st.sampled_from([15, 600, 1815])) * SECOND,
        filters=((filtered, values),) if filtered else (),
        by=("project", *draw(st.lists(dimensions, max_size=3, unique=True))),
        quantile=draw(st.sampled_from([1, 500, 900, 950, 990, 1000])),
    )


@pytest.mark.parametrize("name", COUNTED)
@settings(max_examples=2, deadline=None, phases=[Phase.generate])  # making a failing example smaller takes minutes
@given(data=st.data(), ledger=st.lists(rows(), max_size=6), sessions=st.lists(summaries(), max_size=6))
def test_a_measure_is_what_is_worked_out_by_hand(
    name: str, data: st.DataObject, ledger: list[LedgerRow], sessions: list[Summary]
) -> None:
    question = data.draw(questions(name))
    told = Recollection()
    told.tell(ledger, sessions)
    cells = told.answer(question).cells
    found = {cell.group: (cell.counted, cell.untold, value_of(question.measure, cell)) for cell in cells}
    assert found == by_hand(question, name, ledger, sessions)


@pytest.mark.parametrize("name", COUNTED)
@settings(max_examples=5, deadline=None, phases=[Phase.generate])  # making a failing example smaller takes minutes
@given(data=st.data(), ledger=st.lists(rows(), max_size=8), sessions=st.lists(summaries(), max_size=8))
def test_windows_that_move_while_rows_are_replaced_come_to_what_is_worked_out_by_hand(
    name: str, data: st.DataObject, ledger: list[LedgerRow], sessions: list[Summary]
) -> None:
    question = data.draw(questions(name))
    tape = Tape(question.measure, question.filters, question.by[1:])
    lengths = sorted({(question.until_ns - question.since_ns) // CELL_NS, 40})
    windows = [tape.window(length) for length in lengths]
    memory = Memory([tape], since_ns=0, most=1000)
    waiting: list[Callable[[], None]] = [
        *[lambda row=row: memory.take_row(row) for row in ledger],
        *[lambda session=session: memory.take_session(session) for session in sessions],
    ]
    end = question.until_ns // CELL_NS
    ends = sorted(data.draw(st.lists(st.integers(end - 20, end - 1), max_size=3, unique=True)))
    for at in [*ends, end]:
        cut = data.draw(st.integers(0, len(waiting)))
        for take in waiting[:cut]:
            take()
        del waiting[:cut]
        memory.move(at * CELL_NS)
    for take in waiting:
        take()
    for length, window in zip(lengths, windows, strict=True):
        over = msgspec.structs.replace(question, since_ns=question.until_ns - length * CELL_NS)
        known = {group: tape.cell(window, group, question.quantile) for group in window.groups}
        found = {
            group: (cell.counted, cell.untold, value_of(question.measure, cell))
            for group, cell in known.items()
            if cell
        }
        assert found == by_hand(over, name, ledger, sessions)


def test_what_the_rest_of_a_session_decides_is_left_to_the_store() -> None:
    measure = MEASURES["completion_rate"]
    assert is_countable(measure, ["workflow"])
    assert not is_countable(measure, ["session_model"])
    assert not is_countable(Measure("m", "llm", "usd", "step", Sum("asking_cost"), ""), ())
    assert not is_countable(MEASURES["watchpost_react_lag_seconds"], ())


@settings(max_examples=200)
@given(
    values=st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 300), min_size=1),
    gone=st.integers(0, 20),
    thousandths=st.integers(1, 1000),
)
def test_a_quantile_is_exact_while_values_come_and_go(values: list[int], gone: int, thousandths: int) -> None:
    ranks = Ranks()
    for value in values:
        ranks.add(value)
    gone = min(gone, len(values) - 1)
    for value in values[:gone]:
        ranks.remove(value)
    assert len(ranks) == len(values) - gone
    assert ranks.quantile(thousandths) / 10**6 == nearest_rank(values[gone:], thousandths)

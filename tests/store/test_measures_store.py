"""Every measure equals what is worked out by hand, over recorded runs and over anything that a ledger can hold, in whatever order it was written."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from measures_by_hand import (
    Hand,
    Number,
    Row,
    by_group,
    current_flags,
    current_sessions,
    current_steps,
    of_flags,
    of_sessions,
    of_steps,
)
from react_recorded import store_recorded

from watchpost.model.session import Summary, Totals, session_key
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import (
    VERSION_DIMENSIONS,
    Dimension,
    Group,
    Measure,
    Question,
    SessionsQuestion,
    value_of,
)
from watchpost.store.contracts import LedgerRow, LedgerStep, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse

sys.path.append(str(Path(__file__).parents[1] / "session"))
from captured import captures, parcels

SECOND = 10**9
SLOT = 1_790_000_400
START = SLOT * SECOND
SLOTS = (SLOT, SLOT + 600, SLOT + 1200)
NUMBERS = itertools.count(1)
EXAMPLES = itertools.count(2 * 10**13)
"""Batch numbers that no two examples share."""

OF_AGENTS = {name: measure for name, measure in MEASURES.items() if measure.of != "sample"}
"""All that is counted over the ledger; samples stand elsewhere, and are worked out in test_samples_store.py."""

Point = tuple[int, int, int, Number]
"""How many sessions, how many rows, how many that do not tell, and the value."""


class Written:
    """What was written for one project, and every question answered from it by hand."""

    def __init__(self, ledger: Iterable[LedgerRow], sessions: Iterable[Summary], quantile: int = 950) -> None:
        self._steps = current_steps(ledger)
        self._flags = current_flags(self._steps)
        self._sessions = current_sessions(sessions)
        self._quantile = quantile

    def points(self, question: Question) -> dict[tuple[Group | None, int | None], Point]:
        name = question.measure.name
        match question.measure.of:
            case "step":
                return _points(question, self._steps, of_steps(self._quantile)[name])
            case "flag":
                return _points(question, self._flags, of_flags()[name])
            case _:
                return _points(question, self._sessions, of_sessions(self._quantile)[name])

    def first_and_last(self) -> tuple[int, int]:
        """When the first and the last step began."""
        times = [seen.step.start_ns for seen in self._steps]
        return min(times), max(times)

    def behind(self, question: Question) -> dict[tuple[str, str], int]:
        name = question.measure.name
        match question.measure.of:
            case "step":
                return _behind(question, self._steps, of_steps(self._quantile)[name])
            case "flag":
                return _behind(question, self._flags, of_flags()[name])
            case _:
                return _behind(question, self._sessions, of_sessions(self._quantile)[name])


def _asked(question: Question, rows: Iterable[Row]) -> list[Row]:
    within = [row for row in rows if question.since_ns <= row.at_ns < question.until_ns]
    return [row for row in within if all(row.dimension(name) in values for name, values in question.filters)]


def _behind(question: Question, rows: Sequence[Row], hand: Hand[Row]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for row in _asked(question, rows):
        if hand.takes(row):
            counts[row.who] = counts.get(row.who, 0) + 1
    return counts


def _points(question: Question, rows: Sequence[Row], hand: Hand[Row]) -> dict[tuple[Group | None, int | None], Point]:
    found = [row for row in _asked(question, rows) if hand.takes(row) or hand.untold(row)]
    groups = by_group(found, question.by)
    names = sorted(groups)
    order = sorted(names, key=lambda group: _place(_come_to(groups[group], hand)))
    told_apart: dict[Group | None, list[Row]] = {group: groups[group] for group in order[: question.top]}
    if rest := [row for group in order[question.top :] for row in groups[group]]:
        told_apart[None] = rest
    points: dict[tuple[Group | None, int | None], Point] = {}
    for group, members in told_apart.items():
        points[group, None] = _come_to(members, hand)
        if question.step_ns:
            steps: dict[int, list[Row]] = {}
            for row in members:
                steps.setdefault((row.at_ns - question.since_ns) // question.step_ns, []).append(row)
            points |= {(group, step): _come_to(held, hand) for step, held in steps.items()}
    return points


def _come_to(rows: list[Row], hand: Hand[Row]) -> Point:
    taking = [row for row in rows if hand.takes(row)]
    untold = sum(1 for row in rows if hand.untold(row))
    value = hand.value(taking) if taking or not untold else None
    return len({row.who for row in taking}), len(taking), untold, value


def _place(point: Point) -> tuple[bool, float]:
    value = point[3]
    return value is None, -(value or 0)


def answered(store: ClickHouse, question: Question) -> dict[tuple[Group | None, int | None], Point]:
    cells = store.measured(question).cells
    return {
        (cell.group, cell.step): (cell.sessions, cell.counted, cell.untold, value_of(question.measure, cell))
        for cell in cells
    }


def a_question(measure: Measure, project: str, **changed: object) -> Question:
    whole = Question(measure, START, START + 1800 * SECOND, filters=(("project", (project,)),))
    return msgspec.structs.replace(whole, **changed)


def a_step(**changed: object) -> LedgerStep:
    number = next(NUMBERS)
    step = LedgerStep(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=START,
        dur_us=1_000_000,
        kind="llm",
        name="chat",
        agent="clerk",
        model="m-1",
        tool="",
        status="ok",
        error_type="",
        in_tok=10,
        out_tok=5,
        cost_nano=1_500_000_000,
    )
    return msgspec.structs.replace(step, **changed)


def a_row(project: str, *steps: LedgerStep, session: str = "s", seq: int = 1, **changed: object) -> LedgerRow:
    row = LedgerRow(
        project,
        SLOT,
        session,
        seq,
        gone=False,
        workflow="refunds",
        user_id="u-1",
        outcome="completed",
        steps=steps,
        service="shop",
        org_id="acme",
        feature="chat",
        release="1.0",
    )
    return msgspec.structs.replace(row, **changed)


def a_session(project: str, session: str = "s", **changed: object) -> Summary:
    summary = Summary(
        key=session_key(project, session),
        project=project,
        session_id=session,
        workflow="refunds",
        user_id="u-1",
        state="ended",
        outcome="completed",
        revision=1,
        started_ns=START,
        ended_ns=START + 90 * SECOND,
        received_ns=START,
        due_ns=0,
        totals=Totals(
            steps=3, llm_calls=2, tool_calls=1, tool_errors=0, input_tokens=20, output_tokens=10, cost_nano=7
        ),
    )
    return msgspec.structs.replace(summary, **changed)


def test_every_measure_is_worked_out_by_hand() -> None:
    assert {*of_steps(500), *of_flags(), *of_sessions(500)} == set(OF_AGENTS)


# --- recorded runs ---

SIDE_BY_SIDE = (
    *("sessions", "workflow_duration_seconds", "cost_per_session_usd", "completion_rate"),
    *("llm_calls", "active_sessions", "tokens", "cache_hit_rate", "llm_call_duration_seconds", "score_mean"),
    *("tool_retry_rate", "tool_cost_usd", "flags", "flagged_session_share"),
)
"""Measures of every kind of formula and of all that is counted, those that need columns worked out among them."""

SOURCES = {
    "langgraph__openinference",
    "openai-agents__native",
    "pydantic-ai__native",
    "pydantic-evals__online-eval+feedback",
    "strands__native",
}


@pytest.fixture(scope="module")
def recorded(embedded_clickhouse: ClickHouse) -> Written:
    """The recordings of some frameworks in one project, with what came of them as it was written."""
    ledger: list[LedgerRow] = []
    sessions: list[Summary] = []

    class Scribe:
        """Passes on what is written, and remembers it."""

        def __getattr__(self, name: str) -> object:
            return getattr(embedded_clickhouse, name)

        def write(self, batch: TelemetryBatch) -> None:
            ledger.extend(batch.ledger)
            sessions.extend(batch.sessions)
            embedded_clickhouse.write(batch)

    for number, capture in enumerate(one for one in captures() if one.source in SOURCES):
        store_recorded(Scribe(), 3 * 10**13 + 10 * number, "recorded", parcels(capture))  # type: ignore[arg-type] # has what a store has
    return Written(ledger, sessions)


RECORDED: tuple[tuple[tuple[Dimension, ...], int, int], ...] = (
    ((), 0, 1000),
    (("workflow", "model"), 0, 1000),
    (("tool", "status", "error_type"), 0, 4),
)


@pytest.mark.parametrize("name", OF_AGENTS)
def test_a_measure_of_recorded_runs_is_what_is_worked_out_by_hand(
    embedded_clickhouse: ClickHouse, recorded: Written, name: str
) -> None:
    measure = MEASURES[name]
    for by, step_ns, top in RECORDED:
        known = tuple(dimension for dimension in by if dimension in measure.dimensions)
        question = a_question(measure, "recorded", since_ns=0, until_ns=2**62, by=known, step_ns=step_ns, top=top)
        assert answered(embedded_clickhouse, question) == recorded.points(question)


def test_measures_asked_for_together_are_what_each_is_by_itself(
    embedded_clickhouse: ClickHouse, recorded: Written
) -> None:
    first, last = recorded.first_and_last()
    step_ns = (last - first) // 7
    questions = [
        a_question(MEASURES[name], "recorded", since_ns=first, until_ns=last + 1, by=by, step_ns=step)
        for by, step, names in (((), step_ns, SIDE_BY_SIDE), ((), 0, SIDE_BY_SIDE[:3]), (("workflow",), 0, ["tokens"]))
        for name in names
    ]
    found = embedded_clickhouse.measured_together(questions)
    assert found == [embedded_clickhouse.measured(question) for question in questions]
    assert len([one for one in found if len(one.cells) > 2]) > 10


# --- anything that a ledger can hold ---

FEW = st.sampled_from(["", "a", "b'\\"])
COUNT = st.none() | st.sampled_from([0, 1, 2**32 - 1]) | st.integers(0, 5000)
ERRORS = st.sampled_from(
    ["", "llm_api_unreachable", "llm_rate_limited", "tool_timeout", "guardrail_triggered", "llm_infinite_loop"]
)
FLAGS = st.lists(
    st.sampled_from(
        [
            *("REFUSAL", "INVALID_OUTPUT", "LOOP_DETECTED", "PROMPT_INJECTION", "ENTITY_HALLUCINATION"),
            *("USER_REPHRASED", "USER_CORRECTED", "ESCALATED", "ABANDONED"),
        ]
    ),
    max_size=3,
)
SCORES = st.none() | st.sampled_from([0.1, 0.2, 0.3, -4.0, 1e6, 1.1e6, 1e300, float("inf"), float("nan")])
LABELS = st.sampled_from(["", "Up", "DOWN", "good", "bad", "four stars", "ticket", "Correction", "escalation"])
KEPT = st.lists(st.sampled_from(["breaches", "within", "unchecked", ""]), min_size=3, max_size=3)
OUTCOMES = ("completed", "tool_error", "bad_output", "timeout", "budget_exceeded", "killed")


@st.composite
def steps_of(draw: st.DrawFn, slot: int) -> tuple[LedgerStep, ...]:
    kinds = st.sampled_from(["llm", "llm", "tool", "tool", "handoff", "guardrail", "retrieval", "evaluation", "human"])
    steps = [
        a_step(
            start_ns=slot * SECOND + draw(st.integers(0, 599)) * SECOND,
            dur_us=draw(COUNT),
            kind=draw(kinds),
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
            evaluator=draw(FEW),
            score=draw(SCORES),
            label=draw(LABELS),
        )
        for _ in range(draw(st.integers(1, 4)))
    ]
    return tuple(sorted(steps, key=lambda step: step.start_ns))


def sla_kept(standing: list[str]) -> dict[str, tuple[str, ...]]:
    """How each limit stands, as a session says it."""
    limits = list(zip(("latency", "tokens", "cost"), standing, strict=True))
    return {name: tuple(limit for limit, how in limits if how == name) for name in ("breaches", "within", "unchecked")}


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[list[LedgerRow], list[Summary]]:
    """Rows of a few sessions over some slots, replaced and gone ones among them, and the index of the sessions, some of them merged away."""
    rows: list[LedgerRow] = []
    sessions: list[Summary] = []
    for session in draw(st.lists(st.sampled_from(["s-1", "s-2", "s-3"]), min_size=1, max_size=3, unique=True)):
        for slot in draw(st.lists(st.sampled_from(SLOTS), min_size=1, max_size=3, unique=True)):
            for seq in range(1, draw(st.integers(1, 2)) + 1):
                gone = draw(st.integers(0, 4)) == 0
                titles = {
                    "workflow": draw(FEW),
                    "feature": draw(FEW),
                    "outcome": draw(st.sampled_from(["", *OUTCOMES])),
                }
                steps = draw(steps_of(slot))
                rows.append(a_row("", *steps, session=session, seq=seq, slot=slot, gone=gone, **titles))
        for revision in range(1, draw(st.integers(1, 2)) + 1):
            totals = Totals(
                steps=draw(st.integers(0, 9)),
                llm_calls=draw(st.none() | st.integers(0, 9)),
                tool_calls=draw(st.none() | st.integers(0, 9)),
                input_tokens=draw(COUNT),
                output_tokens=draw(COUNT),
                cost_nano=draw(COUNT),
                retries=draw(st.integers(0, 3)),
            )
            sessions.append(
                a_session(
                    "",
                    session,
                    revision=revision,
                    workflow=draw(FEW),
                    state=draw(st.sampled_from(["ended", "ended", "running", "reopened"])),
                    outcome=draw(st.sampled_from(OUTCOMES)),
                    success=draw(st.none() | st.booleans()),
                    **draw(KEPT.map(sla_kept)),
                    started_ns=draw(st.sampled_from([0, START, START + 999 * SECOND])),
                    ended_ns=START + draw(st.integers(0, 1900)) * SECOND,
                    totals=totals,
                    moved_to=draw(st.sampled_from(["", "", "elsewhere"])),
                )
            )
    return rows, sessions


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.generate],  # a failing example is told with its question; making it smaller takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(written=ledgers(), data=st.data())
def test_any_ledger_written_in_any_order_comes_to_what_is_worked_out_by_hand(
    telemetry: ClickHouse, written: tuple[list[LedgerRow], list[Summary]], data: st.DataObject
) -> None:
    project = f"any-{next(EXAMPLES)}"
    ledger = [msgspec.structs.replace(row, project=project) for row in written[0]]
    sessions = [
        msgspec.structs.replace(row, project=project, key=session_key(project, row.session_id)) for row in written[1]
    ]
    for _ in range(2):
        rows, index = data.draw(st.permutations(ledger)), data.draw(st.permutations(sessions))
        half = len(rows) // 2
        telemetry.write(TelemetryBatch(next(EXAMPLES), ledger=rows[:half], sessions=index))
        telemetry.write(TelemetryBatch(next(EXAMPLES), ledger=rows[half:]))
    quantile = data.draw(st.sampled_from([1, 500, 900, 950, 990, 1000]))
    hand = Written(ledger, sessions, quantile)
    for name in data.draw(st.lists(st.sampled_from(sorted(OF_AGENTS)), min_size=12, max_size=12, unique=True)):
        measure = MEASURES[name]
        dimensions = st.sampled_from(
            [d for d in measure.dimensions if d not in {"project", "step_name", "prompt", *VERSION_DIMENSIONS}]
        )
        by = tuple(data.draw(st.lists(dimensions, max_size=3, unique=True)))
        filtered = data.draw(st.none() | dimensions)
        filters = ((filtered, tuple(data.draw(st.lists(FEW, min_size=1, max_size=2)))),) if filtered else ()
        since_ns = START + data.draw(st.sampled_from([0, 1, 650])) * SECOND
        question = a_question(
            measure,
            project,
            since_ns=since_ns,
            until_ns=since_ns + data.draw(st.sampled_from([1, 600, 1801])) * SECOND,
            step_ns=data.draw(st.sampled_from([0, 600, 7])) * SECOND,
            by=by,
            filters=(("project", (project,)), *filters),
            quantile=quantile,
            top=data.draw(st.sampled_from([1, 2, 1000])),
        )
        assert answered(telemetry, question) == hand.points(question), question
        behind = telemetry.contributors(SessionsQuestion(question, limit=1000))
        assert [((one.project, one.session_id), one.counted) for one in behind] == sorted(hand.behind(question).items())


# --- what a point says ---


def test_what_nobody_reported_is_told_apart_from_nothing(telemetry: ClickHouse, project: str, number: int) -> None:
    steps = (
        a_step(cost_nano=None),
        a_step(start_ns=START + 700 * SECOND),
        a_step(start_ns=START + 701 * SECOND, cost_nano=None),
    )
    rows = [a_row(project, steps[0]), a_row(project, *steps[1:], slot=SLOT + 600)]
    telemetry.write(TelemetryBatch(number, ledger=rows))
    asked = a_question(MEASURES["cost_usd"], project, step_ns=600 * SECOND)
    assert answered(telemetry, asked) == {
        ((), None): (1, 1, 2, 1_500_000_000),
        ((), 0): (0, 0, 1, None),
        ((), 1): (1, 1, 1, 1_500_000_000),
    }


def test_a_session_over_several_slots_counts_once(telemetry: ClickHouse, project: str, number: int) -> None:
    later = [a_row(project, a_step(start_ns=slot * SECOND), slot=slot) for slot in SLOTS]
    telemetry.write(TelemetryBatch(number, ledger=later))
    asked = a_question(MEASURES["active_sessions"], project, step_ns=900 * SECOND)
    assert answered(telemetry, asked) == {((), None): (1, 3, 0, 1), ((), 0): (1, 2, 0, 1), ((), 1): (1, 1, 0, 1)}


def test_a_tool_call_after_a_failed_one_is_a_retry_also_where_the_window_begins_between_them(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    def call(at: int, **changed: object) -> LedgerStep:
        return a_step(start_ns=START + at * SECOND, **{"kind": "tool", "tool": "lookup", **changed})

    failed, again, other, late = (
        call(599, status="error"),
        call(601),
        call(602, tool="refund"),
        call(1201, status="error"),
    )
    rows = [
        a_row(project, failed),
        a_row(project, again, other, slot=SLOT + 600),
        a_row(project, late, slot=SLOT + 1200),
        a_row(project, call(598), session="another"),
    ]
    telemetry.write(TelemetryBatch(number, ledger=rows))
    asked = a_question(MEASURES["tool_retry_rate"], project, since_ns=START + 600 * SECOND)
    assert answered(telemetry, asked) == {((), None): (1, 3, 0, 1 / 3)}
    (behind,) = telemetry.contributors(SessionsQuestion(asked, "over"))
    assert (behind.session_id, behind.counted) == ("s", 1)


def test_the_greatest_groups_are_told_apart_and_the_rest_is_one(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    steps = [a_step(model=model, dur_us=us) for us, model in enumerate("abbcccdd", 1)]
    telemetry.write(TelemetryBatch(number, ledger=[a_row(project, *steps)]))
    asked = a_question(MEASURES["llm_calls"], project, by=("model",), top=2)
    assert answered(telemetry, asked) == {
        (("c",), None): (1, 3, 0, 3),
        (("b",), None): (1, 2, 0, 2),
        (None, None): (1, 3, 0, 3),
    }
    assert telemetry.measured(asked).groups == 4
    shown = msgspec.structs.replace(
        asked, shown=(("a",), ("zz",)), top=2, measure=MEASURES["llm_call_duration_seconds"]
    )
    assert answered(telemetry, shown) == {(("a",), None): (1, 1, 0, 1e-6), (None, None): (1, 7, 0, 8e-6)}


def test_the_sessions_behind_a_point_are_paged_in_order(telemetry: ClickHouse, project: str, number: int) -> None:
    rows = [a_row(project, a_step(), a_step(), session=f"s-{place}") for place in (3, 1, 2)]
    telemetry.write(TelemetryBatch(number, ledger=rows))
    asked = SessionsQuestion(a_question(MEASURES["llm_calls"], project), limit=2)
    first = telemetry.contributors(asked)
    assert [(one.session_id, one.counted) for one in first] == [("s-1", 2), ("s-2", 2)]
    rest = telemetry.contributors(msgspec.structs.replace(asked, after=(project, "s-2")))
    assert [one.session_id for one in rest] == ["s-3"]

"""Days that were added up once: what is put together of them is what the ledger says, whatever was written since."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import cast

import msgspec
import pytest

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Cell, Dimension, Measured, Question
from watchpost.store.contracts import LedgerRow, LedgerStep, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.clickhouse_days import DAY_NS, MOST_CELLS, Changes, KeptDays
from watchpost.store.erasure import Erasure

NS = 10**9
DAY_S = 86_400
FIRST = 1_700_006_400 // DAY_S * DAY_S
"""A midnight, long before anything else in this database."""

DAYS = 6
NUMBERS = itertools.count(7 * 10**15)

ADDED = ("cost_usd", "unpriced_calls", "llm_calls", "tool_error_rate", "cost_per_llm_call_usd", "flags", "input_tokens")
APART = (
    *("cost_per_completed_session_usd", "llm_call_duration_seconds"),
    *("active_sessions", "tool_retry_rate", "tool_cost_usd"),
)
"""Measures that are no sum over days: of sessions, quantiles, distinct ones, and what is worked out of steps around."""

SHAPES: tuple[dict[str, object], ...] = (
    {},
    {"step_ns": DAY_NS},
    {"step_ns": 3 * 1800 * NS},
    {"by": ("workflow",)},
    {"by": ("workflow", "model"), "top": 3},
    {"by": ("model",), "step_ns": 2 * DAY_NS, "top": 1},
    {"by": ("model",), "top": 2, "shown": (("m-2",), ("m-0",))},
    {"by": ("tool",), "step_ns": 3600 * NS},
)


def a_step(number: int, start_s: int) -> LedgerStep:
    is_model = number % 3 > 0
    return LedgerStep(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=start_s * NS + number,
        dur_us=number * 1000,
        kind="llm" if is_model else "tool",
        name="chat",
        agent="clerk",
        model=f"m-{number % 4}" if is_model else "",
        tool="" if is_model else f"t-{number % 2}",
        status="error" if number % 7 == 0 else "ok",
        error_type="",
        in_tok=number if is_model else None,
        out_tok=1,
        cost_nano=None if number % 5 == 0 or not is_model else 1_000 * number,
        flags=("REFUSAL",) if number % 11 == 0 else (),
    )


def a_row(project: str, session: int, slot: int, seq: int = 1, **changed: object) -> LedgerRow:
    steps = tuple(a_step(session * 50 + place + seq, slot + 30 * place) for place in range(9))
    row = LedgerRow(
        project,
        slot,
        f"s-{session}",
        seq,
        gone=False,
        workflow=f"w-{session % 3}",
        user_id="u",
        outcome="",
        steps=steps,
    )
    return msgspec.structs.replace(row, **changed)


def write(store: ClickHouse, *rows: LedgerRow) -> None:
    store.write(TelemetryBatch(next(NUMBERS), ledger=list(rows)))


@pytest.fixture
def project(embedded_clickhouse: ClickHouse) -> str:
    """A project with some sessions in every day, and one that is gone."""
    name = f"days-{next(NUMBERS)}"
    rows = [a_row(name, session, FIRST + session * 13_800 // 600 * 600) for session in range(DAYS * DAY_S // 13_800)]
    write(embedded_clickhouse, *rows, a_row(name, 3, rows[3].slot, 2, gone=True, steps=()))
    return name


def questions(project: str) -> list[Question]:
    only: tuple[tuple[Dimension, tuple[str, ...]], ...] = (("project", (project,)),)
    whole = Question(MEASURES["steps"], FIRST * NS, (FIRST + DAYS * DAY_S - 4_321) * NS, filters=only)
    return [
        msgspec.structs.replace(whole, measure=MEASURES[name], **shape)
        for name in (*ADDED, *APART)
        for shape in SHAPES
        if all(dimension in MEASURES[name].dimensions for dimension in cast("tuple[str, ...]", shape.get("by", ())))
    ]


def without_sessions(found: Measured, question: Question) -> Measured:
    of_session = question.measure.of == "session"
    return found if of_session else msgspec.structs.replace(found, cells=[_nobody(cell) for cell in found.cells])


def _nobody(cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, sessions=0)


def told(store: ClickHouse, asked: list[Question]) -> None:
    """Both ways to ask come to the same, number by number and in the same order."""
    for question in asked:
        brief = msgspec.structs.replace(question, tells_sessions=False)
        assert store.measured(brief) == without_sessions(store.measured(question), question), question


def test_what_is_put_together_of_days_is_what_the_ledger_says(embedded_clickhouse: ClickHouse, project: str) -> None:
    asked = questions(project)
    told(embedded_clickhouse, asked)
    told(embedded_clickhouse, asked[: 2 * len(SHAPES)])
    brief = [msgspec.structs.replace(each, tells_sessions=False) for each in asked]
    assert embedded_clickhouse.measured_together(brief) == [embedded_clickhouse.measured(each) for each in brief]


@pytest.mark.parametrize("change", ["late", "again", "gone", "erased"])
def test_a_row_that_is_written_into_a_day_that_was_over_is_in_the_next_answer(
    embedded_clickhouse: ClickHouse, project: str, change: str
) -> None:
    asked = [each for each in questions(project) if each.measure.name in {"cost_usd", "llm_calls"}]
    told(embedded_clickhouse, asked)
    before = [embedded_clickhouse.measured(each) for each in asked]
    slot = FIRST + 13_800 // 600 * 600
    match change:
        case "late":
            write(embedded_clickhouse, a_row(project, 901, FIRST + DAY_S + 600))
        case "again":
            write(embedded_clickhouse, a_row(project, 1, slot, 3))
        case "gone":
            write(embedded_clickhouse, a_row(project, 1, slot, 2, gone=True, steps=()))
        case _:
            eraser = embedded_clickhouse.eraser
            found = eraser.find(project, "s-1", "")
            erasure = Erasure(f"e-{project}", 1, project, "s-1", "", "dpo", "asked", 1, "5f" * 16, found)
            eraser.copy(erasure)
            told(embedded_clickhouse, asked)
            eraser.conceal(erasure)
    told(embedded_clickhouse, asked)
    assert (before == [embedded_clickhouse.measured(each) for each in asked]) == (change == "erased")


# --- how much is read ---


class Ledger:
    """Answers with one call a half hour of each group, and remembers for which days it was asked."""

    def __init__(self, groups: int = 1) -> None:
        self.groups = groups
        self.asked: list[tuple[int, int]] = []

    def __call__(self, question: Question) -> Measured:
        self.asked.append((self._day(question.since_ns), self._day(question.until_ns)))
        step_ns = question.step_ns or question.until_ns - question.since_ns
        steps = range(-(-(question.until_ns - question.since_ns) // step_ns))
        named = [(f"g-{number}",) for number in range(self.groups)] if question.by else [()]
        cells = [Cell(group, step, 0, 1, 0, 1, 0) for group in named[: question.top] for step in (None, *steps)]
        return Measured(len(named), cells)

    @staticmethod
    def _day(at_ns: int) -> int:
        return (at_ns - FIRST * NS) // DAY_NS


def calls(since: int, until: int, **changed: object) -> Question:
    """Calls from the beginning of one day until noon of another."""
    since_ns, until_ns = FIRST * NS + since * DAY_NS, FIRST * NS + until * DAY_NS + DAY_NS // 2
    question = Question(MEASURES["llm_calls"], since_ns, until_ns, tells_sessions=False)
    return msgspec.structs.replace(question, **changed)


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_days_are_read_once_and_today_every_time(ledger: Ledger, changes: Changes) -> None:
    days = KeptDays(ledger, changes)
    days.measured(calls(0, 4))
    days.measured(calls(0, 4, step_ns=DAY_NS))
    days.measured(calls(2, 6))
    assert ledger.asked == [(0, 4), (4, 4), (4, 4), (4, 6), (6, 6)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (lambda changes: changes.wrote([FIRST + DAY_S]), [(1, 2)]),
        (lambda changes: changes.wrote([FIRST + 2 * DAY_S - 600, FIRST + 3 * DAY_S]), [(1, 2), (3, 4)]),
        (lambda changes: changes.wrote([FIRST - 600, FIRST + 4 * DAY_S]), []),
        (lambda changes: changes.rewrote(), [(0, 4)]),
    ],
    ids=["one", "two", "none", "all"],
)
def test_only_the_days_that_were_written_are_read_again(
    ledger: Ledger, changes: Changes, written: Callable[[Changes], None], read: list[tuple[int, int]]
) -> None:
    days = KeptDays(ledger, changes)
    days.measured(calls(0, 4))
    ledger.asked.clear()
    written(changes)
    days.measured(calls(0, 4))
    assert ledger.asked == [*read, (4, 4)]


def test_a_day_that_is_written_while_it_is_read_is_read_again(ledger: Ledger, changes: Changes) -> None:
    def ask(question: Question) -> Measured:
        found = ledger(question)
        if len(ledger.asked) == 1:
            changes.wrote([FIRST + DAY_S])
        return found

    days = KeptDays(ask, changes)
    days.measured(calls(0, 4))
    days.measured(calls(0, 4))
    assert ledger.asked == [(0, 4), (4, 4), (1, 2), (4, 4)]


def test_with_too_many_groups_the_ledger_is_asked_and_nothing_is_tried_again(changes: Changes) -> None:
    ledger = Ledger(groups=2_000)
    days = KeptDays(ledger, changes)
    for _ in range(2):
        assert len({cell.group for cell in days.measured(calls(0, 4, by=("user_id",), top=20)).cells}) == 20
    assert ledger.asked[-2:] == [(0, 4), (0, 4)]
    assert len(ledger.asked) < 5


def test_only_so_many_sums_are_kept(changes: Changes) -> None:
    ledger = Ledger(groups=300)
    days = KeptDays(ledger, changes)
    wanted = -(-MOST_CELLS // (300 * 20)) + 1
    for number in range(wanted):
        days.measured(calls(20 * number, 20 * (number + 1), by=("model",)))
    ledger.asked.clear()
    days.measured(calls(20 * (wanted - 1), 20 * wanted, by=("model",)))
    assert len(ledger.asked) == 1
    days.measured(calls(0, 20, by=("model",)))
    assert len(ledger.asked) == 3

"""What a measure is asked of that steps do not say themselves: what asking for a tool cost, and what a session used."""

from __future__ import annotations

import itertools

import msgspec

from watchpost.model.session import Summary, Totals, session_key
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Group, Question, Value, value_of
from watchpost.store.contracts import LedgerRow, LedgerStep, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse

SECOND = 10**9
SLOT = 1_790_000_400
START = SLOT * SECOND
NUMBERS = itertools.count(1)


def a_step(at: int, kind: str = "llm", **changed: object) -> LedgerStep:
    number = next(NUMBERS)
    step = LedgerStep(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=START + at * SECOND,
        dur_us=1,
        kind=kind,
        name=kind,
        agent="clerk",
        model="",
        tool="",
        status="ok",
        error_type="",
        in_tok=None,
        out_tok=None,
        cost_nano=None,
    )
    return msgspec.structs.replace(step, **changed)


def store(
    telemetry: ClickHouse, project: str, number: int, steps: dict[str, list[LedgerStep]], **outcomes: str
) -> None:
    slots = {(name, step.start_ns // (600 * SECOND) * 600): None for name, found in steps.items() for step in found}
    rows = [
        LedgerRow(
            project,
            slot,
            name,
            number,
            gone=False,
            workflow="refunds",
            user_id="",
            outcome="completed",
            steps=tuple(step for step in steps[name] if 0 <= step.start_ns - slot * SECOND < 600 * SECOND),
        )
        for name, slot in slots
    ]
    sessions = [
        Summary(
            session_key(project, name),
            project,
            name,
            "refunds",
            "",
            "ended",
            outcomes.get(name, "completed"),  # type: ignore[arg-type] # the outcomes of a test
            1,
            START,
            START + 60 * SECOND,
            START,
            0,
            Totals(cost_nano=sum(step.cost_nano or 0 for step in found)),
        )
        for name, found in steps.items()
    ]
    telemetry.write(TelemetryBatch(number, ledger=rows, sessions=sessions))


def values(telemetry: ClickHouse, name: str, project: str, **asked: object) -> dict[Group | None, Value]:
    measure = MEASURES[name]
    question = Question(measure, START, START + 3600 * SECOND, filters=(("project", (project,)),))
    question = msgspec.structs.replace(question, **asked)
    return {cell.group: value_of(measure, cell) for cell in telemetry.measured(question).cells}


def test_what_a_model_call_cost_is_shared_by_the_tools_called_next(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    turn = [
        a_step(0, cost_nano=7),
        a_step(1, "tool", tool="search"),
        a_step(2, "tool", tool="search"),
        a_step(3, "tool", tool="refund"),
        a_step(4, cost_nano=5),
    ]
    store(telemetry, project, number, {"s": turn})
    assert values(telemetry, "tool_cost_usd", project, by=("tool",)) == {("search",): 5, ("refund",): 2}
    assert values(telemetry, "cost_usd", project) == {(): 12}


def test_a_tool_is_charged_alike_where_a_window_ends_between_it_and_the_others(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    turn = [a_step(590, cost_nano=9), a_step(599, "tool", tool="a"), a_step(601, "tool", tool="b")]
    store(telemetry, project, number, {"s": turn})
    middle = START + 600 * SECOND
    assert values(telemetry, "tool_cost_usd", project, by=("tool",), until_ns=middle) == {("a",): 5}
    assert values(telemetry, "tool_cost_usd", project, by=("tool",), since_ns=middle) == {("b",): 4}


def test_a_tool_that_another_agent_or_nobody_asked_for_has_no_cost(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    turn = [
        a_step(0, "tool", tool="early"),
        a_step(1, cost_nano=9),
        a_step(2, "tool", tool="other", agent="scout"),
        a_step(700, "tool", tool="late"),
    ]
    store(telemetry, project, number, {"s": turn})
    assert values(telemetry, "tool_cost_usd", project) == {(): None}


def test_a_session_counts_for_each_model_that_it_used(telemetry: ClickHouse, project: str, number: int) -> None:
    steps = {
        "one": [a_step(0, model="m-1", cost_nano=10), a_step(1, model="m-2", cost_nano=1)],
        "two": [a_step(0, model="m-2", cost_nano=4), a_step(1, model="m-3", status="error")],
        "none": [a_step(0, "tool", tool="search")],
    }
    store(telemetry, project, number, steps, two="tool_error")
    by_model = {"by": ("session_model",)}
    assert values(telemetry, "sessions", project, **by_model) == {("m-1",): 1, ("m-2",): 2, ("",): 1}
    assert values(telemetry, "completion_rate", project, **by_model) == {("m-1",): 1.0, ("m-2",): 0.5, ("",): 1.0}
    assert values(telemetry, "cost_per_completed_session_usd", project, **by_model)[("m-2",)] == 15
    assert values(telemetry, "tool_calls", project, **by_model) == {("",): 1}


def test_a_session_that_used_two_of_the_models_asked_for_counts_once(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    steps = {
        "one": [a_step(0, model="m:values", prompt="p@1"), a_step(1, model="m-2")],
        "two": [a_step(0, model="m-3")],
    }
    store(telemetry, project, number, steps)

    def asked(*models: str) -> dict[Group | None, Value]:
        return values(telemetry, "sessions", project, filters=(("project", (project,)), ("session_model", models)))

    assert asked("m:values", "m-2") == {(): 1}
    assert asked("m-3", "m-2") == {(): 2}
    assert asked("m-9") == {}
    prompts = values(telemetry, "sessions", project, by=("session_prompt", "session_model"))
    assert prompts == {("p@1", "m:values"): 1, ("p@1", "m-2"): 1, ("", "m-3"): 1}

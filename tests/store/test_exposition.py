"""What `/metrics` says of agents equals what a plain count over the same recordings says, and never falls."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from prometheus_client.core import Metric
from react_recorded import HOUR_NS, RECEIVED_NS, a_reactor

from watchpost.model.session import State, Summary, Totals
from watchpost.model.step import Reading
from watchpost.model.telemetry import Delivery, Parcel
from watchpost.runtime.react import Reaction
from watchpost.server.agent_metrics import AgentMetrics
from watchpost.store.contracts import LedgerRow, LedgerStep, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.work import TraceSpan, WorkRow

sys.path.append(str(Path(__file__).parents[1] / "session"))
from captured import captures, parcels

RUN_BOUNDS = (0.5, 1, 2, 5, 10, 30, 60, 120)
LLM_BOUNDS = (0.1, 0.5, 1, 2, 5, 10, 30)
TOOL_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10)

SLOT = 1_790_000_400
START = SLOT * 10**9
SECOND = 10**9

Shown = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Samples by name and labels."""


class OneProject:
    """The telemetry of one project, as a WorkReader; others' is left by other tests."""

    def __init__(self, telemetry: ClickHouse, project: str) -> None:
        self._telemetry = telemetry
        self._project = project

    def work(self, seq: int, slot: int) -> list[WorkRow]:
        return [row for row in self._telemetry.work(seq, slot) if row.project == self._project]

    def traces(self, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], TraceSpan]:
        return self._telemetry.traces(wanted)

    def active(self) -> dict[str, int]:
        return {}


class Book:
    """What was written, as plain values: the rows that hold and every span."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, str], LedgerRow] = {}
        self._spans: dict[tuple[bytes, bytes], Reading] = {}

    def enter(self, batch: TelemetryBatch) -> None:
        self._rows |= {(row.slot, row.session_id): row for row in batch.ledger}
        for reading in batch.readings:
            key = (reading.trace_id, reading.span_id)
            if key not in self._spans or reading.ver >= self._spans[key].ver:
                self._spans[key] = reading

    def truth(self) -> Shown:
        """Every sample of the counters and histograms, counted one step at a time."""
        found: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        for row, step in self._steps():
            if step.status == "running":
                continue
            workflow = row.workflow or "unknown"
            model, tool = step.model or "unknown", step.tool or "unknown"
            judge(found, step, workflow)
            if step.cost_nano is not None:
                add(
                    found,
                    "agent_cost_dollars_total",
                    step.cost_nano / 1e9,
                    model=model,
                    workflow=workflow,
                    cost_type="total",
                )
                add(found, "agent_token_cost_total", step.cost_nano / 1e9, workflow=workflow)
            if step.kind == "llm":
                add(found, "agent_llm_calls_total", 1, model=model, workflow=workflow)
                add(found, "agent_llm_errors_total", step.status == "error", model=model, workflow=workflow)
                for direction, count in (("input", step.in_tok), ("output", step.out_tok)):
                    add(found, "agent_tokens_total", count or 0, model=model, workflow=workflow, direction=direction)
                if step.dur_us is not None:
                    observe(
                        found,
                        "agent_llm_call_duration_seconds",
                        LLM_BOUNDS,
                        step.dur_us / 1e6,
                        model=model,
                        workflow=workflow,
                    )
            if step.kind == "tool":
                add(found, "agent_tool_calls_total", 1, tool=tool, workflow=workflow)
                add(found, "agent_tool_errors_total", step.status == "error", tool=tool, workflow=workflow)
                if step.dur_us is not None:
                    observe(
                        found,
                        "agent_tool_duration_seconds",
                        TOOL_BOUNDS,
                        step.dur_us / 1e6,
                        tool=tool,
                        workflow=workflow,
                    )
        for (session_id, trace_id), workflow in self._runs():
            del session_id
            spans = [
                s for s in self._spans.values() if s.trace_id == trace_id and s.kind != "evaluation" and s.start_ns
            ]
            took_us = max(max(s.end_ns for s in spans) - min(s.start_ns for s in spans), 0) // 1000
            add(found, "agent_workflow_completions_total", 1, workflow=workflow)
            observe(found, "agent_workflow_duration_seconds", RUN_BOUNDS, took_us / 1e6, workflow=workflow)
        return dict(found)

    def shares(self) -> Shown:
        """The gauges over the window, which holds all there is."""
        calls: Counter[tuple[str, str]] = Counter()
        errors: Counter[tuple[str, str]] = Counter()
        sessions: dict[str, tuple[str, str]] = {}
        for row, step in self._steps():
            sessions[row.session_id] = (row.workflow or "unknown", row.outcome)
            if step.kind == "tool" and step.status != "running":
                about = (step.tool or "unknown", row.workflow or "unknown")
                calls[about] += 1
                errors[about] += step.status == "error"
        ended = Counter(workflow for workflow, outcome in sessions.values() if outcome)
        completed = Counter(workflow for workflow, outcome in sessions.values() if outcome == "completed")
        shares: Shown = {
            ("agent_tool_error_rate", (("tool", tool), ("workflow", workflow))): errors[tool, workflow] / count
            for (tool, workflow), count in calls.items()
        }
        for workflow, count in ended.items():
            shares["agent_task_completion_rate", (("workflow", workflow),)] = completed[workflow] / count
        return shares

    def _steps(self) -> Iterator[tuple[LedgerRow, LedgerStep]]:
        return ((row, step) for row in self._rows.values() if not row.gone for step in row.steps)

    def _runs(self) -> Iterable[tuple[tuple[str, bytes], str]]:
        """Those of sessions that ended."""
        return {
            (row.session_id, step.trace_id): row.workflow or "unknown"
            for row, step in self._steps()
            if row.outcome and step.kind != "evaluation"
        }.items()


def add(to: Counter[tuple[str, tuple[tuple[str, str], ...]]], name: str, amount: float, **labels: str) -> None:
    to[name, tuple(sorted(labels.items()))] += amount  # type: ignore[assignment] # a Counter of floats


def judge(to: Counter[tuple[str, tuple[tuple[str, str], ...]]], step: LedgerStep, workflow: str) -> None:
    if step.status == "error":
        error_type = step.error_type or "unknown"
        add(to, "agent_step_errors_total", 1, error_type=error_type, kind=step.kind, workflow=workflow)
    if step.kind == "evaluation":
        evaluator, label = step.evaluator or "unknown", step.label or "unknown"
        add(to, "agent_evaluations_total", 1, evaluator=evaluator, label=label, workflow=workflow)


def observe(
    to: Counter[tuple[str, tuple[tuple[str, str], ...]]],
    name: str,
    bounds: Sequence[float],
    value: float,
    **labels: str,
) -> None:
    for bound in bounds:
        add(to, f"{name}_bucket", value <= bound, le=str(float(bound)), **labels)
    add(to, f"{name}_bucket", 1, le="+Inf", **labels)
    add(to, f"{name}_count", 1, **labels)
    add(to, f"{name}_sum", value, **labels)


def shown(metrics: Iterable[Metric], *, gauges: bool = False) -> Shown:
    """The samples of the agent families: counters and histograms, or gauges."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in metrics
        for sample in family.samples
        if family.name.startswith("agent_")
        and family.name != "agent_active_workflows"
        and (family.type == "gauge") == gauges
    }


def without_zeros(samples: Shown) -> Shown:
    return {name: value for name, value in samples.items() if value}


def equal(one: Shown, other: Shown) -> bool:
    return without_zeros(one) == pytest.approx(without_zeros(other), rel=1e-9)


def metrics_of(telemetry: ClickHouse, project: str) -> AgentMetrics:
    """Begun now, long before any of the recordings, so that all of them are recent."""
    return AgentMetrics(OneProject(telemetry, project), list, lambda: 0)


def deliveries(project: str, sent: Sequence[Parcel], first: int) -> list[tuple[int, Delivery]]:
    return [
        (seq, Delivery(RECEIVED_NS + seq, (msgspec.structs.replace(parcel, project=project),)))
        for seq, parcel in enumerate(sent, first)
    ]


def recorded() -> list[Parcel]:
    return [parcel for one in captures() for parcel in parcels(one)]


def split(sent: Sequence[Parcel], chance: random.Random) -> tuple[list[Parcel], list[Parcel]]:
    """The parcels without some of their spans, and these spans."""
    early, late = [], []
    for parcel in sent:
        is_late = [chance.random() < 0.2 for _ in parcel.spans]
        pairs = list(zip(parcel.spans, is_late, strict=True))
        early.append(msgspec.structs.replace(parcel, spans=tuple(span for span, later in pairs if not later)))
        late.append(msgspec.structs.replace(parcel, spans=tuple(span for span, later in pairs if later), logs=()))
    return early, late


def test_every_family_equals_a_plain_count_before_and_after_late_spans(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    metrics, book, reactor = metrics_of(telemetry, project), Book(), a_reactor(telemetry)

    def written(reaction: Reaction) -> None:
        telemetry.write(reaction.telemetry)
        book.enter(reaction.telemetry)

    early, late = split(recorded(), random.Random(3))
    written(reactor.react(number, deliveries(project, early, 1), RECEIVED_NS + SECOND))
    assert shown(metrics.collect())  # a scrape in the middle of it, while nothing has ended
    written(reactor.react(number + 1, [], RECEIVED_NS + HOUR_NS))
    before, first = book.truth(), shown(metrics.collect())
    assert {name for name, _ in before} == {name for name, _ in first}
    assert equal(first, before)
    assert shown(metrics.collect(), gauges=True) == pytest.approx(book.shares())

    written(reactor.react(number + 2, deliveries(project, late, len(early) + 1), RECEIVED_NS + HOUR_NS + SECOND))
    assert shown(metrics.collect())
    written(reactor.react(number + 3, [], RECEIVED_NS + 3 * HOUR_NS))
    after, second = book.truth(), shown(metrics.collect())
    assert without_zeros(after) != without_zeros(before)
    assert all(second[name] >= value for name, value in first.items())
    higher = {name: max(before.get(name, 0), after.get(name, 0)) for name in {*before, *after}}
    assert {name for name, value in higher.items() if second[name] < value * (1 - 1e-9)} == set()
    assert equal(shown(restarted(telemetry, project)), after)
    assert shown(metrics.collect(), gauges=True) == pytest.approx(book.shares())


def restarted(telemetry: ClickHouse, project: str) -> Iterable[Metric]:
    """What a process shows that sees all of it at once."""

    class Later(OneProject):
        begun = False

        def work(self, seq: int, slot: int) -> list[WorkRow]:
            return super().work(seq, slot) if self.begun else []

    reader = Later(telemetry, project)
    metrics = AgentMetrics(reader, list, lambda: 0)
    reader.begun = True
    return metrics.collect()


def a_summary(project: str, name: str, state: State, revision: int = 1, moved_to: str = "") -> Summary:
    return Summary(
        f"{project}-{name}", project, name, f"{project}-refunds", "", state, None, revision, START, START, START, 0,
        Totals(), moved_to,
    )  # fmt: skip


def test_sessions_that_have_not_ended_are_active(telemetry: ClickHouse, project: str, number: int) -> None:
    workflow = f"{project}-refunds"
    assert workflow not in telemetry.active()
    summaries = [a_summary(project, name, "running") for name in "abcd"]
    telemetry.write(TelemetryBatch(number, sessions=[*summaries, a_summary(project, "e", "ended")]))
    assert telemetry.active()[workflow] == 4
    later = [
        a_summary(project, "a", "ended", 2),
        a_summary(project, "b", "running", 2, moved_to="elsewhere"),
        a_summary(project, "e", "reopened", 2),
    ]
    telemetry.write(TelemetryBatch(number + 1, sessions=later))
    assert telemetry.active()[workflow] == 3

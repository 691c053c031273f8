"""Measures of Watchpost itself equal what is worked out by hand from the samples that were written, also twice and out of order."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from watchpost.model.telemetry import Delivery, MetricPoint, Parcel
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Question, value_of
from watchpost.query.metrics import OWN_PROJECT
from watchpost.runtime.metric_rows import metric_rows
from watchpost.server.health import HealthNumbers
from watchpost.server.self_watch import parcel_of
from watchpost.store.contracts import TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse

SECOND = 10**9
START = 1_800_000_000 * SECOND
ERAS = itertools.count(1)
"""Years that no two examples share: all samples stand in one project."""
NUMBERS = itertools.count(5 * 10**13)

LAG, SPANS = MEASURES["watchpost_react_lag_seconds"], MEASURES["watchpost_accepted_spans"]


def write(telemetry: ClickHouse, parcels: list[Parcel]) -> None:
    rows = [row for parcel in parcels for row in metric_rows(Delivery(START, (parcel,)))]
    telemetry.write(TelemetryBatch(next(NUMBERS), metrics=rows))


def test_every_measure_of_watchpost_itself_is_sampled() -> None:
    sampled = {point.name for point in parcel_of(HealthNumbers(), START).metrics}
    asked = {f"watchpost.{measure.formula.sample}" for measure in MEASURES.values() if measure.of == "sample"}  # type: ignore[union-attr]  # only those have samples
    assert sampled == asked


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.generate]
)
@given(
    samples=st.lists(st.tuples(st.integers(1, 90), st.integers(0, 50), st.integers(0, 2**40)), min_size=1, max_size=12),
    step_s=st.sampled_from([0, 60, 300]),
    window_s=st.tuples(st.integers(0, 300), st.integers(301, 900)),
)
def test_levels_and_growth_equal_those_worked_out_by_hand(
    telemetry: ClickHouse, samples: list[tuple[int, int, int]], step_s: int, window_s: tuple[int, int]
) -> None:
    era = START + next(ERAS) * 10**7 * SECOND
    times = [era + sum(pause for pause, _, _ in samples[: n + 1]) * SECOND for n in range(len(samples))]
    parcels = [
        parcel_of(HealthNumbers(accepted_spans=spans, react_lag_s=lag), at)
        for at, (_, lag, spans) in zip(times, samples, strict=True)
    ]
    write(telemetry, parcels[::-1])
    write(telemetry, parcels[:3])
    since, until = (era + second * SECOND for second in window_s)
    held = list(zip(times, samples, strict=True))
    grown = [
        (at, spans if spans < before else spans - before)
        for (_, (_, _, before)), (at, (_, _, spans)) in itertools.pairwise(held)
    ]
    for measure, every in ((LAG, [(at, lag) for at, (_, lag, _) in held]), (SPANS, grown)):
        found = telemetry.measured(Question(measure, since, until, step_s * SECOND))
        wanted: dict[int | None, list[int]] = {}
        for at, number in every:
            if since <= at < until:
                wanted.setdefault(None, []).append(number)
                if step_s:
                    wanted.setdefault((at - since) // (step_s * SECOND), []).append(number)
        come_to = max if measure is LAG else sum
        assert {cell.step: (cell.counted, value_of(measure, cell)) for cell in found.cells} == {
            step: (len(numbers), come_to(numbers)) for step, numbers in wanted.items()
        }


def test_metrics_that_agents_send_under_the_same_names_are_not_taken_for_samples(
    telemetry: ClickHouse, project: str
) -> None:
    era = START + next(ERAS) * 10**7 * SECOND
    point = MetricPoint("watchpost.react_lag", "1", "gauge", "", False, {}, 0, era + SECOND, 7_000_000)  # noqa: FBT003 - the order of the wire
    write(telemetry, [Parcel(project, {}, "", metrics=(point,))])
    assert project != OWN_PROJECT
    assert telemetry.measured(Question(LAG, era, era + 10 * SECOND)).cells == []

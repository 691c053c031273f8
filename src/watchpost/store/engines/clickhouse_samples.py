"""Measures of Watchpost itself in SQL, over the samples that it keeps among the metrics it received."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from watchpost.query.measures import Cell, Growth, Level, Measured, Question
from watchpost.query.metrics import OWN_PROJECT, own_metric
from watchpost.store.engines.clickhouse_sql import fill

_BEFORE_NS = 600 * 10**9
"""How long before a window the sample stands at most from which the first growth in it is counted."""


def samples_sql(question: Question) -> str:
    """The query behind `MeasureReader.measured` for a measure of samples."""
    formula = cast("Level | Growth", question.measure.formula)
    bucket = f"intDiv(time_ns - {question.since_ns}, {question.step_ns})" if question.step_ns else "0"
    sets = "GROUPING SETS ((), (bucket))" if question.step_ns else "GROUPING SETS (())"
    step = "if(grouping(bucket) = 1, NULL, bucket)" if question.step_ns else "NULL"
    samples = fill(
        f"""
        SELECT time_ns, assumeNotNull(integer) AS level, row_number() OVER (ORDER BY time_ns, id) AS place,
          level - lagInFrame(level, 1, 0) OVER (ORDER BY time_ns, id) AS more
        FROM (
          SELECT * FROM metrics WHERE project = :project AND name = :name AND isNotNull(integer)
            AND time_ns >= {question.since_ns - _BEFORE_NS} AND time_ns < {question.until_ns}
          LIMIT 1 BY id)""",  # noqa: S608 - numbers are ours, values are filled in
        project=OWN_PROJECT,
        name=own_metric(formula.sample),
    )
    value = "max(level)" if isinstance(formula, Level) else "sumIf(if(more < 0, level, more), place > 1)"
    counted = "count()" if isinstance(formula, Level) else "countIf(place > 1)"
    return f"""
        SELECT {step} AS step, {counted} AS n, {value} AS v FROM (SELECT *, {bucket} AS bucket FROM ({samples}))
        WHERE time_ns >= {question.since_ns} GROUP BY {sets} HAVING n > 0 ORDER BY step NULLS FIRST"""  # noqa: S608 - queries of ours


def sampled(rows: Iterable[Sequence[object]]) -> Measured:
    """The answer to it."""
    cells = []
    for step, counted, value in rows:
        cells.append(Cell((), cast("int | None", step), 0, cast("int", counted), 0, cast("int", value), 0))
    return Measured(1 if cells else 0, cells)

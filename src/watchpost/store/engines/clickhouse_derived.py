"""What steps and sessions do not say of themselves, worked out of the ledger: what asking for a tool cost, what a session used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from watchpost.query.measures import ASKED_WITHIN_NS, RETRIED_WITHIN_NS, VERSION_DIMENSIONS, Dimension, Question
from watchpost.store.engines.clickhouse_sql import fill

_IN_LEDGER: Mapping[Dimension, str] = {"session_model": "model", "session_prompt": "prompt"}
_BY_TIME = "ORDER BY start_ns, trace_id, span_id"
_ORDER = f"{_BY_TIME} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
_ASKED = f"(kind IN ('tool', 'handoff') AND start_ns - asked_ns <= {ASKED_WITHIN_NS})"


class Derived(msgspec.Struct, frozen=True):
    """A column of steps that is worked out: from which others, of steps how far around those asked for, and by what query of such steps."""

    columns: tuple[str, ...]
    around_ns: int
    sql: Callable[[str], str]


def _retried(steps: str) -> str:
    """Steps with `retried`: whether a tool call was made again, after the session's call of that tool before it had failed."""
    return f"""
        SELECT *, kind = 'tool' AND any(status) OVER before = 'error'
          AND start_ns - any(start_ns) OVER before <= {RETRIED_WITHIN_NS} AS retried
        FROM ({steps})
        WINDOW before AS (PARTITION BY project, session_id, kind, tool {_BY_TIME} ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING)"""  # noqa: S608 - a query of ours


def _asking(steps: str) -> str:
    """Model calls, tool calls and handoffs with `asking_cost`: of a tool call, its part of what the model call before it cost, None where there is none or it has no price.

    The parts of one model call are equal, but for what cannot be divided: that is shared out from the first on.
    """
    turns = f"""
        SELECT *, countIf(kind = 'llm') OVER so_far AS turn, maxIf(start_ns, kind = 'llm') OVER so_far AS asked_ns
        FROM ({steps}) WHERE kind IN ('llm', 'tool', 'handoff')
        WINDOW so_far AS (PARTITION BY whose, agent {_ORDER})"""  # noqa: S608 - a query of ours
    counted = f"""
        SELECT *, sumIf(cost_nano, kind = 'llm') OVER whole AS turn_cost, countIf({_ASKED}) OVER whole AS calls,
          countIf({_ASKED}) OVER so_far AS place
        FROM ({turns})
        WINDOW so_far AS (PARTITION BY whose, agent, turn {_ORDER}),
          whole AS (PARTITION BY whose, agent, turn {_BY_TIME} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"""  # noqa: S608 - a query of ours
    return f"""
        SELECT *, if(turn > 0 AND {_ASKED}, intDiv(turn_cost, greatest(calls, 1)) + (place <= turn_cost % greatest(calls, 1)), NULL)
          AS asking_cost
        FROM ({counted})"""  # noqa: S608 - a query of ours


DERIVED: Mapping[str, Derived] = {
    "retried": Derived(("kind", "tool", "status", "trace_id", "span_id"), RETRIED_WITHIN_NS, _retried),
    "asking_cost": Derived(("kind", "agent", "cost_nano", "trace_id", "span_id"), ASKED_WITHIN_NS, _asking),
}
"""Such columns by name."""


def used_sql(rows: str, question: Question) -> str:
    """Rows with what the model calls of their sessions used that did not fail: a row for each value where that is grouped by."""
    filters = dict(question.filters)
    projects = filters.get("project")
    only = fill(" AND project IN :values", values=projects) if projects else ""
    for dimension in VERSION_DIMENSIONS:
        if dimension in filters or dimension in question.by:
            rows = _with(rows, dimension, filters.get(dimension), only, is_grouped=dimension in question.by)
    return rows


def _with(rows: str, dimension: Dimension, values: Sequence[str] | None, only: str, *, is_grouped: bool) -> str:
    column = _IN_LEDGER[dimension]
    joined = f"""
        SELECT counted.*, if(empty(found), [''], found) AS {dimension}s FROM ({rows}) AS counted
        LEFT JOIN (
          SELECT project AS in_project, session_id AS in_session,
            groupUniqArrayArray(arrayFilter((value, kind, status) -> value != '' AND kind = 'llm' AND status != 'error',
              `steps.{column}`, `steps.kind`, `steps.status`)) AS found
          FROM ledger FINAL WHERE NOT gone{only} GROUP BY project, session_id
        ) AS used ON counted.project = used.in_project AND counted.session_id = used.in_session"""  # noqa: S608 - names are ours, values are filled in
    wanted = "" if values is None else f"[{', '.join(fill(':value', value=value) for value in values)}]"
    if not is_grouped:
        return f"SELECT * FROM ({joined}) WHERE hasAny({dimension}s, {wanted})"  # noqa: S608 - names are ours, values are filled in
    each = f"SELECT *, {dimension} FROM ({joined}) ARRAY JOIN {dimension}s AS {dimension}"  # noqa: S608 - names are ours
    return f"SELECT * FROM ({each}) WHERE has({wanted}, {dimension})" if wanted else each  # noqa: S608 - names are ours, values are filled in

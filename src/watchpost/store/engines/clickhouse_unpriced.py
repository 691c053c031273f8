"""Which counted model calls have no price, in SQL: counted as the ledger counts them, named as their spans name them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from watchpost.store.engines.clickhouse_sql import fill
from watchpost.store.readers import UnpricedModel

_SLOT_S = 600
_SLOT_NS = _SLOT_S * 10**9

_STEP = ("trace_id", "span_id", "start_ns", "kind", "model", "status", "in_tok", "out_tok", "cost_nano")
_JOINED = ", ".join(f"`steps.{column}` AS {column}" for column in _STEP)

# Rows that hold a call which may have none are found by two small columns first: where every call has a price, nothing else is read. A retrieval
# that used tokens is an embedding, which has no output to report.
_UNPRICED = f"""
WITH calls AS (
  SELECT project, {", ".join(_STEP)}
  FROM (
    SELECT * FROM ledger FINAL WHERE NOT gone AND slot >= :slot AND (:project = '' OR project = :project)
      AND (project, slot, session_id) IN (
        SELECT project, slot, session_id FROM ledger FINAL
        WHERE NOT gone AND slot >= :slot AND (:project = '' OR project = :project)
          AND arrayExists((cost, kind) -> isNull(cost) AND kind IN ('llm', 'retrieval'), `steps.cost_nano`, `steps.kind`)))
  ARRAY JOIN {_JOINED}
  WHERE isNull(cost_nano) AND status != 'running' AND start_ns >= :since AND (kind = 'llm' OR (kind = 'retrieval' AND isNotNull(in_tok))))
SELECT project, found.1 AS provider, model, found.2 AS service,
  multiIf(
    model = '', 'no_model',
    isNull(in_tok) OR (isNull(out_tok) AND kind = 'llm'), 'no_tokens',
    found.3 > in_tok OR found.4 > ifNull(out_tok, 0) OR least(in_tok, ifNull(out_tok, 0), found.5) < 0, 'contradiction',
    'no_price') AS reason,
  count() AS calls, countIf(status = 'error'), sum(in_tok), sum(out_tok), min(start_ns), max(start_ns)
FROM calls LEFT JOIN (
  SELECT project, trace_id, span_id, argMax((
      provider, service, ifNull(cached_tok, 0) + ifNull(cache_write_tok, 0), ifNull(reasoning_tok, 0),
      least(ifNull(cached_tok, 0), ifNull(cache_write_tok, 0), ifNull(reasoning_tok, 0))), ver) AS found
  FROM merge('^(spans|outlines)$') WHERE (project, trace_id) IN (SELECT project, trace_id FROM calls) AND kind IN ('llm', 'retrieval')
  GROUP BY project, trace_id, span_id) AS named USING (project, trace_id, span_id)
GROUP BY project, provider, model, service, reason
ORDER BY calls DESC, project, model, provider, service, reason LIMIT :limit
SETTINGS do_not_merge_across_partitions_select_final = 1, max_block_size = 8192"""  # noqa: S608 - names are ours, values are filled in


def unpriced_sql(project: str, since_ns: int, limit: int) -> str:
    """The query behind `UnpricedReader.unpriced`."""
    slot = since_ns // _SLOT_NS * _SLOT_S
    return fill(_UNPRICED, project=project, since=since_ns, slot=slot, limit=limit)


def unpriced_models(rows: Iterable[Sequence[object]]) -> list[UnpricedModel]:
    """The answer to it."""
    return [UnpricedModel(*row) for row in rows]  # type: ignore[arg-type] # the columns stand in the order of the fields

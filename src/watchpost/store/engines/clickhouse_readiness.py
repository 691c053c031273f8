"""Which required fields the latest calls of each service carry, in SQL.

The first query finds, for each service, since when its latest calls were received; the second one looks at those, so that texts are
read of few spans however many are stored. Calls are those that sessions count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from watchpost.query.readiness import DATED_MODEL, FIELDS, FieldSeen, ReadinessFilter, ServiceSeen
from watchpost.store.engines.clickhouse_sql import fill

Row = Sequence[object]

_SLOT_NS = 600 * 10**9
# Spans of one delivery share the moment of reception, so that there are far fewer moments than spans to put in order.
_SERVICES = """
SELECT project, service, groupArrayIf((what, since), what != 'agent'), countIf(what = 'agent') > 0, min(started), groupUniqArrayArray(8)(scopes)
FROM (
  SELECT project, service, what, if(max(upto) < :calls, min(received_ns), maxIf(received_ns, upto >= :calls)) AS since,
    min(started) AS started, sum(spans) AS spans, groupUniqArrayArray(8)(scopes) AS scopes
  FROM (
    SELECT *, sum(spans) OVER (PARTITION BY project, service, what ORDER BY received_ns DESC) AS upto
    FROM (
      SELECT project, service, if(kind IN ('llm', 'tool'), kind, 'agent') AS what, received_ns, count() AS spans,
        min(start_ns) AS started, groupUniqArray(8)(scope) AS scopes
      FROM spans
      WHERE received_ns >= :since AND end_ns > 0 AND kind IN ('llm', 'tool', 'agent', 'workflow')
        AND (:project = '' OR project = :project) AND (:service = '' OR service = :service)
      GROUP BY project, service, what, received_ns))
  GROUP BY project, service, what)
GROUP BY project, service ORDER BY sumIf(spans, what != 'agent') DESC, project, service LIMIT :limit"""

_FACTS = (
    "kind",
    "received_ns",
    "end_ns > start_ns AND start_ns > 0",
    "status",
    "error != ''",
    "model",
    "tool != ''",
    "call_id != ''",
    "isNotNull(in_tok)",
    "isNotNull(out_tok)",
    "isNotNull(cached_tok)",
    "isNotNull(reasoning_tok)",
    "ifNull(asked, 0)",
    "if(empty(texts), input, texts[1]) NOT IN :left_out OR (kind = 'llm' AND match(rest, :prompt))",
    "if(empty(texts), output, texts[2]) NOT IN :left_out OR (kind = 'llm' AND match(rest, :completion))",
    "multiSearchAny(rest, array:summary) OR multiSearchAny(concat(refs, ','), array:summary_ref)",
    "multiSearchAny(rest, array:anomaly)",
    "multiSearchAny(rest, array:first_token)",
    "if(kind = 'llm', response_id, '')",
)
_NAMES = (
    "kind",
    "received_ns",
    "lasted",
    "status",
    "explained",
    "model",
    "named",
    "identified",
    "in_told",
    "out_told",
    "cached_told",
    "reasoning_told",
    "asked",
    "has_input",
    "has_output",
    "summed",
    "judged",
    "first_told",
    "answer_id",
)

_NOWHERE = "toInt64(0), toFixedString('', 16), toFixedString('', 8)"
_TWINNED = ", ".join(
    f"max({fact}) OVER answer AS {fact.partition(' ')[0]}_of_any"
    for fact in (
        "has_input OR log_input",
        "has_output OR log_output",
        "in_told",
        "out_told",
        "cached_told",
        "reasoning_told",
        "first_told",
    )
)
"""What any span of a model call tells: two instrumentations report it under one id of the answer, and one of them counts."""

_OF = {"llm": "kind = 'llm'", "tool": "kind = 'tool'"}
_ANSWERED = "status != 'error'"
_FAMILY = f"kind = 'llm' AND {_ANSWERED} AND model != '' AND NOT match(model, :dated)"
_CALL_FIELDS: dict[tuple[str, str], tuple[str, str]] = {
    ("llm", "session"): ("true", "own"),
    ("tool", "session"): ("true", "own"),
    ("tool", "arguments"): ("true", "has_input"),
    ("tool", "response"): ("true", "has_output OR (status = 'error' AND explained)"),
    ("llm", "prompt"): ("true", "has_input_of_any"),
    ("llm", "completion"): (_ANSWERED, "has_output_of_any"),
    ("llm", "model"): (_ANSWERED, "model != ''"),
    ("llm", "input_tokens"): (_ANSWERED, "in_told_of_any"),
    ("llm", "output_tokens"): (_ANSWERED, "out_told_of_any"),
    ("tool", "name"): ("true", "named"),
    ("tool", "status"): ("true", "status != 'unknown'"),
    ("tool", "latency"): ("true", "lasted"),
    ("llm", "cached_tokens"): (_ANSWERED, "cached_told_of_any"),
    ("llm", "reasoning_tokens"): (_ANSWERED, "reasoning_told_of_any"),
    ("tool", "call_id"): ("true", "identified"),
    ("llm", "summary"): ("true", "summed"),
    ("llm", "anomaly"): ("true", "judged"),
    ("llm", "first_token"): (_ANSWERED, "first_told_of_any"),
}
"""Of which calls a field can be asked, and when one has it."""

_SESSION_FIELDS = {
    "outcome": "finished",
    "service": "service != '' AND NOT startsWith(service, 'unknown_service')",
    "workflow": "workflow_told",
    "user_id": "user_told",
}
"""When an ended session has a field."""


_ASKED = ", ".join(f"{_OF[of]} AND {where}" for (of, _), (where, _) in _CALL_FIELDS.items())
_TOLD = ", ".join(told for _, told in _CALL_FIELDS.values())
_OF_SESSIONS = ", ".join(
    f"countIf(ended AND ({told})), countIf(ended), maxIf(latest, ended AND NOT ({told}))"
    for told in _SESSION_FIELDS.values()
)

# `sample` is small: a few thousand rows of each service. It is asked for several times, which reads ids and times of the newest parts alone.
# A trace's id stands in for a session's where its spans name none, so a session that is named after one of its traces has no id of its own.
_SEEN = f"""
WITH sample AS (
  SELECT project, trace_id, span_id FROM spans
  WHERE received_ns >= :least AND end_ns > 0 AND kind IN ('llm', 'tool')
    AND received_ns >= transform(concat(project, '\\0', service, '\\0', kind), array:keys, arrayMap(x -> toInt64(x), array:times), toInt64({2**63 - 1}))
  ORDER BY received_ns DESC, trace_id, span_id LIMIT :calls BY project, service, kind),
held AS (
  SELECT project, session_id FROM members_by_trace WHERE (project, trace_id) IN (SELECT project, trace_id FROM sample)),
counted AS (
  SELECT project, session_id, held.2 != '' AS ended, step.1 AS trace_id, step.2 AS span_id, step.3 AS counted_as,
    (project, session_id) NOT IN (
      SELECT project, session_id FROM members
      WHERE session_id = lower(hex(trace_id)) AND (project, session_id) IN (SELECT project, session_id FROM held)) AS own
  FROM (
    SELECT project, session_id, argMax((gone, outcome, arrayZip(`steps.trace_id`, `steps.span_id`, `steps.kind`)), seq) AS held
    FROM ledger WHERE slot >= :slot AND (project, session_id) IN (SELECT project, session_id FROM held)
    GROUP BY project, slot, session_id)
  ARRAY JOIN held.3 AS step WHERE held.1 = 0 AND (project, step.1, step.2) IN (SELECT project, trace_id, span_id FROM sample)),
logged AS (
  SELECT project, trace_id, span_id, max(match(line, :logged_prompt)) AS log_input, max(match(line, :logged_completion)) AS log_output
  FROM (
    SELECT project, trace_id, span_id, concat(event_name, '\\n', body, '\\n', attributes) AS line FROM logs
    WHERE (project, trace_id, span_id) IN (SELECT project, trace_id, span_id FROM sample))
  GROUP BY project, trace_id, span_id),
calls AS (
  SELECT project, service, trace_id, span_id, {", ".join(f"facts.{n} AS {name}" for n, name in enumerate(_NAMES, 1))},
    (received_ns, trace_id, span_id) AS place, {_TWINNED}
  FROM (
    SELECT project, trace_id, span_id, argMax(service, ver) AS service, argMax(({", ".join(_FACTS)}), ver) AS facts
    FROM spans PREWHERE received_ns >= :least AND (project, trace_id, span_id) IN (SELECT project, trace_id, span_id FROM sample)
    WHERE end_ns > 0 GROUP BY project, trace_id, span_id) AS spoken
  LEFT JOIN logged USING (project, trace_id, span_id)
  WINDOW answer AS (PARTITION BY project, answer_id, if(answer_id = '', place, ({_NOWHERE})))),
runs AS (
  SELECT project, trace_id, min(one.6) AS started, countIf(one.1 AND one.2) > 0 AND countIf(one.1 AND NOT one.2) = 0 AS finished,
    countIf(one.3 = 'llm') AS models, countIf(one.3 IN ('tool', 'handoff')) AS tools, max(one.4) AS user_told, max(one.5) AS workflow_told
  FROM (
    SELECT project, trace_id, span_id, argMax((
      parent_id = toFixedString('', 8), end_ns > 0, kind, user_id != '', workflow != '', start_ns), ver) AS one
    FROM spans WHERE (project, trace_id) IN (SELECT project, trace_id FROM sample)
    GROUP BY project, trace_id, span_id)
  GROUP BY project, trace_id),
joined AS (
  SELECT project, service, session_id, trace_id, kind, status, model, asked, place, counted.ended AS ended, runs.started AS started,
    runs.finished AS finished, runs.user_told AS user_told, runs.workflow_told AS workflow_told, runs.models AS models, runs.tools AS tools,
    [{_ASKED}] AS asked_of, [{_TOLD}] AS told
  FROM calls INNER JOIN counted USING (project, trace_id, span_id) LEFT JOIN runs USING (project, trace_id)
  WHERE counted.counted_as = kind),
sessions_seen AS (
  SELECT project, service, session_id, max(one.ended) AS ended, argMax(one.finished, (one.started, trace_id)) AS finished,
    max(one.user_told) AS user_told, max(one.workflow_told) AS workflow_told, max(place) AS latest,
    countIf(kind = 'llm') AS llm_calls, countIf(kind = 'tool') AS tool_calls, max(one.models) AS models,
    sumIf(one.asked, kind = 'llm' AND one.tools = 0) AS asked, countIf({_FAMILY}) AS families, anyIf(model, {_FAMILY}) AS family,
    sumForEach(arrayMap((o, t) -> o AND t, asked_of, told)) AS seen, sumForEach(asked_of) AS of,
    maxForEach(arrayMap((o, t) -> if(o AND NOT t, place, ({_NOWHERE})), asked_of, told)) AS at
  FROM joined AS one GROUP BY project, service, session_id)
SELECT project, service, sum(llm_calls), sum(tool_calls), count(), max(models), sum(asked), sum(families), max(family),
  sumForEach(seen), sumForEach(of), maxForEach(at), {_OF_SESSIONS}
FROM sessions_seen GROUP BY project, service"""  # noqa: S608 - names are ours, values are filled in


def services_sql(wanted: ReadinessFilter) -> str:
    """The query for the services there are, and since when their latest calls were received."""
    return fill(
        _SERVICES,
        since=wanted.since_ns,
        project=wanted.project,
        service=wanted.service,
        calls=wanted.calls,
        limit=wanted.limit,
    )


class Services:
    """The answer to `services_sql`: since when to look at each kind of call of a service, the scopes of its spans, and in which ones agents run."""

    def __init__(self, rows: Sequence[Row]) -> None:
        found = cast("Sequence[tuple[str, str, list[tuple[str, int]], int, int, list[str]]]", rows)
        self.since = {(project, name, kind): at for project, name, kinds, *_ in found for kind, at in kinds}
        self.scopes = {(project, name): tuple(sorted(scopes)) for project, name, *_, scopes in found}
        self.agents = {(project, name) for project, name, _, agents, *_ in found if agents}
        self.started_ns = min((started_ns for *_, started_ns, _ in found), default=0)


def seen_sql(services: Services, wanted: ReadinessFilter) -> str:
    """The query for what those calls carry."""
    return fill(
        _SEEN,
        least=min(services.since.values()),
        keys=["\0".join(key) for key in services.since],
        times=[str(received_ns) for received_ns in services.since.values()],
        calls=wanted.calls,
        slot=services.started_ns // _SLOT_NS * 600,
        left_out=["", *wanted.left_out],
        dated=DATED_MODEL,
        prompt=wanted.flat["prompt"],
        completion=wanted.flat["completion"],
        logged_prompt=wanted.logged["prompt"],
        logged_completion=wanted.logged["completion"],
        summary_ref=[f"={key}," for key in wanted.told["summary"]],
        **{fact: [f'"{key}"' for key in wanted.told[fact]] for fact in ("summary", "anomaly", "first_token")},
    )


_NONE: Row = (0, 0, 0, 0, 0, 0, "")


def services_seen(services: Services, rows: Sequence[Row]) -> list[ServiceSeen]:
    """The answer to it, the services with the most calls first; one of which no call counts is there if agents run in it."""
    found = {(row[0], row[1]): row for row in rows}
    seen = [
        _service(key, found[key][2:] if key in found else _NONE, scopes)
        for key, scopes in services.scopes.items()
        if key in found or key in services.agents
    ]
    return sorted(seen, key=lambda one: (-one.llm_calls - one.tool_calls, one.project, one.service))


def _service(key: tuple[str, str], row: Row, scopes: tuple[str, ...]) -> ServiceSeen:
    llm_calls, tool_calls, sessions, models, asked, families = cast("Sequence[int]", row[:6])
    fields = _fields(row[7:]) if len(row) > len(_NONE) else {}
    return ServiceSeen(
        *key,
        llm_calls,
        tool_calls,
        sessions,
        models > 0,
        asked,
        families,
        str(row[6]),
        scopes,
        tuple(fields.get((field.of, field.name), FieldSeen(0, 0)) for field in FIELDS),
    )


def _fields(row: Row) -> dict[tuple[str, str], FieldSeen]:
    of_calls = zip(*cast("Sequence[Sequence[object]]", row[:3]), strict=True)
    of_sessions = zip(*[iter(row[3:])] * 3, strict=True)
    names = [*_CALL_FIELDS, *(("session", name) for name in _SESSION_FIELDS)]
    counts = cast("list[tuple[int, int, tuple[int, bytes, bytes]]]", [*of_calls, *of_sessions])
    return {name: _field(*count) for name, count in zip(names, counts, strict=True)}


def _field(seen: int, of: int, at: tuple[int, bytes, bytes]) -> FieldSeen:
    return FieldSeen(seen, of, at[1], at[2]) if seen < of else FieldSeen(seen, of)

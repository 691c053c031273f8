"""Measures in SQL: one query over the current rows of the ledger, or of the index of sessions, for each question.

Rows that fit are counted as states of aggregates by group and step of time; states are then merged for what is told apart and for the rest,
so that the rows are read once. A quantile by the nearest rank is the negative of the engine's own quantile from the other end, which takes
the value at place `floor(share * values)`, from 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

from watchpost.query.measures import (
    MOST_SCORE,
    PER_UNIT,
    SESSION_DIMENSIONS,
    SIGNALS,
    VERSION_DIMENSIONS,
    Cell,
    Contributor,
    Count,
    Dimension,
    Distinct,
    Field,
    Group,
    Mean,
    Measured,
    Of,
    Quantile,
    Question,
    Ratio,
    RowFormula,
    SessionsQuestion,
    Sum,
    Where,
)
from watchpost.store.engines.clickhouse_derived import DERIVED, used_sql
from watchpost.store.engines.clickhouse_rows import STEP
from watchpost.store.engines.clickhouse_sql import fill

_SLOT_S = 600
_SLOT_NS = _SLOT_S * 10**9

_COLUMNS: Mapping[Dimension, str] = {"feature_name": "feature", "step_name": "name"}
"""Columns that are not called as their dimension is."""

_STEP_FIELDS: Mapping[Field, str] = {
    "duration": "dur_us",
    "first_token": "first_us",
    "input_tokens": "in_tok",
    "output_tokens": "out_tok",
    "cached_tokens": "cached_tok",
    "reasoning_tokens": "reasoning_tok",
    "tokens": "(in_tok + out_tok)",
    "cost": "cost_nano",
    "asking_cost": "asking_cost",
    "score": f"toInt64(round(if(isFinite(score) AND abs(score) <= {MOST_SCORE}, score, NULL) * {PER_UNIT['score']}))",
}
_SESSION_FIELDS: Mapping[Field, str] = {
    "duration": "if(started_ns > 0 AND ended_ns >= started_ns, intDiv(ended_ns - started_ns, 1000), NULL)",
    "input_tokens": "in_tok",
    "output_tokens": "out_tok",
    "cached_tokens": "cached_tok",
    "reasoning_tokens": "reasoning_tok",
    "tokens": "(in_tok + out_tok)",
    "cost": "cost_nano",
    "steps": "steps",
    "llm_calls": "llm_calls",
    "tool_calls": "tool_calls",
    "retries": "retries",
    "success": "success",
}
_FIELDS: Mapping[Of, Mapping[Field, str]] = {"step": _STEP_FIELDS, "flag": _STEP_FIELDS, "session": _SESSION_FIELDS}

_DIGESTS = ("sipHash64", "cityHash64")
_HALVES = ", ".join(f"reinterpretAsFixedString({digest}(project, session_id))" for digest in _DIGESTS)
_WHOSE = f"reinterpretAsUUID(concat({_HALVES}))"
"""128 bits that stand for a session, taken once for each row: counting distinct ones costs a quarter of counting distinct names."""

_EACH_ONCE = ("uniqExactStateIf", "whose, ", "uniqExactMerge")

_SETTINGS = "SETTINGS do_not_merge_across_partitions_select_final = 1"
"""Copies of a row stand in one partition: it follows from the slot, which is part of the key."""

_NUDGE = 1e-12
"""Keeps a product that is a whole number from being taken for the one below, up to 10**9 values and shares in thousandths."""


def answered(questions: Sequence[Question], rows_of: Callable[[str], Iterable[Sequence[object]]]) -> list[Measured]:
    """What `MeasureReader.measured` answers to each of some questions that are `alike`, of the rows of one query."""
    if questions[0].by:
        return _told_apart(questions, rows_of(_grouped_sql(questions)))
    return _together(questions, rows_of(_together_sql(questions)))


def _grouped_sql(questions: Sequence[Question]) -> str:
    """The query behind one question that is grouped by something, or behind several of the same `shown` groups."""
    question = questions[0]
    parts, states, merged = _states(questions)
    columns = ", ".join(_column(name) for name in question.by)
    taking = " OR ".join(f"{each.took} OR {each.untold}" for each in parts)
    rows = _rows(question, " ".join(each.named for each in parts))
    counted = f"SELECT {columns}, {_bucket(question)} AS bucket, {states} FROM ({rows}) WHERE {taking} GROUP BY {columns}, bucket"  # noqa: S608 - names are ours, values are filled in
    # grouped by what they are, columns take half the time that the list of their texts takes
    group = f"[{', '.join(f'toString({_column(name)})' for name in question.by)}]"
    named = f"SELECT *, {group} AS g FROM ({counted})"  # noqa: S608 - a query of ours
    sets = "GROUPING SETS ((at, gg), (at, gg, bucket))" if question.step_ns else "at, gg"
    step = "if(grouping(bucket) = 1, NULL, bucket)" if question.step_ns else "NULL"
    return f"""
        SELECT least(place, {question.top + 1}) AS at, if(place <= {question.top}, g, []) AS gg, {step} AS step, max(place), {merged}
        FROM ({_placed(question, parts[0], named)}) GROUP BY {sets} ORDER BY at, step NULLS FIRST
        {_SETTINGS}"""  # noqa: S608 - names are ours, values are filled in


def _told_apart(questions: Sequence[Question], rows: Iterable[Sequence[object]]) -> list[Measured]:
    """The answers to it."""
    groups = [0] * len(questions)
    cells: list[list[Cell]] = [[] for _ in questions]
    for at, group, step, place, *numbers in rows:
        told_apart = tuple(cast("list[str]", group)) if cast("int", at) <= questions[0].top else None
        for number, cell in _cells_of(questions, told_apart, cast("int | None", step), numbers):
            groups[number] = max(groups[number], cast("int", place))
            cells[number].append(cell)
    return [Measured(*found) for found in zip(groups, cells, strict=True)]


def _together_sql(questions: Sequence[Question]) -> str:
    """The query behind questions that are grouped by nothing."""
    question = questions[0]
    parts, states, merged = _states(questions)
    sets = "GROUPING SETS ((), (bucket))" if question.step_ns else "GROUPING SETS (())"
    step = "if(grouping(bucket) = 1, NULL, bucket)" if question.step_ns else "NULL"
    rows = _rows(question, " ".join(each.named for each in parts))
    return f"""
        SELECT {step} AS step, {merged}
        FROM (SELECT {_bucket(question)} AS bucket, {states} FROM ({rows}) GROUP BY bucket) GROUP BY {sets} ORDER BY step NULLS FIRST
        {_SETTINGS}"""  # noqa: S608 - names are ours, values are filled in


def _together(questions: Sequence[Question], rows: Iterable[Sequence[object]]) -> list[Measured]:
    """The answers to it."""
    cells: list[list[Cell]] = [[] for _ in questions]
    for step, *numbers in rows:
        for number, cell in _cells_of(questions, (), cast("int | None", step), numbers):
            cells[number].append(cell)
    return [Measured(min(len(found), 1), found) for found in cells]


def _states(questions: Sequence[Question]) -> tuple[list[_Parts], str, str]:
    """The formulas, the states of what they count, and those merged."""
    parts = [
        _Parts(cast("RowFormula", each.measure.formula), _FIELDS[each.measure.of], each.quantile) for each in questions
    ]
    who, whose, merge_who = _who(questions[0])
    states = (
        f"{who}({whose}{each.took}) AS who{at}, countStateIf({each.took}) AS n{at}, countStateIf({each.untold}) AS u{at}, "
        f"{each.over} AS a{at}, {each.per} AS b{at}"
        for at, each in enumerate(parts)
    )
    merged = (
        f"{merge_who}(who{at}), countMerge(n{at}), countMerge(u{at}), {each.merge_over}(a{at}), {each.merge_per}(b{at})"
        for at, each in enumerate(parts)
    )
    return parts, ", ".join(states), ", ".join(merged)


def _cells_of(
    questions: Sequence[Question], group: Group | None, step: int | None, numbers: Sequence[object]
) -> Iterator[tuple[int, Cell]]:
    """The cells of one row in which anything fits, each with the number of its question."""
    for at, question in enumerate(questions):
        sessions, counted, untold, over, per = (int(cast("int", each)) for each in numbers[5 * at : 5 * at + 5])
        sign = -1 if isinstance(question.measure.formula, Quantile) else 1
        if counted or untold:
            yield at, Cell(group, step, sessions, counted, untold, sign * over, per)


def alike(questions: Sequence[Question]) -> list[list[Question]]:
    """Questions put together that the same rows answer: they count the same in the same window, and group by nothing or show the same groups."""
    found: dict[object, list[Question]] = {}
    for at, question in enumerate(questions):
        measure = at if _stands_alone(question) else question.measure.of
        window = (question.since_ns, question.until_ns, question.step_ns)
        key = (measure, *window, question.filters, question.tells_sessions, question.by, question.shown, question.top)
        found.setdefault(key, []).append(question)
    return list(found.values())


def _stands_alone(question: Question) -> bool:
    """Whether what is worked out for this question would change or cost the others."""
    return bool(question.by and question.shown is None) or question.measure.of == "sample" or is_derived(question)


def is_derived(question: Question) -> bool:
    """Whether what is asked for of a step is worked out of steps around it."""
    measure = question.measure
    parts = _Parts(cast("RowFormula", measure.formula), _FIELDS[measure.of], question.quantile)
    return not DERIVED.keys().isdisjoint(re.findall(r"\w+", parts.named))


def sessions_sql(asked: SessionsQuestion) -> str:
    """The query behind `MeasureReader.contributors`."""
    question = asked.of
    parts = _Parts(cast("RowFormula", question.measure.formula), _FIELDS[question.measure.of], question.quantile)
    wanted = parts.above if asked.part == "over" else parts.took
    after = ""
    if asked.after is not None:
        after = fill("AND (project, session_id) > (:project, :session)", project=asked.after[0], session=asked.after[1])
    return f"""
        SELECT project, session_id, count() FROM ({_rows(question, parts.named)}) WHERE {wanted} {after}
        GROUP BY project, session_id ORDER BY project, session_id LIMIT {asked.limit} {_SETTINGS}"""  # noqa: S608 - names are ours, values are filled in


def contributors(rows: Iterable[Sequence[object]]) -> list[Contributor]:
    """The answer to it."""
    return [Contributor(*row) for row in rows]  # type: ignore[arg-type] # the columns stand in the order of the fields


class _Parts:
    """A formula as pieces of a query: which rows take part, which would if they told, and what they add up to.

    `above` are the rows of what stands above the line of a ratio. `rank` is the value of a whole group, for putting groups in order.
    """

    def __init__(self, formula: RowFormula, fields: Mapping[Field, str], quantile: int) -> None:
        self._fields = fields
        self._level = f"{(1000 - quantile) / 1000 + _NUDGE:.15f}"
        self.untold = "0"
        self.per, self.merge_per = "countStateIf(0)", "countMerge"
        over, per = "{a}", "nullIf(toFloat64({b}), 0)"
        match formula:
            case Count(where) | Distinct(where):
                self.above = self.took = self._where(where)
            case Sum(field, where) | Mean(field, where) | Quantile(field, where):
                self.above = self.took = self._told(where, field)
                self.untold = f"({self._where(where)} AND isNull({fields[field]}))"
                over = (
                    "if({n} = 0, NULL, {a})" if not isinstance(formula, Sum) else "if({n} = 0 AND {u} > 0, NULL, {a})"
                )
            case Ratio(above, below):
                self.above, under = self._taking(above), self._taking(below)
                self.took = f"({self.above} OR {under})"
                if isinstance(above, Sum):
                    self.untold = f"({self._where(above.where)} AND isNull({fields[above.field]}))"
                self.per, self.merge_per = self._state(below)
        if isinstance(formula, Mean):
            self.per = f"countStateIf({self.took})"
        self.over, self.merge_over = self._state(formula.over if isinstance(formula, Ratio) else formula)
        sign = "-" if isinstance(formula, Quantile) else ""
        self.rank = f"toFloat64({over}) / {per}" if isinstance(formula, Mean | Ratio) else f"{sign}{over}"
        self.named = f"{self.took} {self.untold} {self.over} {self.per}"

    def ranked(self) -> str:
        """The value of a group over all its rows, in a query of its states."""
        merged = {
            "a": f"{self.merge_over}(a0)",
            "b": f"{self.merge_per}(b0)",
            "n": "countMerge(n0)",
            "u": "countMerge(u0)",
        }
        return self.rank.format(**{name: f"({state} OVER (PARTITION BY g))" for name, state in merged.items()})

    def _taking(self, formula: Count | Distinct | Sum) -> str:
        if isinstance(formula, Sum):
            return self._told(formula.where, formula.field)
        return self._where(formula.where)

    def _state(self, formula: Count | Distinct | Sum | Mean | Quantile) -> tuple[str, str]:
        """A state of the aggregate, and what merges states of it."""
        match formula:
            case Count(where):
                return f"countStateIf({self._where(where)})", "countMerge"
            case Distinct(where):
                return f"uniqExactStateIf(whose, {self._where(where)})", "uniqExactMerge"
            case Sum(field, where) | Mean(field, where):
                value = f"toInt64(ifNull({self._fields[field]}, 0))"
                return f"sumStateIf({value}, {self._told(where, field)})", "sumMerge"
            case Quantile(field, where):
                value = f"-toInt64(ifNull({self._fields[field]}, 0))"
                level = f"quantileExact{{}}({self._level})"
                return f"{level.format('StateIf')}({value}, {self._told(where, field)})", level.format("Merge")

    def _told(self, where: Where, field: Field) -> str:
        return f"({self._where(where)} AND isNotNull({self._fields[field]}))"

    def _where(self, where: Where) -> str:
        """The condition; what it does not ask for is left out."""
        given = [
            fill(f"{column} {how} :values", values=values)
            for column, how, values in (
                ("kind", "IN", where.kinds),
                ("error_type", "IN", where.error_types),
                ("error_type", "NOT IN", where.not_error_types),
                ("outcome", "IN", where.outcomes),
                ("lower(label)", "IN", where.labels),
            )
            if values
        ]
        for column, limits in (
            ("breaches", where.breached),
            ("arrayConcat(breaches, within)", where.checked),
            ("unchecked", where.unchecked),
        ):
            if limits:
                given.append(f"hasAny({column}, [{', '.join(map(_text, limits))}])")
        if where.flags:
            given.append(f"hasAny(flags, [{', '.join(map(_text, where.flags))}])")
        given += [
            condition
            for asked, condition in (
                (where.ended, "status != 'running'"),
                (where.failed, "status = 'error'"),
                (where.retried, "retried"),
                (where.flagged, f"arrayExists(kind -> kind NOT IN ({', '.join(map(_text, SIGNALS))}), flags)"),
                (where.succeeded, "success = 1"),
                (where.billed, "(kind = 'llm' OR (kind = 'retrieval' AND isNotNull(in_tok)))"),
            )
            if asked
        ]
        given += [f"isNotNull({self._fields[field]})" for field in where.told]
        given += [f"isNull({self._fields[field]})" for field in where.untold]
        return f"({' AND '.join(given)})" if given else "1"


def _placed(question: Question, parts: _Parts, counted: str) -> str:
    """The states, each with the place of its group, from 1; one beyond `top` for what is not told apart."""
    if not question.by:
        return f"SELECT *, 1 AS place FROM ({counted})"  # noqa: S608 - a query of ours
    if question.shown is not None:
        shown = ", ".join(f"[{', '.join(_text(value) for value in group)}]" for group in question.shown)
        found = f"indexOf([{shown}], g)" if shown else "0"
        return f"SELECT *, if({found} = 0, {question.top + 1}, {found}) AS place FROM ({counted})"  # noqa: S608 - values are filled in
    return f"""
        SELECT *, dense_rank() OVER (ORDER BY v DESC NULLS LAST, g) AS place
        FROM (SELECT *, {parts.ranked()} AS v FROM ({counted}))"""  # noqa: S608 - a query of ours


def _rows(question: Question, named: str) -> str:
    """The sessions, steps or flags in the window that pass the filters, with the columns that are named anywhere in the rest of the query."""
    return used_sql(_counted_rows(question, named), question)


def _counted_rows(question: Question, named: str) -> str:
    """The same, whatever their sessions used."""
    of = question.measure.of
    filters = [
        (name, fill(f"{_column(name)} IN :values", values=values))
        for name, values in question.filters
        if name not in VERSION_DIMENSIONS
    ]
    if of == "session":
        passing = "".join(f" AND {condition}" for _, condition in filters)
        return f"""
            SELECT * FROM sessions FINAL WHERE state = 'ended' AND moved_to = ''
              AND ended_ns >= {question.since_ns} AND ended_ns < {question.until_ns}{passing}"""  # noqa: S608 - values are filled in
    rows = "".join(f" AND {condition}" for name, condition in filters if name in SESSION_DIMENSIONS)
    steps = "".join(f" AND {condition}" for name, condition in filters if name not in SESSION_DIMENSIONS)
    words = {*re.findall(r"\w+", named + steps), *(_column(name) for name in question.by), "start_ns"}
    derived = [row for name, row in DERIVED.items() if name in words]
    words.update(*(row.columns for row in derived))
    if of == "flag":
        words.add("flags")
    lists = [name for name in STEP if name in words]
    around_ns = max((row.around_ns for row in derived), default=0)
    since_ns, until_ns = question.since_ns - around_ns, question.until_ns + around_ns
    titles = ", ".join(_column(name) for name in SESSION_DIMENSIONS if name != "project")
    first, end = since_ns // _SLOT_NS * _SLOT_S, -(-until_ns // _SLOT_NS) * _SLOT_S
    joined = f"""
        SELECT project, session_id, whose, {titles}, {", ".join(lists)}
        FROM (SELECT *, {_WHOSE} AS whose FROM ledger FINAL WHERE NOT gone AND slot >= {first} AND slot < {end}{rows})
        ARRAY JOIN {", ".join(f"`steps.{name}` AS {name}" for name in lists)}
        WHERE start_ns >= {since_ns} AND start_ns < {until_ns}"""  # noqa: S608 - values are filled in
    for row in derived:
        joined = row.sql(joined)
    if derived:
        steps += f" AND start_ns >= {question.since_ns} AND start_ns < {question.until_ns}"
    if of == "flag":
        joined = f"SELECT *, flag FROM ({joined}) ARRAY JOIN arrayDistinct(flags) AS flag"  # noqa: S608 - a query of ours
    return f"SELECT * FROM ({joined}) WHERE 1{steps}"  # noqa: S608 - values are filled in


def _who(question: Question) -> tuple[str, str, str]:
    """The state of how many sessions contributed, what stands in it before the condition, and what merges such states."""
    if question.tells_sessions and question.measure.of != "session":
        return _EACH_ONCE
    return "countStateIf", "" if question.measure.of == "session" else "0 AND ", "countMerge"


def _bucket(question: Question) -> str:
    time = "ended_ns" if question.measure.of == "session" else "start_ns"
    return f"intDiv({time} - {question.since_ns}, {question.step_ns})" if question.step_ns else "0"


def _column(dimension: Dimension) -> str:
    return _COLUMNS.get(dimension, dimension)


def _text(value: str) -> str:
    return fill(":value", value=value)

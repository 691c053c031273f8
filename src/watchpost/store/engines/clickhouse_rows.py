"""Rows of the telemetry tables as values of the model: the way back from `clickhouse_columns`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import msgspec

from watchpost.model.session import Summary, Totals
from watchpost.model.step import NO_REPLY, STEP_KINDS, WITHHELD, Facets, Judged, Reading, Reply, Tokens
from watchpost.model.telemetry import LogLine
from watchpost.store.contracts import LedgerStep, Member
from watchpost_core.mentions import packed
from watchpost_core.utterance import LONGEST as UTTERED

Row = Sequence[object]

_STEPS = ", ".join(f"'{kind}'" for kind in sorted(STEP_KINDS))
_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_NO_TARGET = bytes(24)

_SPAN_HEAD = (
    "project, trace_id, span_id, parent_id, ver, received_ns, start_ns, end_ns, kind, name, status, own_session, agent, workflow, service, user_id,"
    " provider, model, tool, call_id, response_id, error_type, error, scope, asked, ran, target, in_tok, out_tok, cached_tok, cache_write_tok, reasoning_tok, cost_nano"
)
_FACETS = "org_id, feature, release, prompt, first_us, evaluator, score, label"
_REPLY = "reply, reply_before, reply_to"
_INPUT = "if(empty(texts), input, texts[1])"
_OUTPUT = "if(empty(texts), output, texts[2])"

WHOLE_SPAN = f"{_SPAN_HEAD}, {_INPUT}, {_OUTPUT}, rest, refs, mentioned, {_FACETS}, 0, {_REPLY}"
"""The columns of a whole reading, in the order that `readings` takes them."""

_CUT = f"substringUTF8({{text}}, 1, {UTTERED})"
_FOLD_INPUT = f"multiIf(kind IN ('tool', 'handoff'), {_INPUT}, kind = 'llm', substringUTF8({_INPUT}, 1, 1), kind IN ({_STEPS}), {_CUT.format(text=_INPUT)}, '')"
_FOLD_OUTPUT = f"multiIf(kind IN ('tool', 'handoff'), {_OUTPUT}, kind IN ({_STEPS}), {_CUT.format(text=_OUTPUT)}, '')"

FOLD_SPAN = f"{_SPAN_HEAD}, {_FOLD_INPUT}, {_FOLD_OUTPUT}, '{{}}', refs, mentioned, {_FACETS}, 0, {_REPLY}"
"""The same with what the fold needs: no `rest`, texts of steps alone, and of a model call's input whether there is any."""

OUTLINE = f"{_SPAN_HEAD}, {_FOLD_INPUT}, {_FOLD_OUTPUT}, '{{}}', '', mentioned, {_FACETS}, 1, '', '', 0"
"""The same of an outline."""

_SPAN_COLUMNS = f"{_SPAN_HEAD}, {_FACETS}"
_MARKED = f"if({{text}} = '', '', '{WITHHELD}')"

OUTLINED_COLUMNS = f"{_SPAN_COLUMNS}, texts"
OUTLINED = f"{_SPAN_COLUMNS}, [{_MARKED.format(text=_INPUT)}, {_MARKED.format(text=_OUTPUT)}]"
"""What becomes the columns `OUTLINED_COLUMNS` of an outline, out of a span."""

MEMBER = "project, session_id, trace_id, seq, live"

SUMMARY = (
    "key, project, session_id, workflow, user_id, state, outcome, revision, started_ns, ended_ns, received_ns, due_ns,"
    " steps, llm_calls, tool_calls, tool_errors, in_tok, out_tok, cached_tok, reasoning_tok, cost_nano, retries, unseen_tool_calls, estimated, moved_to, service, org_id, feature, release,"
    " success, breaches, within, unchecked"
)

STEP = (
    "trace_id",
    "span_id",
    "parent_id",
    "start_ns",
    "dur_us",
    "kind",
    "name",
    "agent",
    "model",
    "tool",
    "status",
    "error_type",
    "in_tok",
    "out_tok",
    "cost_nano",
    "flags",
    "cached_tok",
    "reasoning_tok",
    "first_us",
    "prompt",
    "evaluator",
    "score",
    "label",
)
"""The lists of a ledger row, in the order that `ledger_steps` takes them."""

LINE = "time_ns, severity, trace_id, span_id, event_name, body, attributes"


def readings(rows: Iterable[Row]) -> list[Reading]:
    """Rows of `WHOLE_SPAN` or `FOLD_SPAN`; of several copies of one span only the winning one, at the place of the first.

    Of a copy and its outline it is the copy.
    """
    won: dict[tuple[object, object, object], Row] = {}
    for row in rows:
        at = (row[0], row[1], row[2])
        held = won.get(at)
        if held is None or _copy(row) > _copy(held):
            won[at] = row
    return [_reading(row) for row in won.values()]


def _copy(row: Row) -> tuple[int, int]:
    """By which copies of one span are ordered, the winning one last."""
    return cast("int", row[4]), -cast("int", row[46])


def _reading(row: Row) -> Reading:
    head = cast("tuple[str, bytes, bytes]", row[:3])
    texts = cast("tuple[str, str, str, str]", row[33:37])
    mentioned = packed(cast("Sequence[int]", row[37]))
    facets = Facets(*cast("Sequence[str]", row[38:42]))
    judged = Judged(*cast("tuple[str, float | None, str]", row[43:46]))
    tokens = Tokens(*cast("Sequence[int | None]", row[27:32]))
    parent = b"" if row[3] == _NO_SPAN else row[3]
    target = b"" if row[26] == _NO_TARGET else row[26]
    values = (
        *head,
        parent,
        *row[4:25],
        row[25] == 1,
        target,
        tokens,
        row[32],
        *texts,
        mentioned,
        facets,
        row[42],
        judged,
        row[46] == 1,
        NO_REPLY if not row[49] else Reply(*cast("tuple[str, str, int]", row[47:50])),
    )
    return Reading(*values)  # type: ignore[arg-type] # the columns stand in the order of the fields


def live_members(rows: Iterable[Row]) -> list[Member]:
    """Rows of `MEMBER`: of several for one session and trace the one of the greatest `seq` holds, and counts if it is live."""
    won: dict[tuple[str, str, bytes], Member] = {}
    for row in rows:
        project, session_id, trace_id, seq, live = cast("tuple[str, str, bytes, int, int]", row)
        at = (project, session_id, trace_id)
        if at not in won or seq > won[at].seq:
            won[at] = Member(project, session_id, trace_id, seq, live=bool(live))
    return [member for member in won.values() if member.live]


def summaries(rows: Iterable[Row]) -> list[Summary]:
    """Rows of `SUMMARY`."""
    return [_summary(row) for row in rows]


def _summary(row: Row) -> Summary:
    counts = (*row[12:23], row[23] == 1)
    totals = Totals(*counts)  # type: ignore[arg-type] # the columns stand in the order of the fields
    success = None if row[29] is None else row[29] == 1
    limits = [tuple(cast("Sequence[str]", limits)) for limits in row[30:33]]
    values = (*row[:6], row[6] or None, *row[7:12], totals, *row[24:29], success, *limits)
    return Summary(*values)  # type: ignore[arg-type] # the columns stand in the order of the fields


def ledger_steps(lists: Sequence[Sequence[object]]) -> list[LedgerStep]:
    """The lists of one ledger row, `STEP` in order, as its steps."""
    return [_step(row) for row in zip(*lists, strict=True)]


def _step(row: Row) -> LedgerStep:
    parent = b"" if row[2] == _NO_SPAN else row[2]
    values = (*row[:2], parent, *row[3:15], tuple(cast("Sequence[str]", row[15])), *row[16:23])
    return LedgerStep(*values)  # type: ignore[arg-type] # the columns stand in the order of the fields


def log_lines(rows: Iterable[Row]) -> list[LogLine]:
    """Rows of `LINE`."""
    return [_line(row) for row in rows]


def _line(row: Row) -> LogLine:
    time_ns, severity, trace_id, span_id, event_name = cast("tuple[int, int, bytes, bytes, str]", row[:5])
    body, attributes = cast("tuple[str, str]", row[5:])
    return LogLine(
        time_ns,
        severity,
        b"" if trace_id == _NO_TRACE else trace_id,
        b"" if span_id == _NO_SPAN else span_id,
        event_name,
        msgspec.json.decode(body),
        msgspec.json.decode(attributes, type=dict[str, object]),
    )

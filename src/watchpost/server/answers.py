"""The JSON that the API and the CLI answer, as structs whose field names are the contract, and how values become them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from watchpost.ingest.content import Form
from watchpost.ingest.log_content import contents
from watchpost.ingest.read import raw_attributes
from watchpost.ingest.reported import forms, reported
from watchpost.model.fact import Verdict, VerdictKind
from watchpost.model.flag import Flag, FlagState, Severity
from watchpost.model.session import Outcome, SlaLimit, State, Summary, Totals
from watchpost.model.step import Reading
from watchpost.model.telemetry import LogLine
from watchpost.store.readers import StepRow
from watchpost.store.retention import Reason
from watchpost_core.taxonomy import GROUPS

SpanRef = tuple[bytes, bytes]
"""(trace id, span id)."""

TraceState = Literal["recent", "kept", "sampled_out", "expired"]
"""`recent`: nothing was decided yet, and all of it is there."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class VerdictAnswer(msgspec.Struct, frozen=True):
    """What somebody said of a flag, and when; empty text where they gave no name or note."""

    verdict: VerdictKind
    by: str
    note: str
    at: str | None


class FlagAnswer(msgspec.Struct, frozen=True):
    """One flag. `step` is the step's number at the moment of the answer, null for a span that is not counted as a step.

    `verdict` is the latest one, null where nobody gave one.
    """

    id: str
    kind: str
    step_id: str
    trace_id: str
    step: int | None
    severity: Severity
    state: FlagState
    summary: str
    evidence: dict[str, object]
    verdict: VerdictAnswer | None


class FlagEntry(FlagAnswer, frozen=True, kw_only=True):
    """One flag wherever it is. `session` is the key of its session, `at` the time of its step.

    `muted` says why nobody is told of such flags any more, null where people are.
    """

    project: str
    session: str
    session_id: str
    tool: str
    at: str | None
    muted: str | None


class FlagDetail(FlagEntry, frozen=True, kw_only=True):
    """One flag with every verdict about it, in the order in which they were given."""

    verdicts: list[VerdictAnswer]


class FlagsAnswer(msgspec.Struct, frozen=True):
    """A page of flags, the latest first; `next` is the cursor of the following page, null at the end."""

    flags: list[FlagEntry]
    next: str | None


class TotalsAnswer(msgspec.Struct, frozen=True):
    """What a session used; null where no source reported it. `cost_usd` is a decimal string.

    `retries` are model calls made again after an error, counted as one with the next; `unseen_tool_calls` were asked for by a model
    and are not known to have run. Where `estimated`, tokens are totals that agents reported of model calls that were not seen.
    """

    steps: int
    llm_calls: int | None
    tool_calls: int | None
    tool_errors: int | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: str | None
    retries: int
    unseen_tool_calls: int
    estimated: bool


class TraceAnswer(msgspec.Struct, frozen=True):
    """What is left of a session's trace: `share` is the probability with which it was to be kept, 1 for what had to be, null while `recent`.

    `reason` says why it was kept or not. One that was sampled out may have a reason to be kept that came later: what was received
    since then is there. `held` says that people hold it.
    """

    state: TraceState
    share: float | None
    reason: Reason | Literal[""]
    held: bool


class SessionAnswer(msgspec.Struct, frozen=True):
    """One session. `ended_at` is null until it ended; times are ISO 8601 in UTC with microseconds, null where unknown.

    `success` is null until it ended. `breaches`, `within` and `unchecked` are the limits of its workflow's SLA that a run of it went beyond, that all
    kept, and that could not be checked for want of a number.
    """

    key: str
    session_id: str
    project: str
    workflow: str
    service: str
    user_id: str
    state: State
    outcome: Outcome | None
    revision: int
    started_at: str | None
    ended_at: str | None
    totals: TotalsAnswer
    flags: list[FlagAnswer]
    success: bool | None
    breaches: tuple[SlaLimit, ...]
    within: tuple[SlaLimit, ...]
    unchecked: tuple[SlaLimit, ...]
    trace: TraceAnswer


class SessionsAnswer(msgspec.Struct, frozen=True):
    """A page of sessions, latest activity first; `next` is the cursor of the following page, null at the end.

    Where a text was asked for, `searched_since` is since when spans were received that were searched for it, null if all were, and
    `words_since` the same for texts that hold it as whole words, never later. `matched` is the parameter as which what `q` asked for was
    found, empty where nothing was, or `q` was not given.
    """

    sessions: list[SessionAnswer]
    next: str | None
    searched_since: str | None = None
    words_since: str | None = None
    matched: str = ""


class StepAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `duration_ms` is null while it runs; empty text means that the source did not say."""

    step_id: str
    trace_id: str
    parent_id: str | None
    number: int
    kind: str
    name: str
    agent: str
    model: str
    tool: str
    status: str
    error_type: str
    started_at: str | None
    duration_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None
    flags: list[FlagAnswer]


class StepsAnswer(msgspec.Struct, frozen=True):
    """A page of steps in order; `next` is the `after` of the following page, null at the end."""

    steps: list[StepAnswer]
    next: int | None


class LogAnswer(msgspec.Struct, frozen=True):
    """One log line of a step; `severity` is OTLP's SeverityNumber."""

    time: str | None
    severity: int
    event_name: str
    body: object
    attributes: dict[str, object]


class ErrorHandling(msgspec.Struct, frozen=True):
    """How errors of a type are handled: the group they belong to, what a team does about them, how badly one counts."""

    group: str
    stance: str
    severity: str


class StepDetailAnswer(StepAnswer, frozen=True, kw_only=True):
    """One step with what it carried.

    `attributes` are the span's own, by the names they were received with; `span` is the rest of it: resource, scope, kind,
    status, status_message, events, links, where it had them. `error` is the error as reported and
    `error_handling` what its type asks for, null where it has none; `input_form` and `output_form`
    say how the contents stood, on the span or else in its log lines: absent, redacted, truncated, json, python or text. `reported` is what the source says of the
    step itself, such as its own step number, anomaly or rationale. `missing` says why there is none of this, null where there is.
    """

    error: str
    error_handling: ErrorHandling | None
    input: str
    input_form: Form
    output: str
    output_form: Form
    reported: dict[str, object]
    attributes: dict[str, object]
    span: dict[str, object]
    logs: list[LogAnswer]
    missing: str | None = None


def usd(nano: int | None) -> str | None:
    """Nano-USD as an exact decimal string without needless zeros."""
    if nano is None:
        return None
    whole, part = divmod(abs(nano), 10**9)
    sign = "-" if nano < 0 else ""
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")


def moment(ns: int) -> str | None:
    """Unix nanoseconds as ISO 8601 in UTC with microseconds and a Z; None for 0, which is how an unset time arrives."""
    if not ns:
        return None
    return (_EPOCH + timedelta(microseconds=ns // 1000)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def verdict_answer(verdict: Verdict | None) -> VerdictAnswer | None:
    """A verdict, if there is one."""
    return None if verdict is None else VerdictAnswer(verdict.verdict, verdict.by, verdict.note, moment(verdict.at_ns))


def flag_answer(flag: Flag, number: int | None, verdict: Verdict | None) -> FlagAnswer:
    """A flag, with the number of its step and the verdict that holds."""
    return FlagAnswer(
        id=flag.id,
        kind=flag.kind,
        step_id=flag.span_id.hex(),
        trace_id=flag.trace_id.hex(),
        step=number,
        severity=flag.severity,
        state=flag.state,
        summary=flag.summary,
        evidence=flag.evidence,
        verdict=verdict_answer(verdict),
    )


def totals_answer(totals: Totals) -> TotalsAnswer:
    """Totals, with money as text."""
    return TotalsAnswer(
        steps=totals.steps,
        llm_calls=totals.llm_calls,
        tool_calls=totals.tool_calls,
        tool_errors=totals.tool_errors,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cached_tokens=totals.cached_tokens,
        reasoning_tokens=totals.reasoning_tokens,
        cost_usd=usd(totals.cost_nano),
        retries=totals.retries,
        unseen_tool_calls=totals.unseen_tool_calls,
        estimated=totals.estimated,
    )


def session_answer(summary: Summary, flags: Sequence[FlagAnswer], trace: TraceAnswer) -> SessionAnswer:
    """A session with its flags, and what is left of its trace."""
    return SessionAnswer(
        key=summary.key,
        session_id=summary.session_id,
        project=summary.project,
        workflow=summary.workflow,
        service=summary.service,
        user_id=summary.user_id,
        state=summary.state,
        outcome=summary.outcome,
        revision=summary.revision,
        started_at=moment(summary.started_ns),
        ended_at=moment(summary.ended_ns) if summary.state == "ended" else None,
        totals=totals_answer(summary.totals),
        flags=list(flags),
        success=summary.success,
        breaches=summary.breaches,
        within=summary.within,
        unchecked=summary.unchecked,
        trace=trace,
    )


def step_answer(row: StepRow, flags: Mapping[SpanRef, Sequence[FlagAnswer]]) -> StepAnswer:
    """A step with the flags that stand at it."""
    step = row.step
    return StepAnswer(
        step_id=step.span_id.hex(),
        trace_id=step.trace_id.hex(),
        parent_id=step.parent_id.hex() if any(step.parent_id) else None,
        number=row.number,
        kind=step.kind,
        name=step.name,
        agent=step.agent,
        model=step.model,
        tool=step.tool,
        status=step.status,
        error_type=step.error_type,
        started_at=moment(step.start_ns),
        duration_ms=None if step.dur_us is None else step.dur_us / 1000,
        input_tokens=step.in_tok,
        output_tokens=step.out_tok,
        cost_usd=usd(step.cost_nano),
        flags=list(flags.get((step.trace_id, step.span_id), ())),
    )


def detail_answer(step: StepAnswer, reading: Reading, logs: Sequence[LogLine]) -> StepDetailAnswer:
    """A step with what its span carried."""
    rest = msgspec.json.decode(reading.rest, type=dict[str, object])
    attributes = raw_attributes(reading)
    input_form, output_form = forms(attributes, reading.kind)
    told_input, told_output = contents(logs)
    return StepDetailAnswer(
        **{name: getattr(step, name) for name in StepAnswer.__struct_fields__},
        error=reading.error,
        error_handling=_handling(reading.error_type),
        input=reading.input or told_input,
        input_form="json" if told_input and not reading.input else input_form,
        output=reading.output or told_output,
        output_form="json" if told_output and not reading.output else output_form,
        reported=reported(attributes),
        attributes=attributes,
        span={name: value for name, value in rest.items() if name != "attributes"},
        logs=[LogAnswer(moment(x.time_ns), x.severity, x.event_name, x.body, x.attributes) for x in logs],
    )


def missing_answer(step: StepAnswer, why: str) -> StepDetailAnswer:
    """A step whose span cannot be read."""
    return StepDetailAnswer(
        **{name: getattr(step, name) for name in StepAnswer.__struct_fields__},
        error="",
        error_handling=_handling(step.error_type),
        input="",
        input_form="absent",
        output="",
        output_form="absent",
        reported={},
        attributes={},
        span={},
        logs=[],
        missing=why,
    )


def _handling(error_type: str) -> ErrorHandling | None:
    group = next((group for name, group in GROUPS.items() if name == error_type), None)
    return ErrorHandling(group.name, group.stance, group.severity) if group else None

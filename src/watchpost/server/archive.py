"""Sessions, steps and flags put together from the stores, for API and pages alike."""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from watchpost.model.fact import Verdict
from watchpost.model.flag import SEVERITIES, Flag
from watchpost.model.session import Summary, session_key
from watchpost.query.sessions import SessionFilter
from watchpost.server.answers import (
    FlagAnswer,
    SessionAnswer,
    SessionsAnswer,
    SpanRef,
    StepDetailAnswer,
    StepsAnswer,
    detail_answer,
    flag_answer,
    missing_answer,
    session_answer,
    step_answer,
)
from watchpost.server.kept_traces import KeptTraces
from watchpost.server.problem import MovedError, NotFoundError, ParameterError
from watchpost.server.timeline import AgentShare, AgentShares, TimelineAnswer, timeline_answer, timeline_flags
from watchpost.store.readers import LogReader, SessionReader, StepRow
from watchpost.store.state import FlagReader, VerdictReader

SCAN = 10_000
"""Steps read at once when a step is looked for by its span."""

LOGS_SHOWN = 500
_STATES = ("confirmed", "provisional", "withdrawn")


class StepPlace(msgspec.Struct, frozen=True):
    """One step in full, and the ids (step id, trace id) of the steps before and after it."""

    detail: StepDetailAnswer
    before: tuple[str, str] | None
    after: tuple[str, str] | None


class Overview(msgspec.Struct, frozen=True):
    """A session and one page of its steps.

    `numbers` tells the number of each (trace id, step id) that its flags and their evidence name; None for no step.
    """

    session: SessionAnswer
    steps: StepsAnswer
    numbers: dict[tuple[str, str], int | None]
    agents: list[AgentShare]


class FlagPlace(msgspec.Struct, frozen=True):
    """The key of a flag's session, and the number of its step there; None for a span that is not counted as a step."""

    session: str
    number: int | None


class StepNumbers:
    """The numbers of steps, looked up by span. Found ones are remembered for as long as the session does not change."""

    def __init__(self, sessions: SessionReader, remembered: int) -> None:
        self._sessions = sessions
        self._size = remembered
        self._known: OrderedDict[tuple[str, int, SpanRef], int | None] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: Summary, spans: Iterable[SpanRef]) -> dict[SpanRef, int | None]:
        """The number of each span; None for one that is not a step of the session."""
        wanted = set(spans)
        place = (session.key, session.revision)
        with self._lock:
            found = {span: self._known[*place, span] for span in wanted if (*place, span) in self._known}
        missing = wanted - found.keys()
        if not missing:
            return found
        fresh: dict[SpanRef, int | None] = dict.fromkeys(missing)
        after = 0
        while missing:
            rows = self._sessions.steps(session, after, SCAN)
            for row in rows:
                span = (row.step.trace_id, row.step.span_id)
                if span in missing:
                    fresh[span] = row.number
                    missing.discard(span)
            if len(rows) < SCAN:
                break
            after += SCAN
        with self._lock:
            self._known.update({(*place, span): number for span, number in fresh.items()})
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return found | fresh


class Archive:
    """What can be looked at. Its methods read the stores and block; call them from a worker thread."""

    def __init__(
        self,
        sessions: SessionReader,
        flags: FlagReader,
        logs: LogReader,
        verdicts: VerdictReader,
        traces: KeptTraces,
    ) -> None:
        self._sessions = sessions
        self._flags = flags
        self._logs = logs
        self._verdicts = verdicts
        self._traces = traces
        self._numbers = StepNumbers(sessions, remembered=10_000)
        self._agents = AgentShares(sessions, remembered=256)

    def page(self, wanted: SessionFilter) -> SessionsAnswer:
        """At most `wanted.limit` sessions, each with its flags."""
        rows = self._sessions.sessions(msgspec.structs.replace(wanted, limit=wanted.limit + 1))
        shown = rows[: wanted.limit]
        more = len(rows) > len(shown)
        return SessionsAnswer(self._answers(shown), cursor(shown[-1]) if more else None)

    def listed(self, keys: Sequence[str]) -> list[SessionAnswer]:
        """The sessions of these keys in their order, each with its flags; those never seen are left out."""
        found = (self._sessions.session(key) for key in keys)
        return self._answers([summary for summary in found if summary is not None])

    def session(self, key: str) -> SessionAnswer:
        """One session; raises `MovedError` for one that was merged away and `NotFoundError` for a key never seen."""
        summary = self._summary(key)
        flags = self._flags_of(summary)
        numbered = self._numbered(summary, flags, self.said(flags))
        return session_answer(summary, numbered, self._traces.of([summary.key])[summary.key])

    def steps(self, key: str, after: int, limit: int) -> StepsAnswer:
        """The steps numbered `after + 1` to `after + limit`; raises as `session` does."""
        summary = self._summary(key)
        flags = self._flags_of(summary)
        return self._steps(summary, flags, self.said(flags), after, limit)

    def timeline(self, key: str, after: int, limit: int) -> TimelineAnswer:
        """At most `limit` steps from the number `after + 1` on as columns, and all flags; raises as `session` does."""
        summary = self._summary(key)
        rows = self._sessions.steps(summary, after, limit + 1)
        flags = self._flags_of(summary)
        numbers = self._numbers.of(summary, ((flag.trace_id, flag.span_id) for flag in flags))
        shown = timeline_flags(flags, numbers, self.said(flags))
        return timeline_answer(summary, rows[:limit], len(rows) > limit, after, shown)

    def overview(self, key: str, after: int, limit: int) -> Overview:
        """A session with a page of its steps and the numbers its evidence needs; raises as `session` does."""
        summary = self._summary(key)
        flags = self._flags_of(summary)
        named = {(flag.trace_id, span_id) for flag in flags for span_id in span_ids(flag.evidence)}
        flagged = {(flag.trace_id, flag.span_id) for flag in flags}
        numbers = self._numbers.of(summary, named | flagged)
        said = self.said(flags)
        return Overview(
            session_answer(summary, self._numbered(summary, flags, said), self._traces.of([summary.key])[summary.key]),
            self._steps(summary, flags, said, after, limit),
            {(trace.hex(), span.hex()): number for (trace, span), number in numbers.items()},
            self._agents.of(summary),
        )

    def number(self, key: str, step_id: str, trace_id: str) -> int | None:
        """The number of a step, None where the session has none of this id; raises as `step` does."""
        row = self._row(self._summary(key), step_id, trace_id, 0)
        return None if row is None else row.number

    def step(self, key: str, step_id: str, trace_id: str, near: int = 0) -> StepPlace:
        """One step in full; raises as `session` does, and `ParameterError` where `trace_id` is needed to tell two apart.

        `near` is the number that it had when it was last seen: with it and its trace id it is found without looking through all.
        """
        summary = self._summary(key)
        row = self._row(summary, step_id, trace_id, near)
        if row is None:
            raise NotFoundError(f"no step {step_id} in this session")
        step = row.step
        reading = self._sessions.reading(summary.project, step.trace_id, step.span_id)
        around = self._sessions.steps(summary, max(row.number - 2, 0), 3)
        ids = {r.number: (r.step.span_id.hex(), r.step.trace_id.hex()) for r in around}
        flags = self._flags_of(summary)
        answer = step_answer(row, _by_span(flags, [row], self.said(flags)))
        if reading is None:
            detail = missing_answer(answer, self._traces.missing(summary.key))
        else:
            logs = self._logs.logs(summary.project, step.trace_id, step.span_id, LOGS_SHOWN)
            detail = detail_answer(answer, reading, logs)
        return StepPlace(detail, ids.get(row.number - 1), ids.get(row.number + 1))

    def said(self, flags: Sequence[Flag]) -> dict[str, Verdict]:
        """The verdict that holds about each of these flags that has one, by the flag's id."""
        found = self._verdicts.verdicts([flag.id for flag in flags]) if flags else ()
        return {verdict.flag_id: verdict for verdict in found}

    def places(self, flags: Sequence[Flag]) -> list[FlagPlace]:
        """Where each of these flags is: its session, and the number of its step in it."""
        spans: dict[tuple[str, str], list[SpanRef]] = defaultdict(list)
        for flag in flags:
            spans[flag.project, flag.session_id].append((flag.trace_id, flag.span_id))
        keys: dict[tuple[str, str], str] = {}
        numbers: dict[SpanRef, int | None] = {}
        for ref, flagged in spans.items():
            summary = self._merged(session_key(*ref))
            keys[ref] = session_key(*ref) if summary is None else summary.key
            numbers |= {} if summary is None else self._numbers.of(summary, flagged)
        return [
            FlagPlace(keys[flag.project, flag.session_id], numbers.get((flag.trace_id, flag.span_id))) for flag in flags
        ]

    def session_ref(self, key: str) -> tuple[str, str]:
        """The project and session id of a key, or of what it was merged into; raises `NotFoundError` for a key never seen."""
        summary = self._merged(key)
        if summary is None:
            raise NotFoundError(f"no session has the key {key}")
        return summary.project, summary.session_id

    def _answers(self, rows: Sequence[Summary]) -> list[SessionAnswer]:
        """Sessions, each with its flags."""
        found = self._flags.flags([(row.project, row.session_id) for row in rows]) if rows else []
        said = self.said(found)
        flags: dict[tuple[str, str], list[Flag]] = defaultdict(list)
        for flag in found:
            flags[flag.project, flag.session_id].append(flag)
        traces = self._traces.of([row.key for row in rows])
        return [
            session_answer(row, self._numbered(row, flags[row.project, row.session_id], said), traces[row.key])
            for row in rows
        ]

    def _merged(self, key: str) -> Summary | None:
        """The session of a key, or the one that took its traces."""
        summary = self._sessions.session(key)
        return summary if summary is None or not summary.moved_to else self._sessions.session(summary.moved_to)

    def _summary(self, key: str) -> Summary:
        summary = self._sessions.session(key)
        if summary is None:
            raise NotFoundError(f"no session has the key {key}")
        if summary.moved_to:
            raise MovedError(summary.moved_to)
        return summary

    def _row(self, session: Summary, step_id: str, trace_id: str, near: int) -> StepRow | None:
        span_id, trace = _hex(step_id, 8), _hex(trace_id, 16)
        if not span_id or (trace_id and not trace):
            return None
        rows = self._sessions.steps(session, max(near - 10, 0), 20) if near and trace else []
        found = (row for row in rows if (row.step.trace_id, row.step.span_id) == (trace, span_id))
        return next(found, None) or self._find(session, span_id, trace)

    def _find(self, session: Summary, span_id: bytes, trace_id: bytes) -> StepRow | None:
        """The step of a span; without a trace id the only one of that span id."""
        found: list[StepRow] = []
        after = 0
        while True:
            rows = self._sessions.steps(session, after, SCAN)
            found += [r for r in rows if r.step.span_id == span_id and trace_id in (b"", r.step.trace_id)]
            if len(rows) < SCAN or (found and trace_id):
                break
            after += SCAN
        if len(found) > 1:
            traces = ", ".join(row.step.trace_id.hex() for row in found)
            raise ParameterError("trace_id", f"several traces of this session have this step id: name one of {traces}")
        return found[0] if found else None

    def _flags_of(self, session: Summary) -> list[Flag]:
        return self._flags.flags([(session.project, session.session_id)])

    def _numbered(self, session: Summary, flags: Sequence[Flag], said: Mapping[str, Verdict]) -> list[FlagAnswer]:
        """Flags that hold before withdrawn ones, the most severe first, then by time."""
        numbers = self._numbers.of(session, ((flag.trace_id, flag.span_id) for flag in flags))
        order = sorted(flags, key=lambda f: (_STATES.index(f.state), SEVERITIES.index(f.severity), f.at_ns))
        return [flag_answer(flag, numbers[flag.trace_id, flag.span_id], said.get(flag.id)) for flag in order]

    def _steps(
        self, session: Summary, flags: Sequence[Flag], said: Mapping[str, Verdict], after: int, limit: int
    ) -> StepsAnswer:
        rows = self._sessions.steps(session, after, limit + 1)
        shown = rows[:limit]
        by_span = _by_span(flags, shown, said)
        return StepsAnswer(
            [step_answer(row, by_span) for row in shown], shown[-1].number if len(rows) > limit else None
        )


def _by_span(
    flags: Sequence[Flag], rows: Sequence[StepRow], said: Mapping[str, Verdict]
) -> dict[SpanRef, list[FlagAnswer]]:
    numbers = {(row.step.trace_id, row.step.span_id): row.number for row in rows}
    found: dict[SpanRef, list[FlagAnswer]] = defaultdict(list)
    for flag in flags:
        span = (flag.trace_id, flag.span_id)
        if span in numbers:
            found[span].append(flag_answer(flag, numbers[span], said.get(flag.id)))
    return found


def span_ids(evidence: object) -> set[bytes]:
    """The span ids that stand anywhere in a flag's evidence, each written as 16 hexadecimal digits."""
    match evidence:
        case str() if len(evidence) == 16:
            found = _hex(evidence, 8)
            return {found} if found else set()
        case dict():
            return {span_id for value in evidence.values() for span_id in span_ids(value)}
        case list() | tuple():
            return {span_id for value in evidence for span_id in span_ids(value)}
        case _:
            return set()


def cursor(last: Summary) -> str:
    """Where a list continues after this session, as opaque text."""
    return write_cursor(last.received_ns, last.key)


def write_cursor(time_ns: int, name: str) -> str:
    """A place in a list by time, as opaque text."""
    return base64.urlsafe_b64encode(f"{time_ns}:{name}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[int, str] | None:
    """What the `before` of a filter takes; None for empty text. Raises `ParameterError` for what no list gave out."""
    if not text:
        return None
    try:
        received, colon, key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(":")
        before = (int(received), key)
    except ValueError as error:
        raise ParameterError("cursor", "not a cursor that a list gave out") from error
    if not colon or not key or not -(2**63) <= before[0] < 2**63:
        raise ParameterError("cursor", "not a cursor that a list gave out")
    return before


def _hex(text: str, size: int) -> bytes:
    """The bytes of an id, empty where the text is none."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return b""
    return value if len(value) == size else b""

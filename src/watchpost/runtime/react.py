"""React: deliveries in log order become what is to be written, flagged and told. Decides only; does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from watchpost.detect.run import DetectorFactory, DetectorRun
from watchpost.ingest.price import Pricing
from watchpost.ingest.read import Reader
from watchpost.model.flag import Finding, Flag, FlagState, flag_id
from watchpost.model.step import Reading, Step
from watchpost.model.telemetry import Delivery
from watchpost.rules.flag_rules import FlagRules, Subject
from watchpost.runtime.ledger import StepFlags, Title, ledger_rows, slots_of, title_of
from watchpost.runtime.metric_rows import metric_rows
from watchpost.runtime.restore import FlagSource, restore
from watchpost.session.session import Session, slot_of
from watchpost.session.sessions import Sessions, TraceRef
from watchpost.session.timers import SessionRef
from watchpost.store.contracts import (
    Cursor,
    FoldSource,
    LedgerRow,
    Member,
    StateBatch,
    StoredLog,
    StoredMetric,
    TelemetryBatch,
)


class Reaction(msgspec.Struct, frozen=True):
    """All that follows from one batch: written to telemetry first, then, with the cursor, to state."""

    telemetry: TelemetryBatch
    state: StateBatch


class _Watch(msgspec.Struct, eq=False):
    """What detectors see in a session, and the flags that came of it, one for each finding."""

    run: DetectorRun
    flags: list[Flag] = []


class Reactor:
    """Folds deliveries batch by batch and says what follows.

    The same batches at the same times give the same reactions, whatever was held in memory.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        pricing: Pricing,
        detectors: Sequence[DetectorFactory],
        rules: FlagRules,
        source: FoldSource,
        flags: FlagSource,
        seq: int,
    ) -> None:
        self._sessions = sessions
        self._pricing = pricing
        self._detectors = detectors
        self._rules = rules
        self._source = source
        self._flag_source = flags
        self._reacted = self._seq = seq
        self._watches: dict[str, _Watch] = {}
        self._flags: dict[TraceRef, dict[str, Flag]] = {}
        self._written: dict[str, Title] = {}

    def react(self, number: int, deliveries: Iterable[tuple[int, Delivery]], now_ns: int) -> Reaction:
        """Take batch `number`, deliveries with their log sequence in order, at a time, and say what follows from it."""
        readings, logs, metrics = self._read(deliveries)
        self._restore(readings, self._sessions.ripe(now_ns))
        for reading in readings:
            self._sessions.add(reading)
        settled = self._sessions.settle(number, now_ns)
        flags = self._judge(settled.changed)
        subjects = [
            Subject(flag, session.service(), str(flag.evidence.get("tool", "")))
            for session, news in flags
            for flag in news
        ]
        return Reaction(
            TelemetryBatch(
                number,
                readings,
                [Member(m.project, m.session_id, m.trace_id, number, m.live) for m in settled.moves],
                [row for session in settled.changed for row in self._rows(session, number)],
                [
                    session.summary(self._sessions.due_ns(session), settled.moved_to.get(session.key, ""))
                    for session in settled.changed
                    if session.is_agentic or session.key in settled.moved_to
                ],
                logs,
                metrics,
            ),
            StateBatch(Cursor(number, self._seq), [subject.flag for subject in subjects], self._rules.judge(subjects)),
        )

    def is_ripe(self, now_ns: int) -> bool:
        """Whether a session's time has come, so that a batch is worth reacting to though nothing came in."""
        return self._sessions.is_ripe(now_ns)

    def evict(self, budget_bytes: int, stored: int) -> None:
        """Bring what is held in memory back under a budget; only what batch `stored` and those before it wrote may go."""
        for session in self._sessions.evict(budget_bytes, stored):
            self._watches.pop(session.key, None)
            self._written.pop(session.key, None)
            for trace_id in session.traces:
                self._flags.pop((session.project, trace_id), None)

    def _read(
        self, deliveries: Iterable[tuple[int, Delivery]]
    ) -> tuple[list[Reading], list[StoredLog], list[StoredMetric]]:
        readings: list[Reading] = []
        logs: list[StoredLog] = []
        metrics: list[StoredMetric] = []
        for seq, delivery in deliveries:
            self._seq = seq
            metrics += metric_rows(delivery)
            for parcel in delivery.parcels:
                reader = Reader(parcel, delivery.received_ns, seq)
                readings += [self._pricing.price(reading, attributes) for reading, attributes in reader.readings()]
                logs += [
                    StoredLog(parcel.project, seq, place, delivery.received_ns, line)
                    for place, line in enumerate(parcel.logs, len(logs))
                ]
        return readings, logs, metrics

    def _restore(self, readings: Sequence[Reading], ripe: Sequence[SessionRef]) -> None:
        before = self._reacted
        found = restore(self._sessions, readings, ripe, self._source, before)
        self._reacted = self._seq
        for flag in self._flag_source.flags_of_traces(found) if found else ():
            self._flags.setdefault((flag.project, flag.trace_id), {})[flag.id] = flag

    def _judge(self, changed: Sequence[Session]) -> list[tuple[Session, list[Flag]]]:
        """Which flags are new, changed or withdrawn, for each changed session that has or had any."""
        judged: list[tuple[Session, list[Flag]]] = []
        for session in changed:
            standing, known = self._find(session), self._known(session)
            if not standing and not known:
                continue
            news = _news(session, standing, known)
            judged.append((session, news))
            for flag in news:
                self._flags.setdefault((flag.project, flag.trace_id), {})[flag.id] = flag
                step = session.traces[flag.trace_id].placed.get(flag.span_id)
                if step is not None:
                    session.slots.add(slot_of(step.start_ns))
        return judged

    def _find(self, session: Session) -> Sequence[Flag]:
        """The flags of what detectors find in a session; what stands as it stood is the flag it was."""
        watch = self._watches.get(session.key)
        if watch is None:
            watch = self._watches[session.key] = _Watch(DetectorRun(self._detectors))
            session.changed_from = 0
        findings, flags = watch.run.findings, watch.flags
        kept = watch.run.update(session.steps, session.changed_from)
        session.changed_from = len(session.steps)
        if not findings and not flags:
            return ()
        flags[kept:] = [_flag(session, session.steps[place], finding) for place, finding in findings[kept:]]
        for number, (_, finding) in enumerate(findings[:kept]):
            if flags[number].state != (state := _state(session, finding)):
                flags[number] = msgspec.structs.replace(flags[number], state=state)
        return flags

    def _known(self, session: Session) -> Mapping[str, Flag]:
        """The flags raised so far, withdrawn ones too, at the spans of a session, by id."""
        held = [flags for trace_id in session.traces if (flags := self._flags.get((session.project, trace_id)))]
        return held[0] if len(held) == 1 else {flag.id: flag for flags in held for flag in flags.values()}

    def _rows(self, session: Session, number: int) -> list[LedgerRow]:
        title = title_of(session)
        if self._written.get(session.key) != title:
            session.slots.update(slots_of(session))
            self._written[session.key] = title
        if not session.slots:
            return []
        rows = ledger_rows(session, title, sorted(session.slots), _kinds(self._known(session).values()), number)
        session.slots.clear()
        return rows


def _news(session: Session, standing: Sequence[Flag], known: Mapping[str, Flag]) -> list[Flag]:
    """What differs between the flags that stand in a session and those known before, withdrawn where none stands any more."""
    ids = {flag.id for flag in standing}
    return [flag for flag in standing if known.get(flag.id) != flag] + [
        msgspec.structs.replace(flag, state="withdrawn", session_id=session.session_id)
        for flag in known.values()
        if flag.id not in ids and flag.state != "withdrawn"
    ]


def _kinds(flags: Iterable[Flag]) -> StepFlags:
    kinds: dict[tuple[bytes, bytes], tuple[str, ...]] = {}
    for flag in flags:
        if flag.state != "withdrawn":
            at = (flag.trace_id, flag.span_id)
            kinds[at] = tuple(sorted({*kinds[at], flag.kind})) if at in kinds else (flag.kind,)
    return kinds


def _state(session: Session, finding: Finding) -> FlagState:
    return "provisional" if finding.refutable and session.state != "ended" else "confirmed"


def _flag(session: Session, step: Step, finding: Finding) -> Flag:
    return Flag(
        flag_id(session.project, finding.kind, finding.subject, step.trace_id, step.span_id),
        session.project,
        session.session_id,
        finding.kind,
        finding.subject,
        step.trace_id,
        step.span_id,
        finding.severity,
        _state(session, finding),
        finding.summary,
        finding.evidence,
        step.end_ns or step.start_ns,
    )

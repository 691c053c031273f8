"""React: deliveries in log order become what is to be written, flagged and told. Decides only; does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from watchpost.detect.run import DetectorFactory, DetectorRun
from watchpost.ingest.price import cost_nano
from watchpost.ingest.read import Reader
from watchpost.model.flag import Finding, Flag, flag_id
from watchpost.model.step import Reading, Step
from watchpost.model.telemetry import Delivery
from watchpost.rules.flag_rules import FlagRules, Subject
from watchpost.runtime.ledger import ledger_rows
from watchpost.runtime.restore import FlagSource, restore
from watchpost.session.session import Session, slot_of
from watchpost.session.sessions import Sessions, TraceRef
from watchpost.session.timers import SessionRef
from watchpost.store.contracts import Cursor, FoldSource, LedgerRow, Member, StateBatch, StoredLog, TelemetryBatch


class Reaction(msgspec.Struct, frozen=True):
    """All that follows from one batch: written to telemetry first, then, with the cursor, to state."""

    telemetry: TelemetryBatch
    state: StateBatch


class Reactor:
    """Folds deliveries batch by batch and says what follows.

    The same batches at the same times give the same reactions, whatever was held in memory.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        detectors: Sequence[DetectorFactory],
        rules: FlagRules,
        source: FoldSource,
        flags: FlagSource,
        seq: int,
    ) -> None:
        self._sessions = sessions
        self._detectors = detectors
        self._rules = rules
        self._source = source
        self._flag_source = flags
        self._reacted = self._seq = seq
        self._runs: dict[str, DetectorRun] = {}
        self._flags: dict[TraceRef, dict[str, Flag]] = {}
        self._written: dict[str, tuple[str, str, str]] = {}

    def react(self, number: int, deliveries: Iterable[tuple[int, Delivery]], now_ns: int) -> Reaction:
        """Take batch `number`, deliveries with their log sequence in order, at a time, and say what follows from it."""
        readings, logs = self._read(deliveries)
        self._restore(readings, self._sessions.ripe(now_ns))
        for reading in readings:
            self._sessions.add(reading)
        settled = self._sessions.settle(number, now_ns)
        flags = self._judge(settled.changed)
        subjects = [
            Subject(flag, session.service(), str(flag.evidence.get("tool", "")))
            for session in settled.changed
            for flag in flags.get(session.key, ())
        ]
        return Reaction(
            TelemetryBatch(
                number,
                readings,
                [Member(m.project, m.session_id, m.trace_id, number, m.live) for m in settled.moves],
                [row for session in settled.changed for row in self._rows(session, number)],
                [s.summary(self._sessions.due_ns(s), settled.moved_to.get(s.key, "")) for s in settled.changed],
                logs,
            ),
            StateBatch(Cursor(number, self._seq), [subject.flag for subject in subjects], self._rules.judge(subjects)),
        )

    def is_ripe(self, now_ns: int) -> bool:
        """Whether a session's time has come, so that a batch is worth reacting to though nothing came in."""
        return self._sessions.is_ripe(now_ns)

    def evict(self, budget_bytes: int, stored: int) -> None:
        """Bring what is held in memory back under a budget; only what batch `stored` and those before it wrote may go."""
        for session in self._sessions.evict(budget_bytes, stored):
            self._runs.pop(session.key, None)
            self._written.pop(session.key, None)
            for trace_id in session.traces:
                self._flags.pop((session.project, trace_id), None)

    def _read(self, deliveries: Iterable[tuple[int, Delivery]]) -> tuple[list[Reading], list[StoredLog]]:
        readings: list[Reading] = []
        logs: list[StoredLog] = []
        for seq, delivery in deliveries:
            self._seq = seq
            for parcel in delivery.parcels:
                reader = Reader(parcel, delivery.received_ns, seq)
                readings += [_priced(reader.read(span)) for span in parcel.spans]
                logs += [
                    StoredLog(parcel.project, seq, place, delivery.received_ns, line)
                    for place, line in enumerate(parcel.logs, len(logs))
                ]
        return readings, logs

    def _restore(self, readings: Sequence[Reading], ripe: Sequence[SessionRef]) -> None:
        before = self._reacted
        found = restore(self._sessions, readings, ripe, self._source, before)
        self._reacted = self._seq
        for flag in self._flag_source.flags_of_traces(found) if found else ():
            self._flags.setdefault((flag.project, flag.trace_id), {})[flag.id] = flag

    def _judge(self, changed: Sequence[Session]) -> dict[str, list[Flag]]:
        """The flags of each changed session that are new, changed or withdrawn, by session key."""
        standing = {session.key: self._find(session) for session in changed}
        found = {flag.id for flags in standing.values() for flag in flags}
        news: dict[str, list[Flag]] = {}
        for session in changed:
            known = {
                flag.id: flag
                for trace_id in session.traces
                for flag in self._flags.get((session.project, trace_id), {}).values()
            }
            news[session.key] = [flag for flag in standing[session.key] if known.get(flag.id) != flag]
            news[session.key] += [
                msgspec.structs.replace(flag, state="withdrawn", session_id=session.session_id)
                for flag in known.values()
                if flag.id not in found and flag.state != "withdrawn"
            ]
            for flag in news[session.key]:
                self._flags.setdefault((flag.project, flag.trace_id), {})[flag.id] = flag
                step = session.traces[flag.trace_id].placed.get(flag.span_id)
                if step is not None:
                    session.slots.add(slot_of(step.start_ns))
        return news

    def _find(self, session: Session) -> list[Flag]:
        run = self._runs.get(session.key)
        if run is None:
            run = self._runs[session.key] = DetectorRun(self._detectors)
            session.changed_from = 0
        run.update(session.steps, session.changed_from)
        session.changed_from = len(session.steps)
        return [_flag(session, session.steps[place], finding) for place, finding in run.findings]

    def _rows(self, session: Session, number: int) -> list[LedgerRow]:
        title = (session.workflow(), session.user_id(), session.outcome or "")
        if self._written.get(session.key) != title:
            session.slots.update(slot_of(step.start_ns) for step in session.steps)
            self._written[session.key] = title
        marks: dict[tuple[bytes, bytes], tuple[str, ...]] = {}
        for trace_id in session.traces:
            for flag in self._flags.get((session.project, trace_id), {}).values():
                if flag.state != "withdrawn":
                    at = (flag.trace_id, flag.span_id)
                    marks[at] = tuple(sorted({*marks.get(at, ()), flag.kind}))
        rows = list(ledger_rows(session, sorted(session.slots), marks, number))
        session.slots.clear()
        return rows


def _priced(reading: Reading) -> Reading:
    if reading.kind != "llm" and reading.tokens.input is None:
        return reading
    cost = cost_nano(reading.provider, reading.model, reading.tokens, reading.start_ns)
    return reading if cost is None else msgspec.structs.replace(reading, cost_nano=cost)


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
        "provisional" if finding.refutable and session.state != "ended" else "confirmed",
        finding.summary,
        finding.evidence,
        step.end_ns or step.start_ns,
    )

"""React: deliveries in log order become what is to be written, flagged and told. Decides only; does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from watchpost.detect.context_drift import Checkpoint
from watchpost.ingest.price import Pricing
from watchpost.ingest.read import Reader
from watchpost.model.fact import Pin, Verdict
from watchpost.model.flag import Flag
from watchpost.model.step import Reading
from watchpost.model.telemetry import Delivery
from watchpost.rules.flag_rules import FlagRules, Subject
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.judge import Judge
from watchpost.runtime.ledger import Title, ledger_rows, slots_of, title_of
from watchpost.runtime.metric_rows import metric_rows
from watchpost.runtime.restore import restore
from watchpost.runtime.reviews import Given, Reviews
from watchpost.session.session import Session
from watchpost.session.sessions import Sessions
from watchpost.session.timers import SessionRef
from watchpost.store.contracts import FoldSource, LedgerRow, Member, StoredLog, StoredMetric, TelemetryBatch
from watchpost.store.state import Cursor, StateBatch


class Reaction(msgspec.Struct, frozen=True):
    """All that follows from one batch: written to telemetry first, then, with the cursor, to state; and where to look closer."""

    telemetry: TelemetryBatch
    state: StateBatch
    checkpoints: Sequence[Checkpoint] = ()


class Reactor:
    """Folds deliveries batch by batch and says what follows.

    The same batches at the same times give the same reactions, whatever was held in memory.
    """

    def __init__(
        self,
        sessions: Sessions,
        *,
        pricing: Pricing,
        judge: Judge,
        checkpoints: Checkpoints,
        rules: FlagRules,
        reviews: Reviews,
        source: FoldSource,
        seq: int,
    ) -> None:
        self._sessions = sessions
        self._pricing = pricing
        self._judge = judge
        self._checkpoints = checkpoints
        self._rules = rules
        self._reviews = reviews
        self._source = source
        self._reacted = self._seq = seq
        self._written: dict[str, Title] = {}

    def react(self, number: int, deliveries: Iterable[tuple[int, Delivery]], now_ns: int) -> Reaction:
        """Take batch `number`, deliveries with their log sequence in order, at a time, and say what follows from it."""
        verdicts: list[Given] = []
        pins: list[Pin] = []
        readings, logs, metrics = self._read(self._heard(deliveries, verdicts, pins))
        reviewed = self._reviews.take(verdicts)
        for pin in pins:
            self._judge.pin(pin)
        away = (ref for ref in reviewed.sessions if self._sessions.find(ref) is None)
        self._restore(readings, [*self._sessions.ripe(now_ns), *away])
        for reading in readings:
            self._sessions.add(reading)
        settled = self._sessions.settle(number, now_ns)
        flags = self._judge.judge([*settled.changed, *settled.reminded], now_ns)
        self._sessions.remind(self._judge.reminders())
        changed = [*settled.changed, *_flagged(settled.reminded, flags, number)]
        dismissed = (self._sessions.find(ref) for ref in reviewed.sessions)
        self._judge.review([session for session in dismissed if session is not None], now_ns)
        learnt = self._judge.learnt()
        subjects = [Subject(flag, session.service(), flag.tool) for session, news in flags for flag in news]
        return Reaction(
            TelemetryBatch(
                number,
                readings,
                [Member(m.project, m.session_id, m.trace_id, number, m.live) for m in settled.moves],
                [row for session in changed for row in self._rows(session, number)],
                [
                    session.summary(self._sessions.due_ns(session), settled.moved_to.get(session.key, ""))
                    for session in changed
                    if session.is_agentic or session.key in settled.moved_to
                ],
                logs,
                metrics,
            ),
            StateBatch(
                Cursor(number, self._seq),
                [subject.flag for subject in subjects],
                self._rules.judge(subjects, self._reviews.is_muted),
                learnt.pins,
                learnt.lessons,
                learnt.drafts,
                reviewed.verdicts,
            ),
            self._checkpoints.due(settled.changed),
        )

    def is_ripe(self, now_ns: int) -> bool:
        """Whether a session's time has come, so that a batch is worth reacting to though nothing came in."""
        return self._sessions.is_ripe(now_ns)

    def evict(self, budget_bytes: int, stored: int) -> None:
        """Bring what is held in memory back under a budget; only what batch `stored` and those before it wrote may go."""
        gone = self._sessions.evict(budget_bytes, stored)
        self._judge.forget(gone)
        self._checkpoints.forget(gone)
        for session in gone:
            self._written.pop(session.key, None)

    @staticmethod
    def _heard(
        deliveries: Iterable[tuple[int, Delivery]], verdicts: list[Given], pins: list[Pin]
    ) -> Iterator[tuple[int, Delivery]]:
        """Pass deliveries on, and take out what people said."""
        for seq, delivery in deliveries:
            for place, fact in enumerate(delivery.facts):
                match fact:
                    case Verdict():
                        verdicts.append(Given(seq, place, fact))
                    case Pin():
                        pins.append(fact)
            yield seq, delivery

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
        self._judge.recall(found)

    def _rows(self, session: Session, number: int) -> list[LedgerRow]:
        title = title_of(session)
        if self._written.get(session.key) != title:
            session.slots.update(slots_of(session))
            self._written[session.key] = title
        if not session.slots:
            return []
        rows = ledger_rows(session, title, sorted(session.slots), self._judge.kinds(session), number)
        session.slots.clear()
        return rows


def _flagged(
    reminded: Sequence[Session], judged: Sequence[tuple[Session, Sequence[Flag]]], number: int
) -> list[Session]:
    """Those of the sessions in which nothing came of which there is something to say all the same; they changed with this batch."""
    news = {session.key for session, flags in judged if flags}
    found = [session for session in reminded if session.key in news]
    for session in found:
        session.revision = number
    return found

"""React: deliveries in log order become what is to be written, flagged and told. Decides only; does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from watchpost.detect.context_drift import Checkpoint
from watchpost.ingest.price import Pricing
from watchpost.ingest.read import Reader
from watchpost.model.flag import Flag
from watchpost.model.session import Summary
from watchpost.model.step import Reading
from watchpost.model.telemetry import Delivery
from watchpost.runtime.alarms import Alarms, Raised, Said
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.erasure import Erasures
from watchpost.runtime.error_reports import ErrorReports, failures
from watchpost.runtime.heard import Heard
from watchpost.runtime.judge import Judge
from watchpost.runtime.ledger import Title, ledger_rows, slots_of, title_of
from watchpost.runtime.metric_rows import metric_rows
from watchpost.runtime.release_notices import ReleaseNotices
from watchpost.runtime.releases import Releases
from watchpost.runtime.restore import restore
from watchpost.runtime.reviews import Reviews
from watchpost.session.session import Session
from watchpost.session.sessions import Sessions
from watchpost.session.timers import SessionRef
from watchpost.store.contracts import FoldSource, LedgerRow, Member, StoredLog, StoredMetric, TelemetryBatch
from watchpost.store.erasure import Erasure
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
        appraisal: Appraisal,
        reviews: Reviews,
        erasures: Erasures | None = None,
        source: FoldSource,
        releases: Releases,
        alarms: Alarms | None = None,
        errors: ErrorReports | None = None,
        changes: ReleaseNotices | None = None,
        seq: int,
    ) -> None:
        """Go on after log sequence `seq`. Without `alarms` no rule is judged, and without `errors` and `changes` nobody is told of failed steps and releases."""
        self._sessions = sessions
        self._pricing = pricing
        self._judge = judge
        self._checkpoints = checkpoints
        self._appraisal = appraisal
        self._reviews = reviews
        self._erasures = erasures or Erasures()
        self._releases = releases
        self._alarms = alarms
        self._errors = errors or ErrorReports(())
        self._changes = changes or ReleaseNotices(())
        self._source = self._erasures.over(source)
        self._reacted = self._seq = seq
        self._written: dict[str, Title] = {}

    def react(self, number: int, deliveries: Iterable[tuple[int, Delivery]], now_ns: int) -> Reaction:
        """Take batch `number`, deliveries with their log sequence in order, at a time, and say what follows from it."""
        heard = Heard()
        readings, logs, metrics = self._read(heard.over(deliveries))
        self._erasures.hear(number, readings)
        asked = self._erasures.take(heard.erasures)
        reviewed = self._reviews.take(heard.verdicts)
        for pin in heard.pins:
            self._judge.pin(pin)
        away = (ref for ref in reviewed.sessions if self._sessions.find(ref) is None)
        running = (ref for each in asked for ref in each.stored.sessions if self._sessions.is_away(ref))
        self._restore(readings, list({*self._sessions.ripe(now_ns), *away, *running}))
        for reading in readings:
            self._sessions.add(reading)
        settled = self._sessions.settle(number, now_ns)
        begun = [session for session in settled.changed if not session.is_awaited]
        flags = self._judge.judge([*begun, *settled.reminded], now_ns)
        self._sessions.remind(self._judge.reminders())
        changed = [*settled.changed, *_flagged(settled.reminded, flags, number)]
        dismissed = (self._sessions.find(ref) for ref in reviewed.sessions)
        self._judge.review([session for session in dismissed if session is not None], now_ns)
        erasures = self._erasures.settle(number, asked, self._sessions.held, settled.moved_to)
        gone, ended = self._sessions.erase((ref for each in erasures for ref in each.found.sessions), number)
        changed += [session for session in ended if session not in changed]
        self._judge.unlearn(trace for each in erasures for trace in each.found.traces)
        learnt = self._judge.learnt()
        ledger = [row for session in changed for row in self._rows(session, number)]
        told = [flag for session, news in flags if session not in gone for flag in news]
        summaries = [
            self._summary(session, settled.moved_to.get(session.key, ""))
            for session in changed
            if session.is_agentic or session.key in settled.moved_to
        ]
        stays = (session for session in changed if session not in gone)
        raised = self._raise(ledger, summaries, told, heard.alarms, now_ns, erasures=erasures)
        releases = self._releases.take(ledger, learnt.lessons, heard.releases)
        errors = self._errors.take(failures(ledger, stays, readings), now_ns)
        reaction = Reaction(
            TelemetryBatch(
                number,
                readings,
                [Member(m.project, m.session_id, m.trace_id, number, m.live) for m in settled.moves],
                ledger,
                summaries,
                logs,
                metrics,
            ),
            StateBatch(
                Cursor(number, self._seq),
                told,
                [*raised.notices, *errors, *self._changes.take(releases.releases, now_ns)],
                learnt.pins,
                learnt.lessons,
                learnt.drafts,
                reviewed.verdicts,
                releases,
                raised.news,
                holds=list(heard.holds.values()),
                erasures=erasures,
            ),
            self._checkpoints.due(session for session in begun if session not in gone),
        )
        self._forget(gone)
        return reaction

    def is_ripe(self, now_ns: int) -> bool:
        """Whether the time of a session or an alert has come, so that a batch is worth reacting to though nothing came in."""
        return self._sessions.is_ripe(now_ns) or (self._alarms is not None and self._alarms.is_ripe(now_ns))

    def evict(self, budget_bytes: int, stored: int) -> None:
        """Bring what is held in memory back under a budget; only what batch `stored` and those before it wrote may go."""
        self._erasures.stored(stored)
        self._forget(self._sessions.evict(budget_bytes, stored))

    def _forget(self, gone: Sequence[Session]) -> None:
        """Let go of sessions that left memory."""
        self._judge.forget(gone)
        self._checkpoints.forget(gone)
        for session in gone:
            self._written.pop(session.key, None)

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

    def _raise(
        self,
        ledger: Sequence[LedgerRow],
        sessions: Sequence[Summary],
        flags: Sequence[Flag],
        said: Sequence[Said],
        now_ns: int,
        *,
        erasures: Sequence[Erasure],
    ) -> Raised:
        """What rules make of it; flags of detectors that are wrong too often count for none."""
        if self._alarms is None:
            return Raised()
        heeded = [flag for flag in flags if not self._reviews.is_muted(flag)]
        return self._alarms.react(ledger, sessions, heeded, said, now_ns, erasures=erasures)

    def _summary(self, session: Session, moved_to: str) -> Summary:
        summary = session.summary(self._sessions.due_ns(session), moved_to)
        return self._appraisal.of(session, summary, self._judge.kinds)

    def _rows(self, session: Session, number: int) -> list[LedgerRow]:
        title = title_of(session)
        if session.is_awaited:
            self._written.pop(session.key, None)
        elif self._written.get(session.key) != title:
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

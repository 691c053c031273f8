"""Stores in memory that keep the promises of `store/contracts.py`, and can be made to stop halfway through a batch."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from alert_shelf import AlertShelf

from watchpost.model.fact import Verdict
from watchpost.model.flag import Flag
from watchpost.model.knowledge import Draft, Lesson
from watchpost.model.notice import Notice
from watchpost.model.release import Release, Track
from watchpost.model.session import Summary
from watchpost.model.step import Reading
from watchpost.query.flags import VerdictCount
from watchpost.store.contracts import LedgerRow, Member, TelemetryBatch
from watchpost.store.state import Cursor, SessionPin, StateBatch, StoredVerdict

SEQ = (1 << 63) - 1


class CutShortError(Exception):
    """The process died here."""


class MemoryStore:
    """Telemetry and state. `survive` counts down table writes; at zero the next one dies."""

    def __init__(self) -> None:
        self.spans: dict[tuple[str, bytes, bytes, int], Reading] = {}
        self.members: dict[tuple[str, str, bytes], Member] = {}
        self.ledger: dict[tuple[str, int, str], LedgerRow] = {}
        self.summaries: dict[str, Summary] = {}
        self.flags: dict[str, Flag] = {}
        self.notices: dict[str, Notice] = {}
        self.alerting = AlertShelf()
        self.pinned: dict[tuple[str, str], SessionPin] = {}
        self.lessons: dict[tuple[str, int], Lesson] = {}
        self.drafts: dict[tuple[str, str, str], Draft] = {}
        self.given: dict[tuple[int, int], StoredVerdict] = {}
        self.released: dict[str, Release] = {}
        self.tracks: dict[tuple[str, str, str, str, str], Track] = {}
        self.at = Cursor()
        self.survive: int | None = None

    def write(self, batch: TelemetryBatch) -> None:
        """In the order that `TelemetryWriter` promises."""
        self._live()
        for row in batch.ledger:
            self.ledger[row.project, row.slot, row.session_id] = row
        self._live()
        for summary in batch.sessions:
            self.summaries[summary.key] = summary
        self._live()
        for member in batch.members:
            self.members[member.project, member.session_id, member.trace_id] = member
        self._live()
        for reading in batch.readings:
            self.spans[reading.project, reading.trace_id, reading.span_id, reading.ver] = reading

    def commit(self, batch: StateBatch) -> None:
        """All or nothing."""
        self._live()
        self.flags.update({flag.id: flag for flag in batch.flags})
        for notice in batch.notices:
            self.notices.setdefault(notice.id, notice)
        self.alerting.take(batch.raised)
        self.pinned.update({(pin.project, pin.session_id): pin for pin in batch.pins})
        for lesson in batch.lessons:
            self.lessons.setdefault((lesson.project, lesson.version), lesson)
        self.drafts.update({(draft.project, draft.kind, draft.name): draft for draft in batch.drafts})
        for stored in batch.verdicts:
            self.given.setdefault((stored.seq, stored.place), stored)
        for gone in batch.released.gone:
            self.released.pop(gone, None)
        self.released.update({release.id: release for release in batch.released.releases})
        for track in batch.released.tracks:
            self.tracks[track.project, track.workflow, track.kind, track.name, track.version] = track
        self.at = batch.cursor

    def cursor(self) -> Cursor:
        """As committed."""
        return self.at

    def members_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Member]:
        """As promised."""
        return [m for m in self.members.values() if m.live and (m.project, m.trace_id) in traces]

    def members_of_sessions(self, sessions: Sequence[tuple[str, str]]) -> list[Member]:
        """As promised."""
        return [m for m in self.members.values() if m.live and (m.project, m.session_id) in sessions]

    def readings(self, traces: Sequence[tuple[str, bytes]], upto: int) -> list[Reading]:
        """As promised, of copies that were not merged."""
        found = [r for r in self.spans.values() if (r.project, r.trace_id) in traces and r.ver & SEQ <= upto]
        return list({(r.project, r.trace_id, r.span_id): r for r in sorted(found, key=lambda r: r.ver)}.values())

    def open_sessions(self, applied: int) -> list[Summary]:
        """As promised."""
        return [s for s in self.summaries.values() if not s.moved_to and (s.state != "ended" or s.revision > applied)]

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        """As promised."""
        return [f for f in self.flags.values() if (f.project, f.trace_id) in traces]

    def pins(self, sessions: Sequence[tuple[str, str]]) -> list[SessionPin]:
        """As promised."""
        return [self.pinned[session] for session in sessions if session in self.pinned]

    def flags_by_id(self, ids: Sequence[str]) -> list[Flag]:
        """As promised."""
        return sorted((self.flags[each] for each in set(ids) if each in self.flags), key=lambda flag: flag.at_ns)

    def verdicts(self, flag_ids: Sequence[str]) -> list[Verdict]:
        """As promised."""
        return [stored.verdict for _, stored in sorted(self.given.items()) if stored.verdict.flag_id in flag_ids]

    def verdict_counts(self, project: str) -> list[VerdictCount]:
        """As promised, one count for each flag."""
        held = {stored.verdict.flag_id: stored for _, stored in sorted(self.given.items())}
        return [
            VerdictCount(one.project, one.kind, one.tool, confirmed, 1 - confirmed)
            for one in held.values()
            if project in {"", one.project}
            for confirmed in [int(one.verdict.verdict == "confirm")]
        ]

    def release_tracks(self) -> list[Track]:
        """As promised."""
        return list(self.tracks.values())

    def content(self) -> tuple[object, ...]:
        """All that a reader can tell, less how often and when it was written, and so whether a session seems over."""
        ledger = {
            key: msgspec.structs.replace(row, seq=0, outcome="") for key, row in self.ledger.items() if not row.gone
        }
        members = {key for key, member in self.members.items() if member.live}
        summaries = {
            key: msgspec.structs.replace(one, revision=0, received_ns=0, due_ns=0, state="running", outcome=None)
            for key, one in self.summaries.items()
        }
        pins = {session: pin.knowledge for session, pin in self.pinned.items()}
        return (
            self.spans,
            members,
            ledger,
            summaries,
            self.flags,
            self.notices,
            pins,
            self.given,
            self.released,
            self.tracks,
            self.at,
        )

    def _live(self) -> None:
        if self.survive is not None:
            if self.survive == 0:
                raise CutShortError
            self.survive -= 1

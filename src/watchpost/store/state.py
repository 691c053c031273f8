"""The state of the flow, and what is asked of it.

Every engine passes the same battery, `tests/store/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from watchpost.model.fact import Hold, Verdict
from watchpost.model.flag import Flag
from watchpost.model.knowledge import Draft, Lesson
from watchpost.model.notice import DeliveryState, Due, Notice, Receipt
from watchpost.model.release import Release, Track
from watchpost.query.flags import FlagFilter, KindCount, VerdictCount
from watchpost.query.releases import ReleaseFilter
from watchpost.store.alerts import AlertNews
from watchpost.store.erasure import Erasure


class Cursor(msgspec.Struct, frozen=True):
    """How far the flow has come: the number of the last applied batch and the last log sequence in it."""

    batch: int = 0
    seq: int = 0


class SessionPin(msgspec.Struct, frozen=True):
    """The knowledge by which a session is judged for good, and whether it has taught what it had to teach, as a `sound` one or not."""

    project: str
    session_id: str
    knowledge: int
    taught: bool
    sound: bool = False


class StoredVerdict(msgspec.Struct, frozen=True):
    """A verdict as stored, with what its flag was about; `seq` is the log sequence of its delivery, `place` its place in it.

    Of several verdicts about one flag the one of the greatest `seq` and `place` holds.
    """

    seq: int
    place: int
    project: str
    kind: str
    tool: str
    verdict: Verdict


class ReleaseNews(msgspec.Struct, frozen=True):
    """Releases that are new or changed, the ids of those that turned out to be none, and the tracks that they follow from."""

    releases: Sequence[Release] = ()
    gone: Sequence[str] = ()
    tracks: Sequence[Track] = ()


class StateBatch(msgspec.Struct, frozen=True):
    """All that one `apply` writes to state, in one transaction with the cursor."""

    cursor: Cursor
    flags: Sequence[Flag] = ()
    notices: Sequence[Notice] = ()
    pins: Sequence[SessionPin] = ()
    lessons: Sequence[Lesson] = ()
    drafts: Sequence[Draft] = ()
    verdicts: Sequence[StoredVerdict] = ()
    released: ReleaseNews = ReleaseNews()
    raised: AlertNews = AlertNews()
    erasures: Sequence[Erasure] = ()
    holds: Sequence[Hold] = ()


class StateWriter(Protocol):
    """The state of the flow."""

    def commit(self, batch: StateBatch) -> None:
        """Flags, pins, drafts, releases, tracks and holds replace those of the same id, notices, lessons, verdicts and erasures of a known id stay, the cursor moves: all or nothing."""
        ...

    def cursor(self) -> Cursor:
        """Where the last committed batch left off; zeros in an empty store."""
        ...


class KnowledgeSource(Protocol):
    """What was learnt."""

    def lessons(self, project: str) -> list[Lesson]:
        """Everything ever published in a project, by version; an empty `project` is every project."""
        ...

    def drafts(self, project: str) -> list[Draft]:
        """All drafts of a project; an empty `project` is every project."""
        ...

    def pins(self, sessions: Sequence[tuple[str, str]]) -> list[SessionPin]:
        """The pins of those of the given (project, session id) pairs that have one."""
        ...


class FlagReader(Protocol):
    """Flags of sessions."""

    def flags(self, sessions: Sequence[tuple[str, str]]) -> list[Flag]:
        """Every flag of the given (project, session id) pairs, withdrawn ones too, by time."""
        ...

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        """Every flag raised at a span of the given (project, trace id) pairs, withdrawn ones too."""
        ...


class VerdictReader(Protocol):
    """Flags one by one, and what people said of them."""

    def flags_by_id(self, ids: Sequence[str]) -> list[Flag]:
        """The flags of those of these ids that there are, by time."""
        ...

    def verdicts(self, flag_ids: Sequence[str]) -> list[Verdict]:
        """Every verdict about these flags, in the order in which they were given: of each flag the last one holds."""
        ...

    def verdict_counts(self, project: str) -> list[VerdictCount]:
        """How many flags of each kind and tool were confirmed and dismissed; an empty `project` is every project."""
        ...


class FlagList(VerdictReader, Protocol):
    """Flags by what they are, over all sessions."""

    def flags_matching(self, wanted: FlagFilter) -> list[Flag]:
        """At most `wanted.limit` flags, the latest first (`at_ns`, then id, descending)."""
        ...

    def flag_kinds(self, wanted: FlagFilter) -> list[KindCount]:
        """How many of the flags that `flags_matching` answers are of which kind, the most frequent first, then by name."""
        ...


class TrackReader(Protocol):
    """What releases follow from."""

    def release_tracks(self) -> list[Track]:
        """Every track of every project."""
        ...


class ReleaseReader(Protocol):
    """Releases of every kind."""

    def releases(self, wanted: ReleaseFilter) -> list[Release]:
        """At most `wanted.limit` releases, the latest first (`at_ns`, then id, descending)."""
        ...

    def release(self, release_id: str) -> Release | None:
        """One of them, retracted or not."""
        ...


class HoldReader(Protocol):
    """Which sessions people hold."""

    def holds(self) -> list[Hold]:
        """The holds that were not released, the latest first."""
        ...


class StoredNotice(msgspec.Struct, frozen=True):
    """A notice as it stands in the outbox: how often it was tried, when last, when it is tried again, 0 for never, and what the channel then said."""

    notice: Notice
    state: DeliveryState
    attempts: int
    tried_ns: int
    retry_at_ns: int
    detail: str


class NoticeReader(Protocol):
    """Who was told what, and how that went."""

    def notices_about(self, alert_id: str, limit: int) -> list[StoredNotice]:
        """The latest notices that name an alert, at most so many, the latest first; found among the last `NOTICES_SEARCHED`."""
        ...

    def last_tries(self) -> list[StoredNotice]:
        """Of each channel what was tried last, and what of those that it has not taken was tried last; by channel, the latest last."""
        ...


NOTICES_SEARCHED = 5_000
"""Notices that are looked through for those about one alert."""


class Outbox(Protocol):
    """Durable notices. A notice is due until a receipt says delivered or failed, whatever restarts in between."""

    def due(self, channel: str, now_ns: int, limit: int) -> list[Due]:
        """Of each conversation of a channel the oldest waiting notice, where its time has come; the oldest of them first.

        Its handle is that of the first delivered notice since the conversation's last resolve.
        """
        ...

    def settle(self, receipt: Receipt) -> None:
        """Record how a try went."""
        ...

    def backlog(self) -> dict[tuple[str, DeliveryState], int]:
        """How many notices stand in each state, per channel."""
        ...

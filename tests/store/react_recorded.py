"""Recordings of real frameworks, folded as the flow folds them and written to a telemetry store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchpost.detect.context_drift import ContextDriftSettings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.sla import Sla
from watchpost.ingest.price import Pricing
from watchpost.model.fact import Verdict
from watchpost.model.flag import Flag
from watchpost.model.release import Track
from watchpost.model.telemetry import Delivery, Parcel
from watchpost.query.flags import VerdictCount
from watchpost.rules.precision import PrecisionSettings
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.judge import Judge
from watchpost.runtime.react import Reactor
from watchpost.runtime.releases import Releases
from watchpost.runtime.reviews import Reviews
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.state import SessionPin

RECEIVED_NS = 1_795_000_000 * 10**9
HOUR_NS = 3600 * 10**9


class NothingSaid:
    """No flag was ever raised, nothing pinned, and nothing said."""

    def flags_by_id(self, ids: Sequence[str]) -> list[Flag]:
        del ids
        return []

    def verdicts(self, flag_ids: Sequence[str]) -> list[Verdict]:
        del flag_ids
        return []

    def verdict_counts(self, project: str) -> list[VerdictCount]:
        del project
        return []

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        del traces
        return []

    def pins(self, sessions: Sequence[tuple[str, str]]) -> list[SessionPin]:
        del sessions
        return []

    def release_tracks(self) -> list[Track]:
        return []


def store_recorded(telemetry: ClickHouse, number: int, project: str, sent: Sequence[Parcel]) -> None:
    """All that was sent, received within a second by a project, and an hour of silence after it; takes two batch numbers."""
    deliveries = [
        (seq, Delivery(RECEIVED_NS + seq, (msgspec.structs.replace(parcel, project=project),)))
        for seq, parcel in enumerate(sent, 1)
    ]
    reactor = a_reactor(telemetry)
    telemetry.write(reactor.react(number, deliveries, RECEIVED_NS + 10**9).telemetry)
    telemetry.write(reactor.react(number + 1, [], RECEIVED_NS + HOUR_NS).telemetry)


def a_reactor(telemetry: ClickHouse) -> Reactor:
    """One that has seen nothing, and looks up in the store what it does not hold."""
    reviews = Reviews(PrecisionSettings(), NothingSaid())
    return Reactor(
        Sessions(Quiet()),
        pricing=Pricing(),
        judge=Judge((), KnowledgeBase({}), NothingSaid(), reviews.are_dismissed),
        checkpoints=Checkpoints(ContextDriftSettings()),
        appraisal=Appraisal((), (Sla("*", 2_000_000, 500, 1_000_000),)),
        reviews=reviews,
        releases=Releases(NothingSaid()),
        source=telemetry,
        seq=0,
    )

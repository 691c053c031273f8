"""Recordings of real frameworks, folded as the flow folds them and written to a telemetry store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchpost.ingest.price import Pricing
from watchpost.model.flag import Flag
from watchpost.model.telemetry import Delivery, Parcel
from watchpost.rules.flag_rules import FlagRules
from watchpost.runtime.react import Reactor
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions
from watchpost.store.engines.clickhouse import ClickHouse

RECEIVED_NS = 1_795_000_000 * 10**9
HOUR_NS = 3600 * 10**9


class NoFlags:
    """No flag was ever raised."""

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        del traces
        return []


def store_recorded(telemetry: ClickHouse, number: int, project: str, sent: Sequence[Parcel]) -> None:
    """All that was sent, received within a second by a project, and an hour of silence after it; takes two batch numbers."""
    deliveries = [
        (seq, Delivery(RECEIVED_NS + seq, (msgspec.structs.replace(parcel, project=project),)))
        for seq, parcel in enumerate(sent, 1)
    ]
    reactor = Reactor(
        Sessions(Quiet()),
        pricing=Pricing(),
        detectors=(),
        rules=FlagRules(()),
        source=telemetry,
        flags=NoFlags(),
        seq=0,
    )
    telemetry.write(reactor.react(number, deliveries, RECEIVED_NS + 10**9).telemetry)
    telemetry.write(reactor.react(number + 1, [], RECEIVED_NS + HOUR_NS).telemetry)

"""What people said, in the order of the log, by whom it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from watchpost.model.fact import Erase, Hold, Pin, ReleaseTold, Retraction, Verdict
from watchpost.model.outside_alert import OutsideAlert
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.model.telemetry import Delivery
from watchpost.runtime.reviews import Given
from watchpost.session.timers import SessionRef


class Heard(msgspec.Struct):
    """The facts of one batch. Of several holds on one session the last is kept."""

    verdicts: list[Given] = []
    pins: list[Pin] = []
    releases: list[ReleaseTold | Retraction] = []
    holds: dict[SessionRef, Hold] = {}
    erasures: list[tuple[int, Erase]] = []
    alarms: list[Silence | Acknowledgement | OutsideAlert] = []

    def over(self, deliveries: Iterable[tuple[int, Delivery]]) -> Iterator[tuple[int, Delivery]]:
        """Pass deliveries on, each with its log sequence, and take out what people said."""
        for seq, delivery in deliveries:
            for place, fact in enumerate(delivery.facts):
                match fact:
                    case Verdict():
                        self.verdicts.append(Given(seq, place, fact))
                    case Pin():
                        self.pins.append(fact)
                    case ReleaseTold() | Retraction():
                        self.releases.append(fact)
                    case Hold():
                        self.holds[fact.project, fact.session_id] = fact
                    case Erase():
                        self.erasures.append((seq, fact))
                    case Silence() | Acknowledgement() | OutsideAlert():
                        self.alarms.append(fact)
            yield seq, delivery
